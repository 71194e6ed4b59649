//! The schema: its mark in the file, and its migrations.

use sqlx::migrate::Migrator;

/// Marks a file as ours: "shok" in ASCII.
pub(crate) const APPLICATION_ID: i64 = 0x7368_6f6b;

pub(crate) static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");
