//! The operations of the writer, one file each, with their arguments.

pub(crate) mod adopts;
pub(crate) mod callbacks;
pub(crate) mod cancels;
pub(crate) mod decisions;
pub(crate) mod deliveries;
pub(crate) mod due;
pub(crate) mod forming;
pub(crate) mod hints;
pub(crate) mod job_patches;
pub(crate) mod job_retries;
pub(crate) mod jobs;
pub(crate) mod ownership;
pub(crate) mod pauses;
pub(crate) mod polled;
pub(crate) mod polls;
pub(crate) mod problems;
pub(crate) mod proof;
pub(crate) mod recovered;
pub(crate) mod refusals;
pub(crate) mod retention;
pub(crate) mod second_look;
pub(crate) mod silence;
pub(crate) mod splits;
pub(crate) mod submits;
pub(crate) mod taken_in;
pub(crate) mod task_retries;
