//! The address a browser is sent to for a web login, held against what `open.weixin.qq.com` insists on.
//!
//! Source: WeChat's pages on 网页授权 and 网站应用微信登录.

use serde::Serialize;

/// Bytes that `state` may have.
const MAX_STATE: usize = 128;
/// The parameters in their order, and whether they must be there.
const PARAMETERS: [(&str, bool); 8] = [
    ("appid", true),
    ("redirect_uri", true),
    ("response_type", true),
    ("scope", true),
    ("state", false),
    ("forcePopup", false),
    ("forceSnapShot", false),
    ("connect_redirect", false),
];

/// How much of a user an authorization opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(in crate::api) enum Scope {
    /// The openid, without asking.
    #[serde(rename = "snsapi_base")]
    Base,
    /// The profile, with consent.
    #[serde(rename = "snsapi_userinfo")]
    Userinfo,
    /// A website's QR code.
    #[serde(rename = "snsapi_login")]
    Login,
}

/// Why WeChat shows an error page and not the redirect back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAuthorised {
    /// Another address altogether.
    #[error(
        "not https://open.weixin.qq.com/connect/oauth2/authorize (or …/connect/qrconnect) with a query"
    )]
    Url,
    /// The fragment is missing, or another.
    #[error("the URL does not end in #wechat_redirect")]
    Fragment,
    /// A parameter that has to be there.
    #[error("{0} is missing or empty")]
    Missing(&'static str),
    /// A parameter unknown to WeChat, twice, or at the wrong place.
    #[error("{0} is unknown, or not where it belongs: WeChat checks the parameters' order")]
    Order(String),
    /// `response_type`.
    #[error("response_type is not \"code\"")]
    ResponseType,
    /// `scope`, for this path.
    #[error("the scope is none of this path")]
    Scope,
    /// `state`.
    #[error("state is not [a-zA-Z0-9], or longer than 128 bytes")]
    State,
    /// `redirect_uri`.
    #[error("redirect_uri is no percent-encoded http:// or https:// URL")]
    RedirectUri,
    /// `appid`.
    #[error("no account has this appid")]
    AppId,
}

/// What such an address asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Authorize {
    pub(super) appid: String,
    pub(super) scope: Scope,
    redirect_uri: String,
    state: String,
}

impl Authorize {
    pub(super) fn parse(url: &str) -> Result<Self, NotAuthorised> {
        let rest = url
            .strip_prefix("https://open.weixin.qq.com/connect/")
            .ok_or(NotAuthorised::Url)?;
        let (rest, fragment) = rest.split_once('#').ok_or(NotAuthorised::Fragment)?;
        if fragment != "wechat_redirect" {
            return Err(NotAuthorised::Fragment);
        }
        let (path, query) = rest.split_once('?').ok_or(NotAuthorised::Url)?;
        let [appid, redirect_uri, response_type, scope, state] = in_order(query)?;
        if response_type != "code" {
            return Err(NotAuthorised::ResponseType);
        }
        let scope = match (path, scope) {
            ("oauth2/authorize", "snsapi_base") => Scope::Base,
            ("oauth2/authorize", "snsapi_userinfo") => Scope::Userinfo,
            ("qrconnect", "snsapi_login") => Scope::Login,
            ("oauth2/authorize" | "qrconnect", _) => return Err(NotAuthorised::Scope),
            _ => return Err(NotAuthorised::Url),
        };
        if state.len() > MAX_STATE || !state.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(NotAuthorised::State);
        }
        Ok(Self {
            appid: appid.to_owned(),
            scope,
            redirect_uri: target(redirect_uri)?,
            state: state.to_owned(),
        })
    }

    /// Where the browser goes next.
    pub(super) fn back(&self, code: &str) -> String {
        let (page, fragment) = match self.redirect_uri.split_once('#') {
            Some((page, fragment)) => (page, format!("#{fragment}")),
            None => (self.redirect_uri.as_str(), String::new()),
        };
        let joint = if page.contains('?') { '&' } else { '?' };
        format!("{page}{joint}code={code}&state={}{fragment}", self.state)
    }
}

/// The first five parameters, undecoded; empty where an optional one is absent.
fn in_order(query: &str) -> Result<[&str; 5], NotAuthorised> {
    let mut given = query.split('&').peekable();
    let mut values = [""; PARAMETERS.len()];
    for ((name, required), value) in PARAMETERS.iter().zip(&mut values) {
        let next = given.next_if(|pair| pair.split('=').next() == Some(*name));
        *value = next
            .and_then(|pair| pair.split_once('='))
            .map_or("", |(_, value)| value);
        if *required && value.is_empty() {
            // Somewhere else is another mistake than nowhere.
            let elsewhere =
                next.is_none() && given.any(|pair| pair.split('=').next() == Some(*name));
            return Err(if elsewhere {
                NotAuthorised::Order((*name).to_owned())
            } else {
                NotAuthorised::Missing(name)
            });
        }
    }
    if let Some(pair) = given.next() {
        let name = pair.split('=').next().unwrap_or_default();
        return Err(NotAuthorised::Order(name.to_owned()));
    }
    let [appid, redirect_uri, response_type, scope, state, ..] = values;
    Ok([appid, redirect_uri, response_type, scope, state])
}

fn target(encoded: &str) -> Result<String, NotAuthorised> {
    // What is not encoded would be cut at its first `&`, or is not what was meant.
    let is_encoded = encoded.bytes().all(|b| {
        b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~' | b'*' | b'+' | b'%')
    });
    let decoded = form_urlencoded::parse(format!("u={encoded}").as_bytes())
        .next()
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default();
    let uri = decoded
        .split('#')
        .next()
        .and_then(|page| page.parse::<http::Uri>().ok());
    let is_http = uri.is_some_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some_and(|h| !h.is_empty())
    });
    if is_encoded && is_http {
        Ok(decoded)
    } else {
        Err(NotAuthorised::RedirectUri)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACK: &str = "https%3A%2F%2Fshop.example%2Fin%3Fa%3D1";

    fn url(query: &str) -> String {
        format!("https://open.weixin.qq.com/connect/oauth2/authorize?{query}#wechat_redirect")
    }

    fn with(scope: &str, state: &str) -> String {
        url(&format!(
            "appid=wx1&redirect_uri={BACK}&response_type=code&scope={scope}&state={state}"
        ))
    }

    #[test]
    fn the_way_back_keeps_what_the_redirect_uri_had() {
        let asked = Authorize::parse(&with("snsapi_base", "s1")).unwrap();
        assert_eq!((asked.appid.as_str(), asked.scope), ("wx1", Scope::Base));
        assert_eq!(
            asked.back("c"),
            "https://shop.example/in?a=1&code=c&state=s1"
        );
        let bare = "appid=wx1&redirect_uri=http%3A%2F%2Fshop.example%2F%23%2Fme&response_type=code&\
                    scope=snsapi_userinfo&forcePopup=true";
        let asked = Authorize::parse(&url(bare)).unwrap();
        assert_eq!(asked.back("c"), "http://shop.example/?code=c&state=#/me");
        let site = with("snsapi_login", "s1").replace("oauth2/authorize", "qrconnect");
        assert_eq!(Authorize::parse(&site).unwrap().scope, Scope::Login);
    }

    #[test]
    fn parameters_have_to_be_in_their_order_and_known_and_there_once() {
        let order = |name: &str| NotAuthorised::Order(name.to_owned());
        for (query, expected) in [
            (format!("redirect_uri={BACK}&appid=wx1&response_type=code&scope=snsapi_base&state=s"), order("appid")),
            (format!("appid=wx1&response_type=code&redirect_uri={BACK}&scope=snsapi_base&state=s"), order("redirect_uri")),
            (format!("appid=wx1&redirect_uri={BACK}&response_type=code&state=s&scope=snsapi_base"), order("scope")),
            (format!("appid=wx1&redirect_uri={BACK}&response_type=code&scope=snsapi_base&forcePopup=true&state=s"), order("state")),
            (format!("appid=wx1&redirect_uri={BACK}&response_type=code&scope=snsapi_base&state=s&state=t"), order("state")),
            (format!("appid=wx1&redirect_uri={BACK}&response_type=code&scope=snsapi_base&state=s&x=1"), order("x")),
            (format!("appid=&redirect_uri={BACK}&response_type=code&scope=snsapi_base"), NotAuthorised::Missing("appid")),
            (format!("appid=wx1&redirect_uri={BACK}&response_type=code&state=s"), NotAuthorised::Missing("scope")),
            // Not encoded: the second parameter of the page becomes one of WeChat's.
            ("appid=wx1&redirect_uri=https://shop.example/?a=1&b=2&response_type=code&scope=snsapi_base".into(), order("response_type")),
        ] {
            assert_eq!(Authorize::parse(&url(&query)), Err(expected), "{query}");
        }
    }

    #[test]
    fn each_value_is_checked() {
        let good = with("snsapi_base", &"s".repeat(128));
        assert!(Authorize::parse(&good).is_ok());
        for (url, expected) in [
            (with("snsapi_base", &"s".repeat(129)), NotAuthorised::State),
            (with("snsapi_base", "a-b"), NotAuthorised::State),
            (with("snsapi_base", "a%20b"), NotAuthorised::State),
            (with("snsapi_login", "s"), NotAuthorised::Scope),
            (with("base", "s"), NotAuthorised::Scope),
            (good.replace("=code", "=token"), NotAuthorised::ResponseType),
            (
                good.replace("#wechat_redirect", ""),
                NotAuthorised::Fragment,
            ),
            (
                good.replace("#wechat_redirect", "#wechat"),
                NotAuthorised::Fragment,
            ),
            (
                good.replace("https://open", "http://open"),
                NotAuthorised::Url,
            ),
            (
                good.replace("oauth2/authorize", "oauth2"),
                NotAuthorised::Url,
            ),
            (
                good.replace(BACK, "https://shop.example/"),
                NotAuthorised::RedirectUri,
            ),
            (
                good.replace(BACK, "shop.example"),
                NotAuthorised::RedirectUri,
            ),
            (
                good.replace(BACK, "ftp%3A%2F%2Fshop.example%2F"),
                NotAuthorised::RedirectUri,
            ),
            (
                good.replace(BACK, "https%3A%2F%2F%2Fin"),
                NotAuthorised::RedirectUri,
            ),
        ] {
            assert_eq!(Authorize::parse(&url), Err(expected), "{url}");
        }
    }
}
