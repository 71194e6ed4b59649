//! An operation on its way through the writer: applied in a batch, answered after the commit. Must never be answered
//! before it.

use std::fmt::Debug;
use std::pin::Pin;
use std::time::Instant;

use tokio::sync::oneshot;

use crate::store::batch::Batch;
use crate::store::batch::operation::Operation;
use crate::store::error::{FailureKind, WriteError};

/// An operation of any kind that waits for its commit, and the caller that waits for its reply.
pub(crate) trait Pending: Debug + Send {
    /// See [`Operation::READS_STATES`].
    fn reads_states(&self) -> bool;

    /// See [`Operation::waits_for_the_rest`].
    fn waits_for_the_rest(&self) -> bool;

    /// The time of the call.
    fn asked(&self) -> Instant;

    /// Applies the operation, and keeps its reply for [`answer`](Self::answer).
    fn apply<'a>(&'a mut self, batch: &'a mut Batch<'_>) -> Applying<'a>;

    /// Sends the reply after the operation is on disk. If the caller has left, this does nothing.
    fn answer(self: Box<Self>);

    /// Reports to the caller that nothing of it is on disk.
    fn fail(self: Box<Self>, error: WriteError);
}

/// The future of [`Pending::apply`].
pub(crate) type Applying<'a> = Pin<Box<dyn Future<Output = Result<(), sqlx::Error>> + Send + 'a>>;

/// One call of the writer.
#[derive(Debug)]
struct Call<O: Operation> {
    op: O,
    asked: Instant,
    /// None until the operation is applied.
    reply: Option<O::Reply>,
    caller: oneshot::Sender<Result<O::Reply, WriteError>>,
}

/// The reply to a call, once its commit has succeeded or failed.
pub(crate) type Reply<T> = oneshot::Receiver<Result<T, WriteError>>;

/// A call of the writer, and the receiver of its reply.
pub(crate) fn call<O: Operation>(op: O) -> (Box<dyn Pending>, Reply<O::Reply>) {
    let (caller, reply) = oneshot::channel();
    (Box::new(Call { op, asked: Instant::now(), reply: None, caller }), reply)
}

impl<O: Operation> Pending for Call<O> {
    fn reads_states(&self) -> bool {
        O::READS_STATES
    }

    fn waits_for_the_rest(&self) -> bool {
        self.op.waits_for_the_rest()
    }

    fn asked(&self) -> Instant {
        self.asked
    }

    fn apply<'a>(&'a mut self, batch: &'a mut Batch<'_>) -> Applying<'a> {
        Box::pin(async move {
            self.reply = Some(self.op.apply(batch).await?);
            Ok(())
        })
    }

    fn answer(self: Box<Self>) {
        // Without a reply, the operation was never applied.
        let _ = self.caller.send(self.reply.ok_or(WriteError::Failed(FailureKind::Other)));
    }

    fn fail(self: Box<Self>, error: WriteError) {
        let _ = self.caller.send(Err(error));
    }
}
