//! What can be asked of the writer, a file each, with its arguments.

pub(crate) mod callbacks;
pub(crate) mod decisions;
pub(crate) mod due;
pub(crate) mod hints;
pub(crate) mod jobs;
pub(crate) mod ownership;
pub(crate) mod pauses;
pub(crate) mod polls;
pub(crate) mod received;
pub(crate) mod retention;
pub(crate) mod silence;
pub(crate) mod submits;
