//! The state that all handlers share, and the secrets of callers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::edge::keys::Keys;
use super::edge::sign_in_limit::SignInLimit;
use super::hint_limit::HintLimit;
use super::operate::proof::Proof;
use crate::clock;
use crate::config::{Config, Live, WithoutToken};
use crate::domain::token::TokenKeys;
use crate::domain::webhook::secret::Secret;
use crate::domain::webhook::target::Allowed;
use crate::forward::Sender;
use crate::problems::Monitored;
use crate::store::{Pacing, Store};
use crate::telemetry::{Metrics, Traces};

/// The state of all handlers. Clones share it.
#[derive(Clone, Debug)]
pub(in crate::http) struct Context {
    pub(in crate::http) store: Store,
    pub(in crate::http) tokens: Arc<Live<TokenKeys>>,
    pub(in crate::http) keys: Arc<Live<Keys>>,
    pub(in crate::http) metrics: Arc<Metrics>,
    pub(in crate::http) traces: Traces,
    pub(in crate::http) proof: Arc<Proof>,
    pub(in crate::http) hint_limit: Arc<HintLimit>,
    pub(in crate::http) sign_in_limit: Arc<SignInLimit>,
    pub(in crate::http) without_token: WithoutToken,
    /// Ends waiting requests and streams.
    pub(in crate::http) stop: CancellationToken,
    pub(in crate::http) monitored: Monitored,
    /// Sends and signs test messages.
    pub(in crate::http) forward: Forward,
    /// The description of the API.
    pub(in crate::http) document: Arc<str>,
    pub(in crate::http) limits: Limits,
}

/// The parts of the service that handlers use.
#[derive(Clone, Debug)]
pub struct Shared {
    /// The store of clients.
    pub store: Store,
    /// The secrets of callers.
    pub credentials: Credentials,
    /// The parts that status and metrics report.
    pub monitored: Monitored,
    /// Counts the work of handlers.
    pub metrics: Arc<Metrics>,
    /// Traces of tasks.
    pub traces: Traces,
    /// Sends webhooks.
    pub sender: Sender,
    /// Ends waiting requests and streams.
    pub stop: CancellationToken,
}

/// The parts that send test messages.
#[derive(Clone, Debug)]
pub(in crate::http) struct Forward {
    pub(in crate::http) sender: Sender,
    /// They sign for receivers without a secret.
    pub(in crate::http) secrets: Arc<Live<Vec<Secret>>>,
}

impl Context {
    pub(in crate::http) fn new(config: &Config, shared: Shared, document: String) -> Self {
        let Shared { store, credentials, monitored, metrics, traces, sender, stop } = shared;
        Self {
            store,
            tokens: credentials.tokens,
            keys: credentials.keys,
            metrics,
            traces,
            proof: Arc::default(),
            sign_in_limit: Arc::default(),
            hint_limit: Arc::new(HintLimit::new(Instant::now())),
            without_token: config.callback.without_token,
            stop,
            monitored,
            forward: Forward { sender, secrets: credentials.forward },
            document: document.into(),
            limits: Limits {
                callback_body: config.callback.max_body,
                body_timeout: config.server.body_timeout,
                urls_per_job: config.dispatch.max_urls_per_job,
                targets: config.forward.allowed,
            },
        }
    }

    /// The present input of estimates.
    pub(in crate::http) fn pacing(&self) -> Pacing {
        let Monitored { budget, urls_per_day, .. } = &self.monitored;
        Pacing { now: clock::now(), least: budget.interval(), urls_per_day: *urls_per_day }
    }
}

#[derive(Clone, Copy, Debug)]
pub(in crate::http) struct Limits {
    pub(in crate::http) callback_body: usize,
    pub(in crate::http) body_timeout: Duration,
    pub(in crate::http) urls_per_job: usize,
    /// Which callback URLs are allowed.
    pub(in crate::http) targets: Allowed,
}

/// The secrets that callers must have. They can be replaced while the service runs.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// API keys.
    pub keys: Arc<Live<Keys>>,
    /// The keys that make and check callback tokens.
    pub tokens: Arc<Live<TokenKeys>>,
    /// The secrets that sign the webhooks of jobs.
    pub forward: Arc<Live<Vec<Secret>>>,
}
