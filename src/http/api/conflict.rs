//! The exact reason for a 409 about a decision, and the possible alternative. Must never decide whether there is a
//! conflict.

use crate::http::edge::problem::{Code, Problem};
use crate::store::Conflict;

/// The problem that a client sees. `rule` describes the purpose of the decision.
pub(in crate::http) fn problem(conflict: Conflict, rule: &str) -> Problem {
    let detail = match conflict {
        Conflict::Missing => return Problem::new(Code::NotFound, "It no longer exists."),
        Conflict::InState(state) => format!("This task is {state}. {rule}"),
        Conflict::NoUpstreamId => format!("The taskId of this task is unknown. {rule}"),
        Conflict::Answered => format!("Every submit of this task was answered. {rule}"),
        Conflict::HasUpstreamId => {
            format!("This task has a taskId from its own callback or an earlier adopt. {rule}")
        }
        Conflict::HeldBy(holder) => format!(
            "The task {holder} holds this taskId. Compare both tasks with your memories.ai account, and adopt the \
             taskId that belongs to this one."
        ),
        Conflict::RetriedAs(newer) => {
            format!("This task was already retried. Its URLs are now in the task {newer}.")
        }
        Conflict::NobodyWaits => {
            format!("No job waits for a URL of this task that is not indexed. {rule}")
        }
        Conflict::NothingWaits => format!("No URL of this job waits to be sent. {rule}"),
    };
    Problem::new(Code::WrongState, detail)
}
