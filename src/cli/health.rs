//! `health`: checks whether a running service is alive. Must never need an API key.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{anyhow, bail};
use clap::Args;
use thiserror::Error;

use super::client::api::address;
use crate::config::{Config, is_in_quotes};
use crate::network::NoAnswer;

/// The given address cannot be used.
#[derive(Debug, Error)]
#[error("SCRAPEHOOK_URL or --url: {0}")]
pub(super) struct WrongAddress(&'static str);

/// Arguments of `health`.
#[derive(Args, Debug)]
pub struct Health {
    /// Configuration file that names the address
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address to ask instead, for example http://127.0.0.1:8080
    #[arg(long, env = "SCRAPEHOOK_URL")]
    url: Option<String>,
}

/// Asks the service once, for at most three seconds.
///
/// # Errors
/// The service does not answer, or not well (exit 1), or the address or the configuration is wrong (exit 2).
pub async fn run(args: Health) -> anyhow::Result<()> {
    // A blank variable counts as unset.
    let url = match args.url.filter(|url| !url.trim().is_empty()) {
        Some(url) if is_in_quotes(&url) => {
            return Err(WrongAddress("the value is in quotes. Remove them").into());
        }
        Some(url) => url,
        None => format!("http://{}", reachable(Config::load(args.config.as_deref())?.server.listen)),
    };
    let url = address::read(&url).map_err(WrongAddress)?;
    let client = crate::tls::client().timeout(Duration::from_secs(3)).no_proxy().build()?;
    let url = format!("{}/healthz", url.as_str().trim_end_matches('/'));
    let answer = client.get(&url).send().await.map_err(|error| anyhow!("{url}: {}", NoAnswer::of(&error)))?;
    if !answer.status().is_success() {
        bail!("{url} answers with HTTP {}", answer.status());
    }
    writeln!(anstream::stdout(), "alive")?;
    Ok(())
}

/// Replaces an address that stands for all addresses with loopback.
fn reachable(mut listen: SocketAddr) -> SocketAddr {
    match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => listen.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => listen.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    listen
}
