//! Cards, member cards, gift cards and invoices. Source: official pages on card events, gift cards and electronic
//! invoices; most of them are closed to new accounts.

use super::PushKind;
use super::shape::{Field, flag, id, integer, kind, seconds, text};

#[rustfmt::skip] // a table
pub(super) static KINDS: &[PushKind] = &[
    kind("user_get_card", "A user took a card.", &[
        CARD,
        flag("IsGiveByFriend", "Whether a friend gave it."),
        CODE,
        id("FriendUserName", "The friend's openid; else empty.").optional(),
        integer("OuterId", "The channel, when it is a number.").optional(),
        id("OldUserCardCode", "The card's code with the friend; else empty.").optional(),
        text("OuterStr", CHANNEL).optional(),
        flag("IsRestoreMemberCard", "Whether a member card was got back after it was deleted.").optional(),
        flag("IsRecommendByFriend", "Whether a friend recommended it.").optional(),
        text("SourceScene", "Where it was taken: `SOURCE_SCENE_…`.").optional(),
        id("UnionId", "The user's unionid.").optional(),
    ]),
    kind("user_view_card", "A user opened a member card.", &[CARD, CODE, text("OuterStr", CHANNEL).optional()]),
    kind("user_consume_card", "A card was used.", &[
        CARD,
        CODE,
        text("ConsumeSource", "By what: `FROM_API`, `FROM_MP`, `FROM_MOBILE_HELPER`."),
        id("LocationId", "The store.").optional(),
        text("LocationName", "The store's name.").optional(),
        id("StaffOpenId", "Who took the card.").optional(),
        text("VerifyCode", "What the user typed, when they use cards by themselves.").optional(),
        text("RemarkAmount", "The amount the user typed, likewise.").optional(),
        text("OuterStr", CHANNEL).optional(),
    ]),
    kind("user_del_card", "A user deleted a card.", &[CARD, CODE]),
    kind("user_gifting_card", "A user gives a card away.", &[
        CARD,
        CODE,
        flag("IsReturnBack", "Whether it came back, since nobody took it."),
        id("FriendUserName", "The openid of who gets it."),
        flag("IsChatRoom", "Whether it was given to a group."),
    ]),
    kind("user_pay_from_pay_cell", "A user paid by a card.", &[
        CARD,
        CODE,
        id("TransId", "The payment."),
        id("LocationId", "The store.").optional(),
        integer("Fee", "What was paid, in fen."),
        integer("OriginalFee", "What was due, in fen."),
    ]),
    kind("user_enter_session_from_card", "A user went from a card to the chat.", &[CARD, CODE]),
    kind("update_member_card", "The bonus or balance of a member card changed.", &[
        CARD,
        CODE,
        integer("ModifyBonus", "By how many points; perhaps negative."),
        integer("ModifyBalance", "By how many fen; perhaps negative."),
    ]),
    kind("submit_membercard_user_info", "A user filled in the form of a member card: fetch it.", &[CARD, CODE]),
    kind("card_pass_check", "A card was approved.", &[CARD]),
    kind("card_not_pass_check", "A card was refused.", &[CARD, text("RefuseReason", "Why.").optional()]),
    kind("card_sku_remind", "Few of a card are left: 100 of more than 200. At most every 12 hours.", &[
        CARD,
        text("Detail", "How many, in words."),
    ]),
    kind("card_pay_order", "The account's coins for cards changed.", &[
        id("OrderId", "The order."),
        text("Status", "Its state: `ORDER_STATUS_…`."),
        seconds("CreateOrderTime", "When it was made."),
        seconds("PayFinishTime", "When it was paid; 0: it was not."),
        text("Desc", "How it was paid.").optional(),
        integer("FreeCoinCount", "Free coins left."),
        integer("PayCoinCount", "Paid coins left."),
        integer("RefundFreeCoinCount", "By how many free coins it changed."),
        integer("RefundPayCoinCount", "By how many paid coins it changed."),
        text("OrderType", "Why: `ORDER_TYPE_…`."),
        text("Memo", "A remark of WeChat's.").optional(),
        text("ReceiptInfo", "The receipt.").optional(),
    ]),
    kind("card_merchant_check_result", "A sub-merchant was reviewed.", &[
        id("MerchantId", "The sub-merchant."),
        flag("IsPass", "Whether it was approved."),
        text("Reason", "Why not.").optional(),
    ]),
    kind("giftcard_pay_done", "A user bought a gift card.", &[PAGE, ORDER]),
    kind("giftcard_send_to_friend", "A user gives a gift card away.", &[
        PAGE,
        ORDER,
        flag("IsChatRoom", "Whether it was given to a group."),
        flag("IsReturnBack", "Whether it came back, since nobody took it."),
    ]),
    kind("giftcard_user_accept", "A user took a gift card.", &[
        PAGE,
        ORDER,
        flag("IsChatRoom", "Whether it was given to a group."),
        id("UnionId", "The user's unionid.").optional(),
    ]),
    kind("user_authorize_invoice", "A user allowed an invoice, or that failed.", &[
        id("SuccOrderId", "The order, when it was allowed."),
        id("FailOrderId", "The order, when it failed."),
        id("AuthorizeAppId", "The account that asked.").optional(),
        id("SPAppId", "The service provider.").optional(),
        text("Source", "Where it was asked: `web`, `app`, `wxa` …"),
    ]),
    kind("update_invoice_status", "An invoice was used or freed.", &[
        text("Status", "Its state: `INVOICE_REIMBURSE_…`."),
        CARD,
        id("Code", "The invoice's code."),
    ]),
    kind("submit_invoice_title", "A user filled in who an invoice is for.", &[
        text("title_type", "`InvoiceUserTitlePersonType`, `InvoiceUserTitleBusinessType`."),
        text("title", "Who it is for."),
        id("tax_no", "The tax number.").optional(),
        text("addr", "The address.").optional(),
        id("phone", "The telephone number.").optional(),
        text("bank_type", "The bank.").optional(),
        id("bank_no", "The account at the bank.").optional(),
        text("attach", "What the QR code was made with.").optional(),
    ]),
    kind("cloud_invoice_invoiceresult_event", "An invoice was made, or not. Known from SDKs.", &[
        integer("status", "0, or why not."),
        id("fpqqlsh", "The request."),
        id("nsrsbh", "The seller's tax number."),
    ]),
];

const CARD: Field = id("CardId", "The card.");
const CODE: Field = id("UserCardCode", "The code of this user's card.");
const PAGE: Field = id("PageId", "The page it was bought on.");
const ORDER: Field = id("OrderId", "The order.");
const CHANNEL: &str = "The channel, as it was named when the card was handed out.";
