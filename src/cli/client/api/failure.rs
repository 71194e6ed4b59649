//! The failures of client commands, in words for people, with the exit code of each.
//!
//! Must never hold a key, or words that could contain one. The HTTP library's words are replaced by scrapehook's.

use thiserror::Error;

/// The exit code that shells give to a process ended by Ctrl-C.
pub(in crate::cli) const INTERRUPTED: u8 = 130;

/// The reason why a client command failed.
#[derive(Debug, Error)]
pub(in crate::cli) enum ClientError {
    /// No service answers there. Nothing was sent.
    #[error("{0}")]
    Unreachable(String),
    /// The connection was lost. The request may have arrived.
    #[error("{0}")]
    Lost(String),
    /// Ctrl-C came before the answer.
    #[error("{0}")]
    Interrupted(String),
    /// The service, or a proxy in front of it, is temporarily unavailable.
    #[error("{0}")]
    Busy(String),
    /// The service refused the request.
    #[error("{0}")]
    Refused(String),
    /// The arguments are wrong, and have to be changed.
    #[error("{0}")]
    Usage(String),
}

impl ClientError {
    /// The exit code of the process.
    pub(in crate::cli) const fn exit_code(&self) -> u8 {
        match self {
            Self::Unreachable(_) | Self::Lost(_) | Self::Busy(_) | Self::Refused(_) => 1,
            Self::Usage(_) => 2,
            Self::Interrupted(_) => INTERRUPTED,
        }
    }

    /// Whether another try could help.
    pub(in crate::cli) const fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Lost(_) | Self::Busy(_) => true,
            Self::Refused(_) | Self::Usage(_) | Self::Interrupted(_) => false,
        }
    }

    /// The same failure with further words at its end.
    pub(in crate::cli) fn and(self, more: &str) -> Self {
        let add = |said: String| format!("{said}{more}");
        match self {
            Self::Unreachable(said) => Self::Unreachable(add(said)),
            Self::Lost(said) => Self::Lost(add(said)),
            Self::Interrupted(said) => Self::Interrupted(add(said)),
            Self::Busy(said) => Self::Busy(add(said)),
            Self::Refused(said) => Self::Refused(add(said)),
            Self::Usage(said) => Self::Usage(add(said)),
        }
    }
}
