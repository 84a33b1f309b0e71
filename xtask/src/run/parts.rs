//! The programs of a run, and how they are introduced to a person.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use weir_testbed::bootstrap::{Bootstrap, DOOR_LISTENER, LISTENER, STORE, WECHAT_API};
use weir_testbed::component::{ComponentHost, Settings};
use weir_testbed::envoy::{self, Binary, Envoy};
use weir_testbed::layout::Layout;
use weir_testbed::programs::{Api, Store, WasmHost};

use super::Host;
use crate::{cargo, component, say};

/// Ports of `envoy.yaml`.
const PUSH_PORT: u16 = 10_000;
const DOOR_PORT: u16 = 10_001;
const STORE_PORT: u16 = 8_090;
const ADMIN_PORT: u16 = 9_901;

/// What the client `shop` of `envoy.yaml` shows at the door of a local run: no secret.
const SHOP_KEY: &str = "the-shop-of-a-local-run";

/// What will run the module.
pub(super) enum Chosen {
    Envoy(Binary),
    Wasmtime(PathBuf),
    Component(PathBuf),
}

/// Envoy, or the wasmtime host where it is wanted or where no Envoy can be had.
pub(super) fn find_gateway(layout: &Layout, host: Host) -> Result<Chosen> {
    if host == Host::Envoy {
        let found = say::timed("Envoy", || {
            let found = envoy::find(layout, say::note);
            if let Ok(envoy) = &found {
                say::note(&format!(
                    "{} from {}: {}",
                    envoy.version,
                    envoy.origin,
                    envoy.path.display()
                ));
            }
            Ok(found)
        })?;
        match found {
            Ok(envoy) => return Ok(Chosen::Envoy(envoy)),
            Err(error) => say::loudly(&format!(
                "NOT ENVOY: {error:#}\n    Going on with the wasmtime host. It runs the same weir.wasm from the same \
                 envoy.yaml,\n    but it is a test harness, not a proxy."
            )),
        }
    }
    if host == Host::Component {
        return say::timed("weir-serve", || {
            component::build_hosts(layout, "dev", &["weir-serve"])?;
            layout
                .built_program("weir-serve", "debug")
                .map(Chosen::Component)
        });
    }
    say::timed("the wasmtime host", || {
        cargo::build_programs(layout, "dev", &["weir-host"])
    })?;
    Ok(Chosen::Wasmtime(
        layout.built_program("weir-host", "debug")?,
    ))
}

enum Gateway {
    Envoy(Envoy),
    Wasmtime(WasmHost),
    Component(ComponentHost),
}

/// Everything that runs; dropping it ends the gateway first, what is behind it afterwards.
pub(super) struct Parts {
    gateway: Gateway,
    push: SocketAddr,
    /// Only Envoy has it.
    door: Option<SocketAddr>,
    store: Store,
    api: Api,
    dir: PathBuf,
    pub(super) sim: PathBuf,
    pub(super) account_file: PathBuf,
}

impl Parts {
    /// Starts the store, WeChat's API and the gateway, each bound to loopback.
    pub(super) fn start(layout: &Layout, chosen: Chosen) -> Result<Self> {
        let dir = layout.emptied("run")?;
        let sim = layout.built_program("weir-sim", "debug")?;
        let mut bootstrap = Bootstrap::read(&layout.envoy_yaml())?;
        let account = account(&sim, &mut bootstrap)?;
        let account_file = dir.join("account.json");
        fs::write(&account_file, serde_json::to_vec_pretty(&account)?)?;

        let api = Api::start(&sim, &dir, &account_file)?;
        let store = Store::start(
            &layout.built_program("weir-store", "debug")?,
            &dir,
            preferred(STORE_PORT),
        )?;
        bootstrap
            .only_listeners(&[LISTENER, DOOR_LISTENER])?
            .admin(preferred(ADMIN_PORT))?
            .listener(LISTENER, preferred(PUSH_PORT))?
            .listener(DOOR_LISTENER, preferred(DOOR_PORT))?
            .door(&layout.door_wasm(), |_| {})?
            .endpoint(STORE, store.address())?
            .endpoint(WECHAT_API, api.address())?
            .trusted_ca(WECHAT_API, api.ca())?;
        if !matches!(chosen, Chosen::Component(_)) {
            bootstrap.wasm_file(&layout.built_wasm()?)?;
        }
        let environment = environment(&account)?;
        let (gateway, push, door) = match chosen {
            Chosen::Envoy(binary) => {
                let options = envoy::Options {
                    environment,
                    ..envoy::Options::default()
                };
                let envoy = Envoy::start(&binary, &bootstrap, &dir, &options)?;
                let push = envoy.push_address()?;
                let door = envoy.listener(DOOR_LISTENER)?;
                (Gateway::Envoy(envoy), push, Some(door))
            }
            Chosen::Wasmtime(program) => {
                let host = WasmHost::start(&program, &bootstrap, &dir, environment)?;
                let push = host.push_address();
                (Gateway::Wasmtime(host), push, None)
            }
            Chosen::Component(program) => {
                let host = ComponentHost::start(
                    &program,
                    &layout.component(),
                    &Settings::of(&bootstrap)?,
                    &dir,
                    preferred(PUSH_PORT),
                    environment,
                )?;
                let push = host.push_address();
                (Gateway::Component(host), push, None)
            }
        };
        Ok(Self {
            gateway,
            push,
            door,
            store,
            api,
            dir,
            sim,
            account_file,
        })
    }

    pub(super) fn push_url(&self) -> String {
        format!("http://{}/wechat/demo", self.push)
    }

    pub(super) fn store_url(&self) -> String {
        format!("http://{}", self.store.address())
    }

    pub(super) fn control_url(&self) -> String {
        format!("http://{}", self.api.control())
    }

    /// Who is where.
    pub(super) fn introduce(&self) {
        let gateway = match self.gateway {
            Gateway::Envoy(_) => "Envoy",
            Gateway::Wasmtime(_) => "wasmtime host",
            Gateway::Component(_) => "weir-serve",
        };
        let line = |name: &str, what: &str| println!("    {name:<16}{what}");
        line(gateway, &self.push_url());
        if let Some(door) = self.door {
            line("API door", &format!("http://{door}, as {SHOP_KEY}"));
        }
        line("store", &self.store_url());
        line(
            "WeChat's API",
            &format!(
                "https://{} (simulated, control at {})",
                self.api.address(),
                self.control_url()
            ),
        );
        line("logs, database", &self.dir.display().to_string());
    }

    /// What a person may do now.
    pub(super) fn invite(&self) {
        let account_file = self.account_file.display();
        let sim = self.sim.display();
        println!("Up until Ctrl-C. Try:\n");
        println!("  # more of WeChat's side; --help lists it");
        println!(
            "  {sim} push --account-file {account_file} --url {} text 'good morning'",
            self.push_url()
        );
        println!(
            "  {sim} push --account-file {account_file} --url {} subscribe --scene 7\n",
            self.push_url()
        );
        println!("  # what the store knows");
        println!("  curl {}/v1/users", self.store_url());
        println!("  curl '{}/v1/messages?account=demo'\n", self.store_url());
        if let Gateway::Envoy(envoy) = &self.gateway {
            println!("  # what Weir counts");
            println!(
                "  curl -s http://{}/stats/prometheus | grep ^weir_\n",
                envoy.admin()
            );
        }
    }

    /// Fails as soon as one of the programs has ended.
    pub(super) fn ensure_running(&mut self) -> Result<()> {
        let gateway = match &mut self.gateway {
            Gateway::Envoy(envoy) => envoy.process(),
            Gateway::Wasmtime(host) => host.process(),
            Gateway::Component(host) => host.process(),
        };
        for (name, process) in [
            ("the gateway", gateway),
            ("the store", self.store.process()),
            ("the API", self.api.process()),
        ] {
            ensure!(
                process.is_running()?,
                "{name} has ended\n{}",
                process.tail()
            );
        }
        Ok(())
    }

    /// Ends the gateway first, so that nothing is under way when the store ends.
    pub(super) fn stop(self) -> Result<()> {
        drop(self.gateway);
        drop(self.api);
        self.store.stop()
    }
}

/// The account of `envoy.yaml`, with secrets of its own.
fn account(sim: &Path, bootstrap: &mut Bootstrap) -> Result<Value> {
    let output = Command::new(sim)
        .args(["account", "demo"])
        .output()
        .context("cannot run weir-sim")?;
    ensure!(
        output.status.success(),
        "weir-sim account failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut account: Value =
        serde_json::from_slice(&output.stdout).context("weir-sim account prints JSON")?;
    bootstrap.plugin(|plugin| {
        for field in ["name", "original_id", "appid", "mode"] {
            account[field] = plugin["accounts"][0][field].clone();
        }
    })?;
    Ok(account)
}

fn environment(account: &Value) -> Result<Vec<(String, String)>> {
    [
        ("WEIR_DEMO_TOKEN", "token"),
        ("WEIR_DEMO_AES_KEY", "encoding_aes_key"),
        ("WEIR_DEMO_APP_SECRET", "secret"),
    ]
    .into_iter()
    .map(|(name, field)| {
        let value = account[field]
            .as_str()
            .with_context(|| format!("an account has a {field}"))?;
        Ok((name.to_owned(), value.to_owned()))
    })
    .chain([Ok(("WEIR_SHOP_KEY".to_owned(), SHOP_KEY.to_owned()))])
    .collect()
}

/// The port where it is free, else any.
fn preferred(port: u16) -> SocketAddr {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    match TcpListener::bind(address) {
        Ok(_) => address,
        Err(_) => {
            say::note(&format!("port {port} is taken: another one is used"));
            SocketAddr::from(([127, 0, 0, 1], 0))
        }
    }
}
