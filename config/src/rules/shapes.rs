//! The tables of the rules.

use weir_protocol::limits::{MAX_ARTICLES, MAX_REPLY_TEXT_BYTES};

use crate::shape::Presence::{Optional, Or, OrText, Required};
use crate::shape::{Field, Shape, fields, text};

/// The rules of an account.
pub(crate) static RULES: Shape = Shape::List {
    of: &RULE,
    min: 0,
    max: 100_000,
    items: "rules",
};

static RULE: Shape = Shape::Object {
    fields: fields![
        "name" Optional, &SHORT, "For people.";
        "when" Optional, &WHEN, "All of these must hold. Absent: every message.";
        "reply" Optional, &REPLY, "What the user is answered. Absent: nothing.";
        "forward" Optional, &FORWARD, "An application that says what the user is answered; by name, or with what is said when it fails.";
        "tag" Optional, &TAGS, "Tags given to the user, by number. Needs an `app_secret_env`.";
        "continue" Optional, &Shape::Flag, "Go on to the next rules; the first reply found is the one sent.";
    ],
    one_of: &[],
};

static WHEN: Shape = Shape::Object {
    fields: fields![
        "message" Optional, &WORDS, "The `MsgType`, one or several; `*` is any message.";
        "event" Optional, &WORDS, "The `Event`, one or several, letter case aside; `*` is any event.";
        "event_key" Optional, &KEY, "The `EventKey` as sent.";
        "scene" Optional, &KEY, "The scene of a followed or scanned QR code, without `qrscene_`.";
        "keyword" Optional, &KEYWORD, "The text the user wrote, blanks around it and letter case aside.";
        "pattern" Optional, &WORDS, "The whole text the user wrote: `*` is any run of characters, `?` any one, `\\` makes the next one plain.";
        "field" Optional, &FIELDS, "Other fields of the push, by WeChat's names; inner ones by `Outer.Inner`.";
        "time" Optional, &TIME, "When the user did it.";
        "first_push" Optional, &Shape::Flag, "Whether this is the first push of the user that the store has seen. Needs `ack: after_store`.";
        "share" Optional, &SHARE, "A share of the users, always the same ones.";
    ],
    one_of: &[],
};

static FORWARD: Shape = Shape::Either(&[&WORD, &FORWARD_OR]);
static FORWARD_OR: Shape = Shape::Object {
    fields: fields![
        "app" Required, &WORD, "The application's name.";
        "otherwise" Optional, &REPLY, "What the user is answered when it fails. Absent: nothing.";
    ],
    one_of: &[],
};

static SHORT: Shape = text!("1 to 128 bytes", |s| (1..=128).contains(&s.len()));
static WORD: Shape = text!("text that is not blank", |s| !s.trim().is_empty(), "\\S");
static WORDS: Shape = Shape::Either(&[&WORD, &LIST_OF_WORDS]);
static LIST_OF_WORDS: Shape = Shape::List {
    of: &WORD,
    min: 1,
    max: 10_000,
    items: "items",
};
const NUMBER: Shape = Shape::Whole {
    min: 0,
    max: u64::MAX,
};
static SCALAR: Shape = Shape::Either(&[&WORD, &NUMBER]);
static SCALARS: Shape = Shape::Either(&[&WORD, &NUMBER, &LIST_OF_SCALARS]);
static LIST_OF_SCALARS: Shape = Shape::List {
    of: &SCALAR,
    min: 1,
    max: 10_000,
    items: "items",
};
static KEY: Shape = Shape::Either(&[&WORD, &NUMBER, &LIST_OF_SCALARS, &PREFIX]);
static PREFIX: Shape = Shape::Object {
    fields: fields![
        "prefix" Required, &SCALARS, "How it begins, one or several.";
    ],
    one_of: &[],
};
static KEYWORD: Shape = Shape::Either(&[&WORD, &LIST_OF_WORDS, &ANCHORED]);
static ANCHORED: Shape = Shape::Object {
    fields: fields![
        "exact" Optional, &WORDS, "The whole text.";
        "prefix" Optional, &WORDS, "How the text begins.";
        "contains" Optional, &WORDS, "What is in the text.";
    ],
    one_of: &[],
};
static FIELDS: Shape = Shape::Names { of: &SCALAR };

pub(super) static TIME: Shape = Shape::Object {
    fields: fields![
        "from" OrText("00:00"), &CLOCK, "First minute.";
        "to" OrText("24:00"), &CLOCK, "The minute after the last one. Earlier than `from`: until the next day.";
        "days" Optional, &DAYS, "On these days; for times after midnight that of the evening before.";
        "utc_offset" OrText("+08:00"), &OFFSET, "The clock it is told by.";
    ],
    one_of: &[],
};
static CLOCK: Shape = text!(
    "a time of day, like 09:30",
    |s| super::when::minutes(s).is_some(),
    "^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$"
);
static OFFSET: Shape = text!(
    "an offset, like +08:00",
    |s| super::when::offset_minutes(s).is_some(),
    "^[+-](0[0-9]|1[0-4]):[0-5][0-9]$"
);
static DAYS: Shape = Shape::List {
    of: &Shape::Choice(&super::when::DAYS),
    min: 1,
    max: 7,
    items: "days",
};

static SHARE: Shape = Shape::Either(&[&PERCENT, &SLICE]);
static PERCENT: Shape = Shape::Number { min: 0, max: 100 };
pub(super) static SLICE: Shape = Shape::Object {
    fields: fields![
        "percent" Required, &PERCENT, "How many of the users.";
        "from" Optional, &PERCENT, "Where the share begins: two shares of one name that do not overlap have no user in common.";
        "of" OrText(""), &Shape::Text { what: "text", right: |_| true, #[cfg(feature = "schema")] pattern: None }, "A name: shares of different names are independent.";
    ],
    one_of: &[],
};

static TAGS: Shape = Shape::Either(&[
    &TAG,
    &Shape::List {
        of: &TAG,
        min: 1,
        max: 20,
        items: "tags",
    },
]);
static TAG: Shape = Shape::Whole {
    min: 1,
    max: u32::MAX as u64,
};

static REPLY: Shape = Shape::Either(&[&NONE, &ONE_REPLY]);
static NONE: Shape = Shape::Choice(&["none"]);
static ONE_REPLY: Shape = Shape::Object {
    fields: &[],
    one_of: ANSWERS,
};
const ANSWERS: &[Field] = fields![
    "text" Optional, &TEXT, "A text, at most 2048 bytes, with placeholders.";
    "image" Optional, &MEDIA_ID, "An uploaded picture, by its media id.";
    "voice" Optional, &MEDIA_ID, "An uploaded recording, by its media id.";
    "video" Optional, &VIDEO, "An uploaded film.";
    "music" Optional, &MUSIC, "A link to music.";
    "news" Optional, &NEWS, "Articles: one in answer to a message, up to eight to an event.";
    "transfer_customer_service" Optional, &TRANSFER, "Hands the chat to human agents.";
    "one_of" Optional, &ONE_OF, "One of several replies, by weight. Every attempt of a push gets the same one.";
];
/// The same with a weight.
static WEIGHED: Shape = Shape::Object {
    fields: fields![
        "weight" Or(1), &Shape::Whole { min: 1, max: 1_000_000 }, "How often, compared with the others.";
    ],
    one_of: fields![
        "text" Optional, &TEXT, "A text.";
        "image" Optional, &MEDIA_ID, "A picture.";
        "voice" Optional, &MEDIA_ID, "A recording.";
        "video" Optional, &VIDEO, "A film.";
        "music" Optional, &MUSIC, "Music.";
        "news" Optional, &NEWS, "Articles.";
        "transfer_customer_service" Optional, &TRANSFER, "Human agents.";
    ],
};
static ONE_OF: Shape = Shape::List {
    of: &WEIGHED,
    min: 1,
    max: 1_000,
    items: "replies",
};
static TEXT: Shape = text!(
    "text of 1 to 2048 bytes; write \"reply\": \"none\" for no reply",
    |s| !s.trim().is_empty() && s.len() <= MAX_REPLY_TEXT_BYTES,
    "\\S"
);
static MEDIA_ID: Shape = text!("a media id", |s| (1..=512).contains(&s.len()));
static TEMPLATE: Shape = text!("text of at most 2048 bytes", |s| s.len()
    <= MAX_REPLY_TEXT_BYTES);
static VIDEO: Shape = Shape::Object {
    fields: fields![
        "media_id" Required, &MEDIA_ID, "From the upload.";
        "title" Optional, &TEMPLATE, "Shown above it.";
        "description" Optional, &TEMPLATE, "Shown below it.";
    ],
    one_of: &[],
};
static MUSIC: Shape = Shape::Object {
    fields: fields![
        "title" Optional, &TEMPLATE, "Shown first.";
        "description" Optional, &TEMPLATE, "Shown second.";
        "music_url" Optional, &TEMPLATE, "Where the music is.";
        "hq_music_url" Optional, &TEMPLATE, "The same in better quality, used on Wi-Fi.";
        "thumb_media_id" Required, &MEDIA_ID, "From the upload of the picture.";
    ],
    one_of: &[],
};
static NEWS: Shape = Shape::List {
    of: &Shape::Object {
        fields: fields![
            "title" Required, &TEMPLATE, "Heading.";
            "description" OrText(""), &TEMPLATE, "Text below it, when it is the only article.";
            "pic_url" OrText(""), &TEMPLATE, "A JPG or PNG, 360×200 or 200×200.";
            "url" OrText(""), &TEMPLATE, "Where a tap leads.";
        ],
        one_of: &[],
    },
    min: 1,
    max: MAX_ARTICLES,
    items: "articles",
};
static TRANSFER: Shape = Shape::Object {
    fields: fields![
        "kf_account" Optional, &KF_ACCOUNT, "A certain agent, `name@account`.";
    ],
    one_of: &[],
};
static KF_ACCOUNT: Shape = text!(
    "an agent, like name@account",
    |s| s
        .split_once('@')
        .is_some_and(|(a, b)| !a.is_empty() && !b.is_empty())
        && s.len() <= 128,
    "^[^@]+@.+$"
);
