//! Chains: the tasks that retries and hand-overs of an older version made from each other. A URL that goes through a
//! chain has one round.
//!
//! Must never follow a task that was recovered from a callback, because its `replaced_by` names the task that it
//! turned out to be.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::json;
use sqlx::sqlite::SqliteConnection;

use crate::store::column::row;
use crate::store::file::carry_over::rounds::Key;

/// The task URLs that continue in a later task of their chain, each with the last one that a job follows. A URL after
/// that one was handed back, and has a separate round.
pub(super) struct Chains(HashMap<Key, Key>);

row! {
    /// A URL of a task in a chain.
    struct Member {
        task: i64,
        position: i64,
        canonical: String,
        is_followed: bool,
    }
}

impl Member {
    const fn key(&self) -> Key {
        (self.task, self.position)
    }
}

impl Chains {
    /// The last task URL in the chain of this one.
    pub(super) fn last(&self, key: Key) -> Key {
        self.0.get(&key).copied().unwrap_or(key)
    }

    pub(super) async fn read(connection: &mut SqliteConnection) -> Result<Self, sqlx::Error> {
        let links: Vec<(i64, i64)> = sqlx::query_as(
            "SELECT old.number, new.number FROM tasks AS old CROSS JOIN tasks AS new ON new.id = old.replaced_by
             WHERE old.replaced_by IS NOT NULL AND old.job_id IS NOT NULL",
        )
        .fetch_all(&mut *connection)
        .await?;
        let firsts = firsts(links);
        let urls: Vec<Member> = sqlx::query_as(
            "SELECT tasks.number AS task, urls.position, urls.canonical,
               EXISTS (
                 SELECT 1 FROM job_urls WHERE job_urls.task_id = tasks.id AND task_position = urls.position
               ) AS is_followed
             FROM json_each(?1) CROSS JOIN tasks ON tasks.number = value
               CROSS JOIN task_urls AS urls ON urls.task_id = tasks.id
             ORDER BY tasks.number, urls.position",
        )
        .bind(json!(firsts.keys().collect::<Vec<_>>()).to_string())
        .fetch_all(connection)
        .await?;
        // One post may be in a task several times, because its forms were different once.
        let mut places: HashMap<(i64, &str), i64> = HashMap::new();
        let mut same: HashMap<(i64, &str, i64), Vec<&Member>> = HashMap::new();
        for url in &urls {
            let place = places.entry((url.task, &url.canonical)).or_default();
            let first = firsts.get(&url.task).copied().unwrap_or(url.task);
            same.entry((first, &url.canonical, *place)).or_default().push(url);
            *place += 1;
        }
        let mut last = HashMap::new();
        for members in same.into_values() {
            let end = members.iter().rposition(|url| url.is_followed).unwrap_or(members.len() - 1);
            last.extend(members[..end].iter().map(|url| (url.key(), members[end].key())));
        }
        Ok(Self(last))
    }
}

/// The first task of each chain, by every task in it.
fn firsts(links: Vec<(i64, i64)>) -> BTreeMap<i64, i64> {
    let next: BTreeMap<i64, i64> = links.into_iter().collect();
    let later: BTreeSet<i64> = next.values().copied().collect();
    let mut firsts = BTreeMap::new();
    for &first in next.keys().filter(|task| !later.contains(task)) {
        let mut task = Some(first);
        while let Some(one) = task.filter(|one| !firsts.contains_key(one)) {
            firsts.insert(one, first);
            task = next.get(&one).copied();
        }
    }
    firsts
}
