//! What is asked for: a path in one spelling, or none at all.
//!
//! The API has no path with an escape, a dot segment or an empty segment, so whatever has one is not cleaned up but
//! refused: two readers of a path cannot see two things.

use std::borrow::Cow;

/// Longest target, bytes.
const MAX_TARGET_BYTES: usize = 8 * 1_024;
/// Before a path it names the account: `/accounts/{name}/cgi-bin/…`.
const ACCOUNTS: &str = "/accounts/";
/// The first segments that the API has.
const FAMILIES: &[&str] = &[
    "card",
    "cgi-bin",
    "channels",
    "customservice",
    "cv",
    "datacube",
    "merchant",
    "product",
    "publisher",
    "scan",
    "semantic",
    "shop",
    "sns",
    "union",
    "wxa",
    "wxaapi",
];
/// Parameters that no caller sets: they are the door's.
const OURS: &[&str] = &[
    "access_token",
    "secret",
    "appsecret",
    "component_access_token",
];

/// Why a target is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// Not in the one spelling.
    Spelling,
    /// No path of the API.
    Unknown,
    /// A parameter of the door's is there twice.
    Twice,
}

/// A target.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Target<'a> {
    /// The account, where the path names it.
    pub(crate) account: Option<&'a str>,
    /// The path at WeChat.
    pub(crate) path: &'a str,
    /// What the caller put where the access token goes.
    pub(crate) access_token: Option<Cow<'a, str>>,
    pub(crate) secret: Option<Cow<'a, str>>,
    pub(crate) appid: Option<Cow<'a, str>>,
    /// All other parameters as they came, each behind an `&`.
    pub(crate) query: String,
}

impl<'a> Target<'a> {
    pub(crate) fn parse(target: &'a str) -> Result<Self, Wrong> {
        let spelled = target.len() <= MAX_TARGET_BYTES
            && target.starts_with('/')
            && target
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b'#');
        if !spelled {
            return Err(Wrong::Spelling);
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./".contains(&byte);
        let mut segments = path.split('/').skip(1);
        if !path.bytes().all(plain) || segments.any(|one| one.is_empty() || one.starts_with('.')) {
            return Err(Wrong::Spelling);
        }
        let (account, path) = match path.strip_prefix(ACCOUNTS) {
            None => (None, path),
            Some(rest) => {
                let at = rest.find('/').ok_or(Wrong::Unknown)?;
                let (account, path) = rest.split_at_checked(at).ok_or(Wrong::Unknown)?;
                (Some(account), path)
            }
        };
        let family = path.split('/').nth(1).unwrap_or_default();
        if !FAMILIES.contains(&family) || path.len() < family.len() + 3 {
            return Err(Wrong::Unknown);
        }
        let mut found = Self {
            account,
            path,
            access_token: None,
            secret: None,
            appid: None,
            query: String::new(),
        };
        found.read_query(query)?;
        Ok(found)
    }

    fn read_query(&mut self, query: &'a str) -> Result<(), Wrong> {
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let Some((name, value)) = form_urlencoded::parse(pair.as_bytes()).next() else {
                continue;
            };
            let name = name.trim().to_ascii_lowercase();
            let slot = match name.as_str() {
                "access_token" => &mut self.access_token,
                "secret" => &mut self.secret,
                "appid" => &mut self.appid,
                _ => {
                    if !OURS.contains(&name.as_str()) {
                        self.query.push('&');
                        self.query.push_str(pair);
                    }
                    continue;
                }
            };
            if slot.replace(value).is_some() {
                return Err(Wrong::Twice);
            }
            if name == "appid" {
                self.query.push('&');
                self.query.push_str(pair);
            }
        }
        Ok(())
    }
}

/// Whether `path` begins with `beginning`, at the end of a segment unless that ends in `/` itself. Letters count the same in
/// both cases: whoever reads the path after us may think so.
pub(crate) fn begins(path: &str, beginning: &str) -> bool {
    let Some((head, rest)) = path.split_at_checked(beginning.len()) else {
        return false;
    };
    head.eq_ignore_ascii_case(beginning)
        && (beginning.ends_with('/') || rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::{Target, Wrong, begins};

    #[test]
    fn a_path_is_in_one_spelling_or_refused() {
        for target in [
            "",
            "cgi-bin/user/get",
            "http://api.weixin.qq.com/cgi-bin/user/get",
            "//cgi-bin/user/get",
            "/cgi-bin//user/get",
            "/cgi-bin/user/get/",
            "/cgi-bin/./user/get",
            "/cgi-bin/user/../token",
            "/cgi-bin/.hidden",
            "/cgi-bin/%74oken",
            "/cgi-bin%2ftoken",
            "/cgi-bin\\token",
            "/cgi-bin/user;x=1/get",
            "/cgi-bin/user/get#x",
            "/cgi-bin/user/get ",
            "/cgi-bin/user/g\u{435}t",
            "/cgi-bin/user/get\u{0}",
            "*",
        ] {
            assert_eq!(Target::parse(target), Err(Wrong::Spelling), "{target:?}");
        }
        for target in [
            "/",
            "/index.html",
            "/cgi-bin",
            "/CGI-BIN/token",
            "/accounts/demo",
            "/v1/events",
        ] {
            let wrong = Target::parse(target).map(|found| found.path.to_owned());
            assert!(
                matches!(wrong, Err(Wrong::Unknown | Wrong::Spelling)),
                "{target:?}"
            );
        }
    }

    #[test]
    fn parameters_of_the_doors_are_taken_out_in_every_spelling() {
        for query in [
            "access_token=T&a=1",
            "a=1&access_token=T",
            "a=1&%61ccess_token=T",
            "a=1&ACCESS_TOKEN=T",
            "a=1&access%5Ftoken=T&component_access_token=x&appsecret=y",
            "a=1&+access_token=T",
        ] {
            let target = format!("/cgi-bin/user/get?{query}");
            let found = Target::parse(&target).unwrap();
            assert_eq!(found.query, "&a=1", "{query}");
            assert_eq!(found.access_token.as_deref(), Some("T"), "{query}");
        }
        let twice = Target::parse("/cgi-bin/user/get?access_token=a&Access_Token=b");
        assert_eq!(twice, Err(Wrong::Twice));
    }

    #[test]
    fn an_account_may_stand_before_the_path() {
        let found = Target::parse("/accounts/demo/cgi-bin/user/get?next_openid=").unwrap();
        assert_eq!(found.account, Some("demo"));
        assert_eq!(found.path, "/cgi-bin/user/get");
        assert_eq!(found.query, "&next_openid=");
    }

    #[test]
    fn a_beginning_ends_where_a_segment_ends() {
        assert!(begins("/cgi-bin/message/template/send", "/cgi-bin/message"));
        assert!(begins("/cgi-bin/message", "/cgi-bin/message"));
        assert!(begins("/cgi-bin/Message/x", "/cgi-bin/message/"));
        assert!(!begins("/cgi-bin/messages", "/cgi-bin/message"));
        assert!(!begins("/cgi-bin", "/cgi-bin/message"));
    }
}
