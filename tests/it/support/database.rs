//! The service's file, opened beside it.

use std::path::Path;

use sqlx::ConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

pub async fn open(database: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(database).connect().await.unwrap()
}

/// Refuses to write.
pub async fn read(database: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(database).pragma("query_only", "ON");
    options.connect().await.unwrap()
}
