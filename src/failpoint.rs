//! Fail points: named places at which a test lets the process end as `kill -9` would end it.
//!
//! Builds without debug assertions have none of them. Must never do anything else than end the process.

/// Where the process can be made to end: between any two waits of a callback's way, and of a submit's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailPoint {
    /// The body of a callback was read; it is not queued.
    CallbackRead,
    /// The writer has taken a batch; its transaction is not begun.
    BatchTaken,
    /// The transaction is begun; nothing is in it.
    BatchBegun,
    /// The operations are in the transaction; what follows from them is not.
    BatchApplied,
    /// States and events are derived; they are not written, and nothing is committed.
    BatchDerived,
    /// The batch is committed; nobody has heard of it.
    BatchCommitted,
    /// The callback's handler has heard of the commit; there is no answer yet.
    CallbackKept,
    /// An answer is there; not a byte of it is written.
    AnswerBegun,
    /// An answer, or a part of it, was handed to the system.
    AnswerWritten,
    /// The row of a submit is on disk; nothing was sent.
    SubmitBegun,
    /// The head of upstream's answer is here; its body is not read.
    SubmitHeard,
    /// Upstream's answer is here; it is not queued.
    SubmitAnswered,
    /// The end of the submit is on disk; nothing that follows from it was done.
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

    /// The variable that names a fail point and, after a colon, which passing of it is the last.
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

    /// There is nothing to pass in a build without debug assertions.
    #[cfg(not(debug_assertions))]
    #[inline]
    pub(crate) fn pass(self) {}
}
