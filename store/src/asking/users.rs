//! What WeChat knows of users now, after something of theirs was changed through the store.

use serde_json::{Value, json};
use weir_store_api::{CloudEvent, TYPE_USER_SNAPSHOT, UserSnapshot};

use weir_errands::clock::{now_ms, rfc3339_ms};

use super::Questions;
use crate::event;
use crate::repo::select;
use crate::wechat::Verdict;

/// Users of one call. Source: WeChat, `/cgi-bin/user/info/batchget`.
const AT_ONCE: usize = 100;

impl Questions {
    /// Stores the profiles of users as WeChat has them now. Where that does not work, the store has them with the next sync.
    pub(crate) async fn tell_users(&self, account: &str, openids: &[String]) {
        let Ok(appid) = select::appid(&*self.repo, account).await else {
            return;
        };
        for some in openids.chunks(AT_ONCE) {
            let list = some
                .iter()
                .map(|openid| json!({"openid": openid, "lang": "zh_CN"}));
            let wanted = json!({"user_list": list.collect::<Vec<_>>()});
            // Nothing that WeChat says is older than the question.
            let now_ms = now_ms();
            let asked = self
                .wechat
                .post(account, "/cgi-bin/user/info/batchget", &wanted);
            let Verdict::Done(answer) = asked.await else {
                tracing::info!("some users' tags are shown as they were, until the next sync");
                return;
            };
            let users = answer["user_info_list"].as_array().into_iter().flatten();
            let raws = users.filter_map(|user| snapshot(account, &appid, now_ms, user));
            let raws: Vec<_> = raws.collect();
            let bytes = raws.iter().map(|raw| raw.get().len()).sum();
            let events = raws
                .iter()
                .filter_map(|raw| event::read(raw, raw.get().len(), now_ms).ok());
            if self.ingest.store(events.collect(), bytes).await.is_err() {
                tracing::info!("some users' tags are shown as they were, until the next sync");
                return;
            }
        }
    }
}

/// The event of a user in an answer that came at `now_ms`.
fn snapshot(
    account: &str,
    appid: &str,
    now_ms: i64,
    user: &Value,
) -> Option<Box<serde_json::value::RawValue>> {
    let openid = user["openid"].as_str()?;
    let event = CloudEvent {
        specversion: "1.0".into(),
        id: format!("user-{now_ms}-{:016x}", fastrand::u64(..)).into(),
        source: format!("/accounts/{account}").into(),
        kind: TYPE_USER_SNAPSHOT.into(),
        time: Some(rfc3339_ms(now_ms).into()),
        subject: Some(openid.into()),
        datacontenttype: Some("application/json".into()),
        weirask: None,
        weirclaim: None,
        weirleasems: None,
        data: UserSnapshot {
            account: account.into(),
            appid: appid.into(),
            user,
        },
    };
    serde_json::value::to_raw_value(&event).ok()
}
