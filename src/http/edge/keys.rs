//! API keys by their hashes, which are compared in constant time. Must never hold a key itself.

use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::config::{ApiKey, ApiKeys, Role};

/// The keys by their hashes. These have equal lengths, so the time of a comparison reveals nothing.
#[derive(Clone, Debug)]
pub struct Keys(Vec<Key>);

#[derive(Clone, Debug)]
pub(in crate::http) struct Key {
    pub(super) name: String,
    pub(super) role: Role,
    pub(in crate::http) hash: [u8; 32],
}

impl Keys {
    /// The keys of the configuration.
    pub fn new(keys: &ApiKeys) -> Self {
        let key = |key: &ApiKey| Key {
            name: key.name.clone(),
            role: key.role,
            hash: Sha256::digest(key.key.expose_secret()).into(),
        };
        Self(keys.0.iter().map(key).collect())
    }

    /// Whether there are no keys. Then only this machine has access.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Key> {
        self.0.iter()
    }

    pub(in crate::http) fn find(&self, secret: &str) -> Option<&Key> {
        let hash: [u8; 32] = Sha256::digest(secret).into();
        // Compares every key, even after a match.
        let mut found = None;
        for key in &self.0 {
            if bool::from(key.hash.ct_eq(&hash)) {
                found = Some(key);
            }
        }
        found
    }
}
