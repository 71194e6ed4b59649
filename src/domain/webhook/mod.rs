//! Webhooks that scrapehook sends: their secrets, their signatures and their retries, after Standard Webhooks.
//!
//! Must never send anything and never read a clock.

pub mod retry;
pub mod secret;
pub mod signature;
