//! The posts of a page of task URLs. Must never make two posts of one canonical URL at one destination.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnection;

use crate::domain::url::CanonicalUrl;
use crate::store::column::{self, row};
use crate::store::file::carry_over::urls::row::UrlRow;

row! {
    /// The post of a task URL.
    pub(super) struct Post {
        pub(super) number: i64,
        /// The URL as first given.
        pub(super) url: String,
    }
}

/// Inserts missing posts, and returns the posts of all these URLs in their order.
pub(super) async fn place(
    connection: &mut SqliteConnection,
    urls: &[UrlRow],
) -> Result<Vec<Post>, sqlx::Error> {
    let (mut keys, mut seen, mut fresh) = (Vec::with_capacity(urls.len()), BTreeSet::new(), Vec::new());
    for url in urls {
        let destination = url.destination()?;
        let hash = CanonicalUrl::hash(&url.canonical);
        keys.push(json!([destination, hash, url.canonical]));
        if seen.insert((destination, &url.canonical)) {
            fresh.push(json!([
                destination,
                hash,
                url.canonical,
                url.url,
                url.platform.as_deref().unwrap_or_default(),
            ]));
        }
    }
    sqlx::query(
        "INSERT INTO posts (destination, hash, canonical, url, platform)
         SELECT value->>0, value->>1, value->>2, value->>3, value->>4 FROM json_each(?1) AS new
         WHERE NOT EXISTS (
           SELECT 1 FROM posts WHERE posts.hash = new.value->>1 AND posts.canonical = new.value->>2
             AND posts.destination = new.value->>0)
         ORDER BY new.key",
    )
    .bind(Value::Array(fresh).to_string())
    .execute(&mut *connection)
    .await?;
    let posts: Vec<Post> = sqlx::query_as(
        "SELECT posts.number, posts.url
         FROM json_each(?1) AS wanted CROSS JOIN posts ON posts.hash = wanted.value->>1
           AND posts.canonical = wanted.value->>2 AND posts.destination = wanted.value->>0
         ORDER BY wanted.key",
    )
    .bind(Value::Array(keys).to_string())
    .fetch_all(connection)
    .await?;
    if posts.len() != urls.len() {
        let words = format!("{} posts for {} URLs", posts.len(), urls.len());
        return Err(column::unreadable(("posts", "canonical", "a page of URLs"), words));
    }
    Ok(posts)
}
