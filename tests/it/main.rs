//! One test binary: the real server, a real SQLite file and the simulator, as conversations.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(missing_docs, reason = "the names of tests are facts")]

mod api;
mod architecture;
mod callbacks;
mod cli;
mod documented;
mod named_files;
mod operate;
mod proofs;
mod prose;
mod simulator;
mod store;
mod support;
mod urls;
