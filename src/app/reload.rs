//! Reloads the configuration of a running service. Must never remove the last API key or the last callback secret.

use secrecy::ExposeSecret;

use crate::clock;
use crate::config::{Config, ConfigError, Subscriber};
use crate::domain::token::TokenKeys;
use crate::domain::webhook::secret::Secret;
use crate::http::{Credentials, Keys};
use crate::store::{ConfiguredSubscriber, Store};

/// Returns the token keys. The store's own secret comes last, so tokens that it signed before a secret was configured
/// stay valid.
pub(super) fn token_keys(config: &Config, store: &Store) -> TokenKeys {
    let configured = config.callback.secret.0.iter().map(ExposeSecret::expose_secret);
    TokenKeys::new(configured.chain([store.callback_secret()]))
}

/// The secret of the configuration, or else that of the store.
pub(super) fn forward_secrets(config: &Config, store: &Store) -> Vec<Secret> {
    vec![config.forward.secret.as_ref().unwrap_or_else(|| store.forward_secret()).clone()]
}

/// Makes the subscribers of the store those of the configuration.
///
/// # Errors
/// [`ConfigError`] if a subscriber of the API has the name of one of them, or if the store can't be written. Then
/// nothing has changed.
pub(super) async fn configure_subscribers(config: &Config, store: &Store) -> Result<(), ConfigError> {
    let configured = |subscriber: &Subscriber| ConfiguredSubscriber {
        settings: subscriber.settings.clone(),
        secrets: subscriber.secrets.clone(),
    };
    let subscribers = config.subscribers.iter().map(configured).collect();
    match store.configure_subscribers(subscribers, clock::now()).await {
        Ok(None) => Ok(()),
        Ok(Some(name)) => Err(ConfigError::new(format!(
            "subscribers: a subscriber that was added over the API has the name {name}. Give the entry in the \
             configuration another name"
        ))),
        Err(error) => Err(ConfigError::new(format!("subscribers: {error}"))),
    }
}

/// Applies those settings of a new configuration that can change without a restart.
#[derive(Debug)]
pub struct Reloader {
    credentials: Credentials,
    store: Store,
    in_force: Config,
}

impl Reloader {
    pub(super) const fn new(credentials: Credentials, store: Store, in_force: Config) -> Self {
        Self { credentials, store, in_force }
    }

    /// Applies API keys, callback secrets, the secret of webhooks and subscribers. Clients with a removed key are
    /// refused from now on. New callback URLs are signed with the first secret.
    ///
    /// # Errors
    /// [`ConfigError`] if `serve` would refuse the configuration, if it would remove the last API key or the last
    /// callback secret, or if the addresses in use need keys and it has none. Then nothing has changed.
    pub async fn apply(&self, config: &Config) -> Result<(), ConfigError> {
        if config.auth.is_keyless() && !self.credentials.keys.get().is_empty() {
            return Err(ConfigError::new(
                "auth.api_keys: no key is left. A reload never removes the last key. Restart to run without keys",
            ));
        }
        let tokens = token_keys(config, &self.store);
        // The store's own secret is not counted.
        if config.callback.secret.0.is_empty() && self.credentials.tokens.get().count() > tokens.count() {
            return Err(ConfigError::new(
                "callback.secret: no secret is left, so callbacks on their way would become hints. A reload never \
                 removes the last secret. Restart to run without one",
            ));
        }
        config.check_for_serving()?;
        Config { auth: config.auth.clone(), ..self.in_force.clone() }.check_for_serving()?;
        self.check_targets(config)?;
        configure_subscribers(config, &self.store).await?;
        self.credentials.keys.replace(Keys::new(&config.auth.api_keys));
        self.credentials.tokens.replace(tokens);
        self.credentials.forward.replace(forward_secrets(config, &self.store));
        Ok(())
    }

    /// Checks subscribers against the rules in force, because `[forward]` changes only with a restart.
    fn check_targets(&self, config: &Config) -> Result<(), ConfigError> {
        for subscriber in &config.subscribers {
            let name = subscriber.settings.name.as_deref().unwrap_or_default();
            subscriber.settings.target.check(self.in_force.forward.allowed).map_err(|error| {
                ConfigError::new(format!("subscribers: {name}: {error}. Only a restart changes [forward]"))
            })?;
        }
        Ok(())
    }
}
