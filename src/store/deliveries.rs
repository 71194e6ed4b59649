//! The part of the store for the forwarder.
//!
//! All writes must go through the writer.

use crate::domain::time::Timestamp;
use crate::store::error::WriteError;
use crate::store::ops::deliveries::{AttemptEnd, EndAttempt, EnqueueDeliveries, NewDelivery};

impl crate::store::Store {
    /// Stores the deliveries of all events up to the `seq` `to`.
    ///
    /// # Errors
    /// [`WriteError`]: the forwarder reads the same events again.
    pub async fn enqueue_deliveries(
        &self,
        deliveries: Vec<NewDelivery>,
        to: i64,
        at: Timestamp,
    ) -> Result<(), WriteError> {
        self.queues.wait(EnqueueDeliveries { deliveries, to, at }).await
    }

    /// Stores the end of an attempt that began at `began_at`.
    ///
    /// # Errors
    /// [`WriteError`]: the delivery is made again.
    pub async fn end_attempt(
        &self,
        delivery: i64,
        began_at: Timestamp,
        at: Timestamp,
        end: AttemptEnd,
    ) -> Result<(), WriteError> {
        self.queues.wait(EndAttempt { delivery, began_at, at, end }).await
    }
}
