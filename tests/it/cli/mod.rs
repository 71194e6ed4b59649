//! The commands of the binary, and its configuration.

mod client;
mod client_pipes;
mod client_priority;
mod client_submit;
mod client_watch;
mod configuration;
mod demo;
#[cfg(target_os = "linux")]
mod doctor;
mod init;
mod notify;
mod subscribers;
