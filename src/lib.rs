//! scrapehook connects people who have videos scraped with the memories.ai API, which charges for them and calls back.
//!
//! A callback passes three stops: `http/callback.rs` (limit, token, tolerant parse), `store/writer/mod.rs` (raw body,
//! fact and derived state in the next commit), and the answer, which is sent after the commit.
//!
//! Imports only go down:
//!
//! | floor | modules |
//! |---|---|
//! | 0 | [`blocking`], [`domain`], [`tls`] |
//! | 1 | [`clock`], [`config`], [`failpoint`], [`network`], [`telemetry`] |
//! | 2 | [`upstream`], [`store`], [`callback_check`], [`forward`] |
//! | 3 | [`problems`], [`webhooks`] |
//! | 4 | [`http`], [`workers`] |
//! | 5 | [`app`] |
//! | 6 | [`cli`] |
//!
//! The [`simulator`] is outside of these floors and sees only [`upstream::wire`].

pub mod app;
pub mod blocking;
pub mod callback_check;
pub mod cli;
pub mod clock;
pub mod config;
pub mod domain;
pub mod failpoint;
pub mod forward;
pub mod http;
pub mod network;
pub mod problems;
pub mod simulator;
pub mod store;
pub mod telemetry;
pub mod tls;
pub mod upstream;
pub mod webhooks;
pub mod workers;
