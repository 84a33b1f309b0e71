//! Events of mini programs. Source: official pages on customer service, content security, code review, logistics,
//! shipping and virtual payment; SDKs. `subscribe_msg_*` and `user_*` are among the events of Official Accounts: they
//! are the same.

use super::PushKind;
use super::shape::{Field, Shape, decimal, field, flag, id, integer, kind, seconds, text};

#[rustfmt::skip] // a table
pub(super) static KINDS: &[PushKind] = &[
    kind("user_enter_tempsession", "A user opened the customer service of a mini program.", &[
        text("SessionFrom", "What the button was given as `session-from`."),
    ]),
    kind("wxa_media_check", "A picture or recording was checked.", &[
        id("appid", "The mini program."),
        id("trace_id", "The check that was asked for."),
        integer("version", "2; absent in the older form, which has the last three fields instead.").optional(),
        field("detail", Shape::List(&Shape::Object(&[
            text("strategy", "By what it was judged: `content_model`, `keyword` …"),
            integer("errcode", "0: judged."),
            text("suggest", SUGGEST).optional(),
            integer("label", LABEL).optional(),
            decimal("prob", "How sure, from 0 to 100.").optional(),
            text("keyword", "The keyword that was found.").optional(),
        ])), "One per strategy.").optional(),
        integer("errcode", "0: checked.").optional(),
        text("errmsg", "The same in words.").optional(),
        field("result", Shape::Object(&[
            text("suggest", SUGGEST),
            integer("label", LABEL),
        ]), "The verdict.").optional(),
        flag("isrisky", "Older form: whether it is risky.").optional(),
        text("extra_info_json", "Older form: more, in JSON.").optional(),
        integer("status_code", "Older form: 0, or why it could not be fetched.").optional(),
    ]),
    kind("weapp_audit_success", "A version was approved.", &[
        seconds("SuccTime", "When."),
    ]),
    kind("weapp_audit_fail", "A version was refused.", &[
        text("Reason", "Why, in HTML."),
        seconds("FailTime", "When."),
        text("ScreenShot", "Media ids of pictures, with `|` between.").optional(),
    ]),
    kind("weapp_audit_delay", "The review of a version takes longer.", &[
        text("Reason", "Why."),
        seconds("DelayTime", "Since when."),
    ]),
    kind("wxa_nickname_audit", "The mini program's name was reviewed.", &[
        integer("ret", "2: refused; 3: approved."),
        text("nickname", "The name."),
        text("reason", "Why not.").optional(),
    ]),
    kind("wxa_category_audit", "A category of the mini program was reviewed.", &[
        integer("ret", "2: refused; 3: approved."),
        id("first", "The category."),
        id("second", "The category in it."),
        text("reason", "Why not.").optional(),
    ]),
    kind("wxa_illegal_record", "The mini program broke a rule.", &[
        id("illegal_record_id", "The record."),
        id("appid", "The mini program."),
        seconds("create_time", "When."),
        text("illegal_reason", "Why."),
        text("illegal_content", "What."),
        text("rule_url", "Where the rule is."),
        text("rule_name", "What the rule is called."),
    ]),
    kind("wxa_appeal_record", "What became of an appeal.", &[
        id("appeal_record_id", "The appeal."),
        id("appid", "The mini program."),
        seconds("appeal_time", "When it was made."),
        integer("appeal_count", "The how-manyth it is."),
        integer("appeal_from", "Who made it: 0 the account, 1 WeChat."),
        integer("appeal_status", "1: under review; 2: refused; 3: granted; 4: withdrawn …"),
        text("audit_reason", "Why.").optional(),
        text("punish_description", "The penalty.").optional(),
        field("material", Shape::List(&Shape::Object(&[
            field("illegal_material", Shape::Object(&[
                text("content", "What broke the rule."),
                text("content_url", "Where it is."),
            ]), "What it is about.").optional(),
            field("appeal_material", Shape::Object(&[
                text("reason", "Why it did not."),
                field("proof_material_id", Shape::List(&Shape::Id), "Media ids of proofs.").optional(),
            ]), "What was said.").optional(),
        ])), "What the appeal says.").optional(),
    ]),
    kind("wxa_privacy_apply", "The use of an API that touches privacy was reviewed.", &[
        field("result_info", Shape::Object(&[
            text("api_name", "The API."),
            seconds("apply_time", "When it was asked for."),
            id("audit_id", "The review."),
            seconds("audit_time", "When it was decided."),
            text("reason", "Why not.").optional(),
            integer("status", "What was decided."),
        ]), "The verdict."),
    ]),
    kind("add_express_path", "A parcel moved.", &[
        id("DeliveryID", "The carrier."),
        id("WayBillId", "The waybill."),
        id("OrderId", "The order."),
        integer("Version", "Counts the changes."),
        integer("Count", "How many steps."),
        field("Actions", Shape::List(&Shape::Object(&[
            seconds("ActionTime", "When."),
            integer("ActionType", "What happened, as WeChat numbers it."),
            text("ActionMsg", "The same in words."),
        ])), "The steps, all of them each time."),
    ]),
    kind("trade_manage_remind_access_api", "The API for shipping should be used.", &[
        text("msg", "WeChat's words."),
    ]),
    kind("trade_manage_remind_shipping", "An order waits for being shipped.", &[
        MERCHANT_TRANSACTION,
        MERCHANT,
        SUB_MERCHANT,
        MERCHANT_TRADE,
        PAY_TIME,
        text("msg", "WeChat's words.").optional(),
    ]),
    kind("trade_manage_order_settlement", "An order is or will be settled.", &[
        MERCHANT_TRANSACTION,
        MERCHANT,
        SUB_MERCHANT,
        MERCHANT_TRADE,
        PAY_TIME,
        seconds("shipped_time", "When it was shipped.").optional(),
        seconds("estimated_settlement_time", "When it will be settled.").optional(),
        integer("confirm_receive_method", "How receipt was confirmed: 1 by itself, 2 by the user.").optional(),
        seconds("confirm_receive_time", "When receipt was confirmed.").optional(),
        seconds("settlement_time", "When it was settled.").optional(),
    ]),
    kind("xpay_goods_deliver_notify", "A virtual good was paid: deliver it. WeChat wants `{\"ErrCode\":0,\"ErrMsg\":\"success\"}`.", &[
        PAYER,
        OUT_TRADE_NO,
        ENVIRONMENT,
        WECHAT_PAY,
        field("GoodsInfo", Shape::Object(&[
            id("ProductId", "The good."),
            QUANTITY,
            LIST_PRICE,
            PAID_PRICE,
            ATTACHED,
        ]), "What was bought.").optional(),
        field("TeamInfo", Shape::Object(&[
            id("ActivityId", "The group purchase."),
            id("TeamId", "The group."),
            integer("TeamType", "Its kind."),
            integer("TeamAction", "What the user did: 0 began it, 1 joined."),
        ]), "The group purchase.").optional(),
    ]),
    kind("xpay_coin_pay_notify", "Virtual coins were paid. WeChat wants `{\"ErrCode\":0,\"ErrMsg\":\"success\"}`.", &[
        PAYER,
        OUT_TRADE_NO,
        ENVIRONMENT,
        WECHAT_PAY,
        field("CoinInfo", Shape::Object(&[
            QUANTITY,
            LIST_PRICE,
            PAID_PRICE,
            ATTACHED,
        ]), "What was bought.").optional(),
    ]),
    kind("xpay_refund_notify", "A virtual payment was paid back. WeChat wants `{\"ErrCode\":0,\"ErrMsg\":\"success\"}`.", &[
        PAYER,
        id("WxRefundId", "The refund, to WeChat."),
        id("MchRefundId", "The refund, to us."),
        id("WxOrderId", "The order, to WeChat."),
        id("MchOrderId", "The order, to us."),
        integer("RefundFee", "How much, in fen."),
        integer("RetCode", "0, or why not."),
        text("RetMsg", "The same in words.").optional(),
        seconds("RefundStartTimestamp", "When it began."),
        seconds("RefundSuccTimestamp", "When it was done.").optional(),
        id("WxpayRefundTransactionId", "The refund, to WeChat Pay.").optional(),
        integer("RetryTimes", "How often it was tried before.").optional(),
    ]),
    kind("wx_verify_pay_succ", "The mini program's verification was paid. Known from SDKs.", &[]),
    kind("wx_verify_dispatch", "The mini program's verification was handed to an examiner. Known from SDKs.", &[]),
    kind("create_map_poi_audit_info", "A place for the map was reviewed. Known from SDKs.", &[
        id("audit_id", "The review."),
        integer("status", "1: approved; 3: refused."),
        id("map_poi_id", "The place.").optional(),
        text("name", "Its name.").optional(),
        text("address", "Its address.").optional(),
        decimal("latitude", "In degrees.").optional(),
        decimal("longitude", "In degrees.").optional(),
        text("sh_remark", "Why not.").optional(),
    ]),
    kind("secvod_upload_event", "A film was uploaded. Known from SDKs.", &[
        field("upload_event", Shape::Object(&[
            id("media_id", "The film."),
            text("source_context", "What the upload was given."),
            integer("errcode", "0, or why not."),
            text("errmsg", "The same in words.").optional(),
        ]), "What became of it."),
    ]),
    kind("secvod_audit_event", "A series of films was reviewed. Known from SDKs.", &[
        field("audit_event", Shape::Object(&[
            id("drama_id", "The series."),
            field("audit_detail", Shape::Object(&[
                integer("status", "What was decided."),
                seconds("create_time", "When it was asked for."),
                seconds("audit_time", "When it was decided.").optional(),
                integer("audit_type", "What was reviewed.").optional(),
            ]), "The verdict."),
        ]), "What became of it."),
    ]),
    kind("debug_demo", "WeChat's debugging tool tries the URL.", &[
        text("debug_str", "What was typed there."),
    ]),
];

const SUGGEST: &str = "`pass`, `review` or `risky`.";
const LABEL: &str = "100 normal, 10001 advertising, 20001 politics, 20002 pornography, 20003 abuse, 20006 crime, 20008 fraud, 20012 vulgar, 20013 copyright, 21000 other.";

const MERCHANT_TRANSACTION: Field = id("transaction_id", "The payment, to WeChat Pay.");
const MERCHANT: Field = id("merchant_id", "The merchant.");
const SUB_MERCHANT: Field = id("sub_merchant_id", "The sub-merchant.").optional();
const MERCHANT_TRADE: Field = id("merchant_trade_no", "The order, to us.");
const PAY_TIME: Field = seconds("pay_time", "When it was paid.");

const PAYER: Field = id("OpenId", "The user.");
const OUT_TRADE_NO: Field = id("OutTradeNo", "The order, to us.");
const ENVIRONMENT: Field = integer("Env", "0: real; 1: sandbox.");
const QUANTITY: Field = integer("Quantity", "How many.");
const LIST_PRICE: Field = integer("OrigPrice", "Price of one, in fen.");
const PAID_PRICE: Field = integer("ActualPrice", "What was paid, in fen.");
const ATTACHED: Field = text("Attach", "What the order was given.").optional();
const WECHAT_PAY: Field = field(
    "WeChatPayInfo",
    Shape::Object(&[
        id("MchOrderNo", "The order, to WeChat Pay."),
        id("TransactionId", "The payment, to WeChat Pay."),
        seconds("PaidTime", "When it was paid.").optional(),
    ]),
    "The payment; absent when it was not by WeChat Pay.",
)
.optional();
