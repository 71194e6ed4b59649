//! The wiring: makes the parts of the service from one configuration, and gives them the parts that they share. Must
//! never decide about a request.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::error::StartError;
use super::listen::Listeners;
use super::reload::{forward_secrets, token_keys};
use super::tasks::Tasks;
use crate::callback_check::{self, Checker, LastCheck};
use crate::clock;
use crate::config::{Config, Live, WithoutToken};
use crate::forward::Sender;
use crate::http::{self, ConnectionLimits, Credentials, Keys, Shared};
use crate::problems::Monitored;
use crate::store::{self, Binding, Policy, Store};
use crate::telemetry::{Metrics, Traces};
use crate::upstream::wire::MAX_URLS_PER_TASK;
use crate::upstream::{Budget, Upstream};
use crate::workers::{
    Announcer, Backups, Budgets, CallbackUrls, Dispatcher, Forwarder, Pace, Pruner, Reconciler, Schedule,
    Tracer,
};

/// The open store, and the values that were read before any other part ran.
pub(super) struct Opened {
    pub(super) store: Store,
    pub(super) writer: JoinHandle<()>,
    last_event: i64,
    policy: Policy,
}

/// Opens the store and closes the submits that the last run left open.
///
/// # Errors
/// [`StartError`]
pub(super) async fn open_store(
    config: &Config,
    accept_upstream_change: bool,
    metrics: &Arc<Metrics>,
) -> Result<Opened, StartError> {
    let most = config.dispatch.max_urls_per_day.and_then(|most| usize::try_from(most).ok());
    let policy = Policy {
        poll_after: config.poll_after(),
        urls_per_task: most.map_or(MAX_URLS_PER_TASK, |most| MAX_URLS_PER_TASK.min(most)),
        probe_after: config.dispatch.probe_after,
        settle_after: config.reconcile.settle_after,
        deadline: config.reconcile.deadline,
        hint_interval: config.reconcile.hint_interval,
    };
    let upstream = config.upstream.base_url.trim_end_matches('/');
    let binding = Binding { upstream, accept_change: accept_upstream_change };
    let (store, writer) = Store::open(&config.store.path, binding, policy, clock::now()).await?;
    store::warn_of_exposed(store::files_of(&config.store.path));
    let writer = tokio::spawn(writer.measured_by(metrics.clone()).run());
    let last_event = store.read().last_seq().await?;
    store.close_open_submits(clock::now()).await?;
    store.clock_set_back(clock::now()).await?;
    Ok(Opened { store, writer, last_event, policy })
}

/// The clients of other services.
pub(super) struct Clients {
    pub(super) upstream: Upstream,
    /// Sends webhooks.
    pub(super) sender: Sender,
}

/// The parts that others share.
pub(super) struct Wiring<'a> {
    pub(super) config: &'a Config,
    pub(super) opened: &'a Opened,
    pub(super) credentials: Credentials,
    pub(super) metrics: Arc<Metrics>,
    pub(super) traces: Traces,
    pub(super) stop: CancellationToken,
    upstream: Upstream,
    sender: Sender,
    budget: Arc<Budget>,
    monitored: Monitored,
}

impl<'a> Wiring<'a> {
    pub(super) fn new(
        config: &'a Config,
        opened: &'a Opened,
        Clients { upstream, sender }: Clients,
        metrics: Arc<Metrics>,
        traces: Traces,
    ) -> Self {
        let credentials = Credentials {
            keys: Arc::new(Live::new(Keys::new(&config.auth.api_keys))),
            tokens: Arc::new(Live::new(token_keys(config, &opened.store))),
            forward: Arc::new(Live::new(forward_secrets(config, &opened.store))),
        };
        let upstream = upstream.masking(credentials.tokens.clone());
        let budget = Arc::new(Budget::new(config.dispatch.min_interval));
        let path = &config.store.path;
        let monitored = Monitored {
            store_path: path.canonicalize().unwrap_or_else(|_| path.clone()).into(),
            budget: budget.clone(),
            urls_per_day: config.dispatch.max_urls_per_day,
            outage: upstream.outage(),
            has_callbacks: config.server.public_url.is_some(),
            backup_every: config.backup.folder.is_some().then_some(config.backup.every),
            last_backup: Arc::default(),
            callback_check: LastCheck::new(config.server.public_url.is_some()),
        };
        let stop = CancellationToken::new();
        Self { config, opened, credentials, metrics, traces, stop, upstream, sender, budget, monitored }
    }

    /// Answers requests on all listeners.
    pub(super) fn serve(&self, listeners: Listeners, tasks: &mut Tasks) {
        let shared = Shared {
            store: self.opened.store.clone(),
            credentials: self.credentials.clone(),
            monitored: self.monitored.clone(),
            metrics: self.metrics.clone(),
            traces: self.traces.clone(),
            sender: self.sender.clone(),
            stop: self.stop.clone(),
        };
        let routes = http::routes(self.config, shared);
        let limits = ConnectionLimits {
            header_timeout: self.config.server.header_timeout,
            connections: self.config.server.max_connections,
        };
        for (name, listening, router) in [
            ("listener", Some(listeners.main), Some(routes.main)),
            ("callback listener", listeners.callbacks, routes.callbacks),
            ("metrics listener", listeners.metrics, routes.metrics),
        ] {
            let (Some(listening), Some(router)) = (listening, router) else { continue };
            let (metrics, stop) = (self.metrics.clone(), self.stop.clone());
            tasks.spawn(name, http::serve(listening.listener, router, limits, metrics, stop));
        }
    }

    /// Starts the workers, which submit, poll, send webhooks, announce, prune, back up and trace.
    pub(super) fn work(&self, tasks: &mut Tasks) {
        let Opened { store, last_event, policy, .. } = self.opened;
        let config = self.config;
        let public_url = config.server.public_url.as_deref();
        let dispatcher = Dispatcher::new(
            store.for_workers(),
            self.upstream.clone(),
            Budgets { requests: self.budget.clone(), urls_per_day: config.dispatch.max_urls_per_day },
            CallbackUrls::new(public_url, self.credentials.tokens.clone()),
            self.stop.clone(),
        );
        tasks.spawn_worker("dispatcher", dispatcher.traced_by(self.traces.clone()), store);
        let (upstream, budget) = (self.upstream.clone(), self.budget.clone());
        let reconciler = Reconciler::new(store.for_workers(), upstream, budget, *policy, self.stop.clone());
        tasks.spawn_worker("reconciler", reconciler.traced_by(self.traces.clone()), store);
        let forward = &config.forward;
        let pace = Pace { max_in_flight: forward.max_in_flight, retries: forward.retries };
        let (sender, secrets) = (self.sender.clone(), self.credentials.forward.clone());
        let forwarder = Forwarder::new(store.for_workers(), sender, secrets, pace, self.metrics.clone());
        tasks.spawn_worker("forwarder", forwarder, store);
        let announcer = Announcer::new(store.for_workers(), self.monitored.clone());
        tasks.spawn_worker("announcer", announcer, store);
        if self.traces.are_wanted() {
            let tracer = Tracer::new(store.for_workers(), self.traces.clone(), *last_event);
            tasks.spawn_worker("tracer", tracer, store);
        }
        if !config.retention.after.is_zero() {
            tasks.spawn_worker("pruner", Pruner::new(store.for_workers(), config.retention.after), store);
        }
        if let Some(folder) = config.backup.folder.clone() {
            let schedule = Schedule { every: config.backup.every, keep: config.backup.keep };
            let last = self.monitored.last_backup.clone();
            let backups = Backups::new(config.store.path.clone(), folder, schedule, last, self.stop.clone());
            tasks.spawn_worker("backups", backups, store);
        }
    }

    /// Starts the tasks that watch: the event feed, the callback check, and the watch over the database file.
    pub(super) fn watch(&self, tasks: &mut Tasks) {
        let (fed, stop) = (self.opened.store.for_workers(), self.stop.clone());
        tasks.spawn("event feed", async move { fed.feed(stop).await });
        let tokens = || self.credentials.tokens.clone();
        let public_url = self.config.server.public_url.as_deref();
        let checker = public_url.map(|url| Checker::new(url, tokens(), self.config.callback.max_body));
        let last = self.monitored.callback_check.clone();
        tasks.spawn("callback check", callback_check::keep_checking(checker, last, self.stop.clone()));
        let (store, stop) = (self.opened.store.clone(), self.stop.clone());
        tasks.spawn("file watch", async move {
            tokio::select! {
                () = store.file_gone() => {}
                () = stop.cancelled() => {}
            }
        });
    }
}

/// Warns of valid settings that few people want.
pub(super) fn warn_of_settings(config: &Config, address: SocketAddr) {
    if config.server.public_url.is_none() {
        tracing::warn!("server.public_url is not set, so scrapehook gets no callbacks and polls every task");
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
}
