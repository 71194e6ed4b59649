//! The upstream API.

pub mod wire;
