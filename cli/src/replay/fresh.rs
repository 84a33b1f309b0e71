//! New identities for old pushes, so that the gateway does not take them for copies.

use std::collections::HashMap;

use weir_sim::wechat::ids;
use weir_sim::{Clock, Fields, Value};

/// Gives pushes the present time and new ids.
#[derive(Default)]
pub(super) struct Fresh {
    /// The `CreateTime` given last, per account, user and event: within one second there is no other difference.
    last: HashMap<[String; 4], i64>,
}

impl Fresh {
    /// A new `MsgId` where there was one, and a `CreateTime` of now; of equal events each a second later.
    pub(super) fn renew(&mut self, account: &str, fields: &mut Fields) {
        let now = Clock::system().now_s();
        if fields.text("MsgId").is_some() {
            set(fields, "MsgId", ids::msg_id());
            set(fields, "CreateTime", now);
            return;
        }
        let text = |name: &str| fields.text(name).unwrap_or_default().to_owned();
        let identity = [
            account.to_owned(),
            text("FromUserName"),
            text("Event"),
            text("EventKey"),
        ];
        let last = self.last.entry(identity).or_insert(i64::MIN);
        *last = now.max(last.saturating_add(1));
        set(fields, "CreateTime", *last);
    }
}

/// Sets a field of the push itself.
pub(super) fn set(fields: &mut Fields, name: &str, value: impl Into<Value>) {
    fields
        .set_at(name, value)
        .expect("a name without dots is a path");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_events_get_different_times_and_messages_different_ids() {
        let mut fresh = Fresh::default();
        let event = Fields::new()
            .with("Event", "CLICK")
            .with("CreateTime", 5_i64);
        let mut times = std::collections::HashSet::new();
        for _ in 0..3 {
            let mut event = event.clone();
            fresh.renew("a", &mut event);
            assert!(times.insert(event.text("CreateTime").unwrap().to_owned()));
        }
        let mut message = Fields::new().with("MsgId", "7");
        fresh.renew("a", &mut message);
        assert_ne!(message.text("MsgId"), Some("7"));
    }
}
