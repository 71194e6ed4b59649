//! The error of the configuration. Must never show a secret.

use thiserror::Error;

/// What is wrong with the configuration: one line that names the setting.
#[derive(Debug, Error)]
#[error("{}", one_line(.0))]
pub struct ConfigError(pub(super) String);

/// Names are quoted, and quoted keys of TOML can hold line ends and characters that move a terminal's cursor.
fn one_line(text: &str) -> String {
    text.replace(|c: char| c.is_control(), " ")
}

impl ConfigError {
    /// An error with this line, which names the setting.
    pub fn new(line: impl Into<String>) -> Self {
        Self(line.into())
    }
}
