//! One scenario's surroundings: an account, WeChat's API, a store, an application, and a gateway between them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::task::block_in_place;
use weir_sim::api::{self, Server, TlsOptions};
use weir_sim::app::App;
use weir_sim::http::{self, Request, Target};
use weir_sim::wechat::{Mode, ids};
use weir_sim::{Account, Sender};
use weir_store_api::read::{Message, Page, UserDetail};
use weir_testbed::bootstrap::{
    APP, Bootstrap, DOOR_LISTENER, LISTENER, STORE, WEB_LISTENER, WECHAT_API,
};
use weir_testbed::layout::Layout;
use weir_testbed::programs::Store;

use crate::gateway::{Gateway, Setup};

/// How long anything may take that is bound to happen. Far above what it takes.
const LIMIT: Duration = Duration::from_secs(30);
/// What the client `shop` of `envoy.yaml` shows at the door.
pub const SHOP_KEY: &str = "canary-key-of-the-shop";
/// What seals sessions.
pub const SEAL_KEY: &str = "ca0a12ca0a12ca0a12ca0a12ca0a12ca0a12ca0a12ca0a12ca0a12ca0a12ca0a";
/// Between two looks.
const STEP: Duration = Duration::from_millis(20);

type Change = Box<dyn FnOnce(&mut Bootstrap) -> Result<()> + Send>;

/// What a scenario wants of its world, where that differs from the repository's `envoy.yaml`.
pub struct Plan {
    mode: Mode,
    listeners: Vec<&'static str>,
    changes: Vec<Change>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            mode: Mode::Encrypted,
            listeners: vec![LISTENER],
            changes: Vec::new(),
        }
    }
}

impl Plan {
    /// The account's mode, on WeChat's side and in the configuration.
    #[must_use]
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// With the API door; `change` edits its configuration.
    #[must_use]
    pub fn door(mut self, change: impl FnOnce(&mut Value) + Send + 'static) -> Self {
        self.listeners.push(DOOR_LISTENER);
        let module = Layout::of_this_checkout().door_wasm();
        self.bootstrap(move |bootstrap| bootstrap.door(&module, change).map(drop))
    }

    /// With the site, and logins before it; `change` edits their configuration.
    #[must_use]
    pub fn web(mut self, change: impl FnOnce(&mut Value) + Send + 'static) -> Self {
        self.listeners.push(WEB_LISTENER);
        let module = Layout::of_this_checkout().login_wasm();
        self.bootstrap(move |bootstrap| bootstrap.login(&module, change).map(drop))
    }

    /// Edits the plugin's configuration.
    #[must_use]
    pub fn plugin(self, change: impl FnOnce(&mut Value) + Send + 'static) -> Self {
        self.bootstrap(|bootstrap| bootstrap.plugin(change).map(drop))
    }

    /// Edits the rest of `envoy.yaml`.
    #[must_use]
    pub fn bootstrap(
        mut self,
        change: impl FnOnce(&mut Bootstrap) -> Result<()> + Send + 'static,
    ) -> Self {
        self.changes.push(Box::new(change));
        self
    }
}

/// Everything around one gateway, and the gateway.
pub struct World<G> {
    /// The gateway under test.
    pub gateway: G,
    /// The account, as both sides know it.
    pub account: Account,
    // Ended in this order after the gateway.
    api: Server,
    app: App,
    store: Option<Store>,
    store_address: SocketAddr,
    store_program: PathBuf,
    store_environment: Vec<(String, String)>,
    dir: PathBuf,
    setup: Setup,
}

impl<G: Gateway> World<G> {
    /// Builds the world that `plan` asks for; `None` where this gateway is left out of a run on purpose.
    ///
    /// # Errors
    /// A part could not be started; the message says which and quotes its log.
    pub async fn start(name: &str, plan: Plan) -> Result<Option<Self>> {
        let layout = Layout::of_this_checkout();
        let kind = std::any::type_name::<G>()
            .rsplit("::")
            .next()
            .unwrap_or("gateway");
        let dir = layout.scratch("host-tests", &format!("{kind}-{name}"))?;
        let mut bootstrap = Bootstrap::read(&layout.envoy_yaml())?;
        bootstrap.only_listeners(&plan.listeners)?;
        let account = account_of(&mut bootstrap, plan.mode)?;

        let ca = dir.join("ca.pem");
        let tls = Some(TlsOptions {
            ca_out: Some(ca.clone()),
        });
        let api = Server::start(api::Options {
            tls,
            control: None,
            ..api::Options::local(vec![account.clone()])
        })
        .await
        .context("WeChat's API")?;
        let app = App::start(([127, 0, 0, 1], 0).into())
            .await
            .context("the application")?;
        let store_program = layout.built_program("weir-store", "debug")?;
        let store =
            block_in_place(|| Store::start(&store_program, &dir, ([127, 0, 0, 1], 0).into()))?;
        let store_address = store.address();

        bootstrap
            .endpoint(STORE, store_address)?
            .endpoint(APP, app.address())?
            .endpoint(WECHAT_API, api.addr())?
            .trusted_ca(WECHAT_API, &ca)?
            .wasm_file(&layout.built_wasm()?)?;
        for change in plan.changes {
            change(&mut bootstrap)?;
        }
        let environment = [
            ("WEIR_DEMO_TOKEN", &account.token),
            ("WEIR_DEMO_AES_KEY", &account.encoding_aes_key),
            ("WEIR_DEMO_APP_SECRET", &account.secret),
            ("WEIR_SHOP_KEY", &SHOP_KEY.to_owned()),
            ("WEIR_SEAL_KEY", &SEAL_KEY.to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value.clone()))
        .to_vec();
        let setup = Setup {
            layout,
            dir: dir.clone(),
            bootstrap,
            environment,
        };
        let Some(gateway) = G::start(setup.clone()).await.context("the gateway")? else {
            return Ok(None);
        };
        Ok(Some(Self {
            gateway,
            account,
            api,
            app,
            store: Some(store),
            store_address,
            store_program,
            store_environment: Vec::new(),
            dir,
            setup,
        }))
    }

    /// What its gateway was started with: for another one beside it.
    #[must_use]
    pub fn setup(&self) -> Setup {
        self.setup.clone()
    }

    /// WeChat's sending side, pointed at the gateway.
    ///
    /// # Errors
    /// The URL is not usable.
    pub fn sender(&self) -> Result<Sender> {
        Sender::new(self.account.clone(), &self.url("/wechat/demo"))
    }

    /// A URL at the gateway.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.gateway.address())
    }

    /// WeChat's API, to look at and to act upon.
    #[must_use]
    pub fn api(&self) -> &api::World {
        self.api.world()
    }

    /// The application that rules may forward pushes to, to look at and to act upon.
    #[must_use]
    pub fn app(&self) -> &App {
        &self.app
    }

    /// The same, to end it and to start it again.
    pub fn app_mut(&mut self) -> &mut App {
        &mut self.app
    }

    /// The store's URL.
    #[must_use]
    pub fn store_url(&self) -> String {
        format!("http://{}", self.store_address)
    }

    /// Ends the store. What it has stored stays on disk.
    ///
    /// # Errors
    /// It could not be ended, or was down already.
    pub fn store_down(&mut self) -> Result<()> {
        let store = self.store.take().context("the store is down already")?;
        block_in_place(|| store.stop())
    }

    /// Whether the store runs.
    #[must_use]
    pub fn store_is_up(&self) -> bool {
        self.store.is_some()
    }

    /// Starts the store again, at its old address and with its old data.
    ///
    /// # Errors
    /// It is up, or does not start.
    pub fn store_up(&mut self) -> Result<()> {
        ensure!(self.store.is_none(), "the store is up");
        let store = block_in_place(|| {
            let (program, environment) = (&self.store_program, &self.store_environment);
            Store::start_with(program, &self.dir, self.store_address, environment)
        })?;
        self.store = Some(store);
        Ok(())
    }

    /// Starts the store again, this time as a client of the gateway's door.
    ///
    /// # Errors
    /// It is down, or there is no door.
    pub fn store_asks_wechat(&mut self) -> Result<()> {
        self.store_environment = [
            (
                "WEIR_STORE_DOOR",
                format!("http://{}", self.gateway.door_address()?),
            ),
            ("WEIR_STORE_DOOR_KEY_ENV", "THE_KEY".to_owned()),
            ("THE_KEY", SHOP_KEY.to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec();
        self.store_down()?;
        self.store_up()
    }

    /// Kills the store: nothing of it is ended in order.
    ///
    /// # Errors
    /// It is down already.
    pub fn store_killed(&mut self) -> Result<()> {
        let store = self.store.take().context("the store is down already")?;
        block_in_place(|| store.kill())
    }

    /// The user as the store knows them; `None` for somebody it never met.
    ///
    /// # Errors
    /// The store does not answer as it should.
    pub async fn user(&self, openid: &str) -> Result<Option<UserDetail>> {
        self.read(&format!("/v1/users/{}/{openid}", self.account.name))
            .await
    }

    /// Every message of the user that the store has.
    ///
    /// # Errors
    /// The store does not answer as it should.
    pub async fn messages(&self, openid: &str) -> Result<Vec<Message>> {
        let path = format!(
            "/v1/messages?account={}&openid={openid}&limit=100",
            self.account.name
        );
        let page: Page<Message> = self
            .read(&path)
            .await?
            .context("the store lists messages")?;
        Ok(page.items)
    }

    /// Waits until Weir's metrics whose names start with `prefix` sum up to exactly `expected`: they are counted in each
    /// worker first and told to the gateway a moment later.
    ///
    /// # Errors
    /// They never do, or the gateway does not answer.
    pub async fn counts(&self, prefix: &str, expected: u64) -> Result<()> {
        let mut last = 0;
        let look = async || {
            last = self.gateway.metric(prefix)?;
            Ok((last == expected).then_some(()))
        };
        let counted = eventually(&format!("{prefix} is {expected}"), look).await;
        counted.with_context(|| format!("it is {last}"))
    }

    /// What the store answers to a GET; `None` to one about something it does not know.
    ///
    /// # Errors
    /// The store does not answer as it should.
    pub async fn read<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>> {
        let target = Target::parse(&self.store_url())?;
        let response = http::exchange(&target, &Request::new("GET", path)).await?;
        match response.status {
            404 => Ok(None),
            200 => Ok(Some(serde_json::from_slice(&response.body)?)),
            status => anyhow::bail!(
                "the store answered {status}: {}",
                String::from_utf8_lossy(&response.body)
            ),
        }
    }
}

/// The account of `envoy.yaml` with secrets nobody has, in this mode on both sides.
pub(crate) fn account_of(bootstrap: &mut Bootstrap, mode: Mode) -> Result<Account> {
    let mut account = Account::random("demo").with_mode(mode);
    let mut complete = false;
    bootstrap.plugin(|plugin| {
        let configured = &mut plugin["accounts"][0];
        let text = |field: &str| configured[field].as_str().unwrap_or_default().to_owned();
        account.name = text("name");
        account.original_id = text("original_id");
        account.appid = text("appid");
        complete = text("path") == "/wechat/demo" && !account.appid.is_empty();
        configured["mode"] = serde_json::to_value(mode).unwrap_or_default();
    })?;
    ensure!(complete, "envoy.yaml does not have the demo account");
    Ok(account)
}

/// A user nobody has met.
#[must_use]
pub fn somebody() -> String {
    ids::openid()
}

/// Looks until `look` gives something.
///
/// # Errors
/// `look` failed, or gave nothing for half a minute.
pub async fn eventually<T>(
    what: &str,
    mut look: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let end = tokio::time::Instant::now() + LIMIT;
    loop {
        if let Some(found) = look().await? {
            return Ok(found);
        }
        ensure!(
            tokio::time::Instant::now() < end,
            "not within {LIMIT:?}: {what}"
        );
        tokio::time::sleep(STEP).await;
    }
}
