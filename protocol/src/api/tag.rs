//! Tags of users, given to many in one call. The answer has nothing but an `errcode`: [`check`](super::check).
//!
//! Source: official page on user tags.

use crate::push::Format;
use crate::write::Writer;

/// Where [`write_tag_batch`] is posted to, with an access token.
pub const TAG_BATCH_PATH: &str = "/cgi-bin/tags/members/batchtagging";

/// Most users in one call.
pub const MAX_TAG_BATCH: usize = 50;

/// The body that gives these users a tag; only the first fifty are taken.
pub fn write_tag_batch<S: AsRef<str>>(tag: u32, openids: &[S]) -> Vec<u8> {
    let openids = openids.get(..MAX_TAG_BATCH).unwrap_or(openids);
    let mut writer = Writer::new(Format::Json, 40 + 32 * openids.len());
    writer.texts("openid_list", openids);
    writer.number("tagid", u64::from(tag));
    writer.finish()
}
