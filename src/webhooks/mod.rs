//! Webhooks as they are sent: the receiver of a delivery, its secrets, and its body in the receiver's format.
//!
//! The worker that forwards events and the API that sends test messages both use it. Must never send or write.

mod expand;
mod objects;
mod prepare;
mod recent;
mod test_message;

pub use expand::{DOWNLOADED, upstream_keys};
pub use prepare::{Prepared, Unsendable, prepare};
pub use recent::Recent;
pub use test_message::test_message;
