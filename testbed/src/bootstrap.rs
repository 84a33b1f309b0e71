//! `envoy.yaml`, rendered for a run on loopback.
//!
//! The repository's own file is what runs, locally as in production. Only what cannot be the same is replaced, each by
//! the name of its listener, cluster or filter, and an absent name is an error, so that the file and its users cannot
//! drift apart silently. The result is written as JSON, which Envoy takes as well.
//!
//! Envoy may also be given the wasm filter in a file of its own ([`Bootstrap::deliver_filter_by_file`]), which it
//! watches: the way to update the plugin's configuration or code while it serves.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

/// The name of the wasm filter in `envoy.yaml`.
pub const FILTER: &str = "weir";
/// The listener that takes pushes.
pub const LISTENER: &str = "weir_push";
/// The wasm filter of the API door.
pub const DOOR_FILTER: &str = "weir_door";
/// The listener that takes API calls of applications.
pub const DOOR_LISTENER: &str = "weir_api";
/// The wasm filter of logins.
pub const LOGIN_FILTER: &str = "weir_login";
/// The listener that takes browsers and mini programs.
pub const WEB_LISTENER: &str = "weir_web";
/// The cluster of the store.
pub const STORE: &str = "weir_store";
/// The cluster of the application that rules forward pushes to.
pub const APP: &str = "app";
/// The cluster of WeChat's API.
pub const WECHAT_API: &str = "wechat_api";

const WASM_TYPE: &str = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";

/// An Envoy bootstrap configuration that can be adapted and written.
#[derive(Debug, Clone)]
pub struct Bootstrap {
    document: Value,
}

impl Bootstrap {
    /// Reads a configuration in YAML or JSON.
    ///
    /// # Errors
    /// The file cannot be read or is not YAML.
    pub fn read(path: &Path) -> Result<Self> {
        let text =
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("{} is not usable", path.display()))
    }

    fn parse(text: &str) -> Result<Self> {
        Ok(Self {
            document: serde_yaml_ng::from_str(text)?,
        })
    }

    /// The whole document, for what has no method of its own here.
    pub fn document_mut(&mut self) -> &mut Value {
        &mut self.document
    }

    /// Makes everything bind to loopback at a port the kernel chooses: every listener and the admin door.
    /// The ports are known once Envoy runs.
    ///
    /// # Errors
    /// A listener without a socket address.
    pub fn bind_to_any_loopback_port(&mut self) -> Result<&mut Self> {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        self.admin(any)?;
        let names: Vec<String> = self
            .array("/static_resources/listeners")?
            .iter()
            .filter_map(name_of)
            .collect();
        for name in names {
            self.listener(&name, any)?;
        }
        Ok(self)
    }

    /// Moves the admin door.
    ///
    /// # Errors
    /// The document has no admin section.
    pub fn admin(&mut self, address: SocketAddr) -> Result<&mut Self> {
        let admin = self.document.get_mut("admin").context("no admin section")?;
        set_socket_address(admin, address)?;
        Ok(self)
    }

    /// Moves a listener.
    ///
    /// # Errors
    /// No listener of that name, or one without a socket address.
    pub fn listener(&mut self, name: &str, address: SocketAddr) -> Result<&mut Self> {
        set_socket_address(
            named(self.array_mut("/static_resources/listeners")?, name)?,
            address,
        )?;
        Ok(self)
    }

    /// Points a cluster at one endpoint.
    ///
    /// # Errors
    /// No cluster of that name, or one without exactly one endpoint.
    pub fn endpoint(&mut self, cluster: &str, address: SocketAddr) -> Result<&mut Self> {
        let endpoint = self
            .cluster(cluster)?
            .pointer_mut("/load_assignment/endpoints/0/lb_endpoints/0/endpoint")
            .with_context(|| format!("cluster {cluster} has no endpoint"))?;
        set_socket_address(endpoint, address)?;
        Ok(self)
    }

    /// Gives a cluster another `connect_timeout`, say `20s`.
    ///
    /// # Errors
    /// No cluster of that name.
    pub fn connect_timeout(&mut self, cluster: &str, timeout: &str) -> Result<&mut Self> {
        self.cluster(cluster)?["connect_timeout"] = timeout.into();
        Ok(self)
    }

    /// Replaces the CA bundle a cluster's certificates are checked against; the check itself stays as it is.
    ///
    /// # Errors
    /// No cluster of that name, or one without TLS and a CA bundle.
    pub fn trusted_ca(&mut self, cluster: &str, file: &Path) -> Result<&mut Self> {
        let at = "/transport_socket/typed_config/common_tls_context/validation_context/trusted_ca/filename";
        *self
            .cluster(cluster)?
            .pointer_mut(at)
            .with_context(|| format!("cluster {cluster} has no CA bundle to replace"))? =
            path_value(file)?;
        Ok(self)
    }

    /// Replaces the file of the wasm module.
    ///
    /// # Errors
    /// The filter is not in the document.
    pub fn wasm_file(&mut self, file: &Path) -> Result<&mut Self> {
        set_wasm_file(self.filter_config()?, file)?;
        Ok(self)
    }

    /// Leaves out all other listeners.
    ///
    /// # Errors
    /// There are no listeners.
    pub fn only_listeners(&mut self, names: &[&str]) -> Result<&mut Self> {
        let listeners = self.array_mut("/static_resources/listeners")?;
        let stays =
            |listener: &Value| name_of(listener).is_some_and(|n| names.contains(&n.as_str()));
        listeners.retain(stays);
        Ok(self)
    }

    /// Leaves out all but the door's listener, its access log and its TLS to WeChat; and the door's filter unless
    /// `with_filter`: what remains is Envoy that passes calls on.
    ///
    /// # Errors
    /// The door is not in the document.
    pub fn only_door(&mut self, with_filter: bool) -> Result<&mut Self> {
        self.only_listeners(&[DOOR_LISTENER])?;
        let listeners = self.array_mut("/static_resources/listeners")?;
        let manager = named(listeners, DOOR_LISTENER)?
            .pointer_mut("/filter_chains/0/filters/0/typed_config")
            .context("the door has no connection manager")?;
        if let Some(manager) = manager.as_object_mut() {
            manager.remove("access_log");
        }
        let filters = manager
            .get_mut("http_filters")
            .and_then(Value::as_array_mut)
            .context("the door has no filters")?;
        filters.retain(|filter| with_filter || filter["name"] != DOOR_FILTER);
        // A bench sends more than applications do.
        filters.retain(|filter| filter["name"] != "envoy.filters.http.local_ratelimit");
        if let Some(cluster) = self.cluster(WECHAT_API)?.as_object_mut() {
            cluster.remove("transport_socket");
        }
        Ok(self)
    }

    /// Replaces the file of the door's module and lets `change` edit its configuration.
    ///
    /// # Errors
    /// The door is not in the document, or its configuration is not JSON.
    pub fn door(&mut self, file: &Path, change: impl FnOnce(&mut Value)) -> Result<&mut Self> {
        self.module(DOOR_LISTENER, DOOR_FILTER, file, change)
    }

    /// The same for logins.
    ///
    /// # Errors
    /// They are not in the document, or their configuration is not JSON.
    pub fn login(&mut self, file: &Path, change: impl FnOnce(&mut Value)) -> Result<&mut Self> {
        self.module(WEB_LISTENER, LOGIN_FILTER, file, change)
    }

    fn module(
        &mut self,
        listener: &str,
        filter: &str,
        file: &Path,
        change: impl FnOnce(&mut Value),
    ) -> Result<&mut Self> {
        let filters = named(self.array_mut("/static_resources/listeners")?, listener)?
            .pointer_mut("/filter_chains/0/filters/0/typed_config/http_filters")
            .and_then(Value::as_array_mut)
            .with_context(|| format!("{listener} has no filters"))?;
        let filter = named(filters, filter)?
            .get_mut("typed_config")
            .with_context(|| format!("{filter} has no configuration"))?;
        set_wasm_file(filter, file)?;
        edit_plugin(filter, change)?;
        Ok(self)
    }

    /// Lets `change` edit the plugin's own configuration.
    ///
    /// # Errors
    /// The filter is not in the document, or its configuration is not JSON.
    pub fn plugin(&mut self, change: impl FnOnce(&mut Value)) -> Result<&mut Self> {
        edit_plugin(self.filter_config()?, change)?;
        Ok(self)
    }

    /// Passes further environment variables of Envoy's to the plugin.
    ///
    /// # Errors
    /// The filter is not in the document.
    pub fn pass_environment<'a>(
        &mut self,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<&mut Self> {
        let keys = self
            .filter_config()?
            .pointer_mut("/config/vm_config/environment_variables/host_env_keys")
            .and_then(Value::as_array_mut)
            .context("the filter passes no environment variables")?;
        for name in names {
            if !keys.iter().any(|key| key == name) {
                keys.push(name.into());
            }
        }
        Ok(self)
    }

    /// Drops the access log, which costs a write per request.
    ///
    /// # Errors
    /// The push listener has no connection manager.
    pub fn without_access_log(&mut self) -> Result<&mut Self> {
        self.connection_manager()?
            .as_object_mut()
            .context("the connection manager is an object")?
            .remove("access_log");
        Ok(self)
    }

    /// The configuration of the push listener's HTTP connection manager.
    ///
    /// # Errors
    /// It is not where it is expected.
    pub fn connection_manager(&mut self) -> Result<&mut Value> {
        named(self.array_mut("/static_resources/listeners")?, LISTENER)?
            .pointer_mut("/filter_chains/0/filters/0/typed_config")
            .with_context(|| format!("listener {LISTENER} has no connection manager"))
    }

    /// Takes the wasm filter out of the document and has Envoy read it from `file`, which it watches from then on.
    /// The file is written at once; [`FilterFile::publish`] replaces it.
    ///
    /// # Errors
    /// The filter is not in the document, or the file cannot be written.
    pub fn deliver_filter_by_file(&mut self, file: &Path) -> Result<FilterFile> {
        let filter = self.filter()?;
        let config = filter
            .as_object_mut()
            .and_then(|filter| filter.remove("typed_config"))
            .context("the filter has a typed_config")?;
        filter["config_discovery"] = json!({
            "config_source": {
                "resource_api_version": "V3",
                "path_config_source": { "path": path_value(file)? },
            },
            "type_urls": [WASM_TYPE],
        });
        let mut delivered = FilterFile {
            file: file.to_path_buf(),
            config,
            version: 0,
        };
        delivered.publish()?;
        Ok(delivered)
    }

    /// The document as JSON text.
    ///
    /// # Errors
    /// None in practice: the document came from text.
    pub fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(&self.document)?)
    }

    /// Writes the document as JSON; give the file a name that ends in `.json`.
    ///
    /// # Errors
    /// The file system refused.
    pub fn write(&self, path: &Path) -> Result<()> {
        fs::write(path, self.json()?).with_context(|| format!("cannot write {}", path.display()))
    }

    fn filter(&mut self) -> Result<&mut Value> {
        let filters = self
            .connection_manager()?
            .get_mut("http_filters")
            .and_then(Value::as_array_mut)
            .context("the connection manager has no filters")?;
        named(filters, FILTER)
    }

    fn filter_config(&mut self) -> Result<&mut Value> {
        self.filter()?
            .get_mut("typed_config")
            .context("the wasm filter has no configuration here")
    }

    pub(crate) fn cluster_named(&self, name: &str) -> Result<&Value> {
        let clusters = self.array("/static_resources/clusters")?;
        let found = clusters.iter().find(|cluster| cluster["name"] == name);
        found.with_context(|| format!("nothing is named {name}"))
    }

    fn cluster(&mut self, name: &str) -> Result<&mut Value> {
        named(self.array_mut("/static_resources/clusters")?, name)
    }

    fn array(&self, pointer: &str) -> Result<&Vec<Value>> {
        self.document
            .pointer(pointer)
            .and_then(Value::as_array)
            .with_context(|| format!("no list at {pointer}"))
    }

    fn array_mut(&mut self, pointer: &str) -> Result<&mut Vec<Value>> {
        self.document
            .pointer_mut(pointer)
            .and_then(Value::as_array_mut)
            .with_context(|| format!("no list at {pointer}"))
    }
}

/// The wasm filter in a file that Envoy watches.
#[derive(Debug, Clone)]
pub struct FilterFile {
    file: PathBuf,
    config: Value,
    version: u64,
}

impl FilterFile {
    /// Lets `change` edit the plugin's own configuration; Envoy sees it after [`publish`](Self::publish).
    ///
    /// # Errors
    /// The configuration is not JSON.
    pub fn plugin(&mut self, change: impl FnOnce(&mut Value)) -> Result<&mut Self> {
        edit_plugin(&mut self.config, change)?;
        Ok(self)
    }

    /// Replaces the file of the wasm module; Envoy sees it after [`publish`](Self::publish).
    ///
    /// # Errors
    /// The filter has no module.
    pub fn wasm_file(&mut self, file: &Path) -> Result<&mut Self> {
        set_wasm_file(&mut self.config, file)?;
        Ok(self)
    }

    /// Returns to the configuration of `earlier`, without publishing it.
    pub fn take_back(&mut self, earlier: &Self) {
        self.config.clone_from(&earlier.config);
    }

    /// Replaces the watched file in one step (write beside it, rename), under a new version.
    ///
    /// # Errors
    /// The file system refused.
    pub fn publish(&mut self) -> Result<()> {
        self.version += 1;
        let response = json!({
            "version_info": self.version.to_string(),
            "resources": [{
                "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
                "name": FILTER,
                "typed_config": self.config,
            }],
        });
        let beside = self.file.with_extension("new");
        fs::write(&beside, serde_json::to_vec_pretty(&response)?)
            .and_then(|()| fs::rename(&beside, &self.file))
            .with_context(|| format!("cannot replace {}", self.file.display()))
    }
}

fn name_of(item: &Value) -> Option<String> {
    item.get("name")?.as_str().map(str::to_owned)
}

fn named<'a>(items: &'a mut [Value], name: &str) -> Result<&'a mut Value> {
    items
        .iter_mut()
        .find(|item| item.get("name").is_some_and(|found| found == name))
        .with_context(|| format!("nothing is named {name}"))
}

fn set_socket_address(holder: &mut Value, address: SocketAddr) -> Result<()> {
    let socket = holder
        .pointer_mut("/address/socket_address")
        .context("no socket address to replace")?;
    ensure!(
        socket.get("port_value").is_some(),
        "a socket address without a port"
    );
    *socket = json!({ "address": address.ip().to_string(), "port_value": address.port() });
    Ok(())
}

fn set_wasm_file(filter: &mut Value, file: &Path) -> Result<()> {
    *filter
        .pointer_mut("/config/vm_config/code/local/filename")
        .context("the filter has no module file")? = path_value(file)?;
    Ok(())
}

fn edit_plugin(filter: &mut Value, change: impl FnOnce(&mut Value)) -> Result<()> {
    let slot = filter
        .pointer_mut("/config/configuration/value")
        .context("the filter has no configuration")?;
    let text = slot
        .as_str()
        .context("the plugin's configuration is a string")?;
    let mut inner = serde_json::from_str(text).context("the plugin's configuration is not JSON")?;
    change(&mut inner);
    *slot = Value::String(serde_json::to_string(&inner)?);
    Ok(())
}

fn path_value(path: &Path) -> Result<Value> {
    let text = path
        .to_str()
        .with_context(|| format!("{} is not UTF-8", path.display()))?;
    Ok(Value::String(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Layout;

    fn shipped() -> Bootstrap {
        Bootstrap::read(&Layout::of_this_checkout().envoy_yaml()).expect("envoy.yaml is readable")
    }

    #[test]
    fn the_shipped_configuration_has_every_part_that_a_local_run_replaces() {
        let mut bootstrap = shipped();
        let address = SocketAddr::from(([127, 0, 0, 1], 4321));
        bootstrap
            .bind_to_any_loopback_port()
            .and_then(|b| b.endpoint(STORE, address))
            .and_then(|b| b.endpoint(WECHAT_API, address))
            .and_then(|b| b.trusted_ca(WECHAT_API, Path::new("/some/ca.pem")))
            .and_then(|b| b.wasm_file(Path::new("/some/weir.wasm")))
            .and_then(|b| b.door(Path::new("/some/door.wasm"), |_| {}))
            .and_then(|b| b.login(Path::new("/some/login.wasm"), |_| {}))
            .and_then(|b| b.plugin(|plugin| plugin["accounts"][0]["mode"] = "plain".into()))
            .and_then(|b| b.pass_environment(["WEIR_DEMO_TOKEN", "ANOTHER"]))
            .expect("all parts are there");
        let text = bootstrap.document.to_string();
        for absent in [
            "\"0.0.0.0\"",
            "port_value\":10000",
            "port_value\":10001",
            "port_value\":10002",
            "port_value\":9901",
            "port_value\":8090",
            "ca-certificates.crt",
            "target/weir.wasm",
            "target/weir-door.wasm",
            "target/weir-login.wasm",
        ] {
            assert!(!text.contains(absent), "{absent} should have been replaced");
        }
        let plugin = bootstrap
            .filter_config()
            .expect("the filter")
            .pointer("/config/configuration/value");
        let plugin: Value =
            serde_json::from_str(plugin.and_then(Value::as_str).expect("a string")).expect("JSON");
        assert_eq!(plugin["accounts"][0]["mode"], "plain");
        let keys = bootstrap.filter_config().expect("the filter")["config"]["vm_config"]["environment_variables"]
            ["host_env_keys"]
            .clone();
        assert_eq!(
            keys,
            json!([
                "WEIR_DEMO_TOKEN",
                "WEIR_DEMO_AES_KEY",
                "WEIR_DEMO_APP_SECRET",
                "ANOTHER"
            ])
        );
    }

    #[test]
    fn what_protects_the_real_thing_stays_in_a_local_run() {
        let mut bootstrap = shipped();
        bootstrap.bind_to_any_loopback_port().expect("addresses");
        let tls =
            bootstrap.cluster(WECHAT_API).expect("the cluster")["transport_socket"]["typed_config"]
                .clone();
        assert_eq!(tls["sni"], "api.weixin.qq.com");
        let names =
            &tls["common_tls_context"]["validation_context"]["match_typed_subject_alt_names"];
        assert_eq!(names[0]["matcher"]["exact"], "api.weixin.qq.com");
        assert_eq!(
            bootstrap.filter_config().expect("the filter")["config"]["failure_policy"],
            "FAIL_RELOAD"
        );
    }

    #[test]
    fn no_query_string_reaches_the_access_log() {
        let log = shipped().connection_manager().expect("the manager")["access_log"].to_string();
        assert!(log.contains("%PATH(NQ)%"), "{log}");
        for leak in [
            "%REQ(:PATH)",
            "X-ENVOY-ORIGINAL-PATH",
            "%PATH(WQ",
            "%PATH%",
            "QUERY_PARAM",
            "REFERER",
        ] {
            assert!(!log.to_uppercase().contains(leak), "{leak} in {log}");
        }
    }

    #[test]
    fn a_name_that_is_not_there_is_an_error() {
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        assert!(shipped().endpoint("weir_stroe", address).is_err());
        assert!(shipped().listener("weir", address).is_err());
        assert!(shipped().trusted_ca(STORE, Path::new("/ca.pem")).is_err());
    }

    #[test]
    fn a_filter_delivered_by_file_leaves_the_document_and_every_publication_has_a_new_version() {
        let dir = Layout::of_this_checkout()
            .scratch("testbed", "filter-file")
            .expect("a directory");
        let file = dir.join("filter.json");
        let mut bootstrap = shipped();
        let mut filter = bootstrap.deliver_filter_by_file(&file).expect("delivered");
        assert!(!bootstrap.document.to_string().contains("WEIR_DEMO_TOKEN"));
        let read = || -> Value {
            serde_json::from_slice(&fs::read(&file).expect("readable")).expect("JSON")
        };
        let before = read();
        filter
            .plugin(|plugin| plugin["store"]["ack"] = "at_once".into())
            .and_then(FilterFile::publish)
            .expect("published");
        let after = read();
        assert_ne!(before["version_info"], after["version_info"]);
        let value = after.pointer("/resources/0/typed_config/config/configuration/value");
        assert!(
            value
                .and_then(Value::as_str)
                .expect("a string")
                .contains(r#""ack":"at_once""#)
        );
    }
}
