//! temporary
use serde::Deserialize;
use serde_json::value::RawValue;
pub const STABLE_TOKEN_PATH: &str = "/cgi-bin/stable_token";
pub const USER_INFO_BATCHGET_PATH: &str = "/cgi-bin/user/info/batchget";
#[derive(Clone, Copy, PartialEq)]
pub enum Class {
    Token,
    Credentials,
    Permission,
    Recipient,
    Other,
}
impl Class {
    pub fn label(self) -> &'static str {
        "x"
    }
}
pub struct E {
    pub errcode: i64,
}
impl E {
    pub fn class(&self) -> Class {
        match self.errcode {
            40001 | 40014 | 42001 => Class::Token,
            40003 => Class::Recipient,
            40013 | 40125 | 40164 => Class::Credentials,
            _ => Class::Other,
        }
    }
}
pub fn stable_token_request(appid: &str, secret: &str) -> Vec<u8> {
    serde_json::json!({"grant_type":"client_credential","appid":appid,"secret":secret,"force_refresh":false}).to_string().into_bytes()
}
pub fn with_access_token(path: &str, token: &str) -> String {
    format!("{path}?access_token={token}")
}
pub fn user_info_batchget_request(ids: &[&str]) -> Vec<u8> {
    serde_json::json!({"user_list": ids.iter().map(|i| serde_json::json!({"openid": i, "lang": "zh_CN"})).collect::<Vec<_>>()}).to_string().into_bytes()
}
#[derive(Deserialize)]
pub struct T {
    pub access_token: String,
    pub expires_in: u64,
}
fn err(b: &[u8]) -> E {
    #[derive(Deserialize, Default)]
    struct X {
        #[serde(default)]
        errcode: i64,
    }
    let x: X = serde_json::from_slice(b).unwrap_or_default();
    E { errcode: x.errcode }
}
pub fn parse_token(b: &[u8]) -> Result<T, E> {
    serde_json::from_slice(b).map_err(|_| err(b))
}
pub struct U<'a> {
    pub openid: String,
    pub raw: &'a RawValue,
}
pub fn parse_user_info_list(b: &[u8]) -> Result<Vec<U<'_>>, E> {
    #[derive(Deserialize)]
    struct L<'a> {
        #[serde(borrow)]
        user_info_list: Vec<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct O {
        openid: String,
    }
    let l: L<'_> = serde_json::from_slice(b).map_err(|_| err(b))?;
    Ok(l.user_info_list
        .into_iter()
        .filter_map(|raw| {
            Some(U {
                openid: serde_json::from_str::<O>(raw.get()).ok()?.openid,
                raw,
            })
        })
        .collect())
}
