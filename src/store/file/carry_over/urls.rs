//! The URLs of tasks. Each becomes a post, and an attempt in one of its rounds.
//!
//! Must never make a post wait that no task had queued, or that nobody wants.

use std::collections::HashMap;

use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnection;

use crate::domain::outcome::{UrlOutcome, UrlState};
use crate::domain::round::round_outcome;
use crate::domain::url::CanonicalUrl;
use crate::store::file::carry_over::page::ROWS;
use crate::store::file::carry_over::rounds::Rounds;

mod chains;
mod posts;
mod row;
mod rows;

use chains::Chains;
use posts::Post;
pub(super) use row::DOUBTS;
use row::{Fate, UrlRow};
use rows::Rows;

/// A post in the queue.
#[derive(Clone, Copy)]
struct Queued {
    round: i64,
    quality: i64,
    /// Whether a waiting task has the post.
    is_bound: bool,
}

/// The data that is kept between two pages of task URLs.
struct Carrying {
    rounds: Rounds,
    chains: Chains,
    /// The outcomes of earlier URLs of unfinished chains.
    earlier: HashMap<i64, Vec<UrlOutcome>>,
    /// The posts in the queue, each once.
    queued: HashMap<i64, Queued>,
    lines: HashMap<(String, i64, i64), i64>,
}

const URLS: &str = "SELECT tasks.number AS task, tasks.id AS task_id, tasks.job_id IS NULL AS is_recovered,
       urls.position, urls.url, urls.canonical, urls.state, urls.error_code, urls.error_message,
       tasks.state AS task_state, tasks.created_at, tasks.destination, tasks.quality, tasks.platform,
       coalesce(tasks.upstream_id, tasks.accepted_at, tasks.downloaded_at) IS NOT NULL AS is_taken,
       EXISTS (
         SELECT 1 FROM task_urls AS other WHERE other.task_id = tasks.id AND other.position <> urls.position
       ) AS is_shared,
       EXISTS (SELECT 1 FROM submits WHERE submits.task_id = tasks.id) AS is_submitted,
       EXISTS (
         SELECT 1 FROM listings WHERE listings.task_id = tasks.id AND listings.position = urls.position
       ) AS is_listed,
       tasks.state = 'queued' AND EXISTS (
         SELECT 1 FROM job_urls WHERE job_urls.task_id = tasks.id AND fixed IS NULL) AS is_task_wanted,
       tasks.state = 'queued' AND EXISTS (
         SELECT 1 FROM job_urls
         WHERE job_urls.task_id = tasks.id AND task_position = urls.position AND fixed IS NULL) AS is_wanted,
       coalesce(
         (SELECT number FROM (
            SELECT jobs.number, fixed IS NOT NULL AS is_marked, jobs.id IS NOT tasks.job_id AS is_other
            FROM job_urls CROSS JOIN jobs ON jobs.id = job_urls.job_id
            WHERE job_urls.task_id = tasks.id AND task_position = urls.position)
          ORDER BY is_marked, is_other, number LIMIT 1),
         (SELECT jobs.number FROM jobs WHERE jobs.id = tasks.job_id)) AS job
     FROM tasks CROSS JOIN task_urls AS urls ON urls.task_id = tasks.id
     WHERE tasks.number >= ?1 AND (tasks.number > ?1 OR urls.position > ?2)
     ORDER BY tasks.number, urls.position LIMIT ?3";

/// Fills posts, lines, rounds and attempts.
pub(super) async fn carry(connection: &mut SqliteConnection) -> Result<Rounds, sqlx::Error> {
    let stride: i64 = sqlx::query_scalar("SELECT coalesce(max(position), 0) + 1 FROM task_urls")
        .fetch_one(&mut *connection)
        .await?;
    let mut carrying = Carrying {
        rounds: Rounds::new(stride),
        chains: Chains::read(connection).await?,
        earlier: HashMap::new(),
        queued: HashMap::new(),
        lines: HashMap::new(),
    };
    let (mut task, mut position) = (0, -1);
    loop {
        let urls: Vec<UrlRow> =
            sqlx::query_as(URLS).bind(task).bind(position).bind(ROWS).fetch_all(&mut *connection).await?;
        let Some(last) = urls.last() else { return Ok(carrying.rounds) };
        (task, position) = last.key();
        let posts = posts::place(connection, &urls).await?;
        let mut rows = Rows::default();
        for (url, post) in urls.iter().zip(&posts) {
            carrying.take(connection, url, post, &mut rows).await?;
        }
        carrying.rounds.urls += urls.len();
        rows.store(connection).await?;
    }
}

impl Carrying {
    /// Carries the next task URL over: its attempt, and the round that ends with it.
    async fn take(
        &mut self,
        connection: &mut SqliteConnection,
        url: &UrlRow,
        post: &Post,
        rows: &mut Rows,
    ) -> Result<(), sqlx::Error> {
        let (key, fate) = (url.key(), url.fate()?);
        if fate == Fate::Waits && self.joins(connection, url, post, rows).await? {
            return Ok(());
        }
        let last = self.chains.last(key);
        let round = self.rounds.own(last);
        if last != key {
            self.rounds.share(key, round);
        }
        let mut outcomes = self.earlier.remove(&round).unwrap_or_default();
        if let Some(outcome) = url.outcome(fate)? {
            rows.attempts.push(url.attempt(round, &outcome, url.standing(fate)?));
            outcomes.push(outcome);
        }
        if last != key {
            self.earlier.insert(round, outcomes);
            return Ok(());
        }
        let waits = fate == Fate::Waits;
        let line = if waits { Some(self.line(connection, url).await?) } else { None };
        if waits || fate == Fate::Bound {
            let quality = url.quality.unwrap_or_default();
            self.queued.insert(post.number, Queued { round, quality, is_bound: !waits });
        }
        rows.rounds.push(round_row(url, post, round, line, &round_outcome(waits, &outcomes)));
        Ok(())
    }

    /// Lets a waiting URL join a round of its post that is already in the queue, because a post waits only once. The
    /// best quality counts, but a waiting task keeps its quality. Returns whether the URL has joined.
    async fn joins(
        &mut self,
        connection: &mut SqliteConnection,
        url: &UrlRow,
        post: &Post,
        rows: &mut Rows,
    ) -> Result<bool, sqlx::Error> {
        let Some(mut queued) = self.queued.get(&post.number).copied() else { return Ok(false) };
        let (key, quality) = (url.key(), url.quality.unwrap_or_default());
        if self.chains.last(key) != key || (queued.is_bound && quality > queued.quality) {
            return Ok(false);
        }
        let own = self.rounds.own(key);
        if let Some(outcomes) = self.earlier.remove(&own) {
            // The earlier attempts of its chain stay in their round, which ends with them.
            rows.rounds.push(round_row(url, post, own, None, &round_outcome(false, &outcomes)));
        }
        self.rounds.share(key, queued.round);
        if quality > queued.quality {
            queued.quality = quality;
            rows.raised.insert(queued.round, self.line(connection, url).await?);
            self.queued.insert(post.number, queued);
        }
        Ok(true)
    }

    /// Returns the line of a waiting URL.
    async fn line(&mut self, connection: &mut SqliteConnection, url: &UrlRow) -> Result<i64, sqlx::Error> {
        let destination = url.destination()?;
        let quality = url.quality.unwrap_or_default();
        let key = (url.platform.clone().unwrap_or_default(), destination, quality);
        if let Some(line) = self.lines.get(&key) {
            return Ok(*line);
        }
        let line: i64 = sqlx::query_scalar(
            "INSERT INTO lines (platform, destination, quality) VALUES (?1, ?2, ?3) RETURNING number",
        )
        .bind(&key.0)
        .bind(destination)
        .bind(quality)
        .fetch_one(connection)
        .await?;
        self.lines.insert(key, line);
        Ok(line)
    }
}

fn round_row(url: &UrlRow, post: &Post, round: i64, line: Option<i64>, outcome: &UrlOutcome) -> Value {
    let holds_id = CanonicalUrl::from_stored(url.canonical.clone()).id.is_some();
    let kind = i64::from(line.is_some() && !holds_id);
    let reason = outcome.reason.as_ref().filter(|_| outcome.state == UrlState::Failed);
    json!([
        round,
        post.number,
        url.job,
        (url.url != post.url).then_some(&url.url),
        url.created_at,
        line,
        kind,
        outcome.state.number(),
        reason.map(|reason| &reason.failure.code),
        reason.map(|reason| &reason.failure.message),
        reason.map(|reason| i64::from(reason.certain)),
    ])
}
