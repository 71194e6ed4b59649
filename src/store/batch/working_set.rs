//! The working set: the tasks that were touched last, with all their facts, as the file has them.
//!
//! The writer is the only one who writes, so a task that was loaded once stays true as long as every change
//! is made here as well. Whoever changes a task's rows by SQL alone must have it forgotten, and a
//! transaction that fails empties the set.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::json;
use sqlx::FromRow;
use sqlx::sqlite::SqliteConnection;

use crate::domain::id::TaskId;
use crate::domain::job::UrlState;
use crate::domain::state::{Submission, TaskFacts, VideoFacts};
use crate::domain::task::{FactKind, Failure};
use crate::domain::video::VideoState;
use crate::store::column;

/// Most tasks that stay loaded: a full one takes some 10 KiB.
const TASKS: usize = 2_048;

/// A URL as it is stored: its state, and the code of its failure.
pub(crate) type StoredUrl = (UrlState, Option<String>);

/// A task as the file has it.
#[derive(Debug)]
pub(crate) struct LoadedTask {
    pub(crate) state: String,
    pub(crate) accepted_at: Option<i64>,
    pub(crate) downloaded_at: Option<i64>,
    pub(crate) settled_at: Option<i64>,
    /// See the columns of the same names.
    pub(crate) news: i64,
    pub(crate) news_at: i64,
    pub(crate) polled_news: i64,
    pub(crate) asked_news: i64,
    pub(crate) polled_at: Option<i64>,
    pub(crate) answered_at: Option<i64>,
    pub(crate) poll_wanted: i64,
    pub(crate) polls_in_vain: u32,
    pub(crate) poll_not_before: i64,
    pub(crate) quiet_since: Option<i64>,
    pub(crate) stalled_at: Option<i64>,
    pub(crate) next_poll_at: Option<i64>,
    /// Whether its `taskId` was not told by its own callbacks, nor by the answer to its submit.
    pub(crate) is_guess: bool,
    pub(crate) facts: TaskFacts,
    pub(crate) urls: Vec<StoredUrl>,
    videos: HashMap<String, Known>,
    /// URLs that a poll named for videos whose facts are only being set.
    listed: HashMap<String, Vec<usize>>,
    used: u64,
}

/// What the task's own facts say of a video, and where in [`TaskFacts::videos`] it stands.
#[derive(Clone, Copy, Debug)]
struct Known {
    place: usize,
    kinds: u8,
}

impl LoadedTask {
    /// Notes that a fact is being set; `false` where it was set before.
    pub(crate) fn note(&mut self, kind: FactKind, video: &str, failure: Option<&Failure>) -> bool {
        let flag = match kind {
            FactKind::Succeeded => return !std::mem::replace(&mut self.facts.succeeded, true),
            FactKind::Canceled => return !std::mem::replace(&mut self.facts.canceled, true),
            FactKind::Unnamed => return !std::mem::replace(&mut self.facts.unnamed, true),
            FactKind::Exhausted => return !std::mem::replace(&mut self.facts.exhausted, true),
            FactKind::Named => return !std::mem::replace(&mut self.facts.named, true),
            FactKind::Failed => {
                let is_new = self.facts.failed.is_none();
                self.facts.failed.get_or_insert_with(|| failure.cloned().unwrap_or_else(unexplained));
                return is_new;
            }
            FactKind::VideoSeen => 1,
            FactKind::VideoIndexed => 2,
            FactKind::VideoFailed => 4,
        };
        let (facts, listed) = (&mut self.facts.videos, &mut self.listed);
        let known = self.videos.entry(video.to_owned()).or_insert_with(|| {
            let urls = listed.remove(video).unwrap_or_default();
            facts.push(VideoFacts { state: VideoState::Indexing, failure: None, urls });
            Known { place: facts.len() - 1, kinds: 0 }
        });
        let is_new = known.kinds & flag == 0;
        known.kinds |= flag;
        is_new
    }

    /// Takes over where a video stands, folded from the facts of every task.
    pub(crate) fn set_video(&mut self, video: &str, state: VideoState, failure: Option<&Failure>) {
        if let Some(known) = self.videos.get(video)
            && let Some(facts) = self.facts.videos.get_mut(known.place)
        {
            facts.state = state;
            facts.failure = failure.cloned();
        }
    }
}

fn unexplained() -> Failure {
    Failure::new("task_failed", "upstream gave no reason")
}

/// The loaded tasks, by id.
#[derive(Debug, Default)]
pub(crate) struct WorkingSet {
    tasks: HashMap<TaskId, LoadedTask>,
    batches: u64,
}

impl WorkingSet {
    pub(crate) fn get(&self, task: TaskId) -> Option<&LoadedTask> {
        self.tasks.get(&task)
    }

    pub(crate) fn get_mut(&mut self, task: TaskId) -> Option<&mut LoadedTask> {
        self.tasks.get_mut(&task)
    }

    /// Lets go of a task whose rows were changed.
    pub(crate) fn forget(&mut self, task: TaskId) {
        self.tasks.remove(&task);
    }

    /// Lets go of everything: nobody knows what the file has.
    pub(crate) fn clear(&mut self) {
        self.tasks.clear();
    }

    /// Begins a batch: makes room by letting go of the half that was not used for longest.
    pub(crate) fn begin(&mut self) {
        self.batches += 1;
        if self.tasks.len() > TASKS {
            let mut used: Vec<u64> = self.tasks.values().map(|task| task.used).collect();
            used.sort_unstable();
            let oldest = used[used.len() / 2];
            self.tasks.retain(|_, task| task.used > oldest);
        }
    }

    /// Loads those of the tasks that are not here; those that the file does not have stay away.
    pub(crate) async fn load(
        &mut self,
        connection: &mut SqliteConnection,
        tasks: impl IntoIterator<Item = TaskId>,
    ) -> Result<(), sqlx::Error> {
        let mut missing = Vec::new();
        for task in tasks {
            match self.tasks.get_mut(&task) {
                Some(loaded) => loaded.used = self.batches,
                None => missing.push(task),
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        for row in select(connection, &json!(missing).to_string()).await? {
            let task = column::parsed(("tasks", "id", &row.id), &row.id)?;
            self.tasks.insert(task, read(row, self.batches)?);
        }
        Ok(())
    }
}

/// A task with all its facts in one row: what has many parts comes as JSON.
#[derive(FromRow)]
struct Row {
    id: String,
    state: String,
    upstream_id: Option<String>,
    is_guess: bool,
    accepted_at: Option<i64>,
    downloaded_at: Option<i64>,
    settled_at: Option<i64>,
    news: i64,
    news_at: i64,
    polled_news: i64,
    asked_news: i64,
    polled_at: Option<i64>,
    answered_at: Option<i64>,
    poll_wanted: i64,
    polls_in_vain: u32,
    poll_not_before: i64,
    quiet_since: Option<i64>,
    stalled_at: Option<i64>,
    next_poll_at: Option<i64>,
    submit: Option<String>,
    facts: String,
    videos: String,
    listings: String,
    urls: String,
}

#[derive(Deserialize)]
struct Submit(Option<String>, Option<String>, Option<String>);
#[derive(Deserialize)]
struct Fact(String, String, Option<String>, Option<String>);
#[derive(Deserialize)]
struct VideoRow(String, String, Option<String>, Option<String>);
#[derive(Deserialize)]
struct Listing(String, usize);
#[derive(Deserialize)]
struct UrlRow(String, Option<String>);

async fn select(connection: &mut SqliteConnection, ids: &str) -> Result<Vec<Row>, sqlx::Error> {
    sqlx::query_as(
        "SELECT id, state, upstream_id, ifnull(upstream_id_source, '') IN ('poll', 'operator') AS is_guess,
           accepted_at, downloaded_at, settled_at,
           news, news_at, polled_news, asked_news, polled_at, answered_at, poll_wanted, polls_in_vain, poll_not_before,
           quiet_since, stalled_at, next_poll_at,
           (SELECT json_array(outcome, code, message) FROM submits
              WHERE task_id = tasks.id ORDER BY attempt DESC LIMIT 1) AS submit,
           (SELECT json_group_array(json_array(kind, video_id, code, message)) FROM facts
              WHERE task_id = tasks.id) AS facts,
           (SELECT json_group_array(json_array(videos.id, videos.state, error_code, error_message))
              FROM (SELECT DISTINCT video_id FROM facts WHERE facts.task_id = tasks.id AND video_id <> '')
              CROSS JOIN videos ON videos.id = video_id) AS videos,
           (SELECT json_group_array(json_array(video_id, position)) FROM listings
              WHERE listings.task_id = tasks.id) AS listings,
           (SELECT json_group_array(json_array(state, error_code)) FROM
              (SELECT task_urls.state, task_urls.error_code FROM task_urls
                 WHERE task_id = tasks.id ORDER BY position)) AS urls
         FROM tasks WHERE id IN (SELECT value FROM json_each(?1))",
    )
    .bind(ids)
    .fetch_all(connection)
    .await
}

fn read(row: Row, used: u64) -> Result<LoadedTask, sqlx::Error> {
    let id = row.id;
    let at = |table, column| (table, column, id.as_str());
    let urls: Vec<UrlRow> = column::json(at("task_urls", "state"), &row.urls)?;
    let submission = match &row.submit {
        None => Submission::Unsent,
        Some(submit) => match column::json(at("submits", "outcome"), submit)? {
            Submit(None, ..) => Submission::InFlight,
            Submit(Some(outcome), code, message) => {
                let outcome = column::parsed(at("submits", "outcome"), &outcome)?;
                Submission::Ended(outcome, column::failure(code, message))
            }
        },
    };
    let facts = TaskFacts {
        urls: urls.len(),
        submission,
        has_upstream_id: row.upstream_id.is_some(),
        succeeded: false,
        failed: None,
        canceled: false,
        unnamed: false,
        named: false,
        exhausted: false,
        stalled: row.stalled_at.is_some(),
        videos: Vec::new(),
    };
    let urls = urls
        .into_iter()
        .map(|UrlRow(state, code)| Ok((column::parsed(at("task_urls", "state"), &state)?, code)));
    let mut task = LoadedTask {
        state: row.state,
        accepted_at: row.accepted_at,
        downloaded_at: row.downloaded_at,
        settled_at: row.settled_at,
        news: row.news,
        news_at: row.news_at,
        polled_news: row.polled_news,
        asked_news: row.asked_news,
        polled_at: row.polled_at,
        answered_at: row.answered_at,
        poll_wanted: row.poll_wanted,
        polls_in_vain: row.polls_in_vain,
        poll_not_before: row.poll_not_before,
        quiet_since: row.quiet_since,
        stalled_at: row.stalled_at,
        next_poll_at: row.next_poll_at,
        is_guess: row.is_guess,
        facts,
        urls: urls.collect::<Result<_, sqlx::Error>>()?,
        videos: HashMap::new(),
        listed: HashMap::new(),
        used,
    };
    for Listing(video, position) in column::json::<Vec<Listing>>(at("listings", "position"), &row.listings)? {
        task.listed.entry(video).or_default().push(position);
    }
    for Fact(kind, video, code, message) in column::json::<Vec<Fact>>(at("facts", "kind"), &row.facts)? {
        let kind = column::parsed(at("facts", "kind"), &kind)?;
        task.note(kind, &video, column::failure(code, message).as_ref());
    }
    for VideoRow(video, state, code, message) in
        column::json::<Vec<VideoRow>>(at("videos", "state"), &row.videos)?
    {
        let state = column::parsed(("videos", "state", &video), &state)?;
        task.set_video(&video, state, column::failure(code, message).as_ref());
    }
    Ok(task)
}
