//! Where requests go, and whom to trust there.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use weir_sim::http::{Target, Trust};

/// How to connect.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Connection")]
pub struct ConnectArgs {
    /// Trust the authorities in this PEM file alone when the URL is https, not the public ones
    #[arg(long, value_name = "FILE")]
    pub cacert: Option<PathBuf>,
    /// Connect to this address, whatever the URL's name resolves to; the name is still what is asked for
    #[arg(long, value_name = "IP:PORT")]
    pub connect: Option<SocketAddr>,
}

impl ConnectArgs {
    /// The target behind a URL.
    ///
    /// # Errors
    /// The URL or the certificates are not usable.
    pub fn target(&self, url: &str) -> anyhow::Result<Target> {
        let pem = match &self.cacert {
            Some(path) => {
                Some(std::fs::read(path).with_context(|| format!("CA file {}", path.display()))?)
            }
            None => None,
        };
        let trust = pem.as_deref().map_or(Trust::Public, Trust::Pem);
        if url.contains(char::is_whitespace) {
            bail!("not a URL: {url:?}");
        }
        let target = Target::parse_trusting(url, trust)?;
        Ok(match self.connect {
            Some(address) => target.dialing(address),
            None => target,
        })
    }
}

/// `https://example.com:444` of `https://example.com:444/a?b`.
#[must_use]
pub fn origin(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    let end = url[host..]
        .find(['/', '?', '#'])
        .map_or(url.len(), |at| host + at);
    &url[..end]
}
