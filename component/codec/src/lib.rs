//! WeChat's formats for any language with a component host: the world `weir:codec`, over the crate `weir-protocol`.
//!
//! [`codec.wit`](../wit/codec.wit) says what each function does. Nothing here decides anything, and the component imports
//! of its host only what any Rust program does: standard streams and the environment, none of which it uses.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod bindings;

use bindings::{Answer, Article, Blame, Envelope, Failure, Format, Guest, Push};
use weir_protocol::aes_key::EncodingAesKey;
use weir_protocol::error::{self, Error};
use weir_protocol::reply::{self, Reply};
use weir_protocol::signature::{self, Token};
use weir_protocol::{cipher, envelope, push};

struct Component;

impl Guest for Component {
    fn verify(
        token: String,
        timestamp: String,
        nonce: String,
        encrypt: Option<String>,
        given: String,
    ) -> Result<bool, Failure> {
        let token = Token::parse(&token).map_err(failure)?;
        Ok(match encrypt {
            None => signature::verify(&token, &timestamp, &nonce, &given),
            Some(encrypt) => {
                signature::verify_encrypted(&token, &timestamp, &nonce, &encrypt, &given)
            }
        })
    }

    fn open(body: Vec<u8>) -> Result<Envelope, Failure> {
        let envelope = envelope::Envelope::parse(&body).map_err(failure)?;
        Ok(Envelope {
            encrypt: envelope.encrypt.into_owned(),
            to_user_name: envelope.to_user_name.map(Into::into),
            app_id: envelope.app_id.map(Into::into),
            agent_id: envelope.agent_id.map(Into::into),
            format: format_of(envelope.format),
        })
    }

    fn decrypt(key: String, encrypt: String, receive_id: String) -> Result<Vec<u8>, Failure> {
        let key = EncodingAesKey::parse(&key).map_err(failure)?;
        cipher::decrypt(&key, &encrypt, &receive_id).map_err(failure)
    }

    fn parse(body: Vec<u8>) -> Result<Push, Failure> {
        let push = push::Push::parse(&body).map_err(failure)?;
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Ok(Push {
            format: format_of(push.format()),
            to_user_name: push.to_user_name().to_owned(),
            from_user_name: push.from_user_name().to_owned(),
            create_time: push.create_time(),
            msg_type: push.msg_type().to_owned(),
            msg_id: owned(push.msg_id()),
            event: owned(push.event()),
            event_key: owned(push.event_key()),
            info_type: owned(push.info_type()),
            // Keys are strings: writing cannot fail.
            fields: serde_json::to_string(push.fields()).unwrap_or_default(),
            typed: serde_json::to_string(&push.typed()).unwrap_or_default(),
        })
    }

    fn reply(
        answer: Answer,
        format: Format,
        to: String,
        sender: String,
        create_time: u64,
    ) -> Vec<u8> {
        reply_of(answer).encode(to_format(format), &to, &sender, create_time)
    }

    fn seal(
        body: Vec<u8>,
        format: Format,
        key: String,
        token: String,
        receive_id: String,
        timestamp: u64,
        nonce: String,
        (first, second): (u64, u64),
    ) -> Result<Vec<u8>, Failure> {
        let key = EncodingAesKey::parse(&key).map_err(failure)?;
        let token = Token::parse(&token).map_err(failure)?;
        let random = (u128::from(second) << 64 | u128::from(first)).to_le_bytes();
        Ok(envelope::Envelope::seal(
            to_format(format),
            &key,
            &token,
            &receive_id,
            &body,
            timestamp,
            &nonce,
            &random,
        ))
    }
}

fn failure(error: impl Into<Error>) -> Failure {
    let error = error.into();
    Failure {
        blame: match error.blame() {
            error::Blame::Operator => Blame::Operator,
            error::Blame::Sender => Blame::Sender,
        },
        code: error.code(),
        message: error.to_string(),
    }
}

fn format_of(format: push::Format) -> Format {
    match format {
        push::Format::Xml => Format::Xml,
        push::Format::Json => Format::Json,
    }
}

fn to_format(format: Format) -> push::Format {
    match format {
        Format::Xml => push::Format::Xml,
        Format::Json => push::Format::Json,
    }
}

fn reply_of(answer: Answer) -> Reply<'static> {
    match answer {
        Answer::Nothing => Reply::None,
        Answer::Text(content) => Reply::Text {
            content: content.into(),
        },
        Answer::Image(media_id) => Reply::Image {
            media_id: media_id.into(),
        },
        Answer::Voice(media_id) => Reply::Voice {
            media_id: media_id.into(),
        },
        Answer::Video(video) => Reply::Video {
            media_id: video.media_id.into(),
            title: video.title.map(Into::into),
            description: video.description.map(Into::into),
        },
        Answer::Music(music) => Reply::Music {
            title: music.title.map(Into::into),
            description: music.description.map(Into::into),
            music_url: music.music_url.map(Into::into),
            hq_music_url: music.hq_music_url.map(Into::into),
            thumb_media_id: music.thumb_media_id.into(),
        },
        Answer::News(articles) => Reply::News {
            articles: articles.into_iter().map(article_of).collect(),
        },
        Answer::TransferCustomerService(kf_account) => Reply::TransferCustomerService {
            kf_account: kf_account.map(Into::into),
        },
    }
}

fn article_of(article: Article) -> reply::Article<'static> {
    reply::Article {
        title: article.title.into(),
        description: article.description.into(),
        pic_url: article.pic_url.into(),
        url: article.url.into(),
    }
}
