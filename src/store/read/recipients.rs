//! Queries about who is told of an event: the jobs that see it, and their callback URLs.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::TryStreamExt;
use serde_json::json;

use crate::domain::event::Event;
use crate::domain::id::JobId;
use crate::domain::webhook::callback::JobCallback;
use crate::domain::webhook::format::Format;
use crate::domain::webhook::target::Target;
use crate::store::column::{self, row};
use crate::store::error::ReadError;
use crate::store::read::Readers;
use crate::store::read::events::seen;

/// The URL of a job that sees an event.
#[derive(Clone, Debug)]
pub struct Recipient {
    /// The `seq` of the event.
    pub seq: i64,
    /// The job's number.
    pub job: i64,
    /// The job's id.
    pub job_id: JobId,
    /// Its URL, and the events that it asks for.
    pub callback: JobCallback,
    /// Whether it has answered 410.
    pub is_gone: bool,
}

row! {
    struct RecipientRow {
        seq: i64,
        number: i64,
        id: String,
        callback_url: String,
        callback_events: String,
        callback_format: Option<String>,
        is_gone: bool,
    }
}

row! {
    struct JobOfEvent {
        seq: i64,
        number: i64,
        labels: Option<String>,
    }
}

/// Selects the jobs with a URL that see these events: the job of an event, and the jobs that its task serves.
pub(crate) const RECIPIENTS: &str = concat!(
    "SELECT events.seq, jobs.number, jobs.id, callback_url, callback_events, callback_format,
       callback_gone_at IS NOT NULL AS is_gone
     FROM json_each(?1) CROSS JOIN events ON events.seq = value
       CROSS JOIN jobs ON jobs.id = events.job_id AND jobs.callback_url IS NOT NULL
     WHERE events.task_id IS NULL
     UNION ALL
     SELECT events.seq, jobs.number, jobs.id, callback_url, callback_events, callback_format,
       callback_gone_at IS NOT NULL AS is_gone
     FROM json_each(?1) CROSS JOIN events ON events.seq = value
       CROSS JOIN tasks ON tasks.id = events.task_id
       CROSS JOIN served ON served.task = tasks.number AND served.after < events.seq
       CROSS JOIN jobs ON jobs.number = served.job AND jobs.callback_url IS NOT NULL
     WHERE ",
    seen!()
);

/// Selects all jobs that see these events, with their labels if `?2`.
pub(crate) const JOBS_OF_EVENTS: &str = concat!(
    "SELECT events.seq, jobs.number, iif(?2, jobs.labels, NULL) AS labels
     FROM json_each(?1) CROSS JOIN events ON events.seq = value CROSS JOIN jobs ON jobs.id = events.job_id
     WHERE events.task_id IS NULL
     UNION ALL
     SELECT events.seq, jobs.number, iif(?2, jobs.labels, NULL)
     FROM json_each(?1) CROSS JOIN events ON events.seq = value
       CROSS JOIN tasks ON tasks.id = events.task_id
       CROSS JOIN served ON served.task = tasks.number AND served.after < events.seq
       CROSS JOIN jobs ON jobs.number = served.job
     WHERE ",
    seen!()
);

/// Selects all jobs that the tasks of these events serve.
pub(crate) const JOBS_OF_TASKS: &str = "SELECT events.seq, served.job AS number, NULL AS labels
     FROM json_each(?1) CROSS JOIN events ON events.seq = value
       CROSS JOIN tasks ON tasks.id = events.task_id
       CROSS JOIN served ON served.task = tasks.number AND served.after < events.seq";

/// The jobs that see each of some events.
#[derive(Clone, Debug, Default)]
pub struct EventJobs {
    /// The first jobs of each event, by its `seq`.
    pub order: BTreeMap<i64, Vec<i64>>,
    /// The events that no job sees yet, such as those about a video whose post is not known. Their order is that of all
    /// jobs of their task.
    unseen: BTreeSet<i64>,
    /// For each event and each asker, by its place, the first job with labels that it asks for.
    pub fitting: BTreeMap<(i64, usize), i64>,
}

impl EventJobs {
    /// Whether a job sees the event.
    pub fn is_seen(&self, seq: i64) -> bool {
        !self.unseen.contains(&seq)
    }
}

/// The jobs of an event in whose order its delivery is made. An event of a task that serves more jobs keeps the order
/// of these.
const MOST_JOBS: usize = 100;

impl Readers {
    /// Returns the callback URLs of the jobs that see these events. Leaves out a URL that can't be read, and logs it:
    /// nothing could be sent there, and other jobs must not wait for it.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn recipients(&self, events: &[Event]) -> Result<Vec<Recipient>, ReadError> {
        let seqs: Vec<i64> = events.iter().map(|event| event.seq).collect();
        let mut rows: Vec<RecipientRow> =
            sqlx::query_as(RECIPIENTS).bind(json!(seqs).to_string()).fetch_all(&self.pool).await?;
        rows.sort_by_key(|row| (row.seq, row.number));
        let recipient = |row: RecipientRow| match of_recipient(&row) {
            Ok(recipient) => Some(recipient),
            Err(error) => {
                tracing::error!(%error, "a job's callback URL can't be read, so it receives no webhooks");
                None
            }
        };
        Ok(rows.into_iter().filter_map(recipient).collect())
    }

    /// Returns the jobs that see these events. Each of `askers` asks for jobs with some labels, and may ask for none.
    /// Labels that can't be read fit nobody who asks for some, which is logged.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn jobs_of_events(
        &self,
        events: &[Event],
        askers: &[&BTreeMap<String, String>],
    ) -> Result<EventJobs, ReadError> {
        let seqs: Vec<i64> = events.iter().map(|event| event.seq).collect();
        let with_labels = askers.iter().any(|labels| !labels.is_empty());
        let mut found = EventJobs::default();
        let mut rows =
            sqlx::query_as(JOBS_OF_EVENTS).bind(json!(seqs).to_string()).bind(with_labels).fetch(&self.pool);
        while let Some(JobOfEvent { seq, number, labels }) = rows.try_next().await? {
            let order = found.order.entry(seq).or_default();
            if order.len() < MOST_JOBS {
                order.push(number);
            }
            let Some(labels) = labels else { continue };
            let labels: BTreeMap<String, String> = match column::json(
                ("jobs", "labels", &number.to_string()),
                &labels,
            ) {
                Ok(labels) => labels,
                Err(error) => {
                    tracing::error!(%error, "the labels of a job can't be read, so they fit no subscriber");
                    continue;
                }
            };
            for (place, asked) in askers.iter().enumerate() {
                if asked.iter().all(|(key, value)| labels.get(key) == Some(value)) {
                    found.fitting.entry((seq, place)).or_insert(number);
                }
            }
        }
        drop(rows);
        let is_unseen = |event: &&Event| event.task_id.is_some() && !found.order.contains_key(&event.seq);
        let unseen: Vec<i64> = events.iter().filter(is_unseen).map(|event| event.seq).collect();
        if !unseen.is_empty() {
            let seqs = json!(unseen).to_string();
            let mut rows = sqlx::query_as(JOBS_OF_TASKS).bind(seqs).fetch(&self.pool);
            while let Some(JobOfEvent { seq, number, .. }) = rows.try_next().await? {
                let order = found.order.entry(seq).or_default();
                if order.len() < MOST_JOBS {
                    order.push(number);
                }
            }
            found.unseen.extend(unseen);
        }
        Ok(found)
    }

    /// Returns the callback URL of a job. None if it has none.
    ///
    /// # Errors
    /// [`ReadError`], also if the stored URL can't be read.
    pub async fn job_callback(&self, job: JobId) -> Result<Option<JobCallback>, ReadError> {
        let row: Option<RecipientRow> = sqlx::query_as(
            "SELECT 0 AS seq, number, id, callback_url, callback_events, callback_format,
               callback_gone_at IS NOT NULL AS is_gone
             FROM jobs
             WHERE id = ?1 AND callback_url IS NOT NULL",
        )
        .bind(job.to_string())
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|row| of_recipient(&row)).transpose()?.map(|recipient| recipient.callback))
    }
}

/// Parses the stored callback URL of a job, its patterns and its format.
fn of_recipient(row: &RecipientRow) -> Result<Recipient, sqlx::Error> {
    let at = |column| ("jobs", column, row.id.as_str());
    let target = Target::from_stored(&row.callback_url)
        .map_err(|error| column::unreadable(at("callback_url"), error))?;
    let events: Vec<String> = column::json(at("callback_events"), &row.callback_events)?;
    let events = events.iter().map(|pattern| column::parsed(at("callback_events"), pattern));
    let format = column::parsed_option(at("callback_format"), row.callback_format.as_deref())?;
    Ok(Recipient {
        seq: row.seq,
        job: row.number,
        job_id: column::parsed(at("id"), &row.id)?,
        is_gone: row.is_gone,
        callback: JobCallback {
            target,
            events: events.collect::<Result<_, _>>()?,
            format: format.unwrap_or(Format::Standard),
        },
    })
}
