//! What can go wrong for a client command, in words for people, and the exit code that it ends with.
//!
//! Must never hold a key, or words that could: what the HTTP library says is put into our own.

use thiserror::Error;

/// What shells call the end of a process by Ctrl-C.
pub(in crate::cli) const INTERRUPTED: u8 = 130;

/// Why a client command failed.
#[derive(Debug, Error)]
pub(in crate::cli) enum ClientError {
    /// Nobody answers there: nothing was sent.
    #[error("{0}")]
    Unreachable(String),
    /// The connection was lost: what was sent may have arrived.
    #[error("{0}")]
    Lost(String),
    /// Ctrl-C before there was an answer.
    #[error("{0}")]
    Interrupted(String),
    /// The service, or what stands before it, can't at the moment.
    #[error("{0}")]
    Busy(String),
    /// The service said no.
    #[error("{0}")]
    Refused(String),
    /// What was asked for, or how, is wrong: it has to be written differently.
    #[error("{0}")]
    Usage(String),
}

impl ClientError {
    /// What the process ends with.
    pub(in crate::cli) const fn exit_code(&self) -> u8 {
        match self {
            Self::Unreachable(_) | Self::Lost(_) | Self::Busy(_) | Self::Refused(_) => 1,
            Self::Usage(_) => 2,
            Self::Interrupted(_) => INTERRUPTED,
        }
    }

    /// Whether asking again could help.
    pub(in crate::cli) const fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Lost(_) | Self::Busy(_) => true,
            Self::Refused(_) | Self::Usage(_) | Self::Interrupted(_) => false,
        }
    }

    /// The same with something said behind it.
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
