//! What such a host cannot give is refused with its path, before anything is served.

use serde_json::json;
use wasmtime::Result;
use wasmtime::error::Context as _;
use weir_component_tests::{document, serve};
use weir_host::component::{Batch, Error};

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
    let served = serve(&document, 2, Batch::default()).await?;
    let refused = served.err().context("it is refused")?;
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
    let document = document("http://127.0.0.1:1");
    let server = serve(&document, 2, Batch::default()).await??;
    assert!(server.address().port() > 0);
    Ok(())
}
