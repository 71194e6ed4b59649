//! Between the network and the handlers: connections, callers, bodies, queries, and the form of errors.

pub(in crate::http) mod auth;
pub(in crate::http) mod body;
pub(in crate::http) mod callback_path;
pub(in crate::http) mod cookie;
pub(in crate::http) mod keys;
pub(in crate::http) mod lingering;
pub(in crate::http) mod listener;
pub(in crate::http) mod middleware;
mod origin;
pub(in crate::http) mod peer;
pub(in crate::http) mod problem;
pub(in crate::http) mod query;
pub(in crate::http) mod sign_in_limit;
pub(in crate::http) mod wait;
