//! The callback URL of a job.

use super::format::Format;
use super::pattern::Pattern;
use super::target::Target;
use crate::domain::event::EventKind;

/// The URL that a client gave with its job, and the events that it asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobCallback {
    /// The receiver.
    pub target: Target,
    /// The patterns of the events that it receives, at least one.
    pub events: Vec<Pattern>,
    /// The form of the bodies.
    pub format: Format,
}

impl JobCallback {
    /// The patterns of a job that gives none.
    pub fn default_events() -> Vec<Pattern> {
        vec![Pattern::Kind(EventKind::JobSettled)]
    }

    /// Whether it receives events of this kind.
    pub fn admits(&self, kind: EventKind) -> bool {
        self.events.iter().any(|pattern| pattern.admits(kind))
    }
}
