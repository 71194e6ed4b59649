//! The configuration: layers, checks, and nothing that is not written in `config.example.toml`.
//!
//! Later wins: the embedded example, the file, the environment. Must never show a secret.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use thiserror::Error;
use url::Url;

const DEFAULTS: &str = include_str!("../config.example.toml");

/// What is wrong with the configuration; one line that names the setting.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct ConfigError(String);

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
    /// Most connections at a time.
    pub max_connections: usize,
}

/// `[auth]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// The keys that `/v1/*` takes.
    #[serde(default)]
    pub api_keys: ApiKeys,
}

/// A list of keys, in TOML or as `name:role:key`, comma- or line-separated.
#[derive(Clone, Debug, Default)]
pub struct ApiKeys(pub Vec<ApiKey>);

/// One key of a client.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKey {
    /// Shown in events and logs.
    pub name: String,
    /// The secret.
    pub key: SecretString,
    /// What it may do.
    #[serde(default = "read_role")]
    pub role: Role,
}

/// What a key may do.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Only look.
    Read,
    /// Submit and decide, too.
    Write,
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
    /// Makes tokens: the first signs, all verify. Empty: generated, kept in the store.
    #[serde(default)]
    pub secret: Secrets,
    /// Most bytes of a body.
    pub max_body: usize,
}

/// One secret or a list of them; in the environment comma-separated.
#[derive(Clone, Debug, Default)]
pub struct Secrets(pub Vec<SecretString>);

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
}

/// `[reconcile]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reconcile {
    /// First poll of a silent task; empty: 2 minutes, 15 seconds without a public URL.
    #[serde(default)]
    pub after: String,
}

const fn read_role() -> Role {
    Role::Read
}

fn blank_is_none<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.filter(|text| !text.trim().is_empty()))
}

impl<'de> Deserialize<'de> for Secrets {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Text(String),
            List(Vec<String>),
        }
        let list = match Form::deserialize(deserializer)? {
            Form::Text(text) => text.split([',', '\n']).map(str::to_owned).collect(),
            Form::List(list) => list,
        };
        let secrets = list.iter().map(|secret| secret.trim()).filter(|secret| !secret.is_empty());
        Ok(Self(secrets.map(SecretString::from).collect()))
    }
}

impl<'de> Deserialize<'de> for ApiKeys {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Text(String),
            List(Vec<ApiKey>),
        }
        match Form::deserialize(deserializer) {
            Ok(Form::List(keys)) => Ok(Self(keys)),
            Ok(Form::Text(text)) => parse_keys(&text).map(Self).map_err(serde::de::Error::custom),
            // The untagged error would quote the input, and with it the key.
            Err(_) => Err(serde::de::Error::custom(
                "auth.api_keys: a list of { name, key, role = \"read\" or \"write\" } is expected",
            )),
        }
    }
}

fn parse_keys(text: &str) -> Result<Vec<ApiKey>, &'static str> {
    const FORM: &str =
        "auth.api_keys: `name:role:key` is expected, with role `read` or `write`, comma-separated";
    let entries = text.split([',', '\n']).map(str::trim).filter(|entry| !entry.is_empty());
    entries
        .map(|entry| {
            let mut parts = entry.splitn(3, ':');
            let (Some(name), Some(role), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
                return Err(FORM);
            };
            let role = match role {
                "read" => Role::Read,
                "write" => Role::Write,
                _ => return Err(FORM),
            };
            Ok(ApiKey { name: name.to_owned(), key: SecretString::from(key), role })
        })
        .collect()
}

impl Config {
    /// Reads all layers: the defaults, the file if one is named, the process's environment.
    ///
    /// # Errors
    /// [`ConfigError`] names the setting.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        Self::load_with(file, environment()?)
    }

    /// Like [`load`](Self::load), with this environment.
    ///
    /// # Errors
    /// [`ConfigError`] names the setting.
    pub fn load_with(file: Option<&Path>, environment: Vec<(String, String)>) -> Result<Self, ConfigError> {
        let mut builder =
            config::Config::builder().add_source(config::File::from_str(DEFAULTS, config::FileFormat::Toml));
        if let Some(path) = file {
            let text = std::fs::read_to_string(path)
                .map_err(|error| ConfigError(format!("--config {}: {error}", path.display())))?;
            builder = builder.add_source(config::File::from_str(&text, config::FileFormat::Toml));
        }
        for (key, value) in from_environment(environment)? {
            builder = builder
                .set_override(&key, value)
                .map_err(|_| ConfigError(format!("{}: not a key", variable(&key))))?;
        }
        let layers = builder.build().map_err(|error| {
            let error = one_line(&error.to_string());
            ConfigError(match file {
                Some(path) => format!("--config {}: {error}", path.display()),
                None => error,
            })
        })?;
        let config: Self =
            layers.try_deserialize().map_err(|error| ConfigError(one_line(&error.to_string())))?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let fail = |text: &str| Err(ConfigError(text.to_owned()));
        self.poll_after()?;
        for key in &self.auth.api_keys.0 {
            if key.name.trim().is_empty() || key.key.expose_secret().len() < 8 {
                return fail("auth.api_keys: every key needs a name and at least 8 characters");
            }
        }
        if self.callback.secret.0.iter().any(|secret| secret.expose_secret().len() < 16) {
            return fail("callback.secret: at least 16 characters are needed");
        }
        if self.callback.max_body == 0
            || self.dispatch.max_urls_per_job == 0
            || self.server.max_connections == 0
        {
            return fail(
                "callback.max_body, dispatch.max_urls_per_job, server.max_connections: must not be 0",
            );
        }
        if let Some(url) = &self.server.public_url {
            let parsed = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
            if parsed.is_none_or(|url| !url.has_host() || url.query().is_some() || url.fragment().is_some()) {
                return fail("server.public_url: an http or https URL without query or fragment is expected");
            }
        }
        Ok(())
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
        if self.auth.api_keys.0.is_empty() && !self.is_loopback_only() {
            return Err(ConfigError(
                "auth.api_keys: needed unless server.listen and server.public_url are both loopback; \
                 set SCRAPEHOOK_AUTH__API_KEYS=name:write:key"
                    .to_owned(),
            ));
        }
        Ok(())
    }

    /// Whether only this machine can reach us, as far as the settings tell.
    pub fn is_loopback_only(&self) -> bool {
        let public = self.server.public_url.as_deref().and_then(|url| Url::parse(url).ok());
        self.server.listen.ip().is_loopback()
            && public.is_none_or(|url| url.host_str().is_some_and(is_loopback_host))
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

/// A parser's message without its excerpt of the file: that spans lines, and can hold a secret.
fn one_line(message: &str) -> String {
    let is_excerpt =
        |line: &str| line.trim_start_matches(|c: char| c == ' ' || c.is_ascii_digit()).starts_with('|');
    let lines = message.lines().map(str::trim).filter(|line| !line.is_empty() && !is_excerpt(line));
    lines.collect::<Vec<_>>().join(": ")
}

/// Whether this is the host of a URL or a `Host` header (without port) that means this machine.
pub fn is_loopback_host(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

const PREFIX: &str = "SCRAPEHOOK_";
/// The upstream's own name for its key.
const UPSTREAM_KEY: &str = "MEMORIES_API_KEY";

/// The process's environment. A variable of somebody else need not be text; one of ours must be.
fn environment() -> Result<Vec<(String, String)>, ConfigError> {
    let mut variables = Vec::new();
    for (name, value) in std::env::vars_os() {
        let Ok(name) = name.into_string() else { continue };
        match value.into_string() {
            Ok(value) => variables.push((name, value)),
            Err(_) if name == UPSTREAM_KEY || (name.starts_with(PREFIX) && name.contains("__")) => {
                return Err(ConfigError(format!("{name}: the value is not UTF-8")));
            }
            Err(_) => {}
        }
    }
    Ok(variables)
}

/// The settings in the environment: `SCRAPEHOOK_<SECTION>__<KEY>`, `…_FILE` for one in a file, and the
/// upstream's own name for its key, which those overrule.
fn from_environment(environment: Vec<(String, String)>) -> Result<Vec<(String, String)>, ConfigError> {
    let mut settings = Vec::new();
    if let Some((_, key)) = environment.iter().find(|(name, _)| name == UPSTREAM_KEY) {
        settings.push(("upstream.api_key".to_owned(), key.clone()));
    }
    for (name, value) in environment {
        let Some(path) = name.strip_prefix(PREFIX).filter(|path| path.contains("__")) else { continue };
        let path = path.to_ascii_lowercase().replace("__", ".");
        match path.strip_suffix("_file") {
            Some(path) => {
                let text = std::fs::read_to_string(&value)
                    .map_err(|error| ConfigError(format!("{name}: {value}: {error}")))?;
                settings.push((path.to_owned(), text.trim().to_owned()));
            }
            None => settings.push((path, value)),
        }
    }
    Ok(settings)
}

fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.to_ascii_uppercase().replace('.', "__"))
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Write => "write",
        })
    }
}
