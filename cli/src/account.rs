//! Which account a push is for: told by flags, or read from the configuration that the gateway runs.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use serde_json::Value as Json;
use weir_protocol::kinds::Carrier;
use weir_sim::Account;
use weir_sim::wechat::{Format, Mode};

use crate::config_file;
use crate::environment::{EnvFile, Environment};
use crate::source::Source;

/// What a push needs to know of its account.
#[derive(Debug, Args)]
#[command(next_help_heading = "Account")]
pub struct AccountArgs {
    /// Take accounts from this file: Weir's configuration, or an Envoy configuration with Weir in it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Which account of the configuration; may be left out when there is one
    #[arg(long, value_name = "NAME", requires = "config")]
    pub account: Option<String>,
    /// Name of the environment variable with the account's Token
    #[arg(long, value_name = "NAME", required_unless_present = "config")]
    token_env: Option<String>,
    /// Name of the environment variable with the EncodingAESKey; not needed in plain mode
    #[arg(long, value_name = "NAME")]
    aes_key_env: Option<String>,
    /// The account's appid, wx…; not needed in plain mode
    #[arg(long, value_name = "APPID")]
    appid: Option<String>,
    /// The account's original id, gh_…: ToUserName of its pushes
    #[arg(long, value_name = "ID", required_unless_present = "config")]
    original_id: Option<String>,
    /// Of a third-party platform: the authorised account whose messages and events these are
    #[arg(long, value_name = "APPID", requires = "config")]
    authorizer: Option<String>,
    /// How pushes travel [default: the account's, else encrypted]
    #[arg(long, value_enum)]
    mode: Option<ModeArg>,
    /// The data format of pushes and replies [default: the account's, else xml]
    #[arg(long, value_enum)]
    format: Option<FormatArg>,
    #[command(flatten)]
    env: EnvFile,
}

/// 消息加解密方式.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum ModeArg {
    /// 明文模式: readable
    Plain,
    /// 兼容模式: readable and encrypted side by side
    Compatible,
    /// 安全模式: encrypted
    Encrypted,
}

/// 数据格式.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum FormatArg {
    /// The classic one
    Xml,
    /// Mini programs, and Official Accounts that chose it
    Json,
}

/// What kind of account it is, in the configuration's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountKind {
    /// 公众号.
    OfficialAccount,
    /// 小程序.
    MiniProgram,
    /// 第三方平台.
    ThirdPartyPlatform,
    /// 企业微信.
    WeCom,
}

/// An account, and what its configuration says beside WeChat's facts.
#[derive(Debug, Clone)]
pub struct Known {
    /// WeChat's facts and the secrets.
    pub account: Account,
    /// What it is.
    pub kind: AccountKind,
    /// The path of its push URL, if it came from a configuration.
    pub path: Option<String>,
    /// The same for what authorised accounts get; the account's appid is in it.
    pub authorizers_path: Option<String>,
}

impl Known {
    /// The push URL: `url` itself, with the account's path for such pushes when it has none.
    #[must_use]
    pub fn url(&self, url: &str, carrier: Carrier) -> String {
        let after_scheme = url.find("://").map_or(0, |at| at + 3);
        let bare = !url[after_scheme..]
            .trim_end_matches('/')
            .contains(['/', '?']);
        let path = match (&self.authorizers_path, carrier) {
            (Some(path), Carrier::Message | Carrier::Event) => Some(path),
            _ => self.path.as_ref(),
        };
        match path {
            Some(path) if bare => format!("{}{path}", url.trim_end_matches('/')),
            _ => url.to_owned(),
        }
    }
}

impl AccountArgs {
    /// The one account that is meant.
    ///
    /// # Errors
    /// It is not in the file, a variable is not set, or a fact is missing or of the wrong shape.
    pub fn one(&self) -> anyhow::Result<Known> {
        let mut all = self.all()?;
        match (all.len(), &self.account) {
            (1, _) => Ok(all.remove(0)),
            (0, Some(name)) => bail!("the configuration has no account {name:?}"),
            (0, None) => bail!("the configuration has no account"),
            _ => {
                let names: Vec<&str> = all.iter().map(|k| k.account.name.as_str()).collect();
                bail!(
                    "the configuration has several accounts, choose one with --account: {}",
                    names.join(", ")
                )
            }
        }
    }

    /// Every account that could be meant: those of the configuration, or the one told by flags.
    ///
    /// # Errors
    /// As [`one`](Self::one).
    pub fn all(&self) -> anyhow::Result<Vec<Known>> {
        let environment = Environment::read(&self.env)?;
        let Some(path) = &self.config else {
            return Ok(vec![self.told(&environment)?]);
        };
        let accounts = config_file::accounts(&Source::read(path)?)?;
        let wanted = |account: &&Json| {
            let name = account.get("name").and_then(Json::as_str);
            self.account.as_deref().is_none_or(|n| Some(n) == name)
        };
        accounts
            .iter()
            .filter(wanted)
            .map(|account| self.configured(account, &environment))
            .collect()
    }

    /// The account of the flags alone.
    fn told(&self, environment: &Environment) -> anyhow::Result<Known> {
        self.finish(&Json::Null, environment)
    }

    fn configured(&self, account: &Json, environment: &Environment) -> anyhow::Result<Known> {
        let name = account.get("name").and_then(Json::as_str);
        self.finish(account, environment)
            .with_context(|| format!("account {:?}", name.unwrap_or_default()))
    }

    /// Flags go before what `configured` says.
    fn finish(&self, configured: &Json, environment: &Environment) -> anyhow::Result<Known> {
        let field = |flag: &Option<String>, name: &str| {
            let said = configured.get(name).and_then(Json::as_str);
            flag.clone().or_else(|| said.map(str::to_owned))
        };
        let mode = match (self.mode, configured.get("mode").and_then(Json::as_str)) {
            (Some(mode), _) => mode.into(),
            (None, None | Some("encrypted")) => Mode::Encrypted,
            (None, Some("compatible")) => Mode::Compatible,
            (None, Some("plain")) => Mode::Plain,
            (None, Some(other)) => bail!("the mode {other:?} is not known"),
        };
        let format = match (self.format, configured.get("format").and_then(Json::as_str)) {
            (Some(format), _) => format.into(),
            (None, Some("json")) => Format::Json,
            (None, _) => Format::Xml,
        };
        let secret = |flag: &Option<String>, flag_name: &str, name: &str| {
            let variable = field(flag, name).with_context(|| format!("{flag_name} is needed"))?;
            environment.lookup(&variable).with_context(|| {
                format!("the environment variable {variable} is not set; --env-file can give it")
            })
        };
        let keyed = mode != Mode::Plain;
        let appid = field(&self.appid, "appid");
        let kind = match configured.get("kind").and_then(Json::as_str) {
            None | Some("official_account") => AccountKind::OfficialAccount,
            Some("mini_program") => AccountKind::MiniProgram,
            Some("third_party_platform") => AccountKind::ThirdPartyPlatform,
            Some("wecom") => AccountKind::WeCom,
            Some(other) => bail!("the kind {other:?} is not known"),
        };
        let original_id = field(&self.original_id, "original_id").or_else(|| match kind {
            // Some account that has authorised the platform.
            AccountKind::ThirdPartyPlatform => Some("gh_000000000000".to_owned()),
            AccountKind::WeCom => appid.clone(),
            AccountKind::OfficialAccount | AccountKind::MiniProgram => None,
        });
        let account = Account {
            name: field(&None, "name").unwrap_or_else(|| "account".to_owned()),
            original_id: original_id.context("--original-id is needed")?,
            appid: match appid {
                Some(appid) => appid,
                None if keyed => bail!("--appid is needed unless --mode is plain"),
                None => "wx0000000000000000".to_owned(),
            },
            secret: String::new(),
            token: secret(&self.token_env, "--token-env", "token_env")?,
            encoding_aes_key: if keyed {
                secret(&self.aes_key_env, "--aes-key-env", "encoding_aes_key_env")?
            } else {
                String::new()
            },
            mode,
            format,
        };
        account.check()?;
        let authorizer = self.authorizer.as_deref().unwrap_or("wx0000000000000000");
        Ok(Known {
            account,
            kind,
            path: field(&None, "path"),
            authorizers_path: field(&None, "authorizers_path")
                .map(|path| path.replace("$APPID$", authorizer)),
        })
    }
}

impl From<ModeArg> for Mode {
    fn from(mode: ModeArg) -> Self {
        match mode {
            ModeArg::Plain => Self::Plain,
            ModeArg::Compatible => Self::Compatible,
            ModeArg::Encrypted => Self::Encrypted,
        }
    }
}

impl From<FormatArg> for Format {
    fn from(format: FormatArg) -> Self {
        match format {
            FormatArg::Xml => Self::Xml,
            FormatArg::Json => Self::Json,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(path: Option<&str>) -> Known {
        Known {
            account: Account::random("a"),
            kind: AccountKind::OfficialAccount,
            path: path.map(str::to_owned),
            authorizers_path: None,
        }
    }

    #[test]
    fn a_bare_url_gets_the_accounts_path_and_any_other_stays() {
        let with = known(Some("/wechat/demo"));
        for bare in ["http://a:1", "http://a:1/", "https://a"] {
            let url = with.url(bare, Carrier::Message);
            assert!(url.ends_with("/wechat/demo"), "{bare}");
            assert!(!url.contains("//wechat"), "{bare}");
        }
        for whole in ["http://a/x", "http://a?x=1", "http://a/x/"] {
            assert_eq!(with.url(whole, Carrier::Event), whole);
        }
        assert_eq!(known(None).url("http://a/", Carrier::Message), "http://a/");
    }

    #[test]
    fn a_platform_has_one_url_for_its_notices_and_one_for_what_others_get() {
        let platform = Known {
            authorizers_path: Some("/platform/wx1/callback".to_owned()),
            ..known(Some("/platform"))
        };
        assert_eq!(
            platform.url("http://a", Carrier::Component),
            "http://a/platform"
        );
        assert_eq!(
            platform.url("http://a", Carrier::Message),
            "http://a/platform/wx1/callback"
        );
    }
}
