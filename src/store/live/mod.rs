//! Notification of clients after a commit. Must never happen before it.

pub(crate) mod feed;
pub(crate) mod waiters;
