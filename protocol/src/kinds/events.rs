//! Events of Official Accounts. Source: official pages on event pushes, menus, template messages, mass sending,
//! publishing, subscription messages, customer service, verification, authorisation, stores.

use super::PushKind;
use super::shape::{Field, Items, Shape, decimal, field, flag, id, integer, kind, seconds, text};

#[rustfmt::skip] // a table
pub(super) static COMMON: &[Field] = &[
    text("ToUserName", "The account's original id, `gh_…`; with WeCom the CorpID."),
    text("FromUserName", "The user's openid; in events about the account an id of WeChat's or an administrator's."),
    seconds("CreateTime", "When it happened."),
    text("MsgType", "`event`."),
    text("Event", "The kind, as WeChat wrote it: letter case varies."),
    text("EventKey", "What was tapped or scanned, where it was that.").optional(),
    id("AgentID", "WeCom: the application.").optional(),
];

#[rustfmt::skip] // a table
pub(super) static KINDS: &[PushKind] = &[
    kind("subscribe", "A user followed.", &[
        text("EventKey", "`qrscene_` and the scene, when it was by a QR code that has one; else empty, absent, or something else (`last_trade_no_…` after a payment).").optional(),
        text("Ticket", "Ticket of the QR code.").optional(),
    ]),
    kind("unsubscribe", "A user stopped following. No answer reaches them.", &[
        text("EventKey", "Empty.").optional(),
    ]),
    kind("SCAN", "A follower scanned a QR code that has a scene.", &[
        text("EventKey", "The scene, without a prefix."),
        text("Ticket", "Ticket of the QR code."),
    ]),
    kind("LOCATION", "A follower's position, on entering the chat or every 5 seconds in it, if the account asks for it.", &[
        decimal("Latitude", "In degrees."),
        decimal("Longitude", "In degrees."),
        decimal("Precision", "How exact it is."),
    ]),
    kind("CLICK", "A user tapped a menu item that has a key.", KEY),
    kind("VIEW", "A user tapped a menu item that is a link. An answer is not shown.", &[
        text("EventKey", "The URL."),
        id("MenuId", "The personalised menu.").optional(),
    ]),
    kind("view_miniprogram", "A user tapped a menu item that opens a mini program.", &[
        text("EventKey", "The page in the mini program."),
        id("MenuId", "The personalised menu.").optional(),
    ]),
    kind("scancode_push", "A user scanned something by a menu item; WeChat showed the result.", SCANCODE),
    kind("scancode_waitmsg", "A user scanned something by a menu item, and is shown that an answer is on its way.", SCANCODE),
    kind("pic_sysphoto", "A user took pictures by a menu item. They follow as messages.", PICTURES),
    kind("pic_photo_or_album", "A user took or chose pictures by a menu item. They follow as messages.", PICTURES),
    kind("pic_weixin", "A user chose pictures by a menu item. They follow as messages.", PICTURES),
    kind("location_select", "A user chose a place by a menu item. It follows as a message.", &[
        text("EventKey", "The menu item's key."),
        field("SendLocationInfo", Shape::Object(&[
            decimal("Location_X", "Latitude in degrees."),
            decimal("Location_Y", "Longitude in degrees."),
            integer("Scale", "How far the map was zoomed in."),
            text("Label", "Name of the place."),
            text("Poiname", "Name of the place of interest; may be empty."),
        ]), "The place."),
    ]),
    kind("TEMPLATESENDJOBFINISH", "A template message was delivered, or not.", &[
        id("MsgID", "The `msgid` that sending it returned."),
        text("Status", "`success`, `failed:user block`, `failed: system failed`."),
    ]),
    kind("MASSSENDJOBFINISH", "A mass message was sent, or not.", &[
        id("MsgID", "The `msg_id` that sending it returned."),
        text("Status", "`send success`, `sendsuccess`, `send fail`, or `err(…)` with WeChat's number for the reason."),
        integer("TotalCount", "Users meant."),
        integer("FilterCount", "Of them left after WeChat's filters."),
        integer("SentCount", "Of them reached."),
        integer("ErrorCount", "Of them not reached."),
        field("CopyrightCheckResult", Shape::Object(&[
            integer("Count", "Articles checked."),
            field("ResultList", Shape::Items(&Items { wrapper: "item", item: Shape::Object(&[
                integer("ArticleIdx", "Which article, counted from 1."),
                integer("UserDeclareState", "What the account says about its originality."),
                integer("AuditState", "What WeChat says about it."),
                text("OriginalArticleUrl", "The article it resembles."),
                integer("OriginalArticleType", "That article's kind."),
                flag("CanReprint", "Whether it may be reprinted."),
                flag("NeedReplaceContent", "Whether the other's content must be taken."),
                flag("NeedShowReprintSource", "Whether the source must be named."),
            ]) }), "One per article."),
            integer("CheckState", "1: no reprint; 2: a reprint that may be sent; 3: one that may not."),
        ]), "Whose the articles are.").optional(),
        field("ArticleUrlResult", Shape::Object(&[
            integer("Count", "Articles sent."),
            field("ResultList", Shape::Items(&Items { wrapper: "item", item: Shape::Object(&[
                integer("ArticleIdx", "Which article, counted from 1."),
                text("ArticleUrl", "Where it is now."),
            ]) }), "One per article."),
        ]), "Where the articles are.").optional(),
    ]),
    kind("PUBLISHJOBFINISH", "A draft was published, or not.", PUBLISHED),
    kind("FREEPUBLISHJOBFINISH", "The same as `PUBLISHJOBFINISH`, by the name that some SDKs know.", PUBLISHED),
    kind("subscribe_msg_popup_event", "A user answered the question whether to allow subscription messages.", &[
        field("List", Shape::Lifted(&Items { wrapper: "SubscribeMsgPopupEvent", item: Shape::Object(&[
            id("TemplateId", "The template."),
            text("SubscribeStatusString", "`accept`, `reject` …"),
            integer("PopupScene", "Where it was asked: 0 in a mini program, 1 on a web page, 2 in an article."),
        ]) }), "One per template."),
    ]),
    kind("subscribe_msg_change_event", "A user changed their mind about subscription messages in the settings.", &[
        field("List", Shape::Lifted(&Items { wrapper: "SubscribeMsgChangeEvent", item: Shape::Object(&[
            id("TemplateId", "The template."),
            text("SubscribeStatusString", "`reject`."),
        ]) }), "One per template."),
    ]),
    kind("subscribe_msg_sent_event", "A subscription message was delivered, or not.", &[
        field("List", Shape::Lifted(&Items { wrapper: "SubscribeMsgSentEvent", item: Shape::Object(&[
            id("TemplateId", "The template."),
            id("MsgID", "The `msgid` that sending it returned; exceeds 2^53."),
            integer("ErrorCode", "0, or why not."),
            text("ErrorStatus", "The same in words."),
        ]) }), "One per message."),
    ]),
    kind("kf_create_session", "A human agent took over a chat.", AGENT),
    kind("kf_close_session", "A human agent ended a chat.", AGENT),
    kind("kf_switch_session", "A chat went from one human agent to another.", &[
        id("FromKfAccount", "The agent who had it, `name@account`."),
        id("ToKfAccount", "The agent who has it."),
    ]),
    kind("user_info_modified", "A user changed their profile: fetch it anew. `FromUserName` is WeChat, the user is `OpenID`.", AUTHORISATION),
    kind("user_authorization_revoke", "A user took back an authorisation: delete what was got by it. `FromUserName` is WeChat, the user is `OpenID`.", AUTHORISATION),
    kind("user_authorization_cancellation", "A user closed their account with us: delete what we have. `FromUserName` is WeChat, the user is `OpenID`.", AUTHORISATION),
    kind("qualification_verify_success", "The account's qualification was verified.", EXPIRES),
    kind("qualification_verify_fail", "The account's qualification was not verified.", FAILED),
    kind("naming_verify_success", "The account's name was verified.", EXPIRES),
    kind("naming_verify_fail", "The account's name was not verified.", FAILED),
    kind("annual_renew", "The account's verification is to be renewed.", EXPIRES),
    kind("verify_expired", "The account's verification has expired.", EXPIRES),
    kind("poi_check_notify", "A store was reviewed.", &[
        id("UniqId", "The store's id of ours."),
        id("PoiId", "The store's id of WeChat's."),
        text("Result", "`succ` or `fail`."),
        text("msg", "Why.").optional(),
        text("Msg", "The same, as another sample spells it.").optional(),
    ]),
    kind("guide_qrcode_scan_event", "A user scanned the QR code of a shopping guide. Known from SDKs.", &[
        field("GuideScanEvent", Shape::Object(&[
            id("qrcode_guide_account", "The guide's WeChat id."),
            id("qrcode_guide_openid", "The guide's openid.").optional(),
            id("openid", "The user's openid."),
            integer("action", "How it was scanned."),
            text("qrcode_info", "What the QR code was made with.").optional(),
        ]), "Who scanned whose code."),
    ]),
    kind("user_scan_product", "A user scanned the barcode of a product. WeChat has closed this.", &[
        text("KeyStandard", PRODUCT_STANDARD),
        id("KeyStr", PRODUCT_KEY),
        text("Country", "The user's.").optional(),
        text("Province", "The user's.").optional(),
        text("City", "The user's.").optional(),
        integer("Sex", "The user's: 0 unknown, 1 male, 2 female.").optional(),
        integer("Scene", "How the product's page was opened: 1 scanned, 2 otherwise.").optional(),
        text("ExtInfo", "What the QR code was made with.").optional(),
    ]),
    kind("user_scan_product_enter_session", "A user went from a product's page to the chat. WeChat has closed this.", PRODUCT),
    kind("user_scan_product_async", "Where a user scanned a product. WeChat has closed this.", &[
        text("KeyStandard", PRODUCT_STANDARD),
        id("KeyStr", PRODUCT_KEY),
        text("ExtInfo", "What the QR code was made with.").optional(),
        id("RegionCode", "The region's number."),
    ]),
    kind("user_scan_product_verify_action", "A product was reviewed. WeChat has closed this.", &[
        text("KeyStandard", PRODUCT_STANDARD),
        id("KeyStr", PRODUCT_KEY),
        text("Result", "`verify_ok`, `verify_not_pass`."),
        text("ReasonMsg", "Why not.").optional(),
    ]),
    kind("subscribe_scan_product", "A user followed on a product's page. WeChat has closed this.", &[
        text("EventKey", "Scene, standard and barcode, with `|` between."),
    ]),
    kind("ENTER", "A user opened the chat. WeChat no longer sends it.", &[]),
    kind("WifiConnected", "A user joined a store's Wi-Fi. WeChat has closed this.", &[
        seconds("ConnectTime", "When."),
        seconds("ExpireTime", "Reserved.").optional(),
        id("VendorId", "Reserved.").optional(),
        id("ShopId", "The store.").optional(),
        id("PlaceId", "The store, in older pages.").optional(),
        id("DeviceNo", "The device's MAC address."),
    ]),
    kind("ShakearoundUserShake", "A user shook the phone near a beacon. WeChat has closed this.", &[
        field("ChosenBeacon", Shape::Object(BEACON), "The beacon whose page was shown."),
        field("AroundBeacons", Shape::Items(&Items {
            wrapper: "AroundBeacon",
            item: Shape::Object(BEACON),
        }), "The beacons nearby.").optional(),
    ]),
    kind("ShakearoundLotteryBind", "A user won a red packet by shaking the phone. WeChat has closed this.", &[
        id("LotteryId", "The lottery."),
        id("Ticket", "The red packet."),
        decimal("Money", "How much."),
        seconds("BindTime", "When."),
    ]),
    kind("merchant_order", "An order in a WeChat store was paid. WeChat has closed this.", &[
        id("OrderId", "The order."),
        integer("OrderStatus", "Its state."),
        id("ProductId", "What was bought."),
        text("SkuInfo", "Which of it."),
    ]),
];

#[rustfmt::skip] // a table
const KEY: &[Field] = &[text("EventKey", "The menu item's key.")];

#[rustfmt::skip] // a table
const SCANCODE: &[Field] = &[
    text("EventKey", "The menu item's key."),
    field("ScanCodeInfo", Shape::Object(&[
        text("ScanType", "`qrcode`, `barcode`."),
        text("ScanResult", "What it says; of a barcode like `EAN_13,6901234567892`."),
    ]), "What was scanned."),
];

#[rustfmt::skip] // a table
const PICTURES: &[Field] = &[
    text("EventKey", "The menu item's key."),
    field("SendPicsInfo", Shape::Object(&[
        integer("Count", "How many."),
        field("PicList", Shape::Items(&Items {
            wrapper: "item",
            item: Shape::Object(&[id("PicMd5Sum", "MD5 of the picture, in hexadecimal.")]),
        }), "One per picture."),
    ]), "The pictures."),
];

#[rustfmt::skip] // a table
const PUBLISHED: &[Field] = &[field("PublishEventInfo", Shape::Object(&[
    id("publish_id", "The job that publishing returned."),
    integer("publish_status", "0: published; 1: under way; 2: originality; 3: failed; 4: refused; 5: deleted since; 6: banned since."),
    id("article_id", "The article, when it was published.").optional(),
    field("article_detail", Shape::Object(&[
        integer("count", "How many articles."),
        field("item", Shape::List(&Shape::Object(&[
            integer("idx", "Which article, counted from 1."),
            text("article_url", "Where it is."),
        ])), "One per article."),
    ]), "The articles, when they were published.").optional(),
    field("fail_idx", Shape::List(&Shape::Integer), "Which articles were refused, counted from 1.").optional(),
]), "What became of it.")];

#[rustfmt::skip] // a table
const AGENT: &[Field] = &[id("KfAccount", "The agent, `name@account`.")];

#[rustfmt::skip] // a table
const AUTHORISATION: &[Field] = &[
    id("OpenID", "The user.").optional(),
    id("AppID", "The account or mini program.").optional(),
    id("openid", "The user, as apps of the Open Platform spell it.").optional(),
    id("appid", "The app, as apps of the Open Platform spell it.").optional(),
    text("RevokeInfo", "What was taken back. Official Accounts: 201 address, 202 invoice, 203 card, 204 microphone, 205 nickname and avatar, 206 position, 207 chosen media. Mini programs: 1 plate number, 2 address, 3 invoice, 4 bluetooth, 5 microphone, 6 nickname and avatar, 7 camera, 8 phone number, 12 WeRun, 13 position, 14 chosen media, 15 chosen file, 16 e-mail, 18 chosen place, 19 nickname, 20 avatar.").optional(),
    id("PluginID", "The plugin the user had allowed it, if any.").optional(),
    id("OpenPID", "The user's id with that plugin.").optional(),
];

#[rustfmt::skip] // a table
const EXPIRES: &[Field] = &[seconds("ExpiredTime", "When the verification ends.")];

#[rustfmt::skip] // a table
const FAILED: &[Field] = &[
    seconds("FailTime", "When it failed."),
    text("FailReason", "Why."),
];

const PRODUCT_STANDARD: &str = "The barcode's standard, `ean13` …";
const PRODUCT_KEY: &str = "The barcode.";

#[rustfmt::skip] // a table
const PRODUCT: &[Field] = &[
    text("KeyStandard", PRODUCT_STANDARD),
    id("KeyStr", PRODUCT_KEY),
    text("ExtInfo", "What the QR code was made with.").optional(),
];

#[rustfmt::skip] // a table
const BEACON: &[Field] = &[
    id("Uuid", "The beacon."),
    id("Major", "The beacon's major number."),
    id("Minor", "The beacon's minor number."),
    decimal("Distance", "Metres to it."),
];
