//! Queued tasks. Those that were never sent dissolve, and those that nobody wants are canceled.
//!
//! Must never touch a task that upstream may have taken.

use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnection;

use crate::domain::event::{EventKind, Source};
use crate::domain::task::{FactKind, TaskState};
use crate::domain::time::Timestamp;
use crate::store::column::row;
use crate::store::file::carry_over::page::ROWS;
use crate::store::file::carry_over::urls::DOUBTS;

const CODE: &str = "canceled";
const CANCELED: &str = "canceled before it was sent";
const DISSOLVED: &str = "a new version of scrapehook forms tasks only when their turn comes, so the URLs of this one \
                         wait in the queue again";

row! {
    struct Queued {
        number: i64,
        id: String,
        job_id: Option<String>,
        is_submitted: bool,
        is_wanted: bool,
        /// The operator who canceled its job, if the cancel had not reached the task.
        words: Option<String>,
    }
}

const QUEUED: &str = "SELECT number, id, tasks.job_id,
       EXISTS (SELECT 1 FROM submits WHERE submits.task_id = tasks.id) AS is_submitted,
       EXISTS (SELECT 1 FROM job_urls WHERE job_urls.task_id = tasks.id AND fixed IS NULL) AS is_wanted,
       (SELECT words FROM old_due_cancels WHERE old_due_cancels.job_id = tasks.job_id) AS words
     FROM tasks WHERE state = 'queued' AND number > ?1 ORDER BY number LIMIT ?2";

/// Ends the queued tasks that have to end, and returns the number of dissolved ones. Also records which of the old
/// ends are doubts.
pub(super) async fn dissolve(
    connection: &mut SqliteConnection,
    now: Timestamp,
) -> Result<usize, sqlx::Error> {
    sqlx::query(
        "UPDATE tasks SET error_certain = NOT (
           state = 'unconfirmed' OR error_code IN (SELECT value FROM json_each(?1))
           OR (error_code = 'task_failed' AND (SELECT count(*) FROM task_urls WHERE task_id = tasks.id) > 1))
         WHERE error_code IS NOT NULL",
    )
    .bind(json!(DOUBTS).to_string())
    .execute(&mut *connection)
    .await?;
    let (mut after, mut dissolved) = (0, 0);
    loop {
        let queued: Vec<Queued> =
            sqlx::query_as(QUEUED).bind(after).bind(ROWS).fetch_all(&mut *connection).await?;
        let Some(last) = queued.last() else { return Ok(dissolved) };
        after = last.number;
        dissolved += queued.iter().filter(|task| task.is_wanted && !task.is_submitted).count();
        let stays = queued.iter().filter(|task| task.is_wanted && task.is_submitted);
        let stays: Vec<i64> = stays.map(|task| task.number).collect();
        sqlx::query("UPDATE tasks SET is_old = 0 WHERE number IN (SELECT value FROM json_each(?1))")
            .bind(json!(stays).to_string())
            .execute(&mut *connection)
            .await?;
        end(connection, &queued, now).await?;
    }
}

/// Cancels the tasks among these that have nothing left to send.
async fn end(
    connection: &mut SqliteConnection,
    queued: &[Queued],
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let (mut rows, mut events): (Vec<Value>, Vec<Value>) = (Vec::new(), Vec::new());
    for task in queued.iter().filter(|task| !(task.is_wanted && task.is_submitted)) {
        let words = if task.is_wanted { DISSOLVED } else { CANCELED };
        rows.push(json!([task.id, words, task.number]));
        let said = task.words.as_deref().filter(|_| !task.is_wanted).unwrap_or(words);
        events.push(json!([EventKind::TaskCanceled, task.job_id, task.id, said]));
        events.push(json!([EventKind::TaskSettled, task.job_id, task.id, TaskState::Canceled]));
    }
    let rows = Value::Array(rows).to_string();
    sqlx::query(
        "UPDATE tasks SET state = ?2, settled_at = ?3, error_code = ?4, error_message = ended.value->>1,
           error_certain = 1, next_poll_at = NULL, is_old = 0
         FROM json_each(?1) AS ended WHERE tasks.number = ended.value->>2",
    )
    .bind(&rows)
    .bind(TaskState::Canceled.as_str())
    .bind(now.as_millis())
    .bind(CODE)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "INSERT INTO facts (task_id, kind, video_id, at, source, code, message)
         SELECT value->>0, ?2, '', ?3, ?4, ?5, value->>1 FROM json_each(?1) WHERE true ON CONFLICT DO NOTHING",
    )
    .bind(&rows)
    .bind(FactKind::Canceled.as_str())
    .bind(now.as_millis())
    .bind(Source::Clock.as_str())
    .bind(CODE)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "INSERT INTO events (kind, source, job_id, task_id, at, message)
         SELECT value->>0, ?2, value->>1, value->>2, ?3, value->>3 FROM json_each(?1) ORDER BY key",
    )
    .bind(Value::Array(events).to_string())
    .bind(Source::Clock.as_str())
    .bind(now.as_millis())
    .execute(connection)
    .await?;
    Ok(())
}
