//! The shipped `envoy.yaml` in real Envoy, with the smallest module that Envoy takes in place of Weir: whether the
//! configuration is right does not depend on the plugin being right.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use weir_testbed::bootstrap::{Bootstrap, FilterFile, LISTENER};
use weir_testbed::envoy::{self, Binary, Envoy, Options};
use weir_testbed::layout::Layout;
use weir_testbed::process::{Process, wait_until};

/// A proxy-wasm module that does nothing: the ABI's version, a memory, and an allocator that never gives any.
const EMPTY_MODULE: &[u8] = b"\0asm\x01\0\0\0\
    \x01\x09\x02\x60\0\0\x60\x01\x7f\x01\x7f\
    \x03\x03\x02\0\x01\
    \x05\x03\x01\0\x01\
    \x07\x2d\x03\x17proxy_abi_version_0_2_1\0\0\x06malloc\0\x01\x06memory\x02\0\
    \x0a\x09\x02\x02\0\x0b\x04\0\x41\0\x0b";

struct World {
    envoy: Binary,
    dir: PathBuf,
    bootstrap: Bootstrap,
}

impl World {
    /// `None` where tests with Envoy are left out.
    fn new(name: &str) -> Result<Option<Self>> {
        let layout = Layout::of_this_checkout();
        let Some(envoy) = envoy::for_tests(&layout)? else {
            return Ok(None);
        };
        let dir = layout.scratch("testbed", name)?;
        let module = dir.join("empty.wasm");
        fs::write(&module, EMPTY_MODULE)?;
        let mut bootstrap = Bootstrap::read(&layout.envoy_yaml())?;
        bootstrap
            .only_listeners(&[LISTENER])?
            .bind_to_any_loopback_port()?;
        bootstrap.wasm_file(&module)?;
        // No name is looked up beyond this machine.
        bootstrap.endpoint("wechat_api", ([127, 0, 0, 1], 9).into())?;
        Ok(Some(Self {
            envoy,
            dir,
            bootstrap,
        }))
    }

    fn start(&self) -> Result<Envoy> {
        Envoy::start(&self.envoy, &self.bootstrap, &self.dir, &Options::default())
    }
}

#[test]
fn envoy_accepts_the_shipped_configuration_without_a_warning() -> Result<()> {
    let Some(world) = World::new("validate")? else {
        return Ok(());
    };
    // As it is in the repository, but for the modules: relative to the working directory, as the file says.
    let target = world.dir.join("target");
    fs::create_dir(&target)?;
    for module in ["weir.wasm", "weir-door.wasm", "weir-login.wasm"] {
        fs::write(target.join(module), EMPTY_MODULE)?;
    }
    Envoy::validate(
        &world.envoy,
        &Layout::of_this_checkout().envoy_yaml(),
        &world.dir,
    )
}

#[test]
fn what_weir_does_not_answer_is_not_found_and_the_query_stays_out_of_the_log() -> Result<()> {
    let Some(world) = World::new("not-found")? else {
        return Ok(());
    };
    let mut envoy = world.start()?;
    let url = format!("http://{}/elsewhere?echostr=secret", envoy.push_address()?);
    let agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .new_agent();
    let answer = agent.get(&url).call()?;
    assert_eq!(answer.status(), 404);
    assert!(
        answer.headers().get("server").is_none(),
        "{:?}",
        answer.headers()
    );
    let out = envoy.process().out().to_owned();
    let line = wait_until("the access log", Duration::from_secs(20), || {
        Ok(fs::read_to_string(&out)?.lines().next().map(str::to_owned))
    })?;
    assert!(
        line.contains(r#""path":"/elsewhere""#) && !line.contains("secret"),
        "{line}"
    );
    assert_eq!(envoy.stats()?.get("http.weir_push.downstream_rq_4xx"), 1);
    Ok(())
}

#[test]
fn a_filter_in_a_file_is_updated_while_envoy_serves_and_a_broken_one_is_rejected() -> Result<()> {
    let Some(mut world) = World::new("update")? else {
        return Ok(());
    };
    let mut filter = world
        .bootstrap
        .deliver_filter_by_file(&world.dir.join("filter.json"))?;
    let envoy = world.start()?;
    let seen = |outcome: &str| -> Result<u64> {
        Ok(envoy.stats()?.get(&format!(
            "extension_config_discovery.http_filter.weir.{outcome}"
        )))
    };
    let wait_for = |outcome: &'static str, count: u64| {
        wait_until(outcome, Duration::from_secs(20), || {
            Ok((seen(outcome)? >= count).then_some(()))
        })
    };
    wait_for("update_success", 1)?;
    filter
        .plugin(|plugin| plugin["store"]["ack"] = "at_once".into())
        .and_then(FilterFile::publish)?;
    wait_for("update_success", 2)?;
    let broken = world.dir.join("broken.wasm");
    fs::write(&broken, b"not a module")?;
    filter.wasm_file(&broken).and_then(FilterFile::publish)?;
    wait_for("update_rejected", 1)?;
    Ok(())
}

#[test]
fn a_child_is_gone_when_its_guard_is() -> Result<()> {
    let dir = Layout::of_this_checkout().scratch("testbed", "guard")?;
    let process = Process::start("sleep", waiting(), &dir)?;
    let entry = PathBuf::from(format!("/proc/{}", process.pid()));
    ensure!(
        !Path::new("/proc/self").exists() || entry.exists(),
        "it runs"
    );
    drop(process);
    assert!(!entry.exists());
    Ok(())
}

#[test]
fn a_child_that_ends_early_is_reported_with_what_it_said() -> Result<()> {
    let dir = Layout::of_this_checkout().scratch("testbed", "early-end")?;
    let mut command = Command::new("sh");
    command.args(["-c", "echo cannot find the thing >&2; exit 3"]);
    let mut process = Process::start("sh", command, &dir)?;
    let error = process
        .wait_for_line("its address", Duration::from_secs(20), |line| {
            line.strip_prefix("listening on ").map(str::to_owned)
        })
        .err()
        .context("it said nothing of the kind")?;
    let error = format!("{error:#}");
    assert!(
        error.contains("before its address") && error.contains("cannot find the thing"),
        "{error}"
    );
    Ok(())
}

/// A child to wait beside; it ends long after every deadline here.
fn waiting() -> Command {
    let mut command = Command::new("sleep");
    command.arg("600");
    command
}
