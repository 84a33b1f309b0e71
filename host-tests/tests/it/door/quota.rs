//! `weir clear-quota`, through the door.

use std::process::Command;

use anyhow::Result;
use serde_json::Value;
use tokio::task::block_in_place;
use weir_host_tests::{Gateway, SHOP_KEY};
use weir_sim::api::Limit;
use weir_testbed::layout::Layout;

use super::{get, json, open};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_may_clear_quotas_lifts_what_the_door_had_stopped() -> Result<()> {
    let may = |door: &mut Value| {
        let allow = door["clients"][0]["allow"].as_array_mut();
        allow.expect("a list").push("/cgi-bin/clear_quota".into());
    };
    for (name, may) in [("clears-not", None), ("clears", Some(may))] {
        let change = move |door: &mut Value| {
            if let Some(may) = may {
                may(door);
            }
        };
        let Some(world) = open(name, change).await? else {
            return Ok(());
        };
        let path = "/cgi-bin/tags/get";
        let limit = Limit {
            per_day: Some(1),
            ..Limit::default()
        };
        world.api().set_quota("demo", path, limit)?;
        json(&world, &get(path)).await?;
        assert_eq!(json(&world, &get(path)).await?["errcode"], 45_009);
        let layout = Layout::of_this_checkout();
        let mut command = Command::new(layout.built_program("weir", "debug")?);
        let door = format!("http://{}", world.gateway.door_address()?);
        command
            .args(["clear-quota", "demo", "--yes", "--json"])
            .args(["--key-env", "SHOP_KEY", "--door", &door])
            .args(["--appid", &world.account.appid])
            .env("SHOP_KEY", SHOP_KEY);
        let output = block_in_place(|| command.output())?;
        let told: Value = serde_json::from_slice(&output.stdout)?;
        let cleared = may.is_some();
        assert_eq!(
            (output.status.success(), &told["cleared"]),
            (cleared, &cleared.into()),
            "{told}"
        );
        assert_eq!(
            world.api().ledger().count("/cgi-bin/clear_quota"),
            u64::from(cleared)
        );
        let answer = json(&world, &get(path)).await?;
        assert_eq!(answer["errcode"] == 45_009, !cleared, "{answer}");
    }
    Ok(())
}
