//! Queries for the event log, in the order of commits. Must never show a job the events of another job's videos.

use serde_json::json;
use sqlx::{QueryBuilder, Sqlite};

use crate::domain::event::{Event, EventKind};
use crate::domain::id::{JobId, TaskId};
use crate::store::column::{self, row};
use crate::store::error::ReadError;
use crate::store::read::Readers;

/// A filter for events, oldest first.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// Only events after this `seq`.
    pub after: i64,
    /// Only events about this job.
    pub job: Option<JobId>,
    /// Only events about this task.
    pub task: Option<TaskId>,
    /// Only events of this kind.
    pub kind: Option<EventKind>,
    /// The most events to return.
    pub limit: i64,
}

impl EventFilter {
    /// Whether the filter admits this event, whatever its `seq`. It does not check whether a job may see it.
    pub(crate) fn admits(&self, event: &Event) -> bool {
        self.task.is_none_or(|task| event.task_id == Some(task))
            && self.kind.is_none_or(|kind| event.kind == kind)
    }
}

row! {
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
}

impl Readers {
    /// Returns events in the order of their commits.
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
            query.push(" AND seq IN (");
            of_job(&mut query, &job.to_string(), filter.after);
            query.push(")");
        }
        if let Some(task) = filter.task {
            query.push(" AND task_id = ").push_bind(task.to_string());
        }
        if let Some(kind) = filter.kind {
            // Half of all events may be of one kind. The `+` keeps SQLite from using the index on kinds if a narrower
            // one exists.
            let is_narrow = filter.job.is_some() || filter.task.is_some();
            query.push(if is_narrow { " AND +kind = " } else { " AND kind = " }).push_bind(kind.as_str());
        }
        query.push(" ORDER BY seq LIMIT ").push_bind(filter.limit);
        let rows: Vec<Row> = query.build_query_as().fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(event).collect::<Result<_, _>>()?)
    }

    /// Returns the last `seq` that was given out, or zero. In a restored file, the next `seq` is far above that of
    /// its newest event.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn last_seq(&self) -> Result<i64, ReadError> {
        let seq: Option<i64> = sqlx::query_scalar("SELECT seq FROM sqlite_sequence WHERE name = 'events'")
            .fetch_optional(&self.pool)
            .await?;
        Ok(seq.unwrap_or_default())
    }

    /// Returns the `seq` of the first event after this one.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn next_seq(&self, after: i64) -> Result<Option<i64>, ReadError> {
        Ok(sqlx::query_scalar("SELECT min(seq) FROM events WHERE seq > ?1")
            .bind(after)
            .fetch_one(&self.pool)
            .await?)
    }

    /// Returns the last removed `seq`, or zero.
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

/// Whether the job of a row of `served` sees an event of its task. Of events about videos, it sees those of its own
/// posts, whatever happened to its URLs since. An older version reported events only for tasks of one job.
macro_rules! seen {
    () => {
        "(video_id IS NULL OR events.post = -1
           OR EXISTS (SELECT 1 FROM rounds CROSS JOIN wants
                        ON wants.round = rounds.number AND wants.job = served.job
                      WHERE rounds.post = events.post)
           OR (events.post IS NULL AND (
             (SELECT count(*) FROM (SELECT 1 FROM served AS every
                                    WHERE every.task = tasks.number LIMIT 2)) = 1
             OR EXISTS (SELECT 1 FROM joins CROSS JOIN attempts USING (task, position)
                          CROSS JOIN wants ON wants.round = attempts.round AND wants.job = served.job
                        WHERE joins.video = events.video_id AND joins.task = tasks.number))))"
    };
}

pub(crate) use seen;

/// Selects the `seq` of the events that a job sees: its own, and those of the tasks that serve it from then on.
fn of_job(query: &mut QueryBuilder<Sqlite>, job: &str, after: i64) {
    query.push("SELECT seq FROM events WHERE task_id IS NULL AND job_id = ").push_bind(job.to_owned());
    query.push(" AND seq > ").push_bind(after);
    query.push(
        " UNION ALL SELECT seq FROM served CROSS JOIN tasks ON tasks.number = served.task
           CROSS JOIN events ON events.task_id = tasks.id AND events.seq > served.after
         WHERE served.job = (SELECT number FROM jobs WHERE id = ",
    );
    query.push_bind(job.to_owned()).push(") AND seq > ").push_bind(after);
    query.push(concat!(" AND ", seen!()));
}

/// Pairs of an event and a job that sees it, up to a bound.
pub(crate) const SEEN_BY: &str = concat!(
    "SELECT events.seq, jobs.id
     FROM json_each(?1) CROSS JOIN events ON events.seq = value
       CROSS JOIN tasks ON tasks.id = events.task_id
       CROSS JOIN served ON served.task = tasks.number AND served.after < events.seq
       CROSS JOIN jobs ON jobs.number = served.job
     WHERE ",
    seen!(),
    " LIMIT ?2"
);

/// The most pairs of an event and a job that are kept in memory for a page of events.
const SEEN: i64 = 20_000;

impl Readers {
    /// Returns which jobs see which of these events. None if there are too many pairs. Events about a job alone are
    /// left out.
    pub(crate) async fn seen_by(&self, events: &[Event]) -> Result<Option<Vec<(i64, JobId)>>, ReadError> {
        let of_tasks = events.iter().filter(|event| event.task_id.is_some()).map(|event| event.seq);
        let seqs: Vec<i64> = of_tasks.collect();
        if seqs.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let rows: Vec<(i64, String)> =
            sqlx::query_as(SEEN_BY).bind(json!(seqs).to_string()).bind(SEEN).fetch_all(&self.pool).await?;
        if i64::try_from(rows.len()).unwrap_or(SEEN) >= SEEN {
            return Ok(None);
        }
        let seen = |(seq, job): (i64, String)| Ok((seq, column::parsed(("jobs", "id", &job), &job)?));
        Ok(Some(rows.into_iter().map(seen).collect::<Result<_, sqlx::Error>>()?))
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
