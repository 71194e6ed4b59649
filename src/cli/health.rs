//! `health`: asks a running service whether it is alive.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;

use crate::config::{Config, ConfigError, is_in_quotes};

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

/// Asks once, for at most three seconds.
///
/// # Errors
/// The service does not answer, or answers with an error (exit 1); a setting is wrong (exit 2).
pub async fn run(args: Health) -> anyhow::Result<()> {
    let url = match args.url.filter(|url| !url.trim().is_empty()) {
        Some(url) if is_in_quotes(&url) => {
            return Err(
                ConfigError::new("SCRAPEHOOK_URL or --url: the value is in quotes; remove them").into()
            );
        }
        Some(url) => url,
        None => format!("http://{}", reachable(Config::load(args.config.as_deref())?.server.listen)),
    };
    let client = reqwest::Client::builder().timeout(Duration::from_secs(3)).no_proxy().build()?;
    let url = format!("{}/healthz", url.trim_end_matches('/'));
    let answer = client.get(&url).send().await.with_context(|| format!("{url} does not answer"))?;
    if !answer.status().is_success() {
        bail!("{url} answers {}", answer.status());
    }
    writeln!(anstream::stdout(), "alive")?;
    Ok(())
}

/// Who listens on every address is reached on loopback.
fn reachable(mut listen: SocketAddr) -> SocketAddr {
    match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => listen.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => listen.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    listen
}
