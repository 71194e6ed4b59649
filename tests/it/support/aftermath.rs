//! What must hold once a process was killed, however often: nothing acknowledged is missing, nothing was sent
//! twice, no task is without a way on.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use scrapehook::simulator::Simulator;
use sqlx::sqlite::SqliteConnection;

use crate::support::binary::Binary;
use crate::support::database::read;
use crate::support::recompute::assert_states_follow_from_facts;

/// What was looked at.
#[derive(Debug, Default)]
pub struct Counts {
    pub submits: usize,
    pub acknowledged: usize,
    /// Tasks that only an operator or the deadline moves on.
    pub unconfirmed: usize,
}

/// A number from a variable of the environment, to make a test longer or to replay it.
pub fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().expect("a number"))
}

/// The states of the tasks that will move on by themselves, each with how many are in it; and how many posts wait.
pub async fn moving(file: &mut SqliteConnection) -> Vec<(String, i64)> {
    sqlx::query_as(
        "SELECT state, count(*) FROM tasks
         WHERE state IN ('queued', 'submitting', 'accepted', 'downloaded') GROUP BY state
         UNION ALL SELECT 'waiting', sum(waiting) FROM lines HAVING sum(waiting) > 0",
    )
    .fetch_all(file)
    .await
    .unwrap()
}

/// Serves once more until no post waits and every task has come to rest. Something must happen within `deadline`, again
/// and again.
pub async fn come_to_rest(binary: &Binary, deadline: Duration, context: &str) {
    let mut serving = binary.serve(&[]);
    let mut file = read(&binary.path("scrapehook.db")).await;
    let mut left = moving(&mut file).await;
    let mut moved = Instant::now();
    while !left.is_empty() {
        let now = moving(&mut file).await;
        if now != left {
            (left, moved) = (now, Instant::now());
        }
        if moved.elapsed() > deadline {
            let log = serving.end();
            let log: Vec<_> = log.lines().rev().take(5).collect();
            panic!("{context}: tasks have no way on: {left:?}, {log:?}");
        }
    }
    assert_eq!(serving.terminate().0, 0, "{context}");
}

/// Compares what the simulator saw with what is on disk.
pub async fn assert_promises_were_kept(upstream: &Simulator, database: &Path, context: &str) -> Counts {
    let sent = upstream.callbacks_sent().into_iter().filter(|callback| callback.answer == Some(200));
    let acknowledged: BTreeSet<_> =
        sent.map(|callback| (callback.task_id, serde_json::to_string(&callback.body).unwrap())).collect();
    let mut file = read(database).await;
    let kept = kept(&mut file).await;
    let missing: Vec<_> = acknowledged.difference(&kept).collect();
    assert!(missing.is_empty(), "{context}: answered 200 and lost: {missing:?}");
    let charged = upstream.charged();
    let twice: Vec<_> = charged.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "{context}: charged twice: {twice:?}");
    assert_states_follow_from_facts(database).await;
    let unconfirmed: i64 = sqlx::query_scalar("SELECT count(*) FROM tasks WHERE state = 'unconfirmed'")
        .fetch_one(&mut file)
        .await
        .unwrap();
    Counts {
        submits: upstream.submitted(),
        acknowledged: acknowledged.len(),
        unconfirmed: usize::try_from(unconfirmed).unwrap(),
    }
}

/// Every callback on disk, under the upstream's own task id, or both of them if it made two tasks of one submit.
pub async fn kept(file: &mut SqliteConnection) -> BTreeSet<(String, String)> {
    let rows: Vec<(String, Vec<u8>)> = sqlx::query_as(
        "SELECT upstream_id, body FROM callbacks JOIN tasks ON tasks.id = task_id
             UNION ALL SELECT other_id, body FROM callbacks JOIN tasks ON tasks.id = task_id
                       WHERE other_id IS NOT NULL",
    )
    .fetch_all(file)
    .await
    .unwrap();
    rows.into_iter().map(|(task, body)| (task, String::from_utf8(body).unwrap())).collect()
}
