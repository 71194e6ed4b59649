//! The tracer: reads the event log as it grows, and records the beginning and the end of tasks as spans.
//!
//! Submits, polls and callbacks are recorded where they happen. Must never change anything.

use std::time::Duration;

use super::{Step, StepError, Worker};
use crate::domain::event::{Event, EventKind};
use crate::domain::time::Timestamp;
use crate::store::{EventFilter, Store};
use crate::telemetry::{Span, SpanName, Traces};

/// The most events that one step reads.
const PAGE: i64 = 500;

/// The worker that turns events into spans.
#[derive(Debug)]
pub struct Tracer {
    store: Store,
    traces: Traces,
    /// The last event that was read.
    after: i64,
}

impl Tracer {
    /// Creates a tracer that records the events after `after` in `traces`.
    pub fn new(store: Store, traces: Traces, after: i64) -> Self {
        Self { store, traces, after }
    }
}

impl Worker for Tracer {
    /// Reads one page of events.
    async fn step(&mut self, _: Timestamp) -> Result<Step, StepError> {
        let filter = EventFilter { after: self.after, limit: PAGE, ..EventFilter::default() };
        let events = self.store.read().events(&filter).await?;
        for event in &events {
            if let Some(span) = span(event) {
                self.traces.record(span);
            }
            self.after = event.seq;
        }
        Ok(if events.is_empty() { Step::Idle } else { Step::Worked })
    }
}

fn span(event: &Event) -> Option<Span> {
    let task = event.task_id?;
    let made_by_callback = event.kind == EventKind::TaskAccepted && event.job_id.is_none();
    // A task is made when it is sent or begins to wait. If upstream did not take it, it is queued and sent again,
    // which must not make a second root.
    let is_first = event.at <= task.made_at();
    let name = match event.kind {
        EventKind::TaskQueued | EventKind::TaskSubmitting if is_first => SpanName::Made,
        _ if made_by_callback => SpanName::Made,
        EventKind::TaskSettled => SpanName::Lifetime,
        _ => return None,
    };
    let mut attributes = Vec::from_iter(event.job_id.map(|job| ("scrapehook.job", job.to_string())));
    let (began, took) = match name {
        SpanName::Lifetime => {
            attributes.extend(event.message.clone().map(|state| ("scrapehook.state", state)));
            attributes.extend(event.upstream_id.clone().map(|id| ("scrapehook.upstream_id", id)));
            (task.made_at(), event.at.since(task.made_at()))
        }
        _ => (event.at, Duration::ZERO),
    };
    Some(Span { task, name, began, took, attributes, has_failed: false })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::Source;
    use crate::domain::id::TaskId;

    #[test]
    fn a_task_is_made_once_however_often_it_is_queued_or_sent() {
        let made = Timestamp::from_millis(1_800_000_000_000);
        let task = TaskId::new(made);
        let event = |kind, at| Event {
            seq: 1,
            kind,
            source: Source::Submit,
            job_id: None,
            task_id: Some(task),
            upstream_id: None,
            video_id: None,
            at,
            message: None,
        };
        for kind in [EventKind::TaskQueued, EventKind::TaskSubmitting] {
            assert_eq!(span(&event(kind, made)).map(|span| span.name), Some(SpanName::Made));
            assert!(span(&event(kind, made.after(Duration::from_secs(1)))).is_none());
        }
    }
}
