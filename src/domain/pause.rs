//! Pauses: why nothing is sent, to anybody or to one platform.

use serde::Serialize;
use utoipa::ToSchema;

use super::refusal::UNCLEAR;
use super::time::Timestamp;

/// A pause in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Pause {
    /// `all`, `operator` and `restored` stop everything. `repeats` stops whatever would repeat a refused submit. `line`
    /// and a number stop one platform, folder and quality. Any other scope is the one platform that is stopped.
    pub scope: String,
    /// The upstream's code, or a word of ours.
    pub code: String,
    /// Words for people.
    pub message: String,
    /// Since when.
    pub since: Timestamp,
    /// When one queued task is tried; none where only an operator ends the pause.
    #[schema(required)]
    pub probe_at: Option<Timestamp>,
    /// How many were tried in vain.
    pub probes: u32,
}

impl Pause {
    /// The scope of a pause that stops everything.
    pub const ALL: &'static str = "all";
    /// The scope of a pause that an operator made: it stops everything, and nothing is tried.
    pub const OPERATOR: &'static str = "operator";
    /// The scope of a pause that a restored backup begins with: what was queued then may have been sent since.
    pub const RESTORED: &'static str = "restored";
    /// The code of a pause after submits of unknown fate.
    pub const UNCONFIRMED: &'static str = "unconfirmed";

    /// Why, in one line.
    pub fn reason(&self) -> String {
        reason(&self.scope, &self.code, &self.message)
    }

    /// The scope of a pause of everything that repeats a refused submit: evidence has shown that one was taken.
    pub const REPEATS: &'static str = "repeats";

    /// Begins the scope of a pause that stops one line. No platform has a space in its name.
    const LINE: &'static str = "line ";

    /// The scope of a pause that stops the line with this number.
    pub fn of_line(number: i64) -> String {
        format!("{}{number}", Self::LINE)
    }

    /// The number of the line that a pause with this scope stops; none if it stops something else.
    pub fn line(scope: &str) -> Option<i64> {
        scope.strip_prefix(Self::LINE)?.parse().ok()
    }

    /// Whether upstream refused so much that it may not be about the URLs. What was refused waits, and one post at a
    /// time is tried.
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

/// A platform is named. Nobody knows a line's number, and if everything is paused, there is nothing to name. Where an
/// operator paused sending, code and scope are the same word.
pub fn reason(scope: &str, code: &str, message: &str) -> String {
    if scope == code {
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
        for scope in [Pause::ALL, Pause::REPEATS, "line 7"] {
            assert_eq!(reason(scope, "0001", "refused"), "0001: refused");
        }
    }
}
