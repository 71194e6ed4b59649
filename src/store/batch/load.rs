//! Loads a task with all its evidence in one row, with lists as JSON. Must never write.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::json;
use sqlx::sqlite::SqliteConnection;

use crate::domain::evidence::{Evidence, Submission};
use crate::domain::id::TaskId;
use crate::domain::outcome::{Reason, UrlState};
use crate::domain::task::SubmitOutcome;
use crate::domain::time::Timestamp;
use crate::domain::url::CanonicalUrl;
use crate::domain::video::VideoState;
use crate::store::batch::changes::ListedEntry;
use crate::store::batch::loaded::{LoadedTask, LoadedUrl};
use crate::store::column::{self, row};

row! {
    struct Row {
        number: i64,
        id: String,
        state: String,
        upstream_id: Option<String>,
        other_id: Option<String>,
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
        error_code: Option<String>,
        error_message: Option<String>,
        error_certain: Option<bool>,
        is_old: bool,
        has_job: bool,
        serves_several: bool,
        submit: Option<String>,
        facts: String,
        videos: String,
        entries: String,
        urls: String,
        joins: String,
    }
}

#[derive(Deserialize)]
struct Submit(Option<String>, Option<String>, Option<String>, i64);
#[derive(Deserialize)]
struct Fact(String, String, i64, Option<String>, Option<String>);
#[derive(Deserialize)]
struct VideoRow(String, String, Option<String>, Option<String>);
#[derive(Deserialize)]
struct EntryRow(Option<String>, Option<String>, Option<String>, i64);
#[derive(Deserialize)]
struct UrlRow(i64, i64, i64, i64, i64, Option<String>, Option<i64>, String, i64, i64);
#[derive(Deserialize)]
struct Join(i64, String);

pub(crate) const SELECT: &str =
    "SELECT number, id, state, upstream_id, other_id,
       ifnull(upstream_id_source, '') IN ('poll', 'operator') AS is_guess,
       accepted_at, downloaded_at, settled_at,
       news, news_at, polled_news, asked_news, polled_at, answered_at, poll_wanted, polls_in_vain, poll_not_before,
       quiet_since, stalled_at, next_poll_at, error_code, error_message, error_certain, is_old,
       job_id IS NOT NULL AND EXISTS (SELECT 1 FROM submits WHERE task_id = tasks.id) AS has_job,
       (SELECT count(*) FROM (SELECT 1 FROM served WHERE served.task = tasks.number LIMIT 2)) > 1 AS serves_several,
       (SELECT json_array(outcome, code, message, certain) FROM submits
          WHERE task_id = tasks.id ORDER BY attempt DESC LIMIT 1) AS submit,
       (SELECT json_group_array(json_array(kind, video_id, at, code, message)) FROM facts
          WHERE task_id = tasks.id) AS facts,
       (SELECT json_group_array(json_array(videos.id, videos.state, error_code, error_message))
          FROM (SELECT DISTINCT video_id FROM facts WHERE facts.task_id = tasks.id AND video_id <> '')
          CROSS JOIN videos ON videos.id = video_id) AS videos,
       (SELECT json_group_array(json_array(video, url, canonical, state)) FROM
          (SELECT video, url, canonical, state FROM entries WHERE task = tasks.number ORDER BY number)) AS entries,
       (SELECT json_group_array(json_array(position, round, state, standing, attributed, code, certain, canonical,
            is_only, post)) FROM
          (SELECT position, round, attempts.state, standing, attributed, attempts.code, attempts.certain, canonical,
             post,
             rounds.line IS NULL AND rounds.state IS attempts.state
               AND NOT EXISTS (SELECT 1 FROM attempts AS other
                               WHERE other.round = attempts.round AND other.task <> attempts.task) AS is_only
           FROM attempts LEFT JOIN rounds ON rounds.number = round LEFT JOIN posts ON posts.number = rounds.post
           WHERE attempts.task = tasks.number ORDER BY position)) AS urls,
       (SELECT json_group_array(json_array(position, video)) FROM joins WHERE joins.task = tasks.number) AS joins
     FROM tasks WHERE id IN (SELECT value FROM json_each(?1))";

pub(crate) async fn tasks(
    connection: &mut SqliteConnection,
    ids: &[TaskId],
    used: u64,
) -> Result<Vec<(TaskId, LoadedTask)>, sqlx::Error> {
    let rows: Vec<Row> = sqlx::query_as(SELECT).bind(json!(ids).to_string()).fetch_all(connection).await?;
    let task = |row: Row| Ok((column::parsed(("tasks", "id", &row.id), &row.id)?, read(row, used)?));
    rows.into_iter().map(task).collect()
}

fn read(row: Row, used: u64) -> Result<LoadedTask, sqlx::Error> {
    let id = row.id;
    let (facts, entries, videos) = (row.facts, row.entries, row.videos);
    let at = |table, column| (table, column, id.as_str());
    let submission = match &row.submit {
        None => Submission::Unsent,
        Some(submit) => {
            submission(at("submits", "outcome"), column::json(at("submits", "outcome"), submit)?)?
        }
    };
    let (urls, canonical) = urls(&id, &row.urls, &row.joins)?;
    let evidence = Evidence {
        urls: canonical,
        submission,
        has_upstream_id: row.upstream_id.is_some(),
        succeeded: false,
        failed: None,
        canceled: false,
        list_is_complete: false,
        polls_are_refused: false,
        is_stalled: row.stalled_at.is_some(),
        entries: Vec::new(),
    };
    let error = row
        .error_code
        .map(|code| (code, row.error_message.unwrap_or_default(), row.error_certain.unwrap_or(true)));
    let mut task = LoadedTask {
        number: row.number,
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
        error,
        is_old: row.is_old,
        upstream_id: row.upstream_id,
        other_id: row.other_id,
        is_guess: row.is_guess,
        has_job: row.has_job,
        serves_several: row.serves_several,
        succeeded_at: None,
        evidence,
        urls,
        listed: Vec::new(),
        videos: HashMap::new(),
        used,
    };
    add_evidence(&mut task, &id, [&facts, &entries, &videos])?;
    Ok(task)
}

/// Adds the stored facts, entries and videos of a task, each of which is a list in JSON.
fn add_evidence(
    task: &mut LoadedTask,
    id: &str,
    [facts, entries, videos]: [&str; 3],
) -> Result<(), sqlx::Error> {
    let at = |table, column| (table, column, id);
    for Fact(kind, video, set_at, code, message) in column::json::<Vec<Fact>>(at("facts", "kind"), facts)? {
        let kind = column::parsed(at("facts", "kind"), &kind)?;
        let failure = column::failure(code, message);
        task.note(kind, &video, Timestamp::from_millis(set_at), failure.as_ref());
    }
    for entry in column::json::<Vec<EntryRow>>(at("entries", "state"), entries)? {
        task.add_listed(listed(id, entry)?);
    }
    for VideoRow(video, state, code, message) in column::json::<Vec<VideoRow>>(at("videos", "state"), videos)?
    {
        let state = column::parsed(("videos", "state", &video), &state)?;
        task.set_video(&video, state, column::failure(code, message).as_ref());
    }
    Ok(())
}

fn submission(
    at: column::Place<'_>,
    Submit(outcome, code, message, certain): Submit,
) -> Result<Submission, sqlx::Error> {
    let Some(outcome) = outcome else { return Ok(Submission::InFlight) };
    let failure = column::failure(code, message);
    Ok(match column::parsed(at, &outcome)? {
        SubmitOutcome::Accepted => Submission::Accepted,
        SubmitOutcome::Deferred => Submission::Deferred(failure),
        SubmitOutcome::Unknown => Submission::Unknown(failure),
        SubmitOutcome::Rejected => {
            let failure = failure.ok_or_else(|| column::unreadable(at, "refused without a code"))?;
            Submission::Rejected(Reason { failure, certain: certain != 0 })
        }
    })
}

/// Reads the stored URLs and their canonical forms.
fn urls(id: &str, urls: &str, joins: &str) -> Result<(Vec<LoadedUrl>, Vec<CanonicalUrl>), sqlx::Error> {
    let mut videos: HashMap<i64, Vec<String>> = HashMap::new();
    for Join(position, video) in column::json::<Vec<Join>>(("joins", "video", id), joins)? {
        videos.entry(position).or_default().push(video);
    }
    let rows: Vec<UrlRow> = column::json(("attempts", "state", id), urls)?;
    let url = |row: UrlRow| {
        let UrlRow(position, round, state, standing, attributed, code, certain, canonical, is_only, post) =
            row;
        let state = column::numbered(("attempts", "state", id), state, UrlState::from_number)?;
        let mut videos = videos.remove(&position).unwrap_or_default();
        videos.sort_unstable();
        let url = LoadedUrl {
            position,
            round,
            post,
            is_only: is_only != 0,
            state,
            standing,
            attributed: attributed != 0,
            code,
            certain: certain.map(|certain| certain != 0),
            videos,
        };
        Ok((url, CanonicalUrl::from_stored(canonical)))
    };
    let urls: Vec<_> = rows.into_iter().map(url).collect::<Result<_, sqlx::Error>>()?;
    Ok(urls.into_iter().unzip())
}

fn listed(id: &str, EntryRow(video, url, canonical, state): EntryRow) -> Result<ListedEntry, sqlx::Error> {
    let state = column::numbered(("entries", "state", id), state, VideoState::from_number)?;
    Ok(ListedEntry { video, url, canonical, state })
}
