//! The sections of the configuration: each setting with its type and its bounds. Must never show a secret.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;

use super::api_keys::ApiKeys;
use super::error::ConfigError;
use super::layers::Layers;
use super::network::Networks;
use super::secrets::{Secrets, upstream_key};
use super::{level, url};
use crate::domain::file_path::{check_file, check_folder};
use crate::domain::webhook::retry::Retries;
use crate::domain::webhook::secret::Secret;
use crate::domain::webhook::target::Allowed;

const LEAST_TIMEOUT: Duration = Duration::from_secs(1);
const MOST_TIMEOUT: Duration = Duration::from_secs(300);

const ADDRESS: &str = "an IP address with a port is expected, such as 127.0.0.1:8080";

/// `[server]`
#[derive(Clone, Debug)]
pub struct Server {
    /// The address and port.
    pub listen: SocketAddr,
    /// The URL at which upstream reaches this service. It is in ASCII and has no slash at its end.
    pub public_url: Option<String>,
    /// The longest time in which a client sends the head of a request. It is above zero.
    pub header_timeout: Duration,
    /// The longest time in which a client sends a body. It is above zero.
    pub body_timeout: Duration,
    /// The most simultaneous connections of each listener, at least one.
    pub max_connections: usize,
    /// The proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Networks,
}

impl Server {
    pub(super) fn read(layers: &Layers) -> Result<Self, ConfigError> {
        Ok(Self {
            listen: layers.setting("server.listen").parsed(ADDRESS)?,
            public_url: url::public(layers.setting("server.public_url"))?,
            header_timeout: layers.setting("server.header_timeout").positive_duration()?,
            body_timeout: layers.setting("server.body_timeout").positive_duration()?,
            max_connections: layers.setting("server.max_connections").count()?,
            trusted_proxies: Networks::read(layers.setting("server.trusted_proxies"))?,
        })
    }
}

/// `[auth]`
#[derive(Clone, Debug)]
pub struct Auth {
    /// The keys for `/v1/*`, `/serve/*` and `/metrics`. There are none in keyless operation.
    pub api_keys: ApiKeys,
    /// Whether keyless operation is requested. This has no effect if there are keys.
    pub keyless: bool,
}

impl Auth {
    pub(super) fn read(layers: &Layers) -> Result<Self, ConfigError> {
        Ok(Self {
            api_keys: ApiKeys::read(layers.setting("auth.api_keys"))?,
            keyless: layers.setting("auth.keyless").boolean()?,
        })
    }
}

/// `[store]`
#[derive(Clone, Debug)]
pub struct Store {
    /// The SQLite file.
    pub path: PathBuf,
}

impl Store {
    pub(super) fn read(layers: &Layers) -> Result<Self, ConfigError> {
        let path = layers.setting("store.path");
        // Blanks are part of the name. Without them it would be another database, and URLs would be paid for again.
        let text = path.written()?;
        check_file(Path::new(text)).map_err(|fault| path.error(format_args!("`{text}`: {fault}")))?;
        Ok(Self { path: PathBuf::from(text) })
    }
}

/// `[upstream]`
#[derive(Clone, Debug)]
pub struct Upstream {
    /// The scheme and host as written, because the database is bound to this text.
    pub base_url: String,
    /// The key, in printable ASCII. Empty if it is missing.
    pub api_key: SecretString,
    /// The longest wait for an answer, from one second to five minutes.
    pub timeout: Duration,
}

impl Upstream {
    pub(super) fn read(layers: &Layers) -> Result<Self, ConfigError> {
        let timeout = layers.setting("upstream.timeout");
        Ok(Self {
            base_url: url::plain(layers.setting("upstream.base_url"))?,
            api_key: upstream_key(layers.setting("upstream.api_key"))?,
            timeout: match timeout.duration()? {
                duration if (LEAST_TIMEOUT..=MOST_TIMEOUT).contains(&duration) => duration,
                _ => return Err(timeout.error("the duration must be from 1s to 5m")),
            },
        })
    }
}

/// `[callback]`
#[derive(Clone, Debug)]
pub struct Callback {
    /// The separate address for callbacks. None for `server.listen`.
    pub listen: Option<SocketAddr>,
    /// The secrets for tokens. The first signs, and all verify. If there are none, the store generates and keeps one.
    pub secret: Secrets,
    /// The most bytes of a body, at least one.
    pub max_body: usize,
    /// The effect of a callback without a good token.
    pub without_token: WithoutToken,
}

impl Callback {
    pub(super) fn read(layers: &Layers) -> Result<Self, ConfigError> {
        let without_token = layers.setting("callback.without_token");
        Ok(Self {
            listen: layers.setting("callback.listen").optional(ADDRESS)?,
            secret: Secrets::read(layers.setting("callback.secret"))?,
            max_body: layers.setting("callback.max_body").count()?,
            without_token: match without_token.text()? {
                "hint" => WithoutToken::Hint,
                "accept" => WithoutToken::Accept,
                _ => return Err(without_token.error("`hint` or `accept` is expected")),
            },
        })
    }
}

/// The effect of a callback without a good token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithoutToken {
    /// It counts as a hint, which changes no state.
    Hint,
    /// It counts like a callback with a token.
    Accept,
}

/// `[dispatch]`
#[derive(Clone, Debug)]
pub struct Dispatch {
    /// The least time between two upstream requests.
    pub min_interval: Duration,
    /// The time until the first probe of a paused account. It is above zero.
    pub probe_after: Duration,
    /// The most URLs of one job, at least one.
    pub max_urls_per_job: usize,
    /// The most URLs that are sent in a UTC day. None if there is no limit.
    pub max_urls_per_day: Option<u64>,
}

impl Dispatch {
    pub(super) fn read(layers: &Layers) -> Result<Self, ConfigError> {
        let per_day = layers.setting("dispatch.max_urls_per_day").integer(0)?;
        Ok(Self {
            min_interval: layers.setting("dispatch.min_interval").duration()?,
            probe_after: layers.setting("dispatch.probe_after").positive_duration()?,
            max_urls_per_job: layers.setting("dispatch.max_urls_per_job").count()?,
            max_urls_per_day: Some(per_day).filter(|urls| *urls > 0),
        })
    }
}

/// `[reconcile]`
#[derive(Clone, Debug)]
pub struct Reconcile {
    /// The time until the first poll of a silent task, above zero. If there is none, it depends on the public URL.
    pub after: Option<Duration>,
    /// The least time between the two polls that prove that there are no more videos.
    pub settle_after: Duration,
    /// The silence after which jobs stop waiting for a task. It is above zero.
    pub deadline: Duration,
    /// The least time between two polls of a task because of hints.
    pub hint_interval: Duration,
}

impl Reconcile {
    pub(super) fn read(layers: &Layers) -> Result<Self, ConfigError> {
        let after = layers.setting("reconcile.after");
        Ok(Self {
            after: after.optional_text()?.map(|_| after.positive_duration()).transpose()?,
            settle_after: layers.setting("reconcile.settle_after").duration()?,
            deadline: layers.setting("reconcile.deadline").positive_duration()?,
            hint_interval: layers.setting("reconcile.hint_interval").duration()?,
        })
    }
}

/// `[forward]`
#[derive(Clone, Debug)]
pub struct Forward {
    /// Signs the webhooks of jobs; none: generated, kept in the store.
    pub secret: Option<Secret>,
    /// Which receivers are allowed.
    pub allowed: Allowed,
    /// Most requests at once; at least one.
    pub max_in_flight: usize,
    /// Longest wait for an answer, from one second to five minutes.
    pub timeout: Duration,
    /// The spacing of attempts, and their end.
    pub retries: Retries,
}

impl Forward {
    pub(super) fn read(layers: &Layers) -> Result<Self, ConfigError> {
        let (secret, timeout) = (layers.setting("forward.secret"), layers.setting("forward.timeout"));
        Ok(Self {
            secret: secret
                .optional_text()?
                .map(|text| Secret::parse(text).map_err(|error| secret.error(error)))
                .transpose()?,
            allowed: Allowed {
                private: layers.setting("forward.allow_private").boolean()?,
                http: layers.setting("forward.allow_http").boolean()?,
            },
            max_in_flight: layers.setting("forward.max_in_flight").count()?,
            timeout: match timeout.duration()? {
                duration if (LEAST_TIMEOUT..=MOST_TIMEOUT).contains(&duration) => duration,
                _ => return Err(timeout.error("the duration must be from 1s to 5m")),
            },
            retries: Retries {
                first_retry: layers.setting("forward.first_retry").positive_duration()?,
                give_up_after: layers.setting("forward.give_up_after").positive_duration()?,
            },
        })
    }
}

/// `[backup]`
#[derive(Clone, Debug)]
pub struct Backup {
    /// The folder of the copies. None if no scheduled copies are made.
    pub folder: Option<PathBuf>,
    /// The time between two copies. It is above zero.
    pub every: Duration,
    /// The number of copies to keep, at least one.
    pub keep: usize,
}

impl Backup {
    pub(super) fn read(layers: &Layers) -> Result<Self, ConfigError> {
        let folder = layers.setting("backup.folder");
        let path = folder.optional_text()?.map(PathBuf::from);
        if let Some(path) = &path {
            check_folder(path)
                .map_err(|fault| folder.error(format_args!("`{}`: {fault}", path.display())))?;
        }
        Ok(Self {
            folder: path,
            every: layers.setting("backup.every").positive_duration()?,
            keep: layers.setting("backup.keep").count()?,
        })
    }
}

/// `[retention]`
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// The time for which bodies and events are kept after their task and job have settled. Zero means forever.
    pub after: Duration,
}

impl Retention {
    pub(super) fn read(layers: &Layers) -> Result<Self, ConfigError> {
        Ok(Self { after: layers.setting("retention.after").duration()? })
    }
}

/// `[metrics]`
#[derive(Clone, Debug)]
pub struct Metrics {
    /// The separate address for metrics. None for `server.listen`.
    pub listen: Option<SocketAddr>,
}

impl Metrics {
    pub(super) fn read(layers: &Layers) -> Result<Self, ConfigError> {
        Ok(Self { listen: layers.setting("metrics.listen").optional(ADDRESS)? })
    }
}

/// `[traces]`
#[derive(Clone, Debug)]
pub struct Traces {
    /// The collector's URL for OTLP over HTTP, without `/v1/traces` and in ASCII. None if nothing is traced.
    pub endpoint: Option<String>,
}

impl Traces {
    pub(super) fn read(layers: &Layers) -> Result<Self, ConfigError> {
        Ok(Self { endpoint: url::normal(layers.setting("traces.endpoint"))? })
    }
}

/// `[log]`
#[derive(Clone, Debug)]
pub struct Log {
    /// A level, or the levels of parts, in the form of `RUST_LOG`, which overrides it.
    pub level: String,
}

impl Log {
    pub(super) fn read(layers: &Layers) -> Result<Self, ConfigError> {
        let level = level::directives(layers.setting("log.level"))?;
        Ok(Self { level: layers.rust_log().map(level::directives).transpose()?.unwrap_or(level) })
    }
}
