//! One transaction: what its operations have changed, and what stays loaded between two of them.

pub(crate) mod changes;
pub(crate) mod log;
pub(crate) mod working_set;
