//! Queries, on connections that can't write. Must never write.

pub(crate) mod arriving;
pub(crate) mod callbacks;
pub(crate) mod deliveries;
pub(crate) mod due;
pub(crate) mod estimates;
pub(crate) mod events;
pub(crate) mod hints;
pub(crate) mod job_search;
pub(crate) mod job_urls;
pub(crate) mod jobs;
pub(crate) mod listed_deliveries;
pub(crate) mod minutes;
pub(crate) mod pauses;
pub(crate) mod problems;
pub(crate) mod queue;
pub(crate) mod recipients;
pub(crate) mod sessions;
pub(crate) mod status;
pub(crate) mod subscribers;
pub(crate) mod tasks;
pub(crate) mod videos;
pub(crate) mod waiting;

use sqlx::Sqlite;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::SqlitePool;

use crate::store::policy::Policy;
use crate::store::read::waiting::Cache;

/// Connections that can't write. Clones share them.
#[derive(Clone, Debug)]
pub struct Readers {
    pool: SqlitePool,
    policy: Policy,
    /// The last copy of the queue.
    waiting: Cache,
}

impl Readers {
    pub(crate) fn new(pool: SqlitePool, policy: Policy) -> Self {
        Self { pool, policy, waiting: Cache::default() }
    }

    pub(crate) const fn policy(&self) -> Policy {
        self.policy
    }

    /// Takes a connection as soon as one is free.
    pub(crate) async fn acquire(&self) -> Result<PoolConnection<Sqlite>, sqlx::Error> {
        self.pool.acquire().await
    }

    /// Takes every connection, until they are dropped.
    #[cfg(test)]
    pub(crate) async fn take_all(&self) -> Vec<impl Send + use<>> {
        let mut taken = Vec::new();
        while taken.len() < self.pool.options().get_max_connections() as usize {
            // On a slow machine, the wait may end before a connection is open.
            taken.extend(self.acquire().await.ok());
        }
        taken
    }
}
