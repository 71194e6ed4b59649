//! The event log: append-only, in the order of commits.

use sqlx::{FromRow, QueryBuilder};

use crate::domain::event::{Event, EventKind};
use crate::domain::id::{JobId, TaskId};
use crate::store::column;
use crate::store::error::ReadError;
use crate::store::read::Readers;

/// Which events are asked for, oldest first.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// Only those after this `seq`.
    pub after: i64,
    /// Only those about this job.
    pub job: Option<JobId>,
    /// Only those about this task.
    pub task: Option<TaskId>,
    /// Only those of this kind.
    pub kind: Option<EventKind>,
    /// At most so many.
    pub limit: i64,
}

impl EventFilter {
    /// Whether it lets this event pass, whatever its `seq`.
    pub(crate) fn admits(&self, event: &Event) -> bool {
        self.job.is_none_or(|job| event.job_id == Some(job))
            && self.task.is_none_or(|task| event.task_id == Some(task))
            && self.kind.is_none_or(|kind| event.kind == kind)
    }
}

#[derive(FromRow)]
struct Row {
    seq: i64,
    kind: String,
    source: String,
    job_id: Option<String>,
    task_id: Option<String>,
    upstream_id: Option<String>,
    video_id: Option<String>,
    at: i64,
    message: Option<String>,
}

impl Readers {
    /// Events in the order of their commits.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn events(&self, filter: &EventFilter) -> Result<Vec<Event>, ReadError> {
        let mut query = QueryBuilder::new(
            "SELECT seq, kind, source, job_id, task_id, upstream_id, video_id, at, message
             FROM events WHERE seq > ",
        );
        query.push_bind(filter.after);
        if let Some(job) = filter.job {
            query.push(" AND job_id = ").push_bind(job.to_string());
        }
        if let Some(task) = filter.task {
            query.push(" AND task_id = ").push_bind(task.to_string());
        }
        if let Some(kind) = filter.kind {
            // Half of all events may be of one kind: `+` keeps SQLite from its index where another one is narrow.
            let is_narrow = filter.job.is_some() || filter.task.is_some();
            query.push(if is_narrow { " AND +kind = " } else { " AND kind = " }).push_bind(kind.as_str());
        }
        query.push(" ORDER BY seq LIMIT ").push_bind(filter.limit);
        let rows: Vec<Row> = query.build_query_as().fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(event).collect::<Result<_, _>>()?)
    }

    /// The last `seq` that was given out, zero where none was; a restored file begins far above its newest event.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn last_seq(&self) -> Result<i64, ReadError> {
        let seq: Option<i64> = sqlx::query_scalar("SELECT seq FROM sqlite_sequence WHERE name = 'events'")
            .fetch_optional(&self.pool)
            .await?;
        Ok(seq.unwrap_or_default())
    }

    /// Up to which `seq` events were removed; zero where none was.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn events_removed_to(&self) -> Result<i64, ReadError> {
        let seq: Option<i64> =
            sqlx::query_scalar("SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'events_removed_to'")
                .fetch_optional(&self.pool)
                .await?;
        Ok(seq.unwrap_or_default())
    }
}

fn event(row: Row) -> Result<Event, sqlx::Error> {
    let seq = row.seq.to_string();
    let at = |column| ("events", column, seq.as_str());
    Ok(Event {
        seq: row.seq,
        kind: column::parsed(at("kind"), &row.kind)?,
        source: column::parsed(at("source"), &row.source)?,
        job_id: column::parsed_option(at("job_id"), row.job_id.as_deref())?,
        task_id: column::parsed_option(at("task_id"), row.task_id.as_deref())?,
        upstream_id: row.upstream_id,
        video_id: row.video_id,
        at: column::time(at("at"), row.at)?,
        message: row.message,
    })
}
