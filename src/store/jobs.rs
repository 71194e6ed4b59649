//! The part of the store for clients and operators: jobs, and decisions about them.
//!
//! Must never write but through the writer.

use crate::domain::id::JobId;
use crate::domain::time::Timestamp;
use crate::store::error::{FailureKind, WriteError};
use crate::store::ops::adopts::Decided;
use crate::store::ops::decisions::Decision;
use crate::store::ops::job_patches::{JobPatch, JobPatched};
use crate::store::ops::jobs::{CreatedJob, NewJob};
use crate::store::ops::retries::JobRetried;
use crate::store::writer::op::{Effect, Op};

impl crate::store::Store {
    /// Takes a job with its plan; once, where it has an idempotency key.
    ///
    /// # Errors
    /// [`WriteError`]: then nothing of it is on disk, or nobody knows.
    pub async fn create_job(&self, job: NewJob) -> Result<CreatedJob, WriteError> {
        match self.queues.fact(Op::CreateJob(job)).await? {
            Effect::Job(job) => Ok(*job),
            _ => Err(WriteError::Failed(FailureKind::Other)),
        }
    }

    /// Does what an operator decided, if that makes sense as things are.
    ///
    /// # Errors
    /// [`WriteError`]
    pub async fn decide(
        &self,
        decision: Decision,
        by: Option<String>,
        at: Timestamp,
    ) -> Result<Decided, WriteError> {
        match self.queues.fact(Op::Decide { decision, by, at }).await? {
            Effect::Decided(decided) => Ok(decided),
            _ => Err(WriteError::Failed(FailureKind::Other)),
        }
    }

    /// Looks the failed URLs of a job up again: those with one of these codes, or all that were not canceled.
    ///
    /// # Errors
    /// [`WriteError`]
    pub async fn retry_job(
        &self,
        job: JobId,
        codes: Option<Vec<String>>,
        by: Option<String>,
        at: Timestamp,
    ) -> Result<JobRetried, WriteError> {
        match self.queues.fact(Op::RetryJob { job, codes, by, at }).await? {
            Effect::Retried(retried) => Ok(retried),
            _ => Err(WriteError::Failed(FailureKind::Other)),
        }
    }

    /// Changes the priority or the labels of a job.
    ///
    /// # Errors
    /// [`WriteError`]
    pub async fn patch_job(
        &self,
        job: JobId,
        patch: JobPatch,
        at: Timestamp,
    ) -> Result<JobPatched, WriteError> {
        match self.queues.fact(Op::PatchJob { job, patch, at }).await? {
            Effect::Patched(patched) => Ok(patched),
            _ => Err(WriteError::Failed(FailureKind::Other)),
        }
    }
}
