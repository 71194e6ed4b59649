//! Outcomes: the state of a URL, and the reason for a failure. Must never decide either. Evidence, rounds and wants do.

use serde::Serialize;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{PartialSchema, ToSchema};

use super::words;

words! {
    /// The state of one URL of a job or a task.
    UrlState {
        /// Its task is queued.
        Waiting = "waiting",
        /// Its task is submitting, unconfirmed or accepted.
        Sent = "sent",
        /// Its task was downloaded.
        Downloaded = "downloaded",
        /// One of its videos is indexed, and all of them have ended.
        Indexed = "indexed",
        /// It ended without an indexed video.
        Failed = "failed",
        /// An earlier task indexed it, so it was not sent again.
        Known = "known",
    }
}

impl UrlState {
    /// Its number in the store. If a round has several tasks, the greatest number holds.
    pub const fn number(self) -> i64 {
        match self {
            Self::Failed => 0,
            Self::Waiting => 1,
            Self::Sent => 2,
            Self::Downloaded => 3,
            Self::Indexed => 4,
            Self::Known => 5,
        }
    }

    /// The state with this number.
    pub fn from_number(number: i64) -> Option<Self> {
        Self::ALL.iter().copied().find(|state| state.number() == number)
    }
}

/// The reason for a failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Failure {
    /// Code from the memories.ai API, or one of scrapehook's.
    pub code: String,
    /// Message for people.
    pub message: String,
}

impl Failure {
    /// A failure with this code and message.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into() }
    }
}

/// The reason for a failure, and whether it is proven.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// The code, and a message for people.
    #[serde(flatten)]
    pub failure: Failure,
    /// Whether the failure is proven. If `false`, the post may be indexed all the same, or may have been charged.
    pub certain: bool,
}

/// The reason for a failure, and whether it is proven.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the fields of a reason side by side, as they are serialised")]
struct Flat {
    /// Code from the memories.ai API, or one of scrapehook's.
    code: String,
    /// Message for people.
    message: String,
    /// Whether the failure is proven. If `false`, the post may be indexed all the same, or may have been charged.
    certain: bool,
}

impl PartialSchema for Reason {
    fn schema() -> RefOr<Schema> {
        Flat::schema()
    }
}

impl ToSchema for Reason {}

impl Reason {
    /// A proven failure.
    pub fn proven(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { failure: Failure::new(code, message), certain: true }
    }

    /// A failure without proof.
    pub fn doubt(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { failure: Failure::new(code, message), certain: false }
    }
}

/// The outcome of a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlOutcome {
    /// Its state.
    pub state: UrlState,
    /// The reason for its failure. None unless it has failed.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_see_code_message_and_certain_side_by_side() {
        let shown = |reason| serde_json::to_string(&reason).unwrap();
        let proven = Reason::proven("0003", "no");
        assert_eq!(shown(proven), r#"{"code":"0003","message":"no","certain":true}"#);
        let doubt = Reason::doubt("stalled", "");
        assert_eq!(shown(doubt), r#"{"code":"stalled","message":"","certain":false}"#);
    }
}
