//! What who runs the service holds of it: to have it take over a new configuration, and to know that it lives.

use secrecy::ExposeSecret;

use crate::clock;
use crate::config::{Config, ConfigError};
use crate::domain::token::TokenKeys;
use crate::http::{Credentials, Keys};
use crate::store::Store;

/// The store's own secret comes last: what it signed before a secret was configured stays good.
pub(super) fn token_keys(config: &Config, store: &Store) -> TokenKeys {
    let configured = config.callback.secret.0.iter().map(ExposeSecret::expose_secret);
    TokenKeys::new(configured.chain([store.callback_secret()]))
}

/// Takes over from a new configuration what can change without a restart.
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

    /// Takes over API keys and callback secrets: callers with a key that is gone are refused from now on, and new
    /// callback URLs are signed with the first secret.
    ///
    /// # Errors
    /// [`ConfigError`] where the configuration is not one to serve with, or these keys are not enough for the
    /// addresses that are in force; then nothing has changed.
    pub fn apply(&self, config: &Config) -> Result<(), ConfigError> {
        config.check_for_serving()?;
        Config { auth: config.auth.clone(), ..self.in_force.clone() }.check_for_serving()?;
        self.credentials.keys.replace(Keys::new(&config.auth.api_keys));
        self.credentials.tokens.replace(token_keys(config, &self.store));
        Ok(())
    }
}

/// Tells whether the service is alive.
#[derive(Debug)]
pub struct Pulse(Store);

impl Pulse {
    pub(super) const fn new(store: Store) -> Self {
        Self(store)
    }

    /// Returns once the writer has answered, also where it can't write.
    pub async fn beat(&self) {
        self.0.writer_answers(clock::now()).await;
    }
}
