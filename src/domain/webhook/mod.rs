//! Webhooks that scrapehook sends: their targets, secrets, signatures and retries, after Standard Webhooks.
//!
//! Must never send anything and never read a clock.

pub mod body;
pub mod callback;
pub mod chat;
pub mod delivery;
pub mod format;
pub mod pattern;
pub mod retry;
pub mod secret;
pub mod signature;
pub mod subscriber;
pub mod target;
pub mod template;
pub mod upstream_body;
pub mod wording;
