//! The part of the store for clients and operators: jobs, and decisions about them.
//!
//! Must never write except through the writer.

use crate::domain::id::JobId;
use crate::domain::time::Timestamp;
use crate::store::error::WriteError;
use crate::store::ops::adopts::Decided;
use crate::store::ops::decisions::{Decide, Decision};
use crate::store::ops::job_patches::{JobPatch, JobPatched, PatchJob};
use crate::store::ops::job_retries::{JobRetried, RetryJob};
use crate::store::ops::jobs::{CreatedJob, NewJob};

impl crate::store::Store {
    /// Makes a job with its plan. With an idempotency key, it is made only once.
    ///
    /// # Errors
    /// [`WriteError`] means that nothing of it is on disk, or that nobody knows.
    pub async fn create_job(&self, job: NewJob) -> Result<CreatedJob, WriteError> {
        self.queues.fact(job).await
    }

    /// Carries out an operator's decision, if the present state allows it.
    ///
    /// # Errors
    /// [`WriteError`]
    pub async fn decide(
        &self,
        decision: Decision,
        by: Option<String>,
        at: Timestamp,
    ) -> Result<Decided, WriteError> {
        self.queues.fact(Decide { decision, by, at }).await
    }

    /// Looks the failed URLs of a job up again, either those with one of these codes or all that were not canceled.
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
        self.queues.fact(RetryJob { job, codes, by, at }).await
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
        self.queues.fact(PatchJob { job, patch, at }).await
    }
}
