//! Reloads the configuration of a running service. Must never remove the last API key or the last callback secret.

use secrecy::ExposeSecret;

use crate::config::{Config, ConfigError};
use crate::domain::token::TokenKeys;
use crate::domain::webhook::secret::Secret;
use crate::http::{Credentials, Keys};
use crate::store::Store;

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

    /// Applies API keys, callback secrets and the secret of webhooks. Clients with a removed key are refused from now
    /// on. New callback
    /// URLs are signed with the first secret.
    ///
    /// # Errors
    /// [`ConfigError`] if `serve` would refuse the configuration, if it would remove the last API key or the last
    /// callback secret, or if the addresses in use need keys and it has none. Then nothing has changed.
    pub fn apply(&self, config: &Config) -> Result<(), ConfigError> {
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
        self.credentials.keys.replace(Keys::new(&config.auth.api_keys));
        self.credentials.tokens.replace(tokens);
        self.credentials.forward.replace(forward_secrets(config, &self.store));
        Ok(())
    }
}
