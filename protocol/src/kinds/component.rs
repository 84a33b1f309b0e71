//! Notices to third-party platforms. Source: official pages on authorisation and on registering mini programs.

use super::PushKind;
use super::shape::{Field, Shape, field, id, integer, kind, seconds, text};

#[rustfmt::skip] // a table
pub(super) static COMMON: &[Field] = &[
    id("AppId", "The platform's appid."),
    seconds("CreateTime", "When it happened."),
    text("InfoType", "The kind."),
];

#[rustfmt::skip] // a table
pub(super) static KINDS: &[PushKind] = &[
    kind("component_verify_ticket", "About every 10 minutes. A secret of the platform: it gets the platform's access token.", &[
        text("ComponentVerifyTicket", "The ticket."),
    ]),
    kind("authorized", "An account authorised the platform.", AUTHORIZED),
    kind("updateauthorized", "An account changed what the platform may do.", AUTHORIZED),
    kind("unauthorized", "An account took its authorisation back.", &[
        id("AuthorizerAppid", "The account."),
    ]),
    kind("notify_third_fasteregister", "A mini program that the platform registers was made, or not.", &[
        MADE,
        STATUS,
        text("auth_code", "Gets the authorisation; a secret.").optional(),
        MESSAGE,
        field("info", Shape::Object(&[
            NAME, CODE, CODE_TYPE, PERSON_WECHAT, PERSON_NAME, PHONE,
            id("wxuser", "The person's WeChat id.").optional(),
            text("idname", "The person's name.").optional(),
        ]), "What was asked for.").optional(),
    ]),
    kind("notify_third_fastregisterbetaapp", "A trial mini program was made, or not.", &[
        MADE,
        STATUS,
        MESSAGE,
        field("info", Shape::Object(&[
            id("unique_id", "The request."),
            text("name", "The mini program's name."),
        ]), "What was asked for.").optional(),
    ]),
    kind("notify_third_fastverifybetaapp", "A trial mini program was verified, or not.", &[
        MADE,
        STATUS,
        MESSAGE,
        field("info", Shape::Object(&[
            NAME, CODE, CODE_TYPE, PERSON_WECHAT, PERSON_NAME, PHONE,
        ]), "What was asked for.").optional(),
    ]),
    kind("notify_3rd_wxa_auth", "A mini program's verification moved on.", &[
        id("appid", "The mini program."),
        id("taskid", "The verification."),
        integer("task_status", "How far it is."),
        integer("apply_status", "How far the application is."),
        text("message", "WeChat's words.").optional(),
        field("dispatch_info", Shape::Object(&[
            text("provider", "Who examines."),
            text("contact", "How to reach them."),
            seconds("dispatch_time", "Since when."),
        ]), "The examiner.").optional(),
    ]),
    kind("notify_3rd_wxa_wxverify", "A mini program's verification expires.", &[
        id("appid", "The mini program."),
        seconds("expired", "When."),
        text("message", "WeChat's words.").optional(),
    ]),
    kind("notify_apply_icpfiling_result", "A mini program's registration with the authorities moved on.", &[
        id("authorizer_appid", "The mini program."),
        integer("beian_status", "How far it is."),
    ]),
];

#[rustfmt::skip] // a table
const AUTHORIZED: &[Field] = &[
    id("AuthorizerAppid", "The account."),
    text("AuthorizationCode", "Gets the authorisation; a secret."),
    seconds("AuthorizationCodeExpiredTime", "Until when the code is good."),
    text("PreAuthCode", "The code it began with."),
];

const MADE: Field = id("appid", "The mini program, when it was made.").optional();
const STATUS: Field = integer("status", "0, or why not.");
const MESSAGE: Field = text("msg", "The same in words.").optional();
const NAME: Field = text("name", "The enterprise.").optional();
const CODE: Field = id("code", "The enterprise's number.").optional();
const CODE_TYPE: Field = integer("code_type", "What number it is.").optional();
const PERSON_WECHAT: Field = id("legal_persona_wechat", "The legal person's WeChat id.").optional();
const PERSON_NAME: Field = text("legal_persona_name", "The legal person's name.").optional();
const PHONE: Field = id("component_phone", "The platform's telephone number.").optional();
