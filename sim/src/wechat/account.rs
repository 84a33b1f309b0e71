//! One account as it is set up in WeChat's console, and the file such accounts are read from.

use std::fmt;
use std::path::Path;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use super::cipher::AesKey;
use super::ids;

/// How pushes travel. 消息加解密方式.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// 明文模式: the body is readable; the signature does not cover it.
    Plain,
    /// 兼容模式: readable fields and the encrypted copy, side by side.
    Compatible,
    /// 安全模式: only the encrypted body.
    Encrypted,
}

/// The data format of pushes and replies. 数据格式.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// The classic one.
    #[default]
    Xml,
    /// Mini programs, and Official Accounts in the new console.
    Json,
}

/// An account: its names and its three secrets. `Debug` shows the names only.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// What people call it here; also its name in the control API.
    pub name: String,
    /// 原始ID, `gh_…`: `ToUserName` of its pushes.
    pub original_id: String,
    /// `wx` and 16 hex digits.
    pub appid: String,
    /// AppSecret: what access tokens are fetched with.
    #[serde(default)]
    pub secret: String,
    /// Token: the secret behind `signature`, 3–32 letters and digits.
    pub token: String,
    /// EncodingAESKey, 43 letters and digits. May be empty in plain mode.
    #[serde(default)]
    pub encoding_aes_key: String,
    /// How pushes travel.
    pub mode: Mode,
    /// XML unless said otherwise.
    #[serde(default)]
    pub format: Format,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("name", &self.name)
            .field("original_id", &self.original_id)
            .field("appid", &self.appid)
            .field("mode", &self.mode)
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

impl Account {
    /// An account nobody has: random ids and secrets, encrypted mode, XML.
    pub fn random(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            original_id: format!("gh_{}", ids::hex(12)),
            appid: format!("wx{}", ids::hex(16)),
            secret: ids::hex(32),
            token: ids::alphanumeric(24),
            encoding_aes_key: ids::alphanumeric(43),
            mode: Mode::Encrypted,
            format: Format::Xml,
        }
    }

    /// The same account in another mode.
    pub fn with_mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// The same account with another data format.
    pub fn with_format(mut self, format: Format) -> Self {
        self.format = format;
        self
    }

    /// The key behind `encoding_aes_key`.
    ///
    /// # Errors
    /// When it is not 43 characters of base64.
    pub fn aes_key(&self) -> anyhow::Result<AesKey> {
        AesKey::parse(&self.encoding_aes_key)
            .with_context(|| format!("account {}: encoding_aes_key", self.name))
    }

    /// Says what is wrong with the account, without its values.
    ///
    /// # Errors
    /// A name or id is empty, or the key is needed and no key.
    pub fn check(&self) -> anyhow::Result<()> {
        for (field, value) in [
            ("name", &self.name),
            ("original_id", &self.original_id),
            ("appid", &self.appid),
            ("token", &self.token),
        ] {
            if value.is_empty() {
                bail!("account {:?}: {field} is empty", self.name);
            }
        }
        if self.mode != Mode::Plain || !self.encoding_aes_key.is_empty() {
            self.aes_key()?;
        }
        Ok(())
    }
}

/// Reads a JSON file: one account, or a list of them.
///
/// # Errors
/// The file cannot be read, is not such JSON, holds no account, or two of one name.
pub fn load(path: &Path) -> anyhow::Result<Vec<Account>> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("account file {}", path.display()))?;
    parse(&text).with_context(|| format!("account file {}", path.display()))
}

fn parse(text: &str) -> anyhow::Result<Vec<Account>> {
    let accounts: Vec<Account> = if text.trim_start().starts_with('[') {
        serde_json::from_str(text)?
    } else {
        vec![serde_json::from_str(text)?]
    };
    if accounts.is_empty() {
        bail!("it holds no account");
    }
    for (i, account) in accounts.iter().enumerate() {
        account.check()?;
        if accounts
            .iter()
            .take(i)
            .any(|a| a.name == account.name || a.appid == account.appid)
        {
            bail!("account {:?}: its name or appid occurs twice", account.name);
        }
    }
    Ok(accounts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_may_hold_one_account_or_a_list() {
        let one = serde_json::to_string(&Account::random("a")).unwrap();
        assert_eq!(parse(&one).unwrap().len(), 1);
        let two = format!(
            "[{one},{}]",
            serde_json::to_string(&Account::random("b")).unwrap()
        );
        assert_eq!(parse(&two).unwrap()[1].name, "b");
        assert!(parse(&format!("[{one},{one}]")).is_err());
        assert!(parse("[]").is_err());
    }

    #[test]
    fn debug_shows_no_secret() {
        let account = Account::random("a");
        let shown = format!("{account:?}");
        for secret in [&account.secret, &account.token, &account.encoding_aes_key] {
            assert!(!shown.contains(secret.as_str()));
        }
    }

    #[test]
    fn an_encrypted_account_needs_a_key_and_a_plain_one_does_not() {
        let mut account = Account::random("a");
        account.encoding_aes_key.clear();
        assert!(account.check().is_err());
        assert!(account.with_mode(Mode::Plain).check().is_ok());
    }
}
