//! What follows from facts: states of tasks, videos and jobs, each stored in the commit that brought the fact.

pub(crate) mod carriers;
pub(crate) mod due;
pub(crate) mod facts;
pub(crate) mod followers;
pub(crate) mod ledger;
pub(crate) mod silence;
pub(crate) mod tasks;
pub(crate) mod videos;
