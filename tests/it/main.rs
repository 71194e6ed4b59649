//! One test binary: the real server, a real SQLite file and the simulator, as conversations.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(missing_docs, reason = "the names of tests are facts")]

mod aftermath;
mod architecture;
mod aside;
mod backups;
mod bad_input;
mod bad_input_routes;
mod binary;
mod bounded_commits;
mod callback_check;
mod callback_paths;
mod callbacks;
mod cancels;
mod carried_over;

mod client;
mod client_pipes;
mod client_priority;
mod client_submit;
mod client_watch;
mod configuration;
mod conversations;
mod damage;
mod decisions;
mod demo;
mod disk;
#[cfg(target_os = "linux")]
mod doctor;
mod documented;
mod doubts;
mod encodings;
mod estimates;
mod estimates_shown;
#[cfg(target_os = "linux")]
mod faulty_disk;
mod file;
mod fixtures;
mod floods;
mod forms;
mod fuzz;
mod growth;
mod growth_memory;

mod hint_limit;
mod hints;
mod init;
mod job_patch;
mod job_retry;
mod kill;
mod kill_matrix;
mod large_bodies;
mod ledger;
mod links;
mod listeners;
mod logged;
mod metrics;
mod migrations;
mod money;
#[cfg(target_os = "linux")]
mod mounts;
mod multiplied;
mod named_files;
mod notify;
mod openapi;
mod orders;
mod paused_queue;
mod permissions;
mod polling;
mod priorities;
mod prose;
mod proxy;
mod queue;
mod queue_load;
mod raw;
mod recompute;
mod recovered;
mod refusals;
mod reloading;
mod retention;
mod retention_load;
mod rounds;
mod second_looks;
mod silence;
mod simulator;
mod soak;
mod startup;
mod status;
mod stopping;
mod store;
mod strangers;
mod stream;
mod submitting;
mod support;
mod taken_in;
mod tokens;
mod traces;
mod unreadable;
mod upstream_faults;
mod urls;
mod waiting;
mod ways_in;
