//! Requests made ahead of a slice, and what their answers must be.
//!
//! Signing and encrypting cost the load more than sending, so it is done before the clock runs. All requests of a slice
//! lie in one buffer, ready to be written to a socket.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use weir_protocol::aes_key::EncodingAesKey;
use weir_protocol::cipher;
use weir_protocol::envelope::Envelope;
use weir_protocol::push::Push;
use weir_protocol::signature::{self, Token};

/// Path of the push URL, as in `envoy.yaml`.
const PATH: &str = "/wechat/demo";
/// The account in `envoy.yaml`.
const ORIGINAL_ID: &str = "gh_0a1b2c3d4e5f";
const APPID: &str = "wx0123456789abcdef";
/// What the account's rules answer to a text that is no keyword.
const ANSWER: &str = "We have your message.";
/// What they answer to a follow, before the follower's openid.
const WELCOME: &str = "Welcome, ";
/// The secrets of the run. They guard nothing: all of it happens on loopback.
const TOKEN: &str = "WeirBenchToken01";
const AES_KEY: &str = "WeirBenchAesKey0123456789abcdefghijklmnopQR";
/// Every `MsgId` is this plus the push's number; all have 17 digits.
pub(crate) const FIRST_MSG_ID: u64 = 24_000_000_000_000_000;
/// How many pushes lie between a push and its copy.
const COPY_DISTANCE: usize = 128;
/// About what people write.
const TEXT: &str = "请问今天下午两点以后还可以预约吗？我想带两个朋友一起来，谢谢！😊";

/// What a caller shows at the door.
const SHOP_KEY: &str = "the-shop-of-the-bench";

/// The environment Envoy is started with: the names are those of `envoy.yaml`.
pub(crate) fn environment() -> Vec<(String, String)> {
    [
        ("WEIR_DEMO_TOKEN", TOKEN),
        ("WEIR_DEMO_AES_KEY", AES_KEY),
        ("WEIR_DEMO_APP_SECRET", "0123456789abcdef0123456789abcdef"),
        ("WEIR_SHOP_KEY", SHOP_KEY),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

/// How pushes are protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Plain,
    Encrypted,
}

/// What an answer must be, besides a 200.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    /// This body.
    Body(&'static [u8]),
    /// The account's reply, protected like the push.
    Reply(Mode),
    /// Its welcome to a follower, in plain mode.
    Welcome,
}

/// Makes pushes, each with a number of its own.
#[derive(Debug)]
pub(crate) struct Maker {
    token: Token,
    key: EncodingAesKey,
    next: u32,
    random: u64,
}

/// The requests of a slice.
#[derive(Debug)]
pub(crate) struct Requests {
    bytes: Vec<u8>,
    /// Where each request ends, and the number of its push.
    ends: Vec<(usize, u32)>,
    /// Numbers of the pushes in it: from the first up to, not including, the second.
    pub(crate) numbers: (u32, u32),
    pub(crate) expected: Expected,
}

impl Maker {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            token: Token::parse(TOKEN).context("the Token is well-formed")?,
            key: EncodingAesKey::parse(AES_KEY).context("the key is well-formed")?,
            next: 0,
            random: u64::from(std::process::id()),
        })
    }

    /// `count` requests with distinct pushes, signed for now.
    pub(crate) fn distinct(&mut self, mode: Mode, count: usize, expected: Expected) -> Requests {
        let first = self.next;
        let order: Vec<u32> = (first..).take(count).collect();
        self.requests(mode, first, &order, expected)
    }

    /// `count` requests in plain mode with follows, each by somebody else.
    pub(crate) fn follows(&mut self, count: usize) -> Requests {
        let first = self.next;
        let order: Vec<u32> = (first..).take(count).collect();
        self.requests(Mode::Plain, first, &order, Expected::Welcome)
    }

    /// `count` requests, every other one the copy of a push sent shortly before.
    pub(crate) fn half_copies(&mut self, mode: Mode, count: usize, expected: Expected) -> Requests {
        let first = self.next;
        self.requests(mode, first, &with_copies(first, count / 2), expected)
    }

    /// `count` calls of the WeChat API through the door: GETs, or template messages.
    pub(crate) fn calls(&mut self, messages: bool, count: usize) -> Requests {
        let expected = Expected::Body(crate::sink::API_ANSWER);
        let mut requests = Requests {
            bytes: Vec::with_capacity(count * 600),
            ends: Vec::with_capacity(count),
            numbers: (0, 0),
            expected,
        };
        for number in (self.next..).take(count) {
            let openid = openid(number);
            let (line, body) = if messages {
                let body = format!(
                    r##"{{"touser":"{openid}","template_id":"ngqIpbwh8bUfcSsECmogfXcV14J0tQlEpBO27izEYtY","url":"https://example.com/","data":{{"first":{{"value":"{TEXT}","color":"#173177"}},"keyword1":{{"value":"{number}"}}}}}}"##
                );
                ("POST /cgi-bin/message/template/send".to_owned(), body)
            } else {
                (
                    format!("GET /cgi-bin/user/info?openid={openid}&lang=zh_CN"),
                    String::new(),
                )
            };
            let length = if messages {
                format!(
                    "Content-Type: application/json\r\nContent-Length: {}\r\n",
                    body.len()
                )
            } else {
                String::new()
            };
            requests.bytes.extend_from_slice(
                format!(
                    "{line} HTTP/1.1\r\nHost: door\r\nUser-Agent: python-requests/2.32\r\nAccept: */*\r\n\
                     Authorization: Bearer {SHOP_KEY}\r\n{length}\r\n{body}"
                )
                .as_bytes(),
            );
            requests.ends.push((requests.bytes.len(), number));
        }
        self.next += u32::try_from(count).unwrap_or(0);
        requests
    }

    fn requests(&mut self, mode: Mode, first: u32, order: &[u32], expected: Expected) -> Requests {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        let mut requests = Requests {
            bytes: Vec::with_capacity(order.len() * 1_200),
            ends: Vec::with_capacity(order.len()),
            numbers: (first, order.iter().max().map_or(first, |last| last + 1)),
            expected,
        };
        for &number in order {
            // A follow has a `MsgId` as well, which it is counted by.
            let what = match expected {
                Expected::Welcome => {
                    "<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[subscribe]]></Event><EventKey></EventKey>"
                        .to_owned()
                }
                _ => format!(
                    "<MsgType><![CDATA[text]]></MsgType><Content><![CDATA[{TEXT}]]></Content>"
                ),
            };
            self.write(&mut requests.bytes, mode, number, now, &what);
            requests.ends.push((requests.bytes.len(), number));
        }
        self.next = requests.numbers.1;
        requests
    }

    /// One attempt: the same push for the same number, under a fresh nonce.
    fn write(&mut self, out: &mut Vec<u8>, mode: Mode, number: u32, now: u64, what: &str) {
        let openid = openid(number);
        let mut body = format!(
            "<xml><ToUserName><![CDATA[{ORIGINAL_ID}]]></ToUserName>\
             <FromUserName><![CDATA[{openid}]]></FromUserName><CreateTime>{now}</CreateTime>\
             {what}<MsgId>{}</MsgId></xml>",
            FIRST_MSG_ID + u64::from(number)
        );
        let timestamp = now.to_string();
        let nonce = (1_000_000_000 + self.random() % 1_000_000_000).to_string();
        let parts = [TOKEN.as_bytes(), timestamp.as_bytes(), nonce.as_bytes()];
        let signature = signature::sign(&parts);
        let mut query = format!(
            "signature={}&timestamp={timestamp}&nonce={nonce}&openid={openid}",
            text(&signature)
        );
        if mode == Mode::Encrypted {
            let mut random = [0; 16];
            random[..8].copy_from_slice(&self.random().to_le_bytes());
            random[8..].copy_from_slice(&self.random().to_le_bytes());
            let encrypt = cipher::encrypt(&self.key, body.as_bytes(), APPID, &random);
            let [token, timestamp, nonce] = parts;
            let signed = signature::sign(&[token, timestamp, nonce, encrypt.as_bytes()]);
            query += &format!("&encrypt_type=aes&msg_signature={}", text(&signed));
            body = format!(
                "<xml><ToUserName><![CDATA[{ORIGINAL_ID}]]></ToUserName><Encrypt><![CDATA[{encrypt}]]></Encrypt></xml>"
            );
        }
        // Header names and values as WeChat's servers send them.
        out.extend_from_slice(
            format!(
                "POST {PATH}?{query} HTTP/1.1\r\nHost: weir.example\r\nUser-Agent: Mozilla/4.0\r\nAccept: */*\r\n\
                 Content-Type: text/xml\r\nPragma: no-cache\r\nConnection: Keep-Alive\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
            .as_bytes(),
        );
    }

    /// SplitMix64: nonces need to differ, not to be unpredictable.
    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Looks at all of an answer, as WeChat would: too dear for every one, so done for samples after the slice.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn judge(&self, expected: Expected, number: u32, body: &[u8]) -> Result<()> {
        let mode = match expected {
            Expected::Body(expected) => {
                ensure!(body == expected, "another body");
                return Ok(());
            }
            Expected::Reply(mode) => mode,
            Expected::Welcome => Mode::Plain,
        };
        let opened;
        let reply = match mode {
            Mode::Plain => body,
            Mode::Encrypted => {
                let sealed = Envelope::parse(body).context("no envelope")?;
                let field = |name: &str| {
                    let start = format!("<{name}>");
                    let value = str::from_utf8(body).ok()?.split_once(&start)?.1;
                    let value = value.strip_prefix("<![CDATA[").unwrap_or(value);
                    value.split([']', '<']).next()
                };
                let signed = [field("TimeStamp"), field("Nonce"), field("MsgSignature")];
                let [Some(timestamp), Some(nonce), Some(given)] = signed else {
                    anyhow::bail!("an envelope without signature");
                };
                ensure!(
                    signature::verify_encrypted(
                        &self.token,
                        timestamp,
                        nonce,
                        &sealed.encrypt,
                        given
                    ),
                    "a wrong signature"
                );
                opened = cipher::decrypt(&self.key, &sealed.encrypt, APPID)
                    .context("it does not decrypt")?;
                &opened
            }
        };
        // A reply has the shape of a push.
        let reply = Push::parse(reply).context("not a reply")?;
        ensure!(
            reply.to_user_name() == openid(number) && reply.from_user_name() == ORIGINAL_ID,
            "a reply to somebody else"
        );
        let content = reply.fields().text("Content");
        let right = match expected {
            Expected::Welcome => content == Some(&format!("{WELCOME}{}", openid(number))),
            _ => content == Some(ANSWER),
        };
        ensure!(right, "another reply");
        Ok(())
    }
}

impl Requests {
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The bytes of a request, and the number of its push.
    pub(crate) fn at(&self, index: usize) -> Option<(&[u8], u32)> {
        let &(end, number) = self.ends.get(index)?;
        let start = index
            .checked_sub(1)
            .and_then(|before| self.ends.get(before))
            .map_or(0, |&(end, _)| end);
        Some((self.bytes.get(start..end)?, number))
    }

    /// Distinct pushes in it.
    pub(crate) fn distinct(&self) -> usize {
        (self.numbers.1 - self.numbers.0) as usize
    }

    /// Mean size of a request, bytes.
    pub(crate) fn mean_bytes(&self) -> usize {
        self.bytes.len() / self.len().max(1)
    }

    /// Whether a body starts as the answer to push `number` must: cheap enough for every answer.
    pub(crate) fn starts_right(&self, number: u32, body: &[u8]) -> bool {
        match self.expected {
            Expected::Body(expected) => body == expected,
            Expected::Reply(Mode::Encrypted) => body.starts_with(b"<xml><Encrypt><![CDATA["),
            Expected::Reply(Mode::Plain) | Expected::Welcome => body
                .strip_prefix(b"<xml><ToUserName><![CDATA[")
                .is_some_and(|rest| rest.starts_with(openid(number).as_bytes())),
        }
    }
}

/// Numbers in the order of sending: each push, and [`COPY_DISTANCE`] pushes later its copy.
fn with_copies(first: u32, distinct: usize) -> Vec<u32> {
    let numbers: Vec<u32> = (first..).take(distinct).collect();
    let mut order = Vec::with_capacity(distinct * 2);
    for (index, &number) in numbers.iter().enumerate() {
        order.push(number);
        if let Some(&copy) = index
            .checked_sub(COPY_DISTANCE)
            .and_then(|before| numbers.get(before))
        {
            order.push(copy);
        }
    }
    order.extend_from_slice(&numbers[distinct.saturating_sub(COPY_DISTANCE)..]);
    order
}

/// 28 characters, as WeChat's have; every push comes from somebody else.
fn openid(number: u32) -> String {
    format!("oWeirBench{number:018}")
}

fn text(signature: &[u8]) -> &str {
    // Hexadecimal digits.
    str::from_utf8(signature).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_push_is_followed_by_one_copy() {
        for distinct in [1, 127, 128, 129, 1_000] {
            let order = with_copies(7, distinct);
            assert_eq!(order.len(), 2 * distinct);
            for number in (7..).take(distinct) {
                assert_eq!(order.iter().filter(|&&n| n == number).count(), 2);
            }
        }
    }

    #[test]
    fn requests_are_distinct_and_say_how_long_they_are() {
        let mut maker = Maker::new().unwrap();
        let reply = Expected::Reply(Mode::Encrypted);
        let one = maker.distinct(Mode::Encrypted, 3, reply);
        let two = maker.distinct(Mode::Encrypted, 2, reply);
        assert_eq!((one.numbers, two.numbers), ((0, 3), (3, 5)));
        for index in 0..3 {
            let (request, number) = one.at(index).unwrap();
            let request = str::from_utf8(request).unwrap();
            let (head, body) = request.split_once("\r\n\r\n").unwrap();
            assert!(head.ends_with(&format!("Content-Length: {}", body.len())));
            assert_eq!(number as usize, index);
        }
        assert!(one.at(3).is_none());
    }

    #[test]
    fn a_wrong_answer_is_noticed() {
        let maker = Maker::new().unwrap();
        let reply = |to: &str, content: &str| {
            format!(
                "<xml><ToUserName><![CDATA[{to}]]></ToUserName><FromUserName><![CDATA[{ORIGINAL_ID}]]></FromUserName>\
                 <CreateTime>1714113001</CreateTime><MsgType><![CDATA[text]]></MsgType>\
                 <Content><![CDATA[{content}]]></Content></xml>"
            )
        };
        let judge = |body: &str| maker.judge(Expected::Reply(Mode::Plain), 5, body.as_bytes());
        judge(&reply(&openid(5), ANSWER)).unwrap();
        assert!(judge(&reply(&openid(6), ANSWER)).is_err());
        assert!(judge(&reply(&openid(5), "no")).is_err());
        assert!(judge("success").is_err());
        let encrypted = maker.judge(Expected::Reply(Mode::Encrypted), 5, b"success");
        assert!(encrypted.is_err());
    }
}
