//! The URL of a job: who is told about its events.

use super::pattern::Pattern;
use super::target::Target;
use crate::domain::event::EventKind;

/// The URL that a client gave with its job, and the events that it asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobCallback {
    /// Where to.
    pub target: Target,
    /// Which events, at least one pattern.
    pub events: Vec<Pattern>,
}

impl JobCallback {
    /// The events of a job that asks for none by name.
    pub fn default_events() -> Vec<Pattern> {
        vec![Pattern::Kind(EventKind::JobSettled)]
    }

    /// Whether it is told about events of this kind.
    pub fn admits(&self, kind: EventKind) -> bool {
        self.events.iter().any(|pattern| pattern.admits(kind))
    }
}
