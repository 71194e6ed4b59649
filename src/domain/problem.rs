//! A problem of the service, as the status shows it.

use serde::Serialize;
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
