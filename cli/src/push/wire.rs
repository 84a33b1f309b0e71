//! From fields as people and stores write them to fields as WeChat sends them.

use weir_protocol::kinds::{Field, Shape};
use weir_sim::wechat::Format;
use weir_sim::{Fields, Value};

use super::Kind;

/// The fields in the shape WeChat sends them in, whichever shape they had. What is not in the table stays as it is.
///
/// - XML has an element around some lists (`SubscribeMsgPopupEvent`) and inside others (`item`); JSON has neither.
/// - Numbers are bare: no CDATA, no quotes.
#[must_use]
pub fn wire(fields: &Fields, kind: &Kind, format: Format) -> Fields {
    let own = kind.known.map_or(&[][..], |kind| kind.fields);
    convert_fields(fields, &[own, kind.carrier.fields()], format)
}

/// `known`: the fields that may be here; earlier tables go first.
fn convert_fields(fields: &Fields, known: &[&'static [Field]], format: Format) -> Fields {
    let mut out = Fields::new();
    for (name, value) in lifted(fields, known).iter() {
        let mut known = known.iter().flat_map(|table| table.iter());
        match (
            known.find(|field| field.name == name).map(|f| f.shape),
            format,
        ) {
            (Some(Shape::Lifted(list)), Format::Xml) => {
                let mut around = match out.get(list.wrapper) {
                    Some(Value::Fields(fields)) => fields.clone(),
                    _ => Fields::new(),
                };
                around.push(name, convert_items(value, &list.item, format));
                out.remove(list.wrapper);
                out.push(list.wrapper, around);
            }
            (Some(shape), _) => out.push(name, convert(value, &shape, name, format)),
            (None, _) => out.push(name, value.clone()),
        }
    }
    out
}

/// The fields without the elements that XML has around some lists.
fn lifted(fields: &Fields, known: &[&'static [Field]]) -> Fields {
    let mut out = Fields::new();
    for (name, value) in fields.iter() {
        let mut known = known.iter().flat_map(|table| table.iter());
        let list =
            known.find(|field| matches!(field.shape, Shape::Lifted(list) if list.wrapper == name));
        match (list, value) {
            (Some(list), Value::Fields(inside)) => {
                let items = inside.all(list.name).into_iter().cloned();
                out.push(list.name, Value::List(items.collect()));
                for (name, value) in inside.iter().filter(|(name, _)| *name != list.name) {
                    out.push(name, value.clone());
                }
            }
            _ => out.push(name, value.clone()),
        }
    }
    out
}

fn convert(value: &Value, shape: &Shape, name: &str, format: Format) -> Value {
    match (shape, value) {
        (Shape::Integer | Shape::Decimal | Shape::Flag | Shape::Seconds, Value::Text(text))
            if is_number(text) =>
        {
            Value::Number(text.clone())
        }
        // The ids that WeChat itself writes as numbers.
        (Shape::Id, Value::Text(text)) if name == "MsgId" && is_msg_id(text) => {
            Value::Number(text.clone())
        }
        (Shape::Object(known), Value::Fields(fields)) => {
            Value::Fields(convert_fields(fields, &[known], format))
        }
        (Shape::List(item), value) => convert_items(value, item, format),
        (Shape::Lifted(list), value) => convert_items(value, &list.item, format),
        (Shape::Items(list), value) => {
            // It may have its wrapper already, once per item.
            let wrapped = match value {
                Value::Fields(fields) if fields.get(list.wrapper).is_some() => {
                    let items = fields.all(list.wrapper);
                    Some(Value::List(items.into_iter().cloned().collect()))
                }
                _ => None,
            };
            let bare = wrapped.as_ref().unwrap_or(value);
            let items = convert_items(bare, &list.item, format);
            match format {
                Format::Xml => Value::Fields(Fields::new().with(list.wrapper, items)),
                Format::Json => items,
            }
        }
        (_, value) => value.clone(),
    }
}

/// The items of a list; a bare item is a list of one.
fn convert_items(value: &Value, item: &Shape, format: Format) -> Value {
    match value {
        Value::List(items) => Value::List(
            items
                .iter()
                .map(|value| convert(value, item, "", format))
                .collect(),
        ),
        // An empty element is an empty list.
        Value::Text(text) if text.is_empty() => Value::List(Vec::new()),
        value => Value::List(vec![convert(value, item, "", format)]),
    }
}

/// Digits, perhaps with a sign and a fraction: what may stand in JSON as a number.
fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = match unsigned.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (unsigned, None),
    };
    digits(whole) && (whole == "0" || !whole.starts_with('0')) && fraction.is_none_or(digits)
}

fn is_msg_id(text: &str) -> bool {
    is_number(text) && text.parse::<u64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(event: &str, json: &str, xml: &str) {
        let mut fields = Fields::new().with("MsgType", "event").with("Event", event);
        for (name, value) in Fields::from_json(json.as_bytes()).unwrap().iter() {
            fields.push(name, value.clone());
        }
        let kind = Kind::of(&fields);
        let head =
            format!("<xml><MsgType><![CDATA[event]]></MsgType><Event><![CDATA[{event}]]></Event>");
        let written = wire(&fields, &kind, Format::Xml);
        assert_eq!(written.to_xml(), format!("{head}{xml}</xml>"));
        // What XML looks like reads back as itself.
        let read = Fields::from_xml(written.to_xml().as_bytes()).unwrap();
        assert_eq!(wire(&read, &kind, Format::Xml).to_xml(), written.to_xml());
    }

    #[test]
    fn lists_get_the_elements_that_xml_has_around_and_inside_them() {
        check(
            "pic_weixin",
            r#"{"SendPicsInfo":{"Count":"2","PicList":[{"PicMd5Sum":"a"},{"PicMd5Sum":"b"}]}}"#,
            "<SendPicsInfo><Count>2</Count><PicList><item><PicMd5Sum><![CDATA[a]]></PicMd5Sum></item>\
             <item><PicMd5Sum><![CDATA[b]]></PicMd5Sum></item></PicList></SendPicsInfo>",
        );
        check(
            "subscribe_msg_sent_event",
            r#"{"List":[{"TemplateId":"t","ErrorCode":"0"}]}"#,
            "<SubscribeMsgSentEvent><List><TemplateId><![CDATA[t]]></TemplateId><ErrorCode>0</ErrorCode></List>\
             </SubscribeMsgSentEvent>",
        );
    }

    #[test]
    fn json_has_no_elements_around_lists() {
        let fields = Fields::new()
            .with("MsgType", "event")
            .with("Event", "subscribe_msg_sent_event")
            .with("List", vec![Fields::new().with("ErrorCode", "0")]);
        assert_eq!(
            wire(&fields, &Kind::of(&fields), Format::Json).to_json(),
            r#"{"MsgType":"event","Event":"subscribe_msg_sent_event","List":[{"ErrorCode":0}]}"#
        );
    }

    #[test]
    fn numbers_are_bare_and_what_is_none_is_not() {
        for text in ["0", "12", "-3", "0.5", "23.134521"] {
            assert!(is_number(text), "{text}");
        }
        for text in ["", "-", "007", "1.", ".5", "1e5", "x", " 1"] {
            assert!(!is_number(text), "{text}");
        }
    }
}
