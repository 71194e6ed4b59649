//! The error of the configuration. Must never show a secret.

use thiserror::Error;

/// An error in the configuration: one line that names the setting.
#[derive(Debug, Error)]
#[error("{}", one_line(.0))]
pub struct ConfigError(pub(super) String);

/// Replaces control characters with spaces. Names are quoted, and quoted keys in TOML can hold characters that move a
/// terminal's cursor.
fn one_line(text: &str) -> String {
    text.replace(|c: char| c.is_control(), " ")
}

impl ConfigError {
    /// Creates an error with this line, which names the setting.
    pub fn new(line: impl Into<String>) -> Self {
        Self(line.into())
    }
}
