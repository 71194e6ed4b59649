//! scrapehook stands between people who have videos scraped and a metered API that calls back.
//!
//! | floor | modules |
//! |---|---|
//! | 0 | [`domain`] |
//! | 1 | [`clock`], [`config`] |
//! | 2 | [`upstream`], [`store`] |

pub mod clock;
pub mod config;
pub mod domain;
pub mod store;
pub mod upstream;
