//! Deliveries as clients see them: an event for a receiver, and what came of its attempts.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::event::EventKind;
use crate::domain::id::JobId;
use crate::domain::time::Timestamp;
use crate::domain::words;

words! {
    /// The state of a delivery.
    DeliveryState {
        /// It waits for its first or its next attempt.
        Waiting = "waiting",
        /// The receiver has accepted it.
        Delivered = "delivered",
        /// scrapehook has given it up. A replay sends it again.
        Dead = "dead",
    }
}

impl DeliveryState {
    /// Its number in the store.
    pub const fn number(self) -> i64 {
        match self {
            Self::Waiting => 1,
            Self::Delivered => 2,
            Self::Dead => 3,
        }
    }

    /// The state with this number.
    pub fn from_number(number: i64) -> Option<Self> {
        Self::ALL.iter().copied().find(|state| state.number() == number)
    }
}

/// The delivery of an event to a receiver.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Delivery {
    /// Position in the list of deliveries. Clients do not see it.
    #[serde(skip)]
    pub number: i64,
    /// The `webhook-id`, the same in each attempt.
    pub id: String,
    /// The `seq` of the event.
    pub seq: i64,
    /// The kind of the event. Null if retention has removed the event.
    #[schema(required)]
    pub kind: Option<EventKind>,
    /// The job that the webhook is about.
    #[schema(required)]
    pub job_id: Option<JobId>,
    /// Its state.
    pub state: DeliveryState,
    /// Attempts so far.
    pub attempts: u32,
    /// The result of the last attempt. Null before the first one.
    #[schema(required)]
    pub last_answer: Option<LastAnswer>,
    /// Time of the next attempt. Null after the end.
    #[schema(required)]
    pub next_attempt_at: Option<Timestamp>,
    /// Time of its end.
    #[schema(required)]
    pub ended_at: Option<Timestamp>,
}

/// The result of an attempt.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = LastAnswer)]
pub struct LastAnswer {
    /// Time of the result.
    pub at: Timestamp,
    /// HTTP status of the answer, if there was one.
    #[schema(required)]
    pub status: Option<u16>,
    /// Why the attempt failed. Null if it did not.
    #[schema(required)]
    pub reason: Option<String>,
}
