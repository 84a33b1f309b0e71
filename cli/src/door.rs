//! Where the API door is, as commands are told.

use anyhow::bail;
use clap::Args;
use weir_errands::door::{Address, Door, Entrance, Unusable};

use crate::environment::{EnvFile, Environment};
use crate::target::ConnectArgs;

/// Where the door is, and as whom to call.
#[derive(Debug, Args)]
pub struct DoorArgs {
    /// The door's URL
    #[arg(long, value_name = "URL")]
    pub(crate) door: String,
    /// The environment variable with the client's key at the door
    #[arg(long, value_name = "VAR")]
    pub(crate) key_env: String,
    #[command(flatten)]
    pub(crate) env: EnvFile,
}

/// An account's name, which is part of a file's name too.
pub(crate) fn account(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    if (1..=32).contains(&text.len()) && !text.starts_with('-') && text.chars().all(fits) {
        return Ok(text.to_owned());
    }
    Err("1 to 32 of a-z, 0-9, _ and -".to_owned())
}

impl DoorArgs {
    /// The door, for one account.
    ///
    /// # Errors
    /// The URL, the key or the certificates are not usable.
    pub(crate) fn open(
        &self,
        account: &str,
        connect: &ConnectArgs,
        connections: u32,
    ) -> anyhow::Result<Door> {
        let environment = Environment::read(&self.env)?;
        let name = &self.key_env;
        let Some(key) = environment.lookup(name).filter(|key| !key.is_empty()) else {
            bail!("the environment variable {name} is not set: the client's key at the door");
        };
        let entrance = Entrance::new(Address {
            url: &self.door,
            key: &key,
            cacert: connect.cacert.as_deref(),
            connect: connect.connect,
            connections,
        });
        let door = entrance.and_then(|entrance| entrance.door(account));
        door.map_err(|unusable| {
            let what = match unusable {
                Unusable::Url(_) => "--door".to_owned(),
                Unusable::Key => format!("what {name} holds cannot be a key"),
                Unusable::Account => "--account".to_owned(),
                Unusable::Connect(_) => "--connect".to_owned(),
                Unusable::Client(_) => "the HTTP client".to_owned(),
            };
            anyhow::Error::new(unusable).context(what)
        })
    }
}
