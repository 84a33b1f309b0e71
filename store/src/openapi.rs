//! The API's own description, OpenAPI 3.1: collected from the attributes of the handlers and the types they answer with.
//!
//! # How a route is described
//! `#[utoipa::path(…)]` on the handler says its method, its path, its parameters and what it answers when all is well; the
//! handler's documentation says the rest. It is given to the router by `routes!`, which takes no other handlers. What all
//! routes have in common is added here: the operation's name, the bearer token, and the refusals.
//!
//! # Rules
//! - Under `/v1` everything may demand the token (401), and fail (500, 503). What takes parameters may refuse them (400).
//! - What else a handler refuses, its attribute says by one of the types below.
//! - In answers a field that may be `null` is always there, and one that may be absent is never `null`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{KnownFormat, OneOfBuilder, SchemaFormat, Type};
use utoipa::openapi::{ObjectBuilder, Ref, RefOr, Required, Response as Described, Schema};
use utoipa::{IntoParams, IntoResponses, OpenApi, PartialSchema, ToSchema};
use weir_store_api::read::{CONTENT_TYPE_PROBLEM, Problem};

/// What no handler says.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Weir's store",
        description = "Takes Weir's events, keeps them, and answers questions about accounts, people and messages. \
            Times are RFC 3339 in UTC. Refusals are `application/problem+json` (RFC 9457)."
    ),
    components(schemas(Problem, Time)),
    tags(
        (name = "events", description = "What happened."),
        (name = "accounts", description = "Official Accounts, Mini Programs."),
        (name = "people", description = "Who follows, writes, logs in."),
        (name = "cards", description = "Member cards and coupons that people took."),
        (name = "tags", description = "Tags of followers, at WeChat where the account may use them there, else in the store."),
        (name = "messages", description = "What people sent, and what they were replied."),
        (name = "sends", description = "Active messages, and what users allow."),
        (name = "jobs", description = "What the store does through WeChat's API by itself."),
        (name = "operation", description = "How the store is."),
    )
)]
pub(crate) struct Head;

/// The document, as it is served.
#[must_use]
pub fn document() -> &'static str {
    static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
        let document = crate::server::routes(None).into_openapi();
        let document = serde_json::to_value(document).expect("a document is JSON");
        let document = complete(document);
        serde_json::to_string_pretty(&document).expect("a value is JSON") + "\n"
    });
    &DOCUMENT
}

/// `GET /v1/openapi.json`: this document.
#[utoipa::path(get, path = "/v1/openapi.json", tag = "operation", responses((status = OK, body = Value)))]
pub(crate) async fn show() -> Response {
    ([(CONTENT_TYPE, "application/json")], document()).into_response()
}

/// A refusal: its status, its name among the components, and when it happens.
const REFUSALS: [(&str, &str, &str); 10] = [
    (
        "400",
        "BadRequest",
        "A parameter or the body makes no sense.",
    ),
    (
        "401",
        "Unauthorized",
        "The bearer token is missing or wrong.",
    ),
    ("404", "NotFound", "There is no such thing."),
    ("408", "TooSlow", "The request was not complete in time."),
    (
        "409",
        "Conflict",
        "It contradicts what is there, or there is no door to WeChat's API.",
    ),
    ("413", "TooLarge", "The body is beyond the limits."),
    (
        "415",
        "UnsupportedMediaType",
        "A media type or encoding that is not taken.",
    ),
    (
        "422",
        "RefusedByWechat",
        "WeChat refuses it: `errcode` says why.",
    ),
    ("500", "Failed", "The store failed."),
    (
        "503",
        "Unavailable",
        "Later: the database or WeChat does not answer, or too much is waiting.",
    ),
];

/// Refusals of these statuses, by reference.
fn refused(statuses: &[&str]) -> BTreeMap<String, RefOr<Described>> {
    let known = REFUSALS
        .iter()
        .filter(|(status, ..)| statuses.contains(status));
    known
        .map(|(status, name, _)| ((*status).to_owned(), Ref::from_response_name(*name).into()))
        .collect()
}

/// Declares refusals that handlers name in their attributes.
macro_rules! refusals {
    ($($(#[doc = $doc:literal])* $name:ident: $($status:literal),+;)*) => {$(
        $(#[doc = $doc])*
        pub(crate) struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Described>> {
                refused(&[$($status),+])
            }
        }
    )*};
}

refusals! {
    /// There may be no such thing.
    NotFound: "404";
    /// Something that is there stands against it.
    Conflict: "409";
    /// WeChat is asked, which knows nothing of it, refuses, or cannot be.
    AskedWechat: "404", "409", "422";
    /// There is a body, which may be too slow, too large, or of another kind.
    BodyRefused: "408", "413", "415";
}

/// The path's `{uid}`.
pub(crate) struct Uid;

impl IntoParams for Uid {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let number = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
            .minimum(Some(i64::MIN))
            .maximum(Some(i64::MAX));
        let uid = ParameterBuilder::new()
            .name("uid")
            .parameter_in(ParameterIn::Path)
            .required(Required::True)
            .description(Some("A person's number, or one that points to it."))
            .schema(Some(number));
        vec![uid.build()]
    }
}

/// A time in a query: RFC 3339, or Unix seconds.
pub(crate) struct Time;

impl PartialSchema for Time {
    fn schema() -> RefOr<Schema> {
        let text = || ObjectBuilder::new().schema_type(Type::String);
        OneOfBuilder::new()
            .item(text().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime))))
            .item(
                text()
                    .pattern(Some("^-?[0-9]{1,18}$"))
                    .description(Some("Unix seconds.")),
            )
            .into()
    }
}

impl ToSchema for Time {}

/// A CloudEvent 1.0 in structured JSON mode. What is none is refused by name in an answer of 200, so that the others of its
/// batch are stored. Their types and data are in `docs/events.md`.
#[derive(Deserialize, ToSchema)]
#[schema(examples(json!({
    "specversion": "1.0", "id": "0b5e", "source": "/accounts/demo", "type": "weir.message.text",
    "time": "2024-04-26T06:30:00Z", "subject": "oA", "datacontenttype": "application/json",
    "data": {"account": "demo", "appid": "wx0123456789abcdef", "received_at_ms": 1_714_113_000_250_i64,
        "push": {"ToUserName": "gh_0a1b2c3d4e5f", "FromUserName": "oA", "CreateTime": 1_714_113_000,
            "MsgType": "text", "Content": "hello", "MsgId": "23456789012345601"}},
})))]
#[allow(dead_code, reason = "it is described, not built")]
pub(crate) struct Sent(Map<String, Value>);

/// Fields by name, of at most 128 characters; in a patch, `null` takes one away.
pub(crate) struct Patch;

impl PartialSchema for Patch {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::Object)
            .property_names(Some(
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .max_length(Some(128)),
            ))
            .description(Some("Fields by name. In a patch, null takes one away."))
            .into()
    }
}

impl ToSchema for Patch {}

/// One event, or a list of them.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "it is described, not built")]
pub(crate) enum SentEither {
    /// One.
    One(Sent),
    /// A list.
    Many(Vec<Value>),
}

/// Adds what routes have in common.
fn complete(mut document: Value) -> Value {
    let components = &mut document["components"];
    components["securitySchemes"] = json!({"bearer": {
        "type": "http", "scheme": "bearer",
        "description": "Demanded where the store was started with --bearer-token-env.",
    }});
    for (_, name, description) in REFUSALS {
        components["responses"][name] = json!({
            "description": description,
            "content": {CONTENT_TYPE_PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        });
    }
    components["responses"]["Unauthorized"]["headers"] =
        json!({"www-authenticate": {"schema": {"type": "string"}, "description": "`Bearer`"}});
    components["responses"]["Unavailable"]["headers"] =
        json!({"retry-after": {"schema": {"type": "integer"}, "description": "Seconds."}});
    for schema in objects(&mut components["schemas"]) {
        demand(schema.1);
    }
    for (path, item) in objects(&mut document["paths"]) {
        for (method, operation) in objects(item) {
            common(path, method, operation);
        }
    }
    document
}

/// What operations have in common.
fn common(path: &str, method: &str, operation: &mut Value) {
    let words = path
        .split(['/', '{', '}', '.'])
        .filter(|word| !word.is_empty() && *word != "v1");
    operation["operationId"] = words
        .fold(method.to_owned(), |id, word| id + "_" + word)
        .into();
    let is_asked = operation["parameters"].is_array() || operation["requestBody"].is_object();
    if let Some(Value::Array(parameters)) = operation.get_mut("parameters") {
        for parameter in parameters {
            // What is not given is absent; a query has no null.
            without_null(&mut parameter["schema"]);
        }
    }
    // Documentation of a handler begins with its method and path, which are told here already.
    if let Some((_, summary)) = operation["summary"]
        .as_str()
        .and_then(|text| text.split_once("`: "))
    {
        operation["summary"] = summary.into();
    }
    let mut statuses = vec!["500"];
    if path != "/metrics" {
        statuses.push("503");
    }
    if path.starts_with("/v1/") {
        operation["security"] = json!([{"bearer": []}]);
        statuses.push("401");
    }
    if is_asked {
        statuses.push("400");
    }
    for (status, name, _) in REFUSALS {
        if statuses.contains(&status) {
            operation["responses"][status] =
                json!({"$ref": format!("#/components/responses/{name}")});
        }
    }
}

/// Takes `null` out of what a schema allows.
fn without_null(schema: &mut Value) {
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [only] = types.as_slice() {
            schema["type"] = only.clone();
        }
    }
    if let Some(Value::Array(either)) = schema.get_mut("oneOf") {
        either.retain(|schema| schema["type"] != "null");
        if let [only] = either.as_slice() {
            *schema = only.clone();
        }
    }
}

/// Demands the fields that may be `null`: they are always there.
fn demand(schema: &mut Value) {
    if let Some(Value::Array(parts)) = schema.get_mut("allOf") {
        parts.iter_mut().for_each(demand);
    }
    let Some(properties) = schema["properties"].as_object() else {
        return;
    };
    let may_be_null = |schema: &Value| {
        let is_null = |kind: &Value| *kind == "null";
        let types = schema["type"]
            .as_array()
            .is_some_and(|types| types.iter().any(is_null));
        let either = schema["oneOf"].as_array();
        types || either.is_some_and(|either| either.iter().any(|one| is_null(&one["type"])))
    };
    let nullable: Vec<Value> = properties
        .iter()
        .filter(|(_, property)| may_be_null(property))
        .map(|(name, _)| name.as_str().into())
        .collect();
    if let Value::Array(required) = &mut schema["required"] {
        required.extend(nullable);
    } else if !nullable.is_empty() {
        schema["required"] = nullable.into();
    }
}

fn objects(value: &mut Value) -> impl Iterator<Item = (&String, &mut Value)> {
    value.as_object_mut().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed() -> Value {
        serde_json::from_str(document()).unwrap()
    }

    fn operations(document: &Value) -> Vec<(String, &Value)> {
        let paths = document["paths"].as_object().unwrap();
        paths
            .iter()
            .flat_map(|(path, item)| {
                let methods = item.as_object().unwrap().iter();
                methods.map(move |(method, operation)| (format!("{method} {path}"), operation))
            })
            .collect()
    }

    /// `routes!` puts a route into the router and the document at once; nothing else may add any.
    #[test]
    fn every_route_is_in_the_document() {
        let server = include_str!("server.rs");
        for undescribed in [".route(", ".route_service(", ".nest(", ".nest_service("] {
            assert!(
                !server.contains(undescribed),
                "{undescribed}: a route is given to the router by .routes(routes!(handler))"
            );
        }
        let handlers: usize = server
            .match_indices("routes!(")
            .map(|(start, opening)| {
                let rest = &server[start + opening.len()..];
                rest[..rest.find(')').unwrap()]
                    .split(',')
                    .filter(|name| !name.trim().is_empty())
                    .count()
            })
            .sum();
        assert!(handlers > 10);
        assert_eq!(operations(&parsed()).len(), handlers);
    }

    #[test]
    fn every_operation_has_a_name_of_its_own_a_summary_and_a_tag_that_is_described() {
        let document = parsed();
        let mut names = std::collections::BTreeSet::new();
        for (operation, described) in operations(&document) {
            assert!(
                names.insert(described["operationId"].as_str().unwrap()),
                "{operation}"
            );
            assert!(
                described["summary"]
                    .as_str()
                    .is_some_and(|text| !text.is_empty()),
                "{operation}"
            );
            let tags = document["tags"].as_array().unwrap();
            assert!(
                tags.iter().any(|tag| tag["name"] == described["tags"][0]),
                "{operation}"
            );
        }
    }

    /// What a derive takes for a part of the path when nothing says that it is in the query.
    #[test]
    fn a_parameter_is_in_the_path_if_and_only_if_the_path_names_it() {
        for (operation, described) in operations(&parsed()) {
            for parameter in described["parameters"].as_array().into_iter().flatten() {
                let named =
                    operation.contains(&format!("{{{}}}", parameter["name"].as_str().unwrap()));
                assert_eq!(parameter["in"] == "path", named, "{operation} {parameter}");
                assert!(
                    !named || parameter["required"] == true,
                    "{operation} {parameter}"
                );
            }
        }
    }

    #[test]
    fn whatever_is_under_v1_may_demand_the_token() {
        for (operation, described) in operations(&parsed()) {
            let is_closed = operation.contains(" /v1/");
            assert_eq!(
                described["security"] == json!([{"bearer": []}]),
                is_closed,
                "{operation}"
            );
            assert_eq!(
                described["responses"]["401"].is_object(),
                is_closed,
                "{operation}"
            );
        }
    }

    /// A reference that leads nowhere is one that a generator stumbles over.
    #[test]
    fn every_reference_leads_somewhere() {
        fn visit(document: &Value, value: &Value) {
            if let Some(reference) = value["$ref"].as_str() {
                let pointer = reference.strip_prefix('#').unwrap();
                assert!(document.pointer(pointer).is_some(), "{reference}");
            }
            let object = value
                .as_object()
                .into_iter()
                .flatten()
                .map(|(_, inner)| inner);
            let array = value.as_array().into_iter().flatten();
            object.chain(array).for_each(|inner| visit(document, inner));
        }
        let document = parsed();
        visit(&document, &document);
    }

    #[test]
    fn what_may_be_null_is_always_there() {
        let document = parsed();
        let user = &document["components"]["schemas"]["User"];
        let required = user["required"].as_array().unwrap();
        assert!(required.contains(&json!("follow")) && required.contains(&json!("unionid")));
        let result = &document["components"]["schemas"]["EventResult"];
        assert!(
            !result["required"]
                .as_array()
                .unwrap()
                .contains(&json!("reason"))
        );
    }
}
