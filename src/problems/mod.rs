//! The problems of the service: their evidence, and the rules that find them in it.
//!
//! The status and the worker that announces problems both use it. Must never write.

mod observed;
mod rules;

pub use observed::{Monitored, Observed, Unproven};
pub use rules::{find, is_unclear};
