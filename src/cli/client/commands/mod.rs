//! The client commands, a file each. They ask the service, and leave to `show` how an answer looks.

pub(super) mod decide;
pub(super) mod events;
pub(super) mod jobs;
mod list;
pub(super) mod queue;
pub(super) mod status;
pub(super) mod submit;
pub(super) mod tasks;
pub(super) mod watch;
