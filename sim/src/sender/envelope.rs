//! One push as a request: query, envelope, headers as WeChat writes them.

use crate::fields::Fields;
use crate::http::Request;
use crate::push::Push;
use crate::wechat::signature::sign;
use crate::wechat::{Account, AesKey, Format, Mode, cipher, ids};

/// The signed request for `push`. Without a key (an account in plain mode that has none) the mode is plain.
pub(super) fn request(
    account: &Account,
    key: Option<&AesKey>,
    path: &str,
    now_s: i64,
    push: &Push,
) -> Request {
    let timestamp = now_s.to_string();
    let nonce = ids::nonce();
    let mut request = super::verify::signed("POST", account, path, &timestamp, &nonce);
    request.set_query("openid", push.from_user_name());
    request.add_header(
        "Content-Type",
        match account.format {
            Format::Xml => "text/xml",
            Format::Json => "application/json",
        },
    );

    let body = push.body(account.format);
    request.body = match (account.mode, key) {
        (Mode::Plain, _) | (_, None) => body,
        (mode, Some(key)) => {
            let prefix: [u8; cipher::PREFIX_LEN] =
                std::array::from_fn(|_| fastrand::alphanumeric() as u8);
            let encrypt = cipher::encrypt(key, prefix, &body, &account.appid);
            request.set_query("encrypt_type", "aes");
            request.set_query(
                "msg_signature",
                sign(&[&account.token, &timestamp, &nonce, &encrypt]),
            );
            let beside = if mode == Mode::Compatible {
                Some(body.as_slice())
            } else {
                None
            };
            envelope(account.format, push.to_user_name(), &encrypt, beside)
        }
    };
    request
}

/// `ToUserName` and `Encrypt`; in compatible mode the readable body with `Encrypt` added before its end.
fn envelope(format: Format, to_user_name: &str, encrypt: &str, beside: Option<&[u8]>) -> Vec<u8> {
    let (end, addition): (&[u8], String) = match format {
        Format::Xml => {
            let mut element = String::new();
            Fields::new()
                .with("Encrypt", encrypt)
                .write_elements(&mut element);
            (b"</xml>", element)
        }
        Format::Json => (b"}", format!(",\"Encrypt\":\"{encrypt}\"")),
    };
    if let Some(readable) = beside.and_then(|body| body.strip_suffix(end)) {
        return [readable, addition.as_bytes(), end].concat();
    }
    let fields = Fields::new()
        .with("ToUserName", to_user_name)
        .with("Encrypt", encrypt);
    match format {
        Format::Xml => fields.to_xml().into_bytes(),
        Format::Json => fields.to_json().into_bytes(),
    }
}
