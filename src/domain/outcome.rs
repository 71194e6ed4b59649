//! Outcomes: where a URL stands and why it failed. Must never decide either: evidence, rounds and wants do.

use super::job::UrlState;
use super::task::Failure;

/// Why something failed, and whether that is proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The code, and words for people.
    pub failure: Failure,
    /// False for a doubt: the post may be indexed all the same, or may have been charged.
    pub certain: bool,
}

impl Reason {
    /// A failure that is proven.
    pub fn proven(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { failure: Failure::new(code, message), certain: true }
    }

    /// A failure that is not proven.
    pub fn doubt(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { failure: Failure::new(code, message), certain: false }
    }
}

/// Where a URL stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlOutcome {
    /// Its state.
    pub state: UrlState,
    /// Why it failed. None unless it has.
    pub reason: Option<Reason>,
}

impl UrlOutcome {
    /// A URL in this state, which is not [`UrlState::Failed`].
    pub const fn of(state: UrlState) -> Self {
        Self { state, reason: None }
    }

    /// A URL that failed.
    pub const fn failed(reason: Reason) -> Self {
        Self { state: UrlState::Failed, reason: Some(reason) }
    }
}
