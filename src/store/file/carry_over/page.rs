//! How much of the old tables is in memory at once.

/// Rows that one statement takes.
pub(super) const ROWS: i64 = 1_000;
