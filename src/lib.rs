//! scrapehook stands between people who have videos scraped and a metered API that calls back.
//!
//! | floor | modules |
//! |---|---|
//! | 0 | [`domain`] |
//! | 2 | [`upstream`] |

pub mod domain;
pub mod upstream;
