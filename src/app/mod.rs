//! The service as a value: bind, join, stop. It owns the order of starting and stopping. Must never stop the writer
//! before everything that writes.

mod error;
mod listen;
mod reload;
mod tasks;
mod wiring;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use self::error::StartError;
use self::listen::{Listeners, listen};
pub use self::reload::Reloader;
use self::tasks::Tasks;
use self::wiring::{Clients, Wiring};
use crate::blocking;
use crate::clock;
use crate::config::Config;
use crate::forward::{self, Sender};
use crate::http::Credentials;
use crate::store::Store;
use crate::telemetry::{Metrics, Traces};
use crate::upstream::Upstream;

/// The longest time that stopping takes after upstream's last answer.
const STOP_DEADLINE: Duration = Duration::from_secs(30);

/// A running service.
#[derive(Debug)]
pub struct App {
    address: SocketAddr,
    callback_address: Option<SocketAddr>,
    metrics_address: Option<SocketAddr>,
    store: Store,
    credentials: Credentials,
    config: Config,
    traces: Traces,
    stop: CancellationToken,
    tasks: Tasks,
    writer: JoinHandle<()>,
    stop_deadline: Duration,
}

impl App {
    /// Listens and starts all parts. The service answers requests from now on.
    ///
    /// # Errors
    /// [`StartError`] names the wrong setting.
    pub async fn bind(config: &Config, accept_upstream_change: bool) -> Result<Self, StartError> {
        config.check_for_serving()?;
        let listener = listen("server.listen", config.server.listen).await?;
        Self::start(config, accept_upstream_change, listener).await
    }

    /// Like [`bind`](Self::bind), with an existing listener for `server.listen`.
    ///
    /// # Errors
    /// [`StartError`] names the wrong setting.
    pub async fn start(
        config: &Config,
        accept_upstream_change: bool,
        listener: TcpListener,
    ) -> Result<Self, StartError> {
        config.check_for_serving()?;
        let metrics = Arc::new(Metrics::default());
        let traces = Traces::to(config.traces.endpoint.as_deref())?;
        let upstream =
            Upstream::new(&config.upstream.base_url, &config.upstream.api_key, config.upstream.timeout)?
                .measured_by(metrics.clone());
        let forward = &config.forward;
        let sender = Sender::new(forward::Settings {
            allow_private: forward.allowed.private,
            allow_http: forward.allowed.http,
            timeout: forward.timeout,
        })?;
        let listeners = Listeners::open(config, listener).await?;
        let opened = wiring::open_store(config, accept_upstream_change, &metrics).await?;
        reload::configure_subscribers(config, &opened.store).await?;
        let address = listeners.main.address;
        let callback_address = listeners.callbacks.as_ref().map(|listening| listening.address);
        let metrics_address = listeners.metrics.as_ref().map(|listening| listening.address);
        wiring::warn_of_settings(config, address);
        let wiring = Wiring::new(config, &opened, Clients { upstream, sender }, metrics, traces);
        let mut tasks = Tasks::new(wiring.stop.clone());
        wiring.serve(listeners, &mut tasks);
        wiring.work(&mut tasks);
        wiring.watch(&mut tasks);
        let Wiring { credentials, traces, stop, .. } = wiring;
        Ok(Self {
            address,
            callback_address,
            metrics_address,
            credentials,
            config: config.clone(),
            traces,
            stop,
            tasks,
            stop_deadline: config.upstream.timeout + STOP_DEADLINE,
            store: opened.store,
            writer: opened.writer,
        })
    }

    /// The address on which it listens, with the actual port even if 0 was requested.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The separate address for callbacks. None if it is the same.
    pub fn callback_address(&self) -> Option<SocketAddr> {
        self.callback_address
    }

    /// The separate address for metrics. None if it is the same.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_address
    }

    /// Returns the reloader of API keys and callback secrets, for use while the service runs.
    pub fn reloader(&self) -> Reloader {
        Reloader::new(self.credentials.clone(), self.store.clone(), self.config.clone())
    }

    /// Returns the check of whether the service is alive.
    pub fn pulse(&self) -> Pulse {
        Pulse::new(self.store.clone())
    }

    /// The longest time that stopping may take.
    pub fn stop_deadline(&self) -> Duration {
        self.stop_deadline
    }

    /// Stops the service when canceled.
    pub fn stop_token(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Waits for the stop, and then stops the parts. Listeners and workers finish their work, and the writer is last.
    ///
    /// # Errors
    /// A part ended before the stop, or did not end within the deadline.
    pub async fn join(mut self) -> anyhow::Result<()> {
        let ended = self.tasks.until_stop(&mut self.writer).await?;
        self.store.leave_rest();
        let all = async {
            self.tasks.end().await?;
            self.store.close();
            let ended = self.writer.await;
            // Flushing waits for the collector.
            if let Err(error) = blocking::run(move || self.traces.flush()).await {
                tracing::warn!(%error, "the last spans were not sent to the collector");
            }
            ended
        };
        tokio::time::timeout(self.stop_deadline, all)
            .await
            .context("the service did not stop in time")?
            .context("a part of the service failed")?;
        match ended {
            None => Ok(()),
            Some(ended) => bail!("a part of the service ended unexpectedly: {ended}"),
        }
    }
}

/// Checks whether the service is alive.
#[derive(Debug)]
pub struct Pulse(Store);

impl Pulse {
    pub(super) const fn new(store: Store) -> Self {
        Self(store)
    }

    /// Returns once the writer has answered, even if it can't write.
    pub async fn beat(&self) {
        self.0.writer_answers(clock::now()).await;
    }
}
