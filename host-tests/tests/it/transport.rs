//! HTTP as strangers speak it.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use weir_host_tests::{Gateway, Plan, World, somebody};
use weir_sim::Push;
use weir_sim::http::{Framing, Slow};

pub(crate) async fn a_header_that_is_not_text_does_no_harm<G: Gateway>() -> Result<()> {
    let Some(world) = World::<G>::start("non-utf8", Plan::default()).await? else {
        return Ok(());
    };
    let sender = world.sender()?.bending(|_, request| {
        request
            .add_header("x-odd", b"\xff\xfe")
            .add_header("user-agent", b"\x80");
    });
    for _ in 0..4 {
        let exchange = sender
            .push(&Push::text(&world.account, &somebody(), "hi"))
            .await;
        assert_eq!(
            exchange.reply.text(),
            Some("We have your message."),
            "{exchange:?}"
        );
        assert_eq!(exchange.attempts.len(), 1);
    }
    Ok(())
}

pub(crate) async fn a_push_may_come_in_pieces_and_end_with_trailers<G: Gateway>() -> Result<()> {
    let plan = Plan::default().bootstrap(|bootstrap| {
        bootstrap.connection_manager()?["http_protocol_options"] =
            json!({ "enable_trailers": true });
        Ok(())
    });
    let Some(world) = World::<G>::start("trailers", plan).await? else {
        return Ok(());
    };
    let trailer = |name: &[u8], value: &[u8]| (name.to_vec(), value.to_vec());
    let one = trailer(b"x-checksum", b"abc");
    for trailers in [
        vec![],
        vec![one.clone()],
        vec![one, trailer(b"x-odd", b"\xff\xfe")],
    ] {
        for slow in [
            None,
            Some(Slow {
                piece: 100,
                pause: Duration::from_millis(2),
            }),
        ] {
            let trailers = trailers.clone();
            let sender = world.sender()?.bending(move |_, request| {
                request.framing = Framing::Chunked {
                    size: 64,
                    trailers: trailers.clone(),
                };
                request.slow = slow;
            });
            let exchange = sender
                .push(&Push::text(&world.account, &somebody(), "hi"))
                .await;
            assert_eq!(
                exchange.reply.text(),
                Some("We have your message."),
                "{exchange:?}"
            );
            assert_eq!(exchange.attempts.len(), 1);
        }
    }
    Ok(())
}
