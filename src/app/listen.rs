//! The listeners: one for `server.listen`, and those for callbacks and metrics if they have separate addresses. Must
//! never accept a connection.

use std::net::SocketAddr;

use tokio::net::TcpListener;

use super::error::StartError;
use crate::config::Config;

/// A listener and its actual address, even if port 0 was requested.
#[derive(Debug)]
pub(super) struct Listening {
    pub(super) listener: TcpListener,
    pub(super) address: SocketAddr,
}

/// All listeners of a service.
#[derive(Debug)]
pub(super) struct Listeners {
    pub(super) main: Listening,
    pub(super) callbacks: Option<Listening>,
    pub(super) metrics: Option<Listening>,
}

impl Listeners {
    /// Opens the separate listeners beside the one for `server.listen`.
    ///
    /// # Errors
    /// [`StartError::Listen`]
    pub(super) async fn open(config: &Config, main: TcpListener) -> Result<Self, StartError> {
        Ok(Self {
            main: listening("server.listen", config.server.listen, main)?,
            callbacks: open("callback.listen", config.callback.listen).await?,
            metrics: open("metrics.listen", config.metrics.listen).await?,
        })
    }
}

/// Listens on the address of a setting.
///
/// # Errors
/// [`StartError::Listen`]
pub(super) async fn listen(setting: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    let listener = TcpListener::bind(address).await;
    listener.map_err(|source| StartError::Listen { setting, address, source })
}

fn listening(
    setting: &'static str,
    address: SocketAddr,
    listener: TcpListener,
) -> Result<Listening, StartError> {
    match listener.local_addr() {
        Ok(address) => Ok(Listening { listener, address }),
        Err(source) => Err(StartError::Listen { setting, address, source }),
    }
}

async fn open(setting: &'static str, address: Option<SocketAddr>) -> Result<Option<Listening>, StartError> {
    let Some(address) = address else { return Ok(None) };
    let listener = listen(setting, address).await?;
    listening(setting, address, listener).map(Some)
}
