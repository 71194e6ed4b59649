//! What an operator sees and does: metrics, traces, the log, backups, starts, stops and reloads.

mod backups;
mod configured_subscribers;
mod formats;
mod listeners;
mod logged;
mod metrics;
mod problems;
mod receivers;
mod reloading;
mod startup;
mod stopping;
mod subscribers;
mod traces;
mod webhooks;
