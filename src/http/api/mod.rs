//! The routes below `/v1`, a file for each noun.

pub(in crate::http) mod conflict;
pub(in crate::http) mod events;
pub(in crate::http) mod jobs;
pub(in crate::http) mod pause;
pub(in crate::http) mod quarantine;
pub(in crate::http) mod queue;
pub(in crate::http) mod session;
pub(in crate::http) mod stats;
pub(in crate::http) mod status;
pub(in crate::http) mod stream;
pub(in crate::http) mod subscribers;
pub(in crate::http) mod tasks;
pub(in crate::http) mod videos;
