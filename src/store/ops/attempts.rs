//! The ends of attempts to deliver. Must never mark a delivery as made before its receiver has answered.

use std::time::Duration;

use crate::domain::event::{EventKind, Source};
use crate::domain::time::Timestamp;
use crate::domain::webhook::delivery::DeliveryState;
use crate::store::batch::Batch;
use crate::store::batch::changes::NewEvent;
use crate::store::batch::operation::Operation;
use crate::store::column::row;
use crate::store::ops::deliveries::{GONE, JOBS, leave_order};
use crate::store::ops::subscribers::disable;

/// The end of an attempt to deliver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptEnd {
    /// The receiver accepted it.
    Delivered {
        /// The HTTP status of the answer.
        status: u16,
    },
    /// It failed.
    Failed {
        /// The HTTP status of the answer, if there was one.
        status: Option<u16>,
        /// The reason, for the operator.
        reason: String,
        /// The time of the next attempt. None if there is no further one.
        next_at: Option<Timestamp>,
    },
    /// The receiver wants no more webhooks (410).
    Gone,
    /// Nothing was sent, and the receiver is not to blame.
    Unsent {
        /// The reason, for the operator.
        reason: String,
        /// The time of the next attempt. None if there is no further one.
        next_at: Option<Timestamp>,
    },
}

impl AttemptEnd {
    /// Whether the receiver has accepted it. None if nothing was sent.
    pub const fn is_success(&self) -> Option<bool> {
        match self {
            Self::Delivered { .. } => Some(true),
            Self::Failed { .. } | Self::Gone => Some(false),
            Self::Unsent { .. } => None,
        }
    }
}

/// An attempt that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedAttempt {
    /// The number of the delivery.
    pub delivery: i64,
    /// The time of its beginning.
    pub began_at: Timestamp,
    /// The time of its end.
    pub at: Timestamp,
    /// What came of it.
    pub end: AttemptEnd,
}

/// Stores the ends of attempts.
#[derive(Debug)]
pub(crate) struct EndAttempts {
    pub(crate) attempts: Vec<EndedAttempt>,
    /// A subscriber all of whose attempts have failed for this long is disabled.
    pub(crate) disable_after: Duration,
}

row! {
    struct Ended {
        subscriber: i64,
        job: Option<i64>,
    }
}

impl Operation for EndAttempts {
    type Reply = ();

    async fn apply(&self, batch: &mut Batch<'_>) -> Result<Self::Reply, sqlx::Error> {
        for attempt in &self.attempts {
            self.end(batch, attempt).await?;
        }
        // Wakes nobody: the forwarder, which alone has work now, looks for due deliveries afterwards.
        Ok(())
    }
}

impl EndAttempts {
    async fn end(&self, batch: &mut Batch<'_>, attempt: &EndedAttempt) -> Result<(), sqlx::Error> {
        let (state, status, reason, next_at) = match &attempt.end {
            AttemptEnd::Delivered { status } => (DeliveryState::Delivered, Some(*status), None, None),
            AttemptEnd::Failed { status, reason, next_at: Some(next_at) } => {
                (DeliveryState::Waiting, *status, Some(&**reason), Some(next_at.as_millis()))
            }
            AttemptEnd::Failed { status, reason, next_at: None } => {
                (DeliveryState::Dead, *status, Some(&**reason), None)
            }
            AttemptEnd::Gone => (DeliveryState::Dead, Some(410), Some(GONE), None),
            AttemptEnd::Unsent { reason, next_at: Some(next_at) } => {
                (DeliveryState::Waiting, None, Some(&**reason), Some(next_at.as_millis()))
            }
            AttemptEnd::Unsent { reason, next_at: None } => {
                (DeliveryState::Dead, None, Some(&**reason), None)
            }
        };
        let ended: Option<Ended> = sqlx::query_as(
            "UPDATE deliveries SET state = ?2, status = ?3, reason = ?4, attempts = attempts + 1,
               first_attempt_at = ifnull(first_attempt_at, ?5), last_attempt_at = ?7,
               next_attempt_at = ifnull(?6, next_attempt_at), ended_at = iif(?2 = 1, NULL, ?7)
             WHERE number = ?1 AND state = 1 RETURNING subscriber, job",
        )
        .bind(attempt.delivery)
        .bind(state.number())
        .bind(status)
        .bind(reason)
        .bind(attempt.began_at.as_millis())
        .bind(next_at)
        .bind(attempt.at.as_millis())
        .fetch_optional(&mut *batch.connection)
        .await?;
        // A removed subscriber has taken its deliveries with it.
        let Some(Ended { subscriber, job }) = ended else { return Ok(()) };
        if state != DeliveryState::Waiting {
            leave_order(batch, attempt.delivery).await?;
        }
        match job.filter(|_| subscriber == JOBS) {
            Some(job) if attempt.end == AttemptEnd::Gone => give_up_url(batch, job, attempt.at).await,
            Some(_) => Ok(()),
            None => self.judge(batch, subscriber, attempt).await,
        }
    }

    /// Notes a subscriber's success or failure. Disables it if all attempts have failed for long, or if it is gone.
    async fn judge(
        &self,
        batch: &mut Batch<'_>,
        subscriber: i64,
        attempt: &EndedAttempt,
    ) -> Result<(), sqlx::Error> {
        let Some(is_success) = attempt.end.is_success() else { return Ok(()) };
        if is_success {
            return sqlx::query(
                "UPDATE subscribers SET failing_since = NULL WHERE number = ?1 AND failing_since IS NOT NULL",
            )
            .bind(subscriber)
            .execute(&mut *batch.connection)
            .await
            .map(drop);
        }
        let since: Option<i64> = sqlx::query_scalar(
            "UPDATE subscribers SET failing_since = ifnull(failing_since, ?2) WHERE number = ?1
             RETURNING failing_since",
        )
        .bind(subscriber)
        .bind(attempt.began_at.as_millis())
        .fetch_optional(&mut *batch.connection)
        .await?;
        let Some(since) = since.map(Timestamp::from_millis) else { return Ok(()) };
        let reason = match &attempt.end {
            AttemptEnd::Gone => GONE.to_owned(),
            AttemptEnd::Failed { reason, .. } if attempt.at.since(since) >= self.disable_after => {
                let lasting = humantime::format_duration(self.disable_after);
                format!("all attempts have failed for {lasting}, the last one with: {reason}")
            }
            _ => return Ok(()),
        };
        if let Some(name) = disable(batch, subscriber, Some(&reason), attempt.at).await? {
            batch.changes.events.push(NewEvent {
                message: Some(format!("{name}: {reason}")),
                ..NewEvent::new(EventKind::SubscriberDisabled, Source::Clock, attempt.at)
            });
        }
        Ok(())
    }
}

/// Gives up the URL of a job with all of its deliveries.
async fn give_up_url(batch: &mut Batch<'_>, job: i64, at: Timestamp) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE jobs SET callback_gone_at = ?2 WHERE number = ?1")
        .bind(job)
        .bind(at.as_millis())
        .execute(&mut *batch.connection)
        .await?;
    sqlx::query(
        "UPDATE deliveries SET state = 3, ended_at = ?2, reason = ?3, ahead = 0
         WHERE number IN (SELECT delivery FROM delivery_order WHERE subscriber = 0 AND job = ?1)",
    )
    .bind(job)
    .bind(at.as_millis())
    .bind(GONE)
    .execute(&mut *batch.connection)
    .await?;
    sqlx::query("DELETE FROM delivery_order WHERE subscriber = 0 AND job = ?1")
        .bind(job)
        .execute(&mut *batch.connection)
        .await
        .map(drop)
}
