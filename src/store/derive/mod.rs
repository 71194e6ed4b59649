//! What follows from facts: states of tasks, videos and jobs, each stored in the commit that brought the fact.

pub(crate) mod arrivals;
pub(crate) mod attempts;
pub(crate) mod complete;
pub(crate) mod due;
pub(crate) mod facts;
pub(crate) mod jobs;
pub(crate) mod places;
pub(crate) mod polling;
pub(crate) mod posts;
pub(crate) mod queue;
pub(crate) mod rounds;
pub(crate) mod tasks;
pub(crate) mod turns;
pub(crate) mod videos;
