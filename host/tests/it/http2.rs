//! HTTP/2 with prior knowledge, on the same listener.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request};
use http_body_util::{BodyExt, Full};
use hyper::body::Frame;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use crate::rig::Rig;

type Body = http_body_util::combinators::BoxBody<Bytes, Infallible>;

/// Sends requests on one connection at once and gives the statuses and bodies.
fn send(rig: &Rig, requests: Vec<Request<Body>>) -> Vec<(u16, String)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let tcp = TcpStream::connect(rig.address()).await.expect("it listens");
        let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(tcp))
            .await
            .expect("it speaks HTTP/2");
        tokio::spawn(connection);
        let mut answers = Vec::new();
        for request in requests {
            let mut sender = sender.clone();
            answers.push(tokio::spawn(async move {
                let response = sender.send_request(request).await.expect("an answer");
                let status = response.status().as_u16();
                let body = response.collect().await.expect("a body").to_bytes();
                (status, String::from_utf8_lossy(&body).into_owned())
            }));
        }
        let mut done = Vec::new();
        for answer in answers {
            done.push(answer.await.expect("no panic"));
        }
        done
    })
}

fn request(path: &str, body: Body) -> Request<Body> {
    Request::post(format!("http://test{path}"))
        .body(body)
        .expect("a request")
}

#[test]
fn streams_of_one_connection_are_served_beside_each_other() {
    let rig = Rig::start("one tick");
    let full = |text: &'static str| Full::from(text).boxed();
    let answers = send(
        &rig,
        vec![
            request("/park-and-answer", full("parked")),
            request("/body", full("0123456789")),
            request("/pass", full("to the upstream")),
        ],
    );
    assert_eq!(answers[0], (200, "by the tick".to_owned()));
    assert!(
        answers[1]
            .1
            .ends_with("10 bytes, 1..3 is 12, beyond is None"),
        "{answers:?}"
    );
    assert_eq!(
        answers[2],
        (200, "POST /pass HTTP/1.1 to the upstream".to_owned())
    );
}

#[test]
fn trailers_end_a_request_as_on_http1() {
    let rig = Rig::start("one");
    let mut trailers = HeaderMap::new();
    trailers.insert("x-last", HeaderValue::from_static("word"));
    let frames = [Frame::data(Bytes::from("abcd")), Frame::trailers(trailers)];
    let body = Frames(frames.into()).boxed();
    let answers = send(&rig, vec![request("/trailers", body)]);
    assert_eq!(
        answers[0].1,
        "headers end=false; body 4 end=false; trailers 1 word abcd"
    );
}

/// A body whose frames are all there already.
struct Frames(VecDeque<Frame<Bytes>>);

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(Ok))
    }
}
