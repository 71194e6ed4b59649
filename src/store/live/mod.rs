//! Who hears of a commit.

pub(crate) mod feed;
pub(crate) mod waiters;
