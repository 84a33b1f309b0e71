//! The body of `POST /v1/events`: read within its limit and cut into events, none of them looked at yet.

use std::fmt;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};
use serde_json::value::RawValue;
use weir_store_api::{CONTENT_TYPE_BATCH, CONTENT_TYPE_EVENT};

use crate::error::Error;

/// What a media type promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One event.
    One,
    /// A list of events.
    Many,
    /// One or the other, as the body shows.
    Either,
}

/// What the headers promise of the body.
pub(crate) fn shape(headers: &HeaderMap) -> Result<Shape, Error> {
    let media_type = media_type(headers)?;
    let is = |known: &str| media_type.eq_ignore_ascii_case(known);
    if is(CONTENT_TYPE_EVENT) {
        Ok(Shape::One)
    } else if is(CONTENT_TYPE_BATCH) {
        Ok(Shape::Many)
    } else if is("application/json") {
        Ok(Shape::Either)
    } else {
        Err(Error::UnsupportedMediaType(
            "the body must be application/cloudevents+json or application/cloudevents-batch+json",
        ))
    }
}

/// Whether the headers promise JSON of one of these media types.
pub(crate) fn json_only(headers: &HeaderMap, kinds: &[&'static str]) -> Result<(), Error> {
    let media_type = media_type(headers)?;
    let is_taken = kinds
        .iter()
        .any(|kind| media_type.eq_ignore_ascii_case(kind));
    let refused = kinds.first().copied().unwrap_or_default();
    is_taken
        .then_some(())
        .ok_or(Error::UnsupportedMediaType(refused))
}

/// The media type of a body that is not compressed, and whose text is UTF-8.
fn media_type(headers: &HeaderMap) -> Result<&str, Error> {
    if headers
        .get(CONTENT_ENCODING)
        .is_some_and(|encoding| encoding != "identity")
    {
        return Err(Error::UnsupportedMediaType(
            "a compressed body is not taken",
        ));
    }
    let content_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let (media_type, parameters) = content_type
        .map(|text| text.split_once(';').unwrap_or((text, "")))
        .unwrap_or_default();
    let charset = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("charset")
            .then(|| value.trim().trim_matches('"'))
    });
    if charset.is_some_and(|charset| !charset.eq_ignore_ascii_case("utf-8")) {
        return Err(Error::UnsupportedMediaType("the body must be UTF-8"));
    }
    Ok(media_type.trim())
}

/// Reads the whole body.
pub(crate) async fn read(body: Body, max_bytes: usize, patience: Duration) -> Result<Bytes, Error> {
    let reading = tokio::time::timeout(patience, Limited::new(body, max_bytes).collect());
    match reading.await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if is_limit(&*error) => {
            Err(Error::TooLarge("the body is larger than the limit"))
        }
        Ok(Err(_)) => Err(Error::BrokenBody("the body broke off")),
        Err(_) => Err(Error::TooSlow),
    }
}

fn is_limit(error: &(dyn std::error::Error + 'static)) -> bool {
    error.is::<LengthLimitError>() || error.source().is_some_and(is_limit)
}

/// Cuts a body into events.
pub(crate) fn split(body: &[u8], shape: Shape, max_events: usize) -> Result<Vec<&RawValue>, Error> {
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    let is_list = first == Some(&b'[');
    if !is_list && shape == Shape::Many {
        return Err(Error::BrokenBody("a batch must be a JSON array"));
    }
    if !is_list || shape == Shape::One {
        let event: &RawValue = serde_json::from_slice(body).map_err(|_| NOT_JSON)?;
        return if event.get().starts_with('{') {
            Ok(vec![event])
        } else {
            Err(Error::BrokenBody("an event must be a JSON object"))
        };
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let mut over = false;
    let list = List {
        max_events,
        over: &mut over,
    };
    let events = json
        .deserialize_seq(list)
        .and_then(|events| json.end().map(|()| events));
    match events {
        Err(_) if over => Err(Error::TooLarge("the batch has more events than the limit")),
        events => events.map_err(|_| NOT_JSON),
    }
}

const NOT_JSON: Error = Error::BrokenBody("the body is not JSON in UTF-8");

/// Takes the items of a list, but not more than allowed: a body of commas must not become a list of millions.
struct List<'o> {
    max_events: usize,
    over: &'o mut bool,
}

impl<'de> Visitor<'de> for List<'_> {
    type Value = Vec<&'de RawValue>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of events")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut events = Vec::new();
        while let Some(event) = items.next_element()? {
            if events.len() == self.max_events {
                *self.over = true;
                return Err(A::Error::custom("too many"));
            }
            events.push(event);
        }
        Ok(events)
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn shape_of(content_type: &'static str) -> Result<Shape, Error> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        shape(&headers)
    }

    #[test]
    fn media_types_are_compared_without_case_and_parameters() {
        assert_eq!(shape_of("application/cloudevents+json"), Ok(Shape::One));
        assert_eq!(
            shape_of("Application/CloudEvents-Batch+JSON; charset=\"UTF-8\""),
            Ok(Shape::Many)
        );
        assert_eq!(
            shape_of("application/json;charset=utf-8"),
            Ok(Shape::Either)
        );
        for other in [
            "text/plain",
            "application/cloudevents",
            "application/json; charset=gbk",
            "",
        ] {
            assert!(
                matches!(shape_of(other), Err(Error::UnsupportedMediaType(_))),
                "{other}"
            );
        }
        assert!(shape(&HeaderMap::new()).is_err());
    }

    #[test]
    fn a_body_is_cut_as_its_type_promises() {
        let split = |body: &'static str, shape| {
            split(body.as_bytes(), shape, 2)
                .map(|events| events.into_iter().map(RawValue::get).collect::<Vec<_>>())
        };
        assert_eq!(split(" {\"a\":1} ", Shape::One), Ok(vec!["{\"a\":1}"]));
        assert_eq!(split("[{}, 1]", Shape::Many), Ok(vec!["{}", "1"]));
        assert_eq!(split("[]", Shape::Many), Ok(vec![]));
        assert_eq!(split("[{}]", Shape::Either), Ok(vec!["{}"]));
        assert_eq!(split("{}", Shape::Either), Ok(vec!["{}"]));
        assert!(matches!(
            split("[{},{},{}]", Shape::Many),
            Err(Error::TooLarge(_))
        ));
        for (body, shape) in [
            ("{}", Shape::Many),
            ("[{}]", Shape::One),
            ("", Shape::Either),
            ("{", Shape::One),
            ("[{}", Shape::Many),
            ("[{}]]", Shape::Many),
            ("{} {}", Shape::One),
            ("\"x\"", Shape::Either),
        ] {
            assert!(
                matches!(split(body, shape), Err(Error::BrokenBody(_))),
                "{body}"
            );
        }
    }
}
