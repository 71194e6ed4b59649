//! Queries for callbacks. Must never read a body that the page does not show.

use crate::domain::callback::Callback;
use crate::domain::id::TaskId;
use crate::store::column::{self, row};
use crate::store::error::ReadError;
use crate::store::read::Readers;

/// The distance by which the id of a callback without a body is lowered. Pages that held bodies then hold nothing,
/// and can return to the disk.
pub(crate) const BELOW: i64 = 1 << 52;

/// A filter for the callbacks of a task, newest first.
#[derive(Clone, Copy, Debug)]
pub struct CallbackPage {
    /// The task.
    pub task: TaskId,
    /// Only callbacks before this one.
    pub before: Option<i64>,
    /// The most callbacks to return.
    pub limit: i64,
}

row! {
    struct Row {
        number: i64,
        body: Option<Vec<u8>>,
        first_received_at: i64,
        last_received_at: i64,
        deliveries: i64,
        understood: Option<String>,
    }
}

impl Readers {
    /// Returns a task's callbacks, newest first.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn callbacks(&self, page: CallbackPage) -> Result<Vec<Callback>, ReadError> {
        let rows: Vec<Row> = sqlx::query_as(
            // The inner query reads only the index, not every body of the task. Callbacks without a body have lower
            // ids.
            "SELECT number, body, first_received_at, last_received_at, deliveries, understood
             FROM (SELECT id, iif(id < 0, id + ?4, id) AS number FROM callbacks
                   WHERE task_id = ?1 AND number < ?2 ORDER BY number DESC LIMIT ?3) AS page
               JOIN callbacks USING (id)
             ORDER BY number DESC",
        )
        .bind(page.task.to_string())
        .bind(page.before.unwrap_or(i64::MAX))
        .bind(page.limit)
        .bind(BELOW)
        .fetch_all(&self.pool)
        .await?;
        let callback = |row: Row| {
            let number = row.number.to_string();
            let at = |column| ("callbacks", column, number.as_str());
            Ok(Callback {
                id: row.number,
                task_id: page.task,
                first_received_at: column::time(at("first_received_at"), row.first_received_at)?,
                last_received_at: column::time(at("last_received_at"), row.last_received_at)?,
                deliveries: row.deliveries,
                understood: row.understood,
                body: row.body.map(|body| String::from_utf8_lossy(&body).into_owned()),
            })
        };
        Ok(rows.into_iter().map(callback).collect::<Result<_, sqlx::Error>>()?)
    }
}
