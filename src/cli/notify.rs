//! Notifies the service manager (systemd, or another program that sets `NOTIFY_SOCKET`) that the service is ready,
//! alive or stopping.
//!
//! The service is alive if its writer answers, even if the writer can't write. A full disk recovers automatically,
//! and a restart would only interrupt reads. Must never keep the service from its work.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::app::Pulse;

/// The longest time in which a manager makes room for a message.
const TIMEOUT: Duration = Duration::from_secs(1);

/// The program that started the process and expects notifications. Most often there is none.
#[derive(Clone, Debug)]
pub(super) struct Manager {
    socket: Option<SocketAddr>,
    /// The time between two signs of life, if they are expected.
    between: Option<Duration>,
}

impl Manager {
    /// Reads the notification settings from the environment.
    pub(super) fn from_environment() -> Self {
        let socket = env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty());
        let socket = socket.and_then(|name| {
            address(&name)
                .inspect_err(
                    |error| tracing::warn!(%error, "invalid NOTIFY_SOCKET, service manager not notified"),
                )
                .ok()
        });
        let number = |name| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        // The manager may have meant the shell around this process.
        let is_ours = number("WATCHDOG_PID").is_none_or(|id| id == u64::from(std::process::id()));
        let longest = number("WATCHDOG_USEC").filter(|&longest| is_ours && longest > 0);
        Self { socket, between: longest.map(|longest| Duration::from_micros(longest.div_ceil(2))) }
    }

    /// Reports that the service answers requests, and sends signs of life as long as the process lives.
    pub(super) async fn ready(&self, status: &str, pulse: Pulse) {
        self.tell(&format!("READY=1\nSTATUS={status}")).await;
        let Some(between) = self.between.filter(|_| self.socket.is_some()) else { return };
        let manager = self.clone();
        tokio::spawn(async move {
            let mut beats = interval(between);
            beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                beats.tick().await;
                pulse.beat().await;
                manager.tell("WATCHDOG=1").await;
            }
        });
    }

    /// Reports that the stop has begun and may take this long.
    pub(super) async fn stopping(&self, longest: Duration) {
        let longest = longest.as_micros();
        self.tell(&format!("STOPPING=1\nSTATUS=stopping\nEXTEND_TIMEOUT_USEC={longest}")).await;
    }

    async fn tell(&self, state: &str) {
        let Some(socket) = &self.socket else { return };
        if let Err(error) =
            timeout(TIMEOUT, send(socket, state)).await.unwrap_or_else(|late| Err(late.into()))
        {
            tracing::warn!(%error, "could not notify the service manager");
        }
    }
}

async fn send(socket: &SocketAddr, state: &str) -> io::Result<()> {
    let sender = UnixDatagram::unbound()?;
    sender.connect_addr(socket)?;
    sender.set_nonblocking(true)?;
    tokio::net::UnixDatagram::from_std(sender)?.send(state.as_bytes()).await.map(|_| ())
}

/// Reads an address, which is a path or, if it begins with `@`, a name in Linux's abstract namespace.
fn address(name: &OsStr) -> io::Result<SocketAddr> {
    #[cfg(target_os = "linux")]
    {
        use std::os::linux::net::SocketAddrExt;
        use std::os::unix::ffi::OsStrExt;

        if let Some(name) = name.as_bytes().strip_prefix(b"@") {
            return SocketAddr::from_abstract_name(name);
        }
    }
    SocketAddr::from_pathname(name)
}
