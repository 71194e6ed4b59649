//! The size of the pages in which the old tables are read. Must never depend on the file.

/// The rows of one page.
pub(super) const ROWS: i64 = 1_000;
