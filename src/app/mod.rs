//! The service as a value: bind, join, stop. All wiring, and the order of stopping.

mod handles;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use self::handles::token_keys;
pub use self::handles::{Pulse, Reloader};
use crate::clock;
use crate::config::{Config, ConfigError, Live, WithoutToken};
use crate::http::{self, ConnectionLimits, Credentials, Keys, Surroundings};
use crate::reach::{self, Reach, Standing};
use crate::store::{self, Binding, OpenError, Policy, Store};
use crate::telemetry::{Metrics, Traces, TracesError};
use crate::upstream::wire::MAX_URLS_PER_TASK;
use crate::upstream::{Budget, ClientError, Upstream};
use crate::workers::{self, Backups, CallbackUrls, Dispatcher, Pruner, Reconciler, Tracer};

/// How long stopping may take beyond the answer that upstream still owes us.
const STOP_DEADLINE: Duration = Duration::from_secs(30);

/// Why the service can't start; each is a line that names the setting.
#[derive(Debug, Error)]
pub enum StartError {
    /// A setting is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database can't be used.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// There is no way to the collector of traces.
    #[error(transparent)]
    Traces(#[from] TracesError),
    /// No client for the upstream can be made.
    #[error(transparent)]
    Upstream(#[from] ClientError),
    /// The address can't be listened on.
    #[error("{setting}: can't listen on {address}: {source}")]
    Listen {
        /// The setting that names it.
        setting: &'static str,
        /// The address as configured.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The database can be opened, but not read.
    #[error("store.path: {0}")]
    Read(#[from] crate::store::ReadError),
    /// The database can be opened, but not written.
    #[error("store.path: {0}")]
    Write(#[from] crate::store::WriteError),
}

async fn listen(setting: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    let listener = TcpListener::bind(address).await;
    listener.map_err(|source| StartError::Listen { setting, address, source })
}

/// The real one, also where port 0 was asked for.
fn address_of(
    listener: &TcpListener,
    setting: &'static str,
    address: SocketAddr,
) -> Result<SocketAddr, StartError> {
    listener.local_addr().map_err(|source| StartError::Listen { setting, address, source })
}

/// A listener of its own, where one is wanted, and the real address of it.
async fn listen_apart(
    setting: &'static str,
    address: Option<SocketAddr>,
) -> Result<(Option<TcpListener>, Option<SocketAddr>), StartError> {
    let Some(address) = address else { return Ok((None, None)) };
    let listener = listen(setting, address).await?;
    let address = address_of(&listener, setting, address)?;
    Ok((Some(listener), Some(address)))
}

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
    tasks: JoinSet<&'static str>,
    writer: JoinHandle<()>,
    stop_deadline: Duration,
}

impl App {
    /// Listens, and starts everything; requests are answered from now on.
    ///
    /// # Errors
    /// [`StartError`] names the setting that stands in the way.
    pub async fn bind(config: &Config, accept_upstream_change: bool) -> Result<Self, StartError> {
        config.check_for_serving()?;
        let listener = listen("server.listen", config.server.listen).await?;
        Self::start(config, accept_upstream_change, listener).await
    }

    /// Like [`bind`](Self::bind), with a listener for `server.listen` that is there already.
    ///
    /// # Errors
    /// [`StartError`] names the setting that stands in the way.
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
        let address = address_of(&listener, "server.listen", config.server.listen)?;
        let (callback_listener, callback_address) =
            listen_apart("callback.listen", config.callback.listen).await?;
        let (metrics_listener, metrics_address) =
            listen_apart("metrics.listen", config.metrics.listen).await?;
        let poll_after = config.poll_after();
        let base = config.upstream.base_url.trim_end_matches('/');
        let urls_per_day = config.dispatch.max_urls_per_day;
        let most = urls_per_day.and_then(|most| usize::try_from(most).ok());
        let policy = Policy {
            poll_after,
            urls_per_task: most.map_or(MAX_URLS_PER_TASK, |most| MAX_URLS_PER_TASK.min(most)),
            probe_after: config.dispatch.probe_after,
            settle_after: config.reconcile.settle_after,
            deadline: config.reconcile.deadline,
            hint_interval: config.reconcile.hint_interval,
        };
        let binding = Binding { upstream: base, accept_change: accept_upstream_change };
        let (store, writer) = Store::open(&config.store.path, binding, policy, clock::now()).await?;
        store::warn_of_exposed(store::files_of(&config.store.path));
        let writer = tokio::spawn(writer.measured_by(metrics.clone()).run());
        let last_event = store.read().last_seq().await?;
        store.close_open_submits(clock::now()).await?;
        store.clock_set_back(clock::now()).await?;

        let credentials = Credentials {
            keys: Arc::new(Live::new(Keys::new(&config.auth.api_keys))),
            tokens: Arc::new(Live::new(token_keys(config, &store))),
        };
        let upstream = upstream.masking(credentials.tokens.clone());
        let stop = CancellationToken::new();
        let budget = Arc::new(Budget::new(config.dispatch.min_interval));
        let callback_urls =
            CallbackUrls::new(config.server.public_url.as_deref(), credentials.tokens.clone());
        if config.server.public_url.is_none() {
            tracing::warn!(
                "server.public_url is not set, so scrapehook gets no callbacks and polls every task"
            );
        }
        if config.callback.without_token == WithoutToken::Accept {
            tracing::warn!(
                "callback.without_token is \"accept\", so anyone who reaches /callback can report results of tasks"
            );
        }
        if config.auth.is_keyless() && config.auth.keyless {
            tracing::warn!(
                %address,
                "auth.keyless is true and no API key is set, so every request with a loopback Host may do everything"
            );
        }
        let worker_store = store.for_workers();
        let surroundings = Surroundings {
            store_path: config.store.path.canonicalize().unwrap_or_else(|_| config.store.path.clone()).into(),
            budget: budget.clone(),
            silence: upstream.silence(),
            has_callbacks: config.server.public_url.is_some(),
            backup_every: config.backup.folder.is_some().then_some(config.backup.every),
            last_backup: Arc::default(),
            callback_check: Standing::new(config.server.public_url.is_some()),
        };
        let backups = config.backup.folder.clone().map(|folder| {
            let schedule = (config.backup.every, config.backup.keep);
            let last = surroundings.last_backup.clone();
            Backups::new(config.store.path.clone(), folder, schedule, last, stop.clone())
        });
        let standing = surroundings.callback_check.clone();
        let reach = config.server.public_url.as_deref();
        let reach = reach.map(|url| Reach::new(url, credentials.tokens.clone(), config.callback.max_body));
        let dispatcher = Dispatcher::new(
            worker_store.clone(),
            upstream.clone(),
            budget.clone(),
            callback_urls,
            urls_per_day,
            stop.clone(),
        )
        .traced_by(traces.clone());
        let tracer = Tracer::new(worker_store.clone(), traces.clone(), last_event);
        let reconciler = Reconciler::new(worker_store, upstream, budget, policy, stop.clone());
        let reconciler = reconciler.traced_by(traces.clone());
        let routes = http::routes(
            config,
            store.clone(),
            credentials.clone(),
            surroundings,
            metrics.clone(),
            traces.clone(),
            stop.clone(),
        );
        let limits = ConnectionLimits {
            header_timeout: config.server.header_timeout,
            connections: config.server.max_connections,
        };

        let mut tasks = JoinSet::new();
        let (dispatcher_stop, reconciler_stop) = (stop.clone(), stop.clone());
        let listeners = [
            ("listener", Some(listener), Some(routes.main)),
            ("callback listener", callback_listener, routes.callbacks),
            ("metrics listener", metrics_listener, routes.metrics),
        ];
        for (name, listener, router) in listeners {
            let (Some(listener), Some(router)) = (listener, router) else { continue };
            let (metrics, stop) = (metrics.clone(), stop.clone());
            tasks.spawn(async move {
                http::serve(listener, router, limits, metrics, stop).await;
                name
            });
        }
        let dispatcher_store = store.clone();
        tasks.spawn(async move {
            workers::run(dispatcher, dispatcher_store, dispatcher_stop).await;
            "dispatcher"
        });
        let reconciler_store = store.clone();
        tasks.spawn(async move {
            workers::run(reconciler, reconciler_store, reconciler_stop).await;
            "reconciler"
        });
        if traces.are_wanted() {
            let (store, stop) = (store.clone(), stop.clone());
            tasks.spawn(async move {
                workers::run(tracer, store, stop).await;
                "tracer"
            });
        }
        if !config.retention.after.is_zero() {
            let pruner = Pruner::new(store.for_workers(), config.retention.after);
            let (store, stop) = (store.clone(), stop.clone());
            tasks.spawn(async move {
                workers::run(pruner, store, stop).await;
                "pruner"
            });
        }
        if let Some(backups) = backups {
            let (store, stop) = (store.clone(), stop.clone());
            tasks.spawn(async move {
                workers::run(backups, store, stop).await;
                "backups"
            });
        }
        let (fed, feed_stop) = (store.for_workers(), stop.clone());
        tasks.spawn(async move {
            fed.feed(feed_stop).await;
            "event feed"
        });
        let check_stop = stop.clone();
        tasks.spawn(async move {
            reach::keep_checking(reach, standing, check_stop).await;
            "callback check"
        });
        let stop_deadline = config.upstream.timeout + STOP_DEADLINE;
        let (guarded, guard_stop) = (store.clone(), stop.clone());
        tasks.spawn(async move {
            tokio::select! {
                () = guarded.file_gone() => {}
                () = guard_stop.cancelled() => {}
            }
            "file guard"
        });
        Ok(Self {
            address,
            callback_address,
            metrics_address,
            store,
            credentials,
            config: config.clone(),
            traces,
            stop,
            tasks,
            writer,
            stop_deadline,
        })
    }

    /// Where it listens: the port is the real one, also where 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where callbacks alone are taken; none where that is the same address.
    pub fn callback_address(&self) -> Option<SocketAddr> {
        self.callback_address
    }

    /// Where metrics alone are shown; none where that is the same address.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_address
    }

    /// What takes over API keys and callback secrets while the service runs.
    pub fn reloader(&self) -> Reloader {
        Reloader::new(self.credentials.clone(), self.store.clone(), self.config.clone())
    }

    /// What tells whether the service is alive.
    pub fn pulse(&self) -> Pulse {
        Pulse::new(self.store.clone())
    }

    /// The longest that stopping may take.
    pub fn stop_deadline(&self) -> Duration {
        self.stop_deadline
    }

    /// Stops the service when canceled.
    pub fn stop_token(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Waits for the stop, then stops: listener and workers finish what they began, the writer is last.
    ///
    /// # Errors
    /// A part died before the stop, or did not end within the deadline.
    pub async fn join(mut self) -> anyhow::Result<()> {
        let died = tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            ended = self.tasks.join_next() => Some(ended),
            ended = &mut self.writer => {
                self.stop.cancel();
                bail!("the database writer ended unexpectedly: {ended:?}");
            }
        };
        self.stop.cancel();
        self.store.leave_rest();
        let all = async {
            while self.tasks.join_next().await.transpose()?.is_some() {}
            self.store.close();
            let ended = self.writer.await;
            // It waits for the collector.
            tokio::task::spawn_blocking(move || self.traces.flush()).await?;
            ended
        };
        tokio::time::timeout(self.stop_deadline, all)
            .await
            .context("the service did not stop in time")?
            .context("a part of the service failed")?;
        match died {
            None => Ok(()),
            Some(ended) => bail!("a part of the service ended unexpectedly: {ended:?}"),
        }
    }
}
