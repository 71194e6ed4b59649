//! The part of the store that is for the forwarder: what is to be told to whom.
//!
//! Must never write but through the writer.

use crate::domain::time::Timestamp;
use crate::store::error::WriteError;
use crate::store::ops::deliveries::{AttemptEnd, EndAttempt, EnqueueDeliveries, NewDelivery};

impl crate::store::Store {
    /// Writes down the deliveries of all events up to the `seq` `to`.
    ///
    /// # Errors
    /// [`WriteError`]: the same events will be looked at again.
    pub async fn enqueue_deliveries(
        &self,
        deliveries: Vec<NewDelivery>,
        to: i64,
        at: Timestamp,
    ) -> Result<(), WriteError> {
        self.queues.wait(EnqueueDeliveries { deliveries, to, at }).await
    }

    /// Writes down how an attempt that began at `began_at` ended.
    ///
    /// # Errors
    /// [`WriteError`]: the delivery will be made again.
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
