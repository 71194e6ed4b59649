//! The configuration: its layers and checks. It has no setting that is not in `config.example.toml`.
//!
//! The later layer wins: the embedded example, the file, the environment. It must never show a secret.

mod access;
mod api_keys;
mod environment;
mod error;
mod layers;
mod level;
mod live;
mod network;
mod secrets;
mod sections;
mod setting;
mod subscribers;
#[cfg(test)]
mod tests;
mod text;
mod url;
mod value;

use std::path::Path;
use std::time::Duration;

use self::layers::{Layers, SUBSCRIBERS};

pub use self::api_keys::{ApiKey, ApiKeys, Role};
pub use self::error::ConfigError;
pub use self::level::log_level_or;
pub use self::live::Live;
pub use self::network::Networks;
pub use self::secrets::Secrets;
pub use self::sections::{
    Auth, Backup, Callback, Dispatch, Forward, Log, Metrics, Reconcile, Retention, Server, Store, Traces,
    Upstream, WithoutToken,
};
pub use self::subscribers::Subscriber;
pub use self::text::is_in_quotes;

/// The time until the first poll of a silent task, if there are callbacks.
const POLL_WITH_CALLBACKS: Duration = Duration::from_secs(120);
/// The time until the first poll of a silent task, if there are no callbacks.
const POLL_ALONE: Duration = Duration::from_secs(15);

/// All settings, after the checks.
#[derive(Clone, Debug)]
pub struct Config {
    /// How clients and upstream reach the service.
    pub server: Server,
    /// Access to the API.
    pub auth: Auth,
    /// The database.
    pub store: Store,
    /// The API that receives the URLs.
    pub upstream: Upstream,
    /// The callbacks.
    pub callback: Callback,
    /// The submits.
    pub dispatch: Dispatch,
    /// The polls.
    pub reconcile: Reconcile,
    /// The webhooks that are sent.
    pub forward: Forward,
    /// The receivers of webhooks that the configuration names.
    pub subscribers: Vec<Subscriber>,
    /// The backups.
    pub backup: Backup,
    /// The removal of old data.
    pub retention: Retention,
    /// The listener for metrics.
    pub metrics: Metrics,
    /// The collector of traces.
    pub traces: Traces,
    /// The log.
    pub log: Log,
}

impl Config {
    /// Every setting with its default, and an explanation of each.
    pub const EXAMPLE: &'static str = layers::DEFAULTS;

    /// Reads all layers: the defaults, the file if one is named, and the process's environment.
    ///
    /// # Errors
    /// [`ConfigError`] names the setting.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        Self::load_with(file, environment::process()?)
    }

    /// Like [`load`](Self::load), with this environment. If two variables have one name, the later one counts.
    ///
    /// # Errors
    /// [`ConfigError`] names the setting.
    pub fn load_with(file: Option<&Path>, environment: Vec<(String, String)>) -> Result<Self, ConfigError> {
        let Some(path) = file else { return Self::read(None, environment) };
        let name = path.display().to_string();
        let text = text::read(path).map_err(|error| ConfigError(format!("--config {name}: {error}")))?;
        Self::read(Some((&name, &text)), environment)
    }

    /// Like [`load_with`](Self::load_with), with the file's name and text.
    ///
    /// # Errors
    /// [`ConfigError`] names the setting.
    pub fn read(file: Option<(&str, &str)>, environment: Vec<(String, String)>) -> Result<Self, ConfigError> {
        let layers = Layers::read(file, environment)?;
        let forward = Forward::read(&layers)?;
        Ok(Self {
            server: Server::read(&layers)?,
            auth: Auth::read(&layers)?,
            store: Store::read(&layers)?,
            upstream: Upstream::read(&layers)?,
            callback: Callback::read(&layers)?,
            dispatch: Dispatch::read(&layers)?,
            reconcile: Reconcile::read(&layers)?,
            subscribers: subscribers::read(layers.setting(SUBSCRIBERS), forward.allowed)?,
            forward,
            backup: Backup::read(&layers)?,
            retention: Retention::read(&layers)?,
            metrics: Metrics::read(&layers)?,
            traces: Traces::read(&layers)?,
            log: Log::read(&layers)?,
        })
    }

    /// The silence of a task before its first poll. It is above zero.
    pub fn poll_after(&self) -> Duration {
        let usual = if self.server.public_url.is_some() { POLL_WITH_CALLBACKS } else { POLL_ALONE };
        self.reconcile.after.unwrap_or(usual)
    }
}
