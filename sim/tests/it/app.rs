//! The application: what it was asked, and what it answers, late, wrongly or never.

use std::time::Duration;

use serde_json::json;
use weir_sim::app::{Answer, App};
use weir_sim::http::{HttpFault, Request, Response, Target, exchange};

async fn app() -> App {
    App::start(([127, 0, 0, 1], 0).into())
        .await
        .expect("a port")
}

fn event(id: &str, text: &str) -> Vec<u8> {
    json!({"id": id, "data": {"push": {"Content": text}}})
        .to_string()
        .into_bytes()
}

async fn ask(app: &App, body: Vec<u8>) -> Result<Response, HttpFault> {
    let target = Target::parse(&format!("http://{}", app.address())).expect("a URL");
    let mut request = Request::new("POST", "/wechat?openid=o");
    request.add_header("Content-Type", "application/cloudevents+json");
    request.body = body;
    exchange(&target, &request).await
}

async fn said(app: &App, body: Vec<u8>) -> (u16, String) {
    let response = ask(app, body).await.expect("an answer");
    let body = String::from_utf8(response.body).expect("text");
    (response.status, body)
}

#[tokio::test]
async fn every_call_is_recorded_with_its_id_in_either_format() {
    let app = app().await;
    said(&app, event("e1", "hello")).await;
    let xml = "<xml><MsgType>text</MsgType><Content>hi</Content><MsgId>42</MsgId></xml>";
    let (_, answer) = said(&app, xml.as_bytes().to_vec()).await;
    assert_eq!(answer, json!({"text": "You said: hi"}).to_string());
    let calls = app.calls();
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[0].path, "/wechat?openid=o");
    assert_eq!(
        calls[0].header("content-type"),
        Some("application/cloudevents+json")
    );
    assert_eq!(calls[0].id().as_deref(), Some("e1"));
    assert_eq!(calls[0].text().as_deref(), Some("hello"));
    assert_eq!(calls[1].id().as_deref(), Some("42"));
    assert!(calls[0].at <= calls[1].at);
}

#[tokio::test]
async fn the_latest_plan_that_fits_is_the_answer() {
    let app = app().await;
    app.plan("", Answer::text("anything"));
    app.plan("parcel", Answer::status(503));
    assert_eq!(
        said(&app, event("1", "hello")).await.1,
        r#"{"text":"anything"}"#
    );
    assert_eq!(said(&app, event("2", "my parcel")).await.0, 503);
    app.plan("parcel", Answer::empty());
    assert_eq!(
        said(&app, event("3", "my parcel")).await,
        (200, String::new())
    );
    app.plan("", Answer::xml("a ]]> b"));
    let (_, xml) = said(&app, event("4", "my parcel")).await;
    let fields = weir_sim::Fields::from_xml(xml.as_bytes()).expect("well-formed");
    assert_eq!(fields.text("Content"), Some("a ]]> b"));
}

#[tokio::test]
async fn a_late_answer_is_late() {
    let app = app().await;
    let delay = Duration::from_millis(200);
    app.plan("", Answer::text("at last").after(delay));
    let begun = std::time::Instant::now();
    assert_eq!(said(&app, event("1", "hello")).await.0, 200);
    assert!(begun.elapsed() >= delay);
}

#[tokio::test]
async fn resets_come_before_or_after_the_body_is_read() {
    let app = app().await;
    app.plan("", Answer::reset());
    assert!(ask(&app, event("read", "hello")).await.is_err());
    app.plan("", Answer::reset_unread());
    assert!(ask(&app, event("unread", "hello")).await.is_err());
    let ids: Vec<_> = app.calls().iter().map(weir_sim::app::Asked::id).collect();
    assert_eq!(ids, [Some("read".to_owned()), None]);
}

#[tokio::test]
async fn an_application_that_is_down_refuses_until_it_is_up_again() {
    let mut app = app().await;
    said(&app, event("1", "hello")).await;
    app.plan("", Answer::hang());
    let hanging = tokio::time::timeout(Duration::from_millis(50), ask(&app, event("2", "hi")));
    assert!(hanging.await.is_err(), "no answer");
    app.down().await;
    assert!(matches!(
        ask(&app, event("3", "hi")).await,
        Err(HttpFault::Connect(_))
    ));
    app.up().await.expect("the port is still free");
    app.plan("", Answer::empty());
    said(&app, event("4", "hi")).await;
    assert_eq!(app.calls().len(), 3, "it knows what it was asked before");
}
