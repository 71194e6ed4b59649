//! Addresses an event to the subscribers that ask for it, and to the URL of a job. Must never do IO.

use crate::domain::event::{Event, EventKind};
use crate::store::{EventJobs, Listener, NewDelivery, Recipient};

/// What decides who hears of an event.
pub(super) struct Addressing<'a> {
    /// The subscribers.
    pub(super) listeners: &'a [Listener],
    /// The jobs that see each event.
    pub(super) jobs: &'a EventJobs,
}

/// The deliveries of an event to the subscribers that hear of the events after a `seq`.
pub(super) fn to_subscribers(
    addressing: &Addressing<'_>,
    event: &Event,
    after: &impl Fn(&Listener) -> i64,
) -> Vec<NewDelivery> {
    let jobs = addressing.jobs.order.get(&event.seq).map(Vec::as_slice).unwrap_or_default();
    let mut deliveries = Vec::new();
    for (place, listener) in addressing.listeners.iter().enumerate() {
        if event.seq <= after(listener) || !listener.settings.hears(event.kind) {
            continue;
        }
        let job = if listener.settings.labels.is_empty() {
            jobs.first().copied().filter(|_| addressing.jobs.is_seen(event.seq))
        } else {
            match addressing.jobs.fitting.get(&(event.seq, place)) {
                Some(job) => Some(*job),
                // No job of the event has the labels, or it is about no job.
                None => continue,
            }
        };
        let mut order = jobs.to_vec();
        match job {
            Some(job) if !order.contains(&job) => order.push(job),
            None if order.is_empty() => order.push(order_without_job(event)),
            _ => {}
        }
        deliveries.push(NewDelivery {
            subscriber: Some(listener.number),
            job,
            key: event.seq.to_string(),
            seq: event.seq,
            receiver: format!("subscriber {}", listener.number),
            order,
            is_dead: false,
        });
    }
    deliveries
}

/// The delivery of an event to the URL of a job.
pub(super) fn to_job(recipient: &Recipient, key: String) -> NewDelivery {
    NewDelivery {
        subscriber: None,
        job: Some(recipient.job),
        key,
        seq: recipient.seq,
        receiver: recipient.callback.target.host().to_owned(),
        order: vec![recipient.job],
        is_dead: recipient.is_gone,
    }
}

/// The order of an event that is about no job. The end of a problem follows its beginning, and the end of a pause too.
/// All others wait for nothing.
fn order_without_job(event: &Event) -> i64 {
    const PROBLEMS: i64 = -1;
    const PAUSES: i64 = -2;
    match event.kind {
        EventKind::ProblemOpened | EventKind::ProblemClosed => PROBLEMS,
        EventKind::SendingPaused | EventKind::SendingResumed => PAUSES,
        _ => PAUSES - event.seq,
    }
}
