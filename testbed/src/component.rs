//! What `envoy.yaml` says, for a host that has no clusters: the component's.
//!
//! The plugin's configuration stays what it is, but for its peers, which are named by their origins. A peer behind TLS keeps its
//! name, and the host is told where that is and whom to trust.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::bootstrap::Bootstrap;
use crate::process::Process;
use crate::stats::Stats;

/// How long it may take to compile the component and to listen.
const START_LIMIT: Duration = Duration::from_secs(120);

/// What the component's host is told.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settings {
    /// The component's configuration.
    pub document: Value,
    /// Where names are.
    pub ways: Vec<(String, SocketAddr)>,
    /// Whom to trust.
    pub trusted_ca: Vec<PathBuf>,
}

impl Settings {
    /// Takes them from `bootstrap`.
    ///
    /// # Errors
    /// The filter names a cluster that is not there, or one without an address.
    pub fn of(bootstrap: &Bootstrap) -> Result<Self> {
        let mut settings = Self::default();
        bootstrap.clone().plugin(|plugin| {
            settings.document = plugin.clone();
        })?;
        let mut document = settings.document.take();
        let apps = document["apps"].as_array().map_or(0, Vec::len);
        let places = ["/store".to_owned(), "/wechat_api".to_owned()].into_iter();
        for place in places.chain((0..apps).map(|n| format!("/apps/{n}"))) {
            let Some(peer) = document.pointer_mut(&place) else {
                continue;
            };
            let name = peer["cluster"].as_str().context("a peer has a cluster")?;
            let origin = settings.origin(bootstrap, name)?;
            peer["cluster"] = origin.into();
            if let Some(fields) = peer.as_object_mut() {
                fields.remove("authority");
            }
        }
        settings.document = document;
        Ok(settings)
    }

    fn origin(&mut self, bootstrap: &Bootstrap, name: &str) -> Result<String> {
        let cluster = bootstrap.cluster_named(name)?;
        let socket = "/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address/socket_address";
        let socket = cluster
            .pointer(socket)
            .context("a cluster has an endpoint")?;
        let host = socket["address"]
            .as_str()
            .context("an endpoint has an address")?;
        let port = &socket["port_value"];
        let Some(tls) = cluster.pointer("/transport_socket/typed_config") else {
            return Ok(format!("http://{host}:{port}"));
        };
        let sni = tls["sni"]
            .as_str()
            .context("a peer behind TLS has a name")?;
        // A name stays what it is; an address is the way to it.
        if let Ok(address) = format!("{host}:{port}").parse() {
            self.ways.push((sni.to_owned(), address));
        }
        let ca = "/common_tls_context/validation_context/trusted_ca/filename";
        let ca = tls.pointer(ca).and_then(Value::as_str);
        self.trusted_ca.extend(ca.map(PathBuf::from));
        Ok(format!("https://{sni}"))
    }
}

/// A running `weir-serve`, ended when this is dropped.
#[derive(Debug)]
pub struct ComponentHost {
    process: Process,
    push: SocketAddr,
    admin: SocketAddr,
}

impl ComponentHost {
    /// Writes the settings to `weir.json` in `dir` and starts the program on them, on `listen`.
    ///
    /// # Errors
    /// It cannot be started, or refuses the configuration; the message quotes its log.
    pub fn start(
        program: &Path,
        component: &Path,
        settings: &Settings,
        dir: &Path,
        listen: SocketAddr,
        environment: Vec<(String, String)>,
    ) -> Result<Self> {
        let config = dir.join("weir.json");
        std::fs::write(&config, serde_json::to_vec_pretty(&settings.document)?)?;
        let mut command = Command::new(program);
        command
            .arg("--component")
            .arg(component)
            .arg("--config")
            .arg(&config)
            .args(["--listen", &listen.to_string(), "--admin", "127.0.0.1:0"])
            .envs(environment)
            .current_dir(dir);
        for (name, address) in &settings.ways {
            command.args(["--resolve", &format!("{name}={address}")]);
        }
        for ca in &settings.trusted_ca {
            command.arg("--trusted-ca").arg(ca);
        }
        let mut process = Process::start("component", command, dir)?;
        process.wait_for_line("being ready", START_LIMIT, |line| {
            (line == "ready").then_some(())
        })?;
        // It says where before that.
        let mut address = |begins: &str| {
            process.wait_for_line("its addresses", START_LIMIT, |line| {
                line.strip_prefix(begins)?.parse().ok()
            })
        };
        Ok(Self {
            push: address("listener weir_push ")?,
            admin: address("admin ")?,
            process,
        })
    }

    /// Where pushes go.
    #[must_use]
    pub fn push_address(&self) -> SocketAddr {
        self.push
    }

    /// Its numbers.
    ///
    /// # Errors
    /// It does not answer.
    pub fn stats(&self) -> Result<Stats> {
        let text = ureq::get(format!("http://{}/stats", self.admin)).call()?;
        Ok(Stats::parse(&text.into_body().read_to_string()?))
    }

    /// The process, for its pid and its files.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bootstrap::{STORE, WECHAT_API};
    use crate::layout::Layout;

    #[test]
    fn a_peer_behind_tls_keeps_its_name_and_another_one_is_its_address() {
        let yaml = Layout::of_this_checkout().envoy_yaml();
        let mut bootstrap = Bootstrap::read(&yaml).expect("envoy.yaml is readable");
        let [store, api] = [1, 2].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        bootstrap
            .endpoint(STORE, store)
            .and_then(|bootstrap| bootstrap.endpoint(WECHAT_API, api))
            .and_then(|bootstrap| bootstrap.trusted_ca(WECHAT_API, Path::new("/ca.pem")))
            .expect("both are there");
        let settings = Settings::of(&bootstrap).expect("usable");
        let document = &settings.document;
        assert_eq!(document["store"]["cluster"], "http://127.0.0.1:1");
        let name = "api.weixin.qq.com";
        assert_eq!(document["wechat_api"]["cluster"], format!("https://{name}"));
        assert_eq!(settings.ways, [(name.to_owned(), api)]);
        assert_eq!(settings.trusted_ca, [PathBuf::from("/ca.pem")]);
    }
}
