//! What users write. Source: official pages on receiving messages; mini program customer service.

use super::PushKind;
use super::shape::{Field, decimal, id, integer, kind, seconds, text};

#[rustfmt::skip] // a table
pub(super) static COMMON: &[Field] = &[
    text("ToUserName", "The account's original id, `gh_…`; with WeCom the CorpID."),
    text("FromUserName", "The user's openid; with WeCom the UserID."),
    seconds("CreateTime", "When the message was written."),
    text("MsgType", "The kind."),
    id("MsgId", "The message's id: mostly a 64-bit number, in mini programs now and then another text."),
    id("MsgDataId", "Id of the article from which the chat was opened; absent otherwise.").optional(),
    integer("Idx", "Which of the articles it was, counted from 1; absent when there was none.").optional(),
    id("BusinessId", "The sub-merchant whose customer service is meant.").optional(),
    id("AgentID", "WeCom: the application.").optional(),
];

#[rustfmt::skip] // a table
pub(super) static KINDS: &[PushKind] = &[
    kind("text", "A user wrote a text, or tapped an item of a menu message.", &[
        text("Content", "What the user wrote. Built-in emoticons arrive as `/:ok` and the like."),
        id("bizmsgmenuid", "The id of the menu item that was tapped. Known from SDKs.").optional(),
    ]),
    kind("image", "A user sent a picture.", &[
        text("PicUrl", "Where the picture is."),
        id("MediaId", "Fetches the picture through the API, for 3 days."),
    ]),
    kind("voice", "A user sent a recording.", &[
        id("MediaId", "Fetches the recording (8 kHz) through the API, for 3 days."),
        text("Format", "`amr`, `speex` …"),
        text("Recognition", "What speech recognition heard, if it is switched on.").optional(),
        id("MediaId16K", "Fetches the recording at 16 kHz.").optional(),
    ]),
    kind("video", "A user sent a film.", VIDEO),
    kind("shortvideo", "A user sent a short film.", VIDEO),
    kind("location", "A user sent a place.", &[
        decimal("Location_X", "Latitude in degrees."),
        decimal("Location_Y", "Longitude in degrees."),
        integer("Scale", "How far the map was zoomed in."),
        text("Label", "Name of the place; may start with a blank."),
    ]),
    kind("link", "A user sent a link.", &[
        text("Title", "Heading of the page."),
        text("Description", "Text below it."),
        text("Url", "Where it leads."),
    ]),
    kind("miniprogrampage", "A user sent a card of a mini program.", &[
        text("Title", "Heading of the card."),
        id("AppId", "The mini program's appid."),
        text("PagePath", "The page in it."),
        text("ThumbUrl", "Where the card's picture is, for a while."),
        id("ThumbMediaId", "Fetches the card's picture through the API."),
    ]),
    kind("file", "A user sent a file. Known from one SDK.", &[
        text("Title", "The file's name."),
        text("Description", "Its size in words."),
        id("FileKey", "Names the file."),
        id("FileMd5", "MD5 of the file, in hexadecimal."),
        integer("FileTotalLen", "Its size in bytes."),
    ]),
    kind("device_text", "A device sent data. WeChat's hardware platform is closed.", DEVICE),
    kind("device_event", "A device was bound or unbound. WeChat's hardware platform is closed.", DEVICE),
];

#[rustfmt::skip] // a table
const VIDEO: &[Field] = &[
    id("MediaId", "Fetches the film through the API, for 3 days."),
    id("ThumbMediaId", "Fetches a picture of it, likewise."),
];

#[rustfmt::skip] // a table
const DEVICE: &[Field] = &[
    id("DeviceType", "Original id of the account that makes the device."),
    id("DeviceID", "The device."),
    text("Content", "Data, in base64."),
    id("SessionID", "To be repeated in the answer.").optional(),
    id("OpenID", "The user of the device.").optional(),
    text("Event", "`bind`, `unbind` … in events of devices.").optional(),
];
