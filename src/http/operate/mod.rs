//! The routes that monitoring asks: health, readiness and metrics.

pub(in crate::http) mod health;
pub(in crate::http) mod metrics;
pub(in crate::http) mod proof;
