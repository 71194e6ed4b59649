//! Fail points: named points at which a test ends the process like `kill -9`.
//!
//! Builds without debug assertions have none of them. Must never do anything except end the process.

/// The points at which the process can be ended: between any two waits in the handling of a callback and of a submit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailPoint {
    /// The body of a callback was read, but is not queued.
    CallbackRead,
    /// The writer has taken a batch, but its transaction has not begun.
    BatchTaken,
    /// The transaction has begun, but is empty.
    BatchBegun,
    /// The operations are in the transaction, but the derived states are not.
    BatchApplied,
    /// States and events are derived, but not written, and nothing is committed.
    BatchDerived,
    /// The batch is committed, but no caller has been notified.
    BatchCommitted,
    /// The handler of the callback has learned of the commit, but there is no answer yet.
    CallbackKept,
    /// There is an answer, but no byte of it is written.
    AnswerBegun,
    /// The system has received the answer or a part of it.
    AnswerWritten,
    /// The row of a submit is on disk, but nothing was sent.
    SubmitBegun,
    /// The head of upstream's answer has arrived, but its body is not read.
    SubmitHeard,
    /// Upstream's answer has arrived, but is not queued.
    SubmitAnswered,
    /// The end of the submit is on disk, but its consequences have not followed.
    SubmitEnded,
}

impl FailPoint {
    /// Every fail point.
    pub const ALL: [Self; 13] = [
        Self::CallbackRead,
        Self::BatchTaken,
        Self::BatchBegun,
        Self::BatchApplied,
        Self::BatchDerived,
        Self::BatchCommitted,
        Self::CallbackKept,
        Self::AnswerBegun,
        Self::AnswerWritten,
        Self::SubmitBegun,
        Self::SubmitHeard,
        Self::SubmitAnswered,
        Self::SubmitEnded,
    ];

    /// The variable that names a fail point and, after a colon, the number of the pass that ends the process.
    pub const VARIABLE: &str = "SCRAPEHOOK_FAIL_POINT";

    /// Passes the point, or ends the process there.
    #[cfg(debug_assertions)]
    pub(crate) fn pass(self) {
        use std::sync::LazyLock;
        use std::sync::atomic::{AtomicU64, Ordering};

        static CHOSEN: LazyLock<Option<(String, AtomicU64)>> = LazyLock::new(|| {
            let text = std::env::var(FailPoint::VARIABLE).ok()?;
            let (name, passing) = text.split_once(':')?;
            Some((name.to_owned(), AtomicU64::new(passing.parse().ok()?)))
        });
        if let Some((name, left)) = CHOSEN.as_ref()
            && *name == format!("{self:?}")
            && left.fetch_sub(1, Ordering::Relaxed) == 1
        {
            std::process::abort();
        }
    }

    /// A build without debug assertions has nothing to pass.
    #[cfg(not(debug_assertions))]
    #[inline]
    pub(crate) fn pass(self) {}
}
