//! The client commands, one file each. They send requests to the service, and must leave the presentation of answers
//! to `show`.

pub(super) mod decide;
pub(super) mod events;
pub(super) mod jobs;
mod list;
pub(super) mod queue;
pub(super) mod status;
pub(super) mod submit;
pub(super) mod subscribers;
pub(super) mod tasks;
pub(super) mod watch;
