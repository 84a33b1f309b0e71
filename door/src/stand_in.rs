//! What an SDK gets for an access token: opaque to it, and of no use anywhere else.
//!
//! `weir.{client}.{account}.{end}.{mac}`: who may use it for which account until when, under a MAC whose key is made of
//! the account's AppSecret and the client's key. So every worker and every node understands it without a word between them,
//! and it ends with either secret.

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use weir_protocol::signature::hex;

use crate::config::{Account, Client};

const PREFIX: &str = "weir.";
/// What the MAC is for: none made for something else is good here.
const PURPOSE: &[u8] = b"weir stand-in 1\n";

/// What a stand-in says, before anything of it is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Claims<'a> {
    pub(crate) client: &'a str,
    pub(crate) account: &'a str,
    /// Unix seconds.
    ends_s: u64,
    said: &'a str,
    mac: &'a str,
}

/// Why a stand-in is not good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bad {
    /// It was not made here, or not with today's secrets.
    Forged,
    /// It was good once.
    Ended,
}

/// A stand-in that is good until `ends_s`, Unix seconds.
pub(crate) fn write(client: &Client, account: &Account, ends_s: u64) -> String {
    let said = format!("{PREFIX}{}.{}.{ends_s:x}", client.name, account.name);
    let mac = hex(&mac(client, account, &said).finalize().into_bytes().into());
    let mac = std::str::from_utf8(&mac).unwrap_or_default();
    format!("{said}.{mac}")
}

/// What it claims; `None`: it is something else.
pub(crate) fn read(text: &str) -> Option<Claims<'_>> {
    let (said, mac) = text.rsplit_once('.')?;
    let mut parts = said.strip_prefix(PREFIX)?.split('.');
    let (client, account, ends) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    Some(Claims {
        client,
        account,
        ends_s: u64::from_str_radix(ends, 16).ok()?,
        said,
        mac,
    })
}

impl Claims<'_> {
    /// Whether it is good, for the client and the account that it names.
    pub(crate) fn check(&self, client: &Client, account: &Account, unix_s: u64) -> Result<(), Bad> {
        let given = unhex(self.mac).ok_or(Bad::Forged)?;
        // In constant time.
        mac(client, account, self.said)
            .verify_slice(&given)
            .map_err(|_| Bad::Forged)?;
        if unix_s >= self.ends_s {
            return Err(Bad::Ended);
        }
        Ok(())
    }
}

fn mac(client: &Client, account: &Account, said: &str) -> Hmac<Sha1> {
    let mut key = Vec::from(account.app_secret.expose());
    key.push(0);
    key.extend_from_slice(
        client
            .key
            .as_ref()
            .map_or(&[], |key| key.expose().as_bytes()),
    );
    let mut mac = match Hmac::<Sha1>::new_from_slice(&key) {
        Ok(mac) => mac,
        // A MAC takes keys of every length.
        Err(_) => Hmac::new(&Default::default()),
    };
    mac.update(PURPOSE);
    mac.update(said.as_bytes());
    mac
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| u8::try_from(char::from(*byte).to_digit(16)?).ok();
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
        return None;
    };
    let byte = |[high, low]: &[u8; 2]| Some(digit(high)? << 4 | digit(low)?);
    pairs.iter().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use weir_engine::config::Secret;

    use super::{Bad, read, write};
    use crate::config::{Account, Client};

    fn account(secret: &str) -> Account {
        Account {
            name: "demo".to_owned(),
            source: "/accounts/demo".to_owned(),
            appid: "wx0123456789abcdef".to_owned(),
            app_secret: Secret::new(secret.to_owned()),
        }
    }

    fn client(key: &str) -> Client {
        Client {
            name: "shop".to_owned(),
            key: Some(Secret::new(key.to_owned())),
            san: None,
            accounts: Vec::new(),
            allow: Vec::new(),
            deny: Vec::new(),
        }
    }

    #[test]
    fn it_is_good_until_its_end_and_with_the_same_secrets() {
        let text = write(&client("k"), &account("s"), 1_000);
        let claims = read(&text).unwrap();
        assert_eq!((claims.client, claims.account), ("shop", "demo"));
        assert_eq!(claims.check(&client("k"), &account("s"), 999), Ok(()));
        assert_eq!(
            claims.check(&client("k"), &account("s"), 1_000),
            Err(Bad::Ended)
        );
        assert_eq!(
            claims.check(&client("K"), &account("s"), 999),
            Err(Bad::Forged)
        );
        assert_eq!(
            claims.check(&client("k"), &account("S"), 999),
            Err(Bad::Forged)
        );
    }

    #[test]
    fn whatever_is_changed_in_it_it_is_not_good() {
        let text = write(&client("k"), &account("s"), 1_000);
        for at in 0..text.len() {
            for byte in [b'0', b'1', b'f', b'.', b'z'] {
                let mut bytes = text.clone().into_bytes();
                if bytes[at].eq_ignore_ascii_case(&byte) {
                    continue;
                }
                bytes[at] = byte;
                let changed = String::from_utf8(bytes).unwrap();
                let good = read(&changed)
                    .is_some_and(|claims| claims.check(&client("k"), &account("s"), 1).is_ok());
                assert!(!good, "{changed}");
            }
        }
    }
}
