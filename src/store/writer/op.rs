//! What can be asked of the writer: each operation is applied whole or not at all.

use std::time::Duration;

use crate::domain::event::Source;
use crate::domain::id::{JobId, TaskId};
use crate::domain::time::Timestamp;
use crate::store::ops::adopts::Decided;
use crate::store::ops::decisions::Decision;
use crate::store::ops::due::Front;
use crate::store::ops::forming::NextRequest;
use crate::store::ops::hints::Found;
use crate::store::ops::job_patches::{JobPatch, JobPatched};
use crate::store::ops::jobs::{CreatedJob, NewJob};
use crate::store::ops::pauses::NewPause;
use crate::store::ops::polled::EndedPoll;
use crate::store::ops::received::{AcceptedCallback, ReceivedCallback, ReceivedHint};
use crate::store::ops::retention::Pass;
use crate::store::ops::retries::JobRetried;
use crate::store::ops::submits::SubmitEnd;
use crate::store::read::queue::Request;

/// What an operation did.
#[derive(Clone, Debug)]
pub(crate) enum Effect {
    /// It took effect.
    Done,
    /// It did not: things are no longer as whoever asked for it thought.
    Nothing,
    /// What became of a job.
    Job(Box<CreatedJob>),
    /// What became of an operator's decision.
    Decided(Decided),
    /// What became of the retry of a job.
    Retried(JobRetried),
    /// What became of a change of a job.
    Patched(JobPatched),
    /// A request whose submit is on disk.
    Formed(Box<Request>),
    /// How far a pass has come.
    Pruned(Pass),
}

impl Effect {
    /// Whether it took effect.
    pub(crate) const fn of(took_effect: bool) -> Self {
        if took_effect { Self::Done } else { Self::Nothing }
    }
}

impl Op {
    /// Whether who asks for it waits for what its commit leaves to the next ones, and finds all of it done.
    pub(crate) const fn is_done_whole(&self) -> bool {
        let Self::Decide { decision, .. } = self else {
            return matches!(self, Self::RetryJob { .. } | Self::PatchJob { .. });
        };
        matches!(decision, Decision::Cancel(_) | Decision::CancelJob(_) | Decision::Retry { .. })
    }

    /// Whether it reads states that an operation before it may have changed: then it begins a batch.
    pub(crate) const fn reads_states(&self) -> bool {
        matches!(
            self,
            Self::Form(_)
                | Self::Sweep { .. }
                | Self::ClockSetForward { .. }
                | Self::ClockSetBack { .. }
                | Self::CreateJob(_)
                | Self::Decide { .. }
                | Self::RetryJob { .. }
                | Self::PatchJob { .. }
                | Self::Lookup { .. }
                | Self::Continue(_)
        )
    }
}

/// One operation of the writer.
#[derive(Debug)]
pub(crate) enum Op {
    Callback(ReceivedCallback),
    Hint(ReceivedHint),
    Accept(AcceptedCallback),
    Lookup {
        upstream_id: String,
        found: Found,
        at: Timestamp,
    },
    CreateJob(NewJob),
    /// Forms the next request and writes its submit.
    Form(NextRequest),
    EndSubmit {
        task: TaskId,
        at: Timestamp,
        end: SubmitEnd,
    },
    CloseOpenSubmits {
        at: Timestamp,
    },
    RecordPoll(EndedPoll),
    Pause {
        pause: NewPause,
        source: Source,
        at: Timestamp,
    },
    Resume {
        scope: String,
        source: Source,
        at: Timestamp,
    },
    Decide {
        decision: Decision,
        /// The API key's name.
        by: Option<String>,
        at: Timestamp,
    },
    /// Looks the failed URLs of a job up again: those with one of these codes, or all that were not canceled.
    RetryJob {
        job: JobId,
        codes: Option<Vec<String>>,
        /// The API key's name.
        by: Option<String>,
        at: Timestamp,
    },
    /// Changes the priority or the labels of a job.
    PatchJob {
        job: JobId,
        patch: JobPatch,
        at: Timestamp,
    },
    /// Marks at most so many silent tasks, without the first ones, which can't be read.
    Sweep {
        at: Timestamp,
        skip: i64,
        most: i64,
    },
    /// Removes what settled before this time, a step of a pass.
    Prune {
        before: Timestamp,
        pass: Pass,
    },
    /// Moves the beginnings of silences along with a clock that was set.
    ClockSetForward {
        by: Duration,
        at: Timestamp,
    },
    ClockSetBack {
        at: Timestamp,
    },
    /// Does a part of what earlier commits have left: see [`step`](crate::store::ops::due::step).
    Continue(Front),
    /// Changes nothing that anybody reads: proves that commits work.
    Prove {
        at: Timestamp,
    },
}
