//! Pauses: reasons to send nothing, or nothing of one platform or line.

use serde::Serialize;
use utoipa::ToSchema;

use super::refusal::UNCLEAR;
use super::time::Timestamp;

/// A pause in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Pause {
    /// `all`, `operator` and `restored` stop everything. `repeats` stops requests that would repeat a refused submit.
    /// `line` and a number stop one platform, folder and quality. Any other scope is the platform that is stopped.
    pub scope: String,
    /// Code from the memories.ai API, or one of scrapehook's.
    pub code: String,
    /// Message for people.
    pub message: String,
    /// Time when it began.
    pub since: Timestamp,
    /// Time when scrapehook tries one queued task. Null if only an operator ends the pause.
    #[schema(required)]
    pub probe_at: Option<Timestamp>,
    /// Number of failed tries.
    pub probes: u32,
}

impl Pause {
    /// The scope of a pause that stops everything.
    pub const ALL: &'static str = "all";
    /// The scope of a pause by an operator. It stops everything, and nothing is tried.
    pub const OPERATOR: &'static str = "operator";
    /// The scope of the pause after a restore. The URLs in the queue may have been sent since the backup.
    pub const RESTORED: &'static str = "restored";
    /// The code of a pause after unconfirmed submits.
    pub const UNCONFIRMED: &'static str = "unconfirmed";

    /// The reason, in one line.
    pub fn reason(&self) -> String {
        reason(&self.scope, &self.code, &self.message)
    }

    /// The code of a pause after a refused request that was charged.
    pub const CHARGED_REFUSAL: &'static str = "charged_refusal";

    /// The scope of a pause of requests that repeat a refused submit, because evidence has shown that one was taken.
    pub const REPEATS: &'static str = "repeats";

    /// The beginning of the scope of a pause that stops one line. No platform has a space in its name.
    const LINE: &'static str = "line ";

    /// The scope of a pause that stops the line with this number.
    pub fn of_line(number: i64) -> String {
        format!("{}{number}", Self::LINE)
    }

    /// The number of the line that a pause with this scope stops. Returns none if it stops something else.
    pub fn line(scope: &str) -> Option<i64> {
        scope.strip_prefix(Self::LINE)?.parse().ok()
    }

    /// Whether upstream refused so much that the cause may not be the URLs. Refused posts wait, and one post at a time
    /// is tried.
    pub fn is_for_refusals(&self) -> bool {
        (self.scope == Self::ALL && self.code == UNCLEAR) || Self::line(&self.scope).is_some()
    }

    /// Whether a pause with this scope stops everything.
    pub fn stops_all(scope: &str) -> bool {
        matches!(scope, Self::ALL | Self::OPERATOR | Self::RESTORED)
    }

    /// Whether nothing is tried until an operator ends the pause with this scope.
    pub fn waits_for_operator(scope: &str) -> bool {
        matches!(scope, Self::OPERATOR | Self::RESTORED | Self::REPEATS)
    }
}

/// Names a platform, but not a line, whose number nobody knows. If everything is paused, there is nothing to name. A
/// code of scrapehook's own is left out, because the message says the same.
pub fn reason(scope: &str, code: &str, message: &str) -> String {
    if scope == code || matches!(code, Pause::UNCONFIRMED | Pause::CHARGED_REFUSAL) {
        message.to_owned()
    } else if Pause::stops_all(scope) || scope == Pause::REPEATS || Pause::line(scope).is_some() {
        format!("{code}: {message}")
    } else {
        format!("{scope}: {code}: {message}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_names_a_platform_and_no_scope_of_ours() {
        assert_eq!(reason(Pause::OPERATOR, "operator", "paused by me"), "paused by me");
        assert_eq!(reason("youtube", "0402", "no points"), "youtube: 0402: no points");
        assert_eq!(reason(Pause::ALL, Pause::UNCONFIRMED, "no answer"), "no answer");
        assert_eq!(reason(Pause::REPEATS, Pause::CHARGED_REFUSAL, "charged"), "charged");
        for scope in [Pause::ALL, Pause::REPEATS, "line 7"] {
            assert_eq!(reason(scope, "0001", "refused"), "0001: refused");
        }
    }
}
