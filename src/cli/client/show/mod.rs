//! Answers of the service, for people. Must never ask the service anything.

pub(in crate::cli) mod jobs;
pub(in crate::cli) mod output;
pub(in crate::cli) mod progress;
pub(in crate::cli) mod queue;
pub(super) mod subscribers;
pub(in crate::cli) mod tasks;
pub(in crate::cli) mod words;
