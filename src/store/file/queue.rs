//! Gives the posts that wait in a file of an older version their places in the queue, in the order in which they
//! arrived. Must never send anything.

use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Executor};

/// Within a job, the order is that of its URLs. Jobs of one key take turns by requests of fifty.
const STEPS: [&str; 8] = [
    "INSERT INTO api_keys (name) SELECT DISTINCT ifnull(created_by, '') FROM jobs WHERE true ORDER BY 1
     ON CONFLICT DO NOTHING",
    "UPDATE jobs SET key = (SELECT number FROM api_keys WHERE name = ifnull(created_by, '')) WHERE key IS NULL",
    "UPDATE tasks SET key = (SELECT jobs.key FROM jobs WHERE jobs.id = tasks.job_id) WHERE state = 'queued'",
    "CREATE TEMPORARY TABLE entering AS
     SELECT wants.round, jobs.key, rounds.line, rounds.kind, min(wants.job) AS job
     FROM rounds CROSS JOIN wants ON wants.round = rounds.number AND mark IS NULL
       CROSS JOIN jobs ON jobs.number = wants.job
     WHERE rounds.line IS NOT NULL GROUP BY wants.round, jobs.key",
    "INSERT INTO queue_groups (key, priority, line, waiting, is_paused)
     SELECT key, 1, line, count(*), EXISTS (SELECT 1 FROM pauses WHERE scope = lines.platform)
     FROM entering CROSS JOIN lines ON lines.number = entering.line GROUP BY key, line ORDER BY min(round)",
    "INSERT INTO places (grp, kind, turn, round)
     SELECT queue_groups.number, kind, (row_number() OVER (PARTITION BY entering.line, job ORDER BY round) - 1) / 50,
       round
     FROM entering CROSS JOIN queue_groups
       ON queue_groups.key = entering.key AND queue_groups.priority = 1 AND queue_groups.line = entering.line",
    "DROP TABLE entering",
    "INSERT INTO queue_classes (key, priority, since)
     SELECT key, 1, 0 FROM (SELECT key FROM queue_groups UNION SELECT key FROM tasks WHERE state = 'queued')
     WHERE key IS NOT NULL",
];

/// Fills the queue of a file that has none yet.
pub(crate) async fn fill(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let is_filled: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM queue)").fetch_one(&mut *connection).await?;
    if is_filled {
        return Ok(());
    }
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    for step in STEPS {
        transaction.execute(step).await?;
    }
    transaction.execute("INSERT INTO queue (clock, requests) VALUES (0, 0)").await?;
    transaction.commit().await
}
