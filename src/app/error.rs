//! The reasons why the service can't start. Must never show a secret.

use std::net::SocketAddr;

use thiserror::Error;

use crate::config::ConfigError;
use crate::store::OpenError;
use crate::telemetry::TracesError;
use crate::upstream::ClientError;

/// The reason why the service can't start. Each is a line that names the setting.
#[derive(Debug, Error)]
pub enum StartError {
    /// A setting is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database can't be used.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The collector of traces can't be used.
    #[error(transparent)]
    Traces(#[from] TracesError),
    /// The client of the memories.ai API can't be made.
    #[error(transparent)]
    Upstream(#[from] ClientError),
    /// The client of webhooks can't be made.
    #[error(transparent)]
    Forward(#[from] crate::forward::ClientError),
    /// The address can't be listened on.
    #[error(
        "{setting}: can't listen on {address}: {source}. Set {setting}, or SCRAPEHOOK_{}, to another address",
        setting.to_ascii_uppercase().replace('.', "__")
    )]
    Listen {
        /// The name of the setting.
        setting: &'static str,
        /// The address as configured.
        address: SocketAddr,
        /// The error of the system.
        source: std::io::Error,
    },
    /// The database can be opened, but not read.
    #[error("store.path: {0}")]
    Read(#[from] crate::store::ReadError),
    /// The database can be opened, but not written.
    #[error("store.path: {0}")]
    Write(#[from] crate::store::WriteError),
}
