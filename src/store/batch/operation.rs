//! The contract of an operation of the writer. It is applied whole or not at all, and its reply is sent after the
//! commit.

use std::fmt::Debug;

use crate::store::batch::Batch;

/// An operation of the writer, with its arguments.
///
/// A batch that fails is repeated operation by operation, so `apply` may run twice, each time in a new transaction.
pub(crate) trait Operation: Debug + Send + Sync + 'static {
    /// The reply, which is sent once the operation is on disk.
    type Reply: Debug + Send + 'static;

    /// Whether the operation reads states that an operation before it may have changed. If so, it begins a batch.
    const READS_STATES: bool = false;

    /// Whether the caller waits for the work that its commit leaves to the next ones.
    fn waits_for_the_rest(&self) -> bool {
        false
    }

    /// Makes the changes within the transaction of `batch`.
    ///
    /// # Errors
    /// Nothing of the batch is committed.
    fn apply(&self, batch: &mut Batch<'_>) -> impl Future<Output = Result<Self::Reply, sqlx::Error>> + Send;
}
