//! A problem of the service, and the form in which it is announced.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::time::Timestamp;

/// A problem.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Wrong)]
pub struct Problem {
    /// The kind of problem.
    pub code: &'static str,
    /// The subject, if several problems can have this code at the same time.
    #[serde(skip)]
    pub scope: Option<String>,
    /// Time when it began. Null if unknown.
    #[schema(required)]
    pub since: Option<Timestamp>,
    /// Details for people.
    pub detail: String,
    /// The action to take.
    pub action: &'static str,
}

/// Identifies a problem. Its text does not, because counts and times in it change while the problem lasts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProblemKey {
    /// The kind of problem.
    pub code: String,
    /// The subject, if several problems can have this code at the same time.
    pub scope: Option<String>,
}

/// A problem that was announced and whose end was not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenProblem {
    /// Identifies it.
    #[serde(flatten)]
    pub key: ProblemKey,
    /// The text of its announcement. The announcement of its end repeats it.
    pub text: String,
}

impl Problem {
    /// Identifies it.
    pub fn key(&self) -> ProblemKey {
        ProblemKey { code: self.code.to_owned(), scope: self.scope.clone() }
    }

    /// The form in which it is announced. The text begins with the code, for programs.
    pub fn to_open(&self) -> OpenProblem {
        OpenProblem { key: self.key(), text: format!("{}: {} {}", self.code, self.detail, self.action) }
    }
}
