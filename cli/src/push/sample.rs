//! Values that nobody gave: what a push of a kind would plausibly hold.

use weir_protocol::kinds::{Carrier, Field, Shape};
use weir_sim::wechat::ids;
use weir_sim::{Account, Clock, Fields, Value};

use super::Kind;

/// A push of a kind with every field that WeChat always sends, `MsgId` last.
#[must_use]
pub fn push(kind: &Kind, account: &Account, openid: &str) -> Fields {
    let now = Clock::system().now_s();
    let mut fields = match kind.carrier {
        Carrier::Component => Fields::new()
            .with("AppId", account.appid.as_str())
            .with("CreateTime", now)
            .with("InfoType", kind.name.as_str()),
        Carrier::Message | Carrier::Event => Fields::new()
            .with("ToUserName", account.original_id.as_str())
            .with("FromUserName", openid)
            .with("CreateTime", now),
    };
    match kind.carrier {
        Carrier::Message => fields.push("MsgType", kind.name.as_str()),
        Carrier::Event => {
            fields.push("MsgType", "event");
            fields.push("Event", kind.name.as_str());
        }
        Carrier::Component => {}
    }
    let maker = Maker {
        account,
        openid,
        now,
    };
    maker.required(kind.known.map_or(&[][..], |kind| kind.fields), &mut fields);
    if kind.carrier == Carrier::Message {
        fields.push("MsgId", ids::msg_id());
    }
    fields
}

/// A QR code's ticket in its real shape.
#[must_use]
pub fn ticket() -> String {
    format!("gQ{}", ids::alphanumeric(94))
}

struct Maker<'a> {
    account: &'a Account,
    openid: &'a str,
    now: i64,
}

impl Maker<'_> {
    fn required(&self, known: &[Field], out: &mut Fields) {
        for field in known.iter().filter(|field| field.required) {
            if out.get(field.name).is_none() {
                out.push(field.name, self.value(field.name, &field.shape));
            }
        }
    }

    fn value(&self, name: &str, shape: &Shape) -> Value {
        match shape {
            Shape::Text | Shape::Id => Value::Text(self.text(name)),
            Shape::Integer => Value::Number("1".to_owned()),
            Shape::Decimal => Value::Number(decimal(name).to_owned()),
            Shape::Flag => Value::Number("0".to_owned()),
            Shape::Seconds => self.now.into(),
            Shape::Object(known) => {
                let mut fields = Fields::new();
                self.required(known, &mut fields);
                Value::Fields(fields)
            }
            Shape::List(item) => Value::List(vec![self.value(name, item)]),
            Shape::Items(list) | Shape::Lifted(list) => {
                Value::List(vec![self.value(name, &list.item)])
            }
        }
    }

    fn text(&self, name: &str) -> String {
        let lower = name.to_ascii_lowercase();
        let fixed = match lower.as_str() {
            "openid" | "friendusername" | "staffopenid" => self.openid,
            "appid" => self.account.appid.as_str(),
            "ticket" => return ticket(),
            "content" => "hello",
            "eventkey" => "key",
            "format" => "amr",
            "scantype" => "qrcode",
            "scanresult" => "https://example.com/",
            "status" => "success",
            "subscribestatusstring" => "accept",
            "errorstatus" => "success",
            "kfaccount" | "fromkfaccount" | "tokfaccount" => "service@account",
            "label" | "poiname" | "locationname" => "People's Square",
            "cardid" => "pSampleCard0000000000000000",
            "usercardcode" | "oldusercardcode" => "226009850808",
            "msgid" => return ids::msg_id().to_string(),
            "templateid" => return ids::alphanumeric(43),
            "revokeinfo" => "205",
            "picmd5sum" | "filemd5" => return ids::hex(32),
            "pagepath" => "pages/index",
            "suggest" => "pass",
            "result" => "succ",
            _ if lower.ends_with("url") => "https://example.com/",
            _ if lower.contains("mediaid") => return ids::alphanumeric(64),
            _ => "sample",
        };
        fixed.to_owned()
    }
}

/// A place in Guangzhou, where WeChat's own samples are.
fn decimal(name: &str) -> &'static str {
    match name {
        "Location_X" | "Latitude" => "23.134521",
        "Location_Y" | "Longitude" => "113.358803",
        _ => "119.385040",
    }
}

#[cfg(test)]
mod tests {
    use weir_protocol::kinds::Area;
    use weir_protocol::push::Push;

    use super::super::build;
    use super::*;
    use weir_sim::wechat::Format;

    #[test]
    fn weir_understands_a_sample_of_every_kind_in_either_format() {
        let account = Account::random("a");
        let kinds = Area::ALL.iter().flat_map(|area| {
            let carrier = area.carrier();
            area.kinds().iter().map(move |kind| (carrier, kind))
        });
        for (carrier, known) in kinds {
            let kind = Kind {
                name: known.name.to_owned(),
                carrier,
                known: Some(known),
            };
            let fields = push(&kind, &account, "oUser");
            for format in [Format::Xml, Format::Json] {
                let account = account.clone().with_format(format);
                let body = build(&account, &fields).body(format);
                let shown = String::from_utf8_lossy(&body).into_owned();
                let read = Push::parse(&body).unwrap_or_else(|e| panic!("{e}: {shown}"));
                assert_eq!(
                    read.known().map(|kind| kind.name),
                    Some(known.name),
                    "{shown}"
                );
                for field in known.fields.iter().filter(|field| field.required) {
                    let typed = serde_json::to_value(read.typed()).unwrap();
                    assert!(typed.get(field.name).is_some(), "{}: {typed}", field.name);
                }
            }
        }
    }
}
