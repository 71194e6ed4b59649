//! The states of tasks, videos and jobs that follow from facts. Each is stored in the commit that brings the fact.

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
