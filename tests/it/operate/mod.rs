//! What an operator sees and does: metrics, traces, the log, backups, starts, stops and reloads.

mod backups;
mod listeners;
mod logged;
mod metrics;
mod problems;
mod reloading;
mod startup;
mod stopping;
mod traces;
mod webhooks;
