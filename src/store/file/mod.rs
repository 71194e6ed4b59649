//! The life of the file: lock, inspection, opening, watch and copies.
//!
//! Must never know the meaning of its rows.

pub(crate) mod backup;
pub(crate) mod carry_over;
pub(crate) mod disk;
pub(crate) mod error;
pub(crate) mod exposure;
pub(crate) mod failure;
pub(crate) mod forms;
pub(crate) mod inspect;
pub(crate) mod lock;
pub(crate) mod migrate;
pub(crate) mod open;
pub(crate) mod partial;
pub(crate) mod path;
pub(crate) mod private;
pub(crate) mod queue;
pub(crate) mod schema;
pub(crate) mod watch;
