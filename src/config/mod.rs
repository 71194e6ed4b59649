//! The configuration: layers, checks, and nothing that is not written in `config.example.toml`.
//!
//! Later wins: the embedded example, the file, the environment. Must never show a secret.

mod layers;
mod live;
mod network;
mod secrets;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use thiserror::Error;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use url::Url;

use crate::domain::file_path;
use crate::domain::host::is_loopback;

pub use self::live::Live;
pub use self::network::Networks;
pub use self::secrets::{ApiKey, ApiKeys, Role, Secrets};

const LEAST_TIMEOUT: Duration = Duration::from_secs(1);
const MOST_TIMEOUT: Duration = Duration::from_secs(300);
/// Leaves room for `/callback/` and a token.
const MOST_PUBLIC_URL: usize = 240;

/// What is wrong with the configuration; one line that names the setting.
#[derive(Debug, Error)]
#[error("{}", one_line(.0))]
pub struct ConfigError(String);

/// Names and values are quoted, and quoted keys of TOML can hold line ends and what moves a terminal's cursor.
fn one_line(text: &str) -> String {
    text.replace(|c: char| c.is_control(), " ")
}

impl ConfigError {
    /// An error with this line, which names the setting.
    pub fn new(line: impl Into<String>) -> Self {
        Self(line.into())
    }
}

/// All settings, checked.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How we are reached.
    pub server: Server,
    /// Who may ask.
    pub auth: Auth,
    /// Where state is kept.
    pub store: Store,
    /// Whom we send to.
    pub upstream: Upstream,
    /// What we catch.
    pub callback: Callback,
    /// How we send.
    pub dispatch: Dispatch,
    /// How we ask for what never came.
    pub reconcile: Reconcile,
    /// What is copied.
    pub backup: Backup,
    /// What is removed.
    pub retention: Retention,
    /// What is measured.
    pub metrics: Metrics,
    /// What is traced.
    pub traces: Traces,
    /// What is logged.
    pub log: Log,
}

/// `[backup]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backup {
    /// Where copies are put; none: no copy is made by itself.
    #[serde(default, deserialize_with = "blank_is_none")]
    pub folder: Option<PathBuf>,
    /// Between two copies.
    #[serde(with = "humantime_serde")]
    pub every: Duration,
    /// How many are kept.
    pub keep: usize,
}

/// `[retention]`
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// How long after they have settled bodies and events are kept; zero: for ever.
    #[serde(with = "humantime_serde")]
    pub after: Duration,
}

/// `[metrics]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// Where metrics are shown, and nothing else is served; none: on `server.listen`.
    #[serde(default, deserialize_with = "blank_is_none")]
    pub listen: Option<SocketAddr>,
}

/// `[traces]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Traces {
    /// The collector's OTLP over HTTP, without `/v1/traces`; none: nothing is traced.
    #[serde(default, deserialize_with = "blank_is_none")]
    pub endpoint: Option<String>,
}

/// `[log]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// A level, or levels of parts, in the form of `RUST_LOG`.
    pub level: String,
}

/// `[server]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Address and port.
    pub listen: SocketAddr,
    /// Where upstream reaches us.
    #[serde(default, deserialize_with = "blank_is_none")]
    pub public_url: Option<String>,
    /// How long a client may take to send the head of a request.
    #[serde(with = "humantime_serde")]
    pub header_timeout: Duration,
    /// How long a client may take to send a body.
    #[serde(with = "humantime_serde")]
    pub body_timeout: Duration,
    /// Most connections at a time, on each listener.
    pub max_connections: usize,
    /// Whose `X-Forwarded-For` is believed.
    #[serde(default)]
    pub trusted_proxies: Networks,
}

/// `[auth]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// The keys that `/v1/*` takes.
    #[serde(default)]
    pub api_keys: ApiKeys,
}

/// `[store]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Store {
    /// The SQLite file.
    pub path: PathBuf,
}

/// `[upstream]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// Scheme and host.
    pub base_url: String,
    /// The key.
    #[serde(default)]
    pub api_key: SecretString,
    /// Longest wait for an answer.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
}

/// `[callback]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Callback {
    /// Where callbacks are taken, and nothing else is served; none: on `server.listen`.
    #[serde(default, deserialize_with = "blank_is_none")]
    pub listen: Option<SocketAddr>,
    /// Makes tokens: the first signs, all verify. Empty: generated, kept in the store.
    #[serde(default)]
    pub secret: Secrets,
    /// Most bytes of a body.
    pub max_body: usize,
    /// What a callback without a good token is.
    pub without_token: WithoutToken,
}

/// What a callback without a good token is.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum WithoutToken {
    /// A hint: it changes no state itself.
    Hint,
    /// As good as one with a token.
    Accept,
}

/// `[dispatch]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dispatch {
    /// Least distance between two upstream requests.
    #[serde(with = "humantime_serde")]
    pub min_interval: Duration,
    /// First probe of a paused account.
    #[serde(with = "humantime_serde")]
    pub probe_after: Duration,
    /// Most URLs of one job.
    pub max_urls_per_job: usize,
    /// Most URLs that are sent in a UTC day; none: no limit.
    #[serde(default, deserialize_with = "zero_is_none")]
    pub max_urls_per_day: Option<u64>,
}

/// `[reconcile]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reconcile {
    /// First poll of a silent task; empty: 2 minutes, 15 seconds without a public URL.
    #[serde(default)]
    pub after: String,
    /// How far apart two polls must be that prove that there are no more videos.
    #[serde(with = "humantime_serde")]
    pub settle_after: Duration,
    /// How long a task may be silent before its job stops waiting for it.
    #[serde(with = "humantime_serde")]
    pub deadline: Duration,
    /// A hint has its task polled at most once in this time.
    #[serde(with = "humantime_serde")]
    pub hint_interval: Duration,
}

fn zero_is_none<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    Ok(Option::<u64>::deserialize(deserializer)?.filter(|number| *number > 0))
}

fn blank_is_none<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: FromStr<Err: fmt::Display>,
{
    let text = Option::<String>::deserialize(deserializer)?.filter(|text| !text.trim().is_empty());
    text.map(|text| text.trim().parse().map_err(serde::de::Error::custom)).transpose()
}

impl Config {
    fn check(&self) -> Result<(), ConfigError> {
        let fail = |text: &str| Err(ConfigError(text.to_owned()));
        for key in &self.auth.api_keys.0 {
            if key.name.trim().is_empty() || key.key.expose_secret().len() < 8 {
                return fail("auth.api_keys: every key needs a name and at least 8 characters");
            }
        }
        if self.callback.secret.0.iter().any(|secret| secret.expose_secret().len() < 16) {
            return fail("callback.secret: at least 16 characters are needed");
        }
        let keys = &self.auth.api_keys.0;
        for (place, key) in keys.iter().enumerate() {
            let is_same = |other: &ApiKey| {
                other.name == key.name || other.key.expose_secret() == key.key.expose_secret()
            };
            if keys[..place].iter().any(is_same) {
                return Err(ConfigError(format!(
                    "auth.api_keys: the name or the key of `{}` is there twice",
                    key.name
                )));
            }
        }
        file_path::check_settings(&self.store.path, self.backup.folder.as_deref()).map_err(ConfigError)?;
        if self.callback.max_body == 0
            || self.dispatch.max_urls_per_job == 0
            || self.server.max_connections == 0
            || self.backup.keep == 0
        {
            return fail(
                "callback.max_body, dispatch.max_urls_per_job, server.max_connections, backup.keep: must not be 0",
            );
        }
        if !(LEAST_TIMEOUT..=MOST_TIMEOUT).contains(&self.upstream.timeout) {
            return fail(
                "upstream.timeout: from 1s to 5m is possible; a submit without an answer is unconfirmed",
            );
        }
        for (name, span) in [
            ("server.header_timeout", self.server.header_timeout),
            ("server.body_timeout", self.server.body_timeout),
            ("dispatch.probe_after", self.dispatch.probe_after),
            ("reconcile.after", self.poll_after()?),
            ("reconcile.deadline", self.reconcile.deadline),
            ("backup.every", self.backup.every),
        ] {
            if span.is_zero() {
                return Err(ConfigError(format!("{name}: must be longer than nothing")));
            }
        }
        if let Some(url) = &self.server.public_url {
            if url.len() > MOST_PUBLIC_URL {
                return Err(ConfigError(format!(
                    "server.public_url: longer than {MOST_PUBLIC_URL} characters; upstream takes callback URLs \
                     of at most 299"
                )));
            }
            check_plain_url("server.public_url", url)?;
        }
        check_plain_url("upstream.base_url", &self.upstream.base_url)?;
        if let Some(url) = &self.traces.endpoint {
            check_plain_url("traces.endpoint", url)?;
        }
        check_level(&self.log.level)
    }

    /// What [`serve`](Self) needs beyond a readable configuration.
    ///
    /// # Errors
    /// [`ConfigError`] names the setting that is missing.
    pub fn check_for_serving(&self) -> Result<(), ConfigError> {
        if self.upstream.api_key.expose_secret().trim().is_empty() {
            return Err(ConfigError(
                "upstream.api_key: missing; set MEMORIES_API_KEY or SCRAPEHOOK_UPSTREAM__API_KEY".to_owned(),
            ));
        }
        let are_strangers_apart = self.callback.listen.is_some();
        if self.auth.api_keys.0.is_empty() && !are_strangers_apart && !self.is_loopback_only() {
            return Err(ConfigError(
                "auth.api_keys: needed unless server.listen and server.public_url are both loopback, or \
                 callback.listen is set; set SCRAPEHOOK_AUTH__API_KEYS=name:write:key"
                    .to_owned(),
            ));
        }
        Ok(())
    }

    /// Whether only this machine can reach us, as far as the settings tell.
    pub fn is_loopback_only(&self) -> bool {
        let public = self.server.public_url.as_deref().and_then(|url| Url::parse(url).ok());
        self.server.listen.ip().is_loopback()
            && public.is_none_or(|url| url.host_str().is_some_and(is_loopback))
    }

    /// How long a task may be silent before it is polled.
    ///
    /// # Errors
    /// [`ConfigError`] where the setting is no duration.
    pub fn poll_after(&self) -> Result<Duration, ConfigError> {
        let text = self.reconcile.after.trim();
        if text.is_empty() {
            let seconds = if self.server.public_url.is_some() { 120 } else { 15 };
            return Ok(Duration::from_secs(seconds));
        }
        humantime::parse_duration(text)
            .map_err(|error| ConfigError(format!("reconcile.after: `{text}`: {error}")))
    }
}

/// A word that is no level would be taken for a part, and all other parts be silent.
fn check_level(level: &str) -> Result<(), ConfigError> {
    EnvFilter::try_new(level).map_err(|error| ConfigError(format!("log.level: `{level}`: {error}")))?;
    let mut words = level.split(',').map(str::trim);
    match words.find(|word| !word.contains(['=', '[']) && word.parse::<LevelFilter>().is_err()) {
        None => Ok(()),
        Some(word) => Err(ConfigError(format!(
            "log.level: `{word}` is no level; error, warn, info, debug, trace and off are, or part=level"
        ))),
    }
}

/// Checks a URL that paths are appended to.
fn check_plain_url(setting: &str, text: &str) -> Result<(), ConfigError> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let is_plain = |url: &Url| {
        let (query, fragment) = (url.query(), url.fragment());
        query.is_none() && fragment.is_none() && url.username().is_empty() && url.password().is_none()
    };
    if url.is_some_and(|url| is_plain(&url)) {
        return Ok(());
    }
    Err(ConfigError(format!(
        "{setting}: an http or https URL is expected, without user, password, query or fragment"
    )))
}
