//! One attempt to deliver.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::clock;
use crate::domain::time::Timestamp;
use crate::domain::webhook::retry::{Failures, Retries};
use crate::domain::webhook::secret::Secret;
use crate::forward::{Attempt, Message, Sender};
use crate::store::{AttemptEnd, DueDelivery, EndedAttempt, Store};
use crate::webhooks::{self, Recent, Unsendable};

/// The means of an attempt.
pub(super) struct Attempting {
    pub(super) store: Store,
    pub(super) recent: Arc<Recent>,
    pub(super) sender: Sender,
    pub(super) secrets: Arc<Vec<Secret>>,
    pub(super) retries: Retries,
}

impl Attempting {
    /// Makes an attempt, and says what came of it.
    pub(super) async fn make(self, due: DueDelivery) -> EndedAttempt {
        let began_at = clock::now();
        let prepared = webhooks::prepare(&self.store, &self.recent, &due, &self.secrets, began_at).await;
        let attempt = match prepared {
            Ok(prepared) => {
                let message = Message {
                    id: &prepared.id,
                    attempted_at: began_at,
                    target: &prepared.target,
                    secrets: &prepared.secrets,
                    content_type: prepared.rendered.content_type,
                    headers: prepared.rendered.headers,
                    body: Bytes::from(prepared.rendered.body),
                };
                self.sender.send(message).await
            }
            Err(Unsendable::Never(reason)) => {
                return ended(&due, began_at, AttemptEnd::Unsent { reason, next_at: None });
            }
            Err(Unsendable::Unread(error)) => {
                tracing::warn!(%error, "a webhook could not be made");
                // A row that stays unreadable must not hold up the order of its jobs for ever.
                let next_at = self.next_attempt(&due, began_at, None);
                let reason = "the database could not be read".to_owned();
                return ended(&due, began_at, AttemptEnd::Unsent { reason, next_at });
            }
        };
        let end = self.end_of(attempt, &due, began_at);
        ended(&due, began_at, end)
    }

    fn end_of(&self, attempt: Attempt, due: &DueDelivery, began_at: Timestamp) -> AttemptEnd {
        match attempt {
            Attempt::Delivered { status } => AttemptEnd::Delivered { status },
            Attempt::Gone => AttemptEnd::Gone,
            Attempt::Failed { status, reason, retry_after } => {
                let next_at = self.next_attempt(due, began_at, retry_after);
                AttemptEnd::Failed { status, reason, next_at }
            }
        }
    }

    /// The time of the attempt after one that failed. None if there is no further one.
    fn next_attempt(
        &self,
        due: &DueDelivery,
        began_at: Timestamp,
        retry_after: Option<Duration>,
    ) -> Option<Timestamp> {
        let failures = Failures {
            first_attempt: due.first_attempt_at.unwrap_or(began_at),
            attempts: due.attempts + 1,
            failed_at: clock::now(),
            retry_after,
        };
        self.retries.next_attempt(&failures, rand::random())
    }
}

/// The end of an attempt, with a warning if it is the end of the delivery as well.
fn ended(due: &DueDelivery, began_at: Timestamp, end: AttemptEnd) -> EndedAttempt {
    let reason = match &end {
        AttemptEnd::Failed { reason, next_at: None, .. } | AttemptEnd::Unsent { reason, next_at: None } => {
            Some(reason.as_str())
        }
        AttemptEnd::Gone => Some("the receiver wants no more webhooks (HTTP 410)"),
        AttemptEnd::Failed { .. } | AttemptEnd::Unsent { .. } | AttemptEnd::Delivered { .. } => None,
    };
    if let Some(reason) = reason {
        let (job, subscriber) =
            (due.job.map(tracing::field::display), due.subscriber.map(tracing::field::display));
        tracing::warn!(job, subscriber, seq = due.seq, reason, "a webhook was given up");
    }
    EndedAttempt { delivery: due.number, began_at, at: clock::now(), end }
}
