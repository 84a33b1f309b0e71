//! What such a host cannot give is refused with its path, before anything is served.

use serde_json::{Value, json};
use wasmtime::Result;
use wasmtime::error::Context as _;
use weir_component_tests::{TOKEN, built, document};
use weir_host::component::{Batch, Error, Options, Server};
use weir_testbed::layout::Layout;

async fn start(document: &Value) -> Result<Result<Server, Error>> {
    let environment = [
        ("WEIR_CONFIG", document.to_string()),
        ("TOKEN", TOKEN.into()),
    ];
    Ok(Server::start(Options {
        component: built(Layout::component)?,
        environment: environment
            .map(|(name, value)| (name.to_owned(), value))
            .into(),
        listen: ([127, 0, 0, 1], 0).into(),
        admin: None,
        ways: Vec::new(),
        trusted_ca: Vec::new(),
        instances: 2,
        batch: Batch::default(),
    })
    .await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_needs_work_between_requests_is_refused_with_every_path() -> Result<()>
{
    let mut document = document("weir_store");
    document["store"]["ack"] = "at_once".into();
    document["apps"] =
        json!([{ "name": "shop", "cluster": "http://127.0.0.1:1", "authority": "shop" }]);
    document["accounts"][0]["rules"] = json!([{ "forward": "shop" }]);
    document["accounts"][0]["late_replies"] = "send".into();
    document["unknown"] = 1.into();
    let refused = start(&document).await?.err().context("it is refused")?;
    let Error::Refused(problems) = refused else {
        wasmtime::bail!("{refused}");
    };
    for path in [
        "unknown",
        "store.ack",
        "store.cluster",
        "apps[0].authority",
        "accounts[0].late_replies",
        "accounts[0].rules[0].forward",
    ] {
        let told = |problem: &String| problem.starts_with(&format!("{path}: "));
        assert!(problems.iter().any(told), "{path}: {problems:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_does_not_is_served() -> Result<()> {
    let server = start(&document("http://127.0.0.1:1")).await??;
    assert!(server.address().port() > 0);
    Ok(())
}
