//! The sections of the configuration: each setting with its type and its bounds.

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

const LEAST_TIMEOUT: Duration = Duration::from_secs(1);
const MOST_TIMEOUT: Duration = Duration::from_secs(300);

const ADDRESS: &str = "an IP address with a port is expected, such as 127.0.0.1:8080";

/// `[server]`
#[derive(Clone, Debug)]
pub struct Server {
    /// Address and port.
    pub listen: SocketAddr,
    /// Where upstream reaches us, as it is handed out: in ASCII and without a slash at its end.
    pub public_url: Option<String>,
    /// How long a client may take to send the head of a request; above zero.
    pub header_timeout: Duration,
    /// How long a client may take to send a body; above zero.
    pub body_timeout: Duration,
    /// Most connections at a time on each listener; at least one.
    pub max_connections: usize,
    /// Proxies whose `X-Forwarded-For` is believed.
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
    /// The keys that `/v1/*` and `/metrics` take; none in keyless operation.
    pub api_keys: ApiKeys,
    /// Whether keyless operation is asked for. Without effect if there are keys.
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
        // Blanks are part of the name: without them it would be another database, and URLs would be paid again.
        let text = path.written()?;
        check_file(Path::new(text)).map_err(|fault| path.error(format_args!("`{text}`: {fault}")))?;
        Ok(Self { path: PathBuf::from(text) })
    }
}

/// `[upstream]`
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Scheme and host, as they are written: the database is bound to these words.
    pub base_url: String,
    /// The key, in printable ASCII; empty if it is missing.
    pub api_key: SecretString,
    /// Longest wait for an answer, from one second to five minutes.
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
    /// Where callbacks are taken, and nothing else is served; none: on `server.listen`.
    pub listen: Option<SocketAddr>,
    /// Makes tokens: the first signs, all verify. Empty: generated, kept in the store.
    pub secret: Secrets,
    /// Most bytes of a body; at least one.
    pub max_body: usize,
    /// How a callback without a good token counts.
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

/// How a callback without a good token counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithoutToken {
    /// As a hint: it changes no state itself.
    Hint,
    /// Like one with a token.
    Accept,
}

/// `[dispatch]`
#[derive(Clone, Debug)]
pub struct Dispatch {
    /// Least time between two upstream requests.
    pub min_interval: Duration,
    /// First probe of a paused account; above zero.
    pub probe_after: Duration,
    /// Most URLs of one job; at least one.
    pub max_urls_per_job: usize,
    /// Most URLs that are sent in a UTC day; none: no limit.
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
    /// First poll of a silent task, above zero; none: it depends on the public URL.
    pub after: Option<Duration>,
    /// Least time between the two polls that prove that there are no more videos.
    pub settle_after: Duration,
    /// How long a task may be silent before its job stops waiting for it; above zero.
    pub deadline: Duration,
    /// A hint has its task polled at most once in this time.
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

/// `[backup]`
#[derive(Clone, Debug)]
pub struct Backup {
    /// Where copies are put; none: no copy is made automatically.
    pub folder: Option<PathBuf>,
    /// Between two copies; above zero.
    pub every: Duration,
    /// How many are kept; at least one.
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
    /// How long bodies and events are kept after their task and job have settled; zero: forever.
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
    /// Where metrics are shown, and nothing else is served; none: on `server.listen`.
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
    /// The collector's OTLP over HTTP, without `/v1/traces` and in ASCII; none: nothing is traced.
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
    /// A level, or levels of parts, in the form of `RUST_LOG`, which wins.
    pub level: String,
}

impl Log {
    pub(super) fn read(layers: &Layers) -> Result<Self, ConfigError> {
        let level = level::directives(layers.setting("log.level"))?;
        Ok(Self { level: layers.rust_log().map(level::directives).transpose()?.unwrap_or(level) })
    }
}
