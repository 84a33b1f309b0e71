//! Customer-service messages (客服消息): what a passive reply becomes when it comes too late to be one.
//!
//! Sent to one user who wrote, followed or clicked lately. The answer has nothing but an `errcode`:
//! [`check`](super::check); what it means is in [`Class`](super::Class).
//!
//! Source: official page on sending customer-service messages.

use crate::push::Format;
use crate::reply::{Reply, cut};
use crate::write::{Writer, allowed};

/// Where [`write_custom_message`] is posted to, with an access token.
pub const CUSTOM_SEND_PATH: &str = "/cgi-bin/message/custom/send";

/// The body that sends a reply to a user; `None` when there is no customer-service message of its kind: a transfer is none,
/// and a film needs the media id of a picture, which a reply does not have. Of news the first
/// article is sent, since WeChat refuses more than one.
pub fn write_custom_message(openid: &str, reply: &Reply<'_>) -> Option<Vec<u8>> {
    if reply.is_silent() {
        return None;
    }
    let kind = match reply {
        Reply::Text { .. }
        | Reply::Image { .. }
        | Reply::Voice { .. }
        | Reply::Music { .. }
        | Reply::News { .. } => reply.msg_type()?,
        _ => return None,
    };
    let mut writer = Writer::new(Format::Json, 512);
    writer.text("touser", openid);
    writer.text("msgtype", kind);
    writer.object(kind, |w| match reply {
        Reply::Text { content } => w.text("content", cut(&allowed(content))),
        Reply::Image { media_id } | Reply::Voice { media_id } => w.text("media_id", media_id),
        Reply::Music {
            title,
            description,
            music_url,
            hq_music_url,
            thumb_media_id,
        } => {
            w.optional("title", title.as_deref());
            w.optional("description", description.as_deref());
            w.optional("musicurl", music_url.as_deref());
            w.optional("hqmusicurl", hq_music_url.as_deref());
            w.text("thumb_media_id", thumb_media_id);
        }
        Reply::News { articles } => {
            w.list("articles", articles.get(..1).unwrap_or_default(), |w, a| {
                w.text("title", &a.title);
                w.text("description", &a.description);
                w.text("url", &a.url);
                w.text("picurl", &a.pic_url);
            });
        }
        _ => {}
    });
    Some(writer.finish())
}
