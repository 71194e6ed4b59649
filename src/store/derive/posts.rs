//! Posts: the ledger over all jobs, which shows whether an attempt already has a post. Finds posts and their
//! attempts, and inserts new ones. Must never decide about a want, which `domain::want` does.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::json;
use sqlx::sqlite::SqliteConnection;

use crate::domain::destination::{ANY_PRIVATE, Destination};
use crate::domain::forming::LastEnd;
use crate::domain::job::{Library, Quality};
use crate::domain::outcome::{Failure, Reason};
use crate::domain::url::CanonicalUrl;
use crate::domain::want::{Attempt, AttemptStanding};
use crate::store::batch::changes::Round;
use crate::store::column;
use crate::store::derive::attempts;

/// Returns the number of a destination. Inserts its row if it has none, and adds its spelling if only its hash was
/// known.
pub(crate) async fn destination(
    connection: &mut SqliteConnection,
    destination: &Destination,
) -> Result<i64, sqlx::Error> {
    let hash = destination.hash();
    let (kind, name, folder) = match destination {
        Destination::Public => (0, None, None),
        Destination::Default => (1, None, None),
        Destination::Name(name) => (2, Some(name.as_str()), None),
        Destination::Number(number) => (3, None, Some(*number)),
    };
    let known: Option<(i64, bool)> =
        sqlx::query_as("SELECT number, kind IS NOT NULL FROM destinations WHERE hash = ?1")
            .bind(&hash[..])
            .fetch_optional(&mut *connection)
            .await?;
    if let Some((number, true)) = known {
        return Ok(number);
    }
    sqlx::query_scalar(
        "INSERT INTO destinations (hash, kind, name, folder) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (hash) DO UPDATE SET kind = excluded.kind, name = excluded.name, folder = excluded.folder
         RETURNING number",
    )
    .bind(&hash[..])
    .bind(kind)
    .bind(name)
    .bind(folder)
    .fetch_one(connection)
    .await
}

/// Returns the number of the destination with this hash. Without a spelling, it is a folder of the private library.
pub(crate) async fn destination_of_hash(
    connection: &mut SqliteConnection,
    hash: [u8; 8],
) -> Result<i64, sqlx::Error> {
    for known in [Destination::Public, Destination::Default] {
        if known.hash() == hash {
            return destination(connection, &known).await;
        }
    }
    let kind = (hash == ANY_PRIVATE).then_some(4);
    sqlx::query("INSERT INTO destinations (hash, kind) VALUES (?1, ?2) ON CONFLICT DO NOTHING")
        .bind(&hash[..])
        .bind(kind)
        .execute(&mut *connection)
        .await?;
    sqlx::query_scalar("SELECT number FROM destinations WHERE hash = ?1")
        .bind(&hash[..])
        .fetch_one(connection)
        .await
}

/// The history of a canonical URL at a destination.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    /// The post, if it is in the ledger.
    pub(crate) post: Option<i64>,
    /// The first spelling of its URL.
    pub(crate) url: Option<String>,
    /// All attempts at it, in the order in which they were sent.
    pub(crate) attempts: Vec<Attempt<Round>>,
    pub(crate) queued: Option<Round>,
    last: Option<Last>,
}

/// The end of its newest round.
#[derive(Clone, Debug)]
struct Last {
    round: Round,
    reason: Reason,
    was_refused: bool,
    task_urls: usize,
}

impl History {
    pub(crate) fn last_end(&self) -> Option<LastEnd<'_>> {
        let last = self.last.as_ref()?;
        Some(LastEnd { reason: &last.reason, was_refused: last.was_refused, task_urls: last.task_urls })
    }

    /// The round of a known want: that of the newest attempt that is indexed in at least this quality.
    pub(crate) fn known(&self, quality: Quality) -> Option<Round> {
        let serves = |attempt: &&Attempt<Round>| {
            attempt.standing == AttemptStanding::Indexed && attempt.quality.is_none_or(|sent| sent >= quality)
        };
        self.attempts.iter().rev().find(serves).map(|attempt| attempt.round)
    }
}

/// A round of a post with one of its attempts, in the order of the columns of [`HISTORY`].
#[derive(Deserialize)]
struct Row {
    canonical: String,
    post: i64,
    url: String,
    is_here: i64,
    round: Option<Round>,
    waits: i64,
    state: Option<i64>,
    code: Option<String>,
    certain: Option<i64>,
    standing: Option<i64>,
    quality: Option<i64>,
    was_refused: i64,
    task_urls: usize,
}

/// All rounds come in one row, because each further row would cost a switch of threads.
pub(crate) const HISTORY: &str =
    "SELECT json_group_array(json_array(canonical, post, url, is_here, round, waits, state, code, certain, standing,
       quality, was_refused, task_urls)) FROM (
     SELECT canonical, posts.number AS post, posts.url,
       posts.destination IS (SELECT number FROM destinations WHERE hash = ?2) AS is_here, rounds.number AS round,
       rounds.line IS NOT NULL AS waits, rounds.state, rounds.code, rounds.certain, standing, tasks.quality,
       tasks.state IS 'rejected' AS was_refused,
       (SELECT count(*) FROM (SELECT 1 FROM attempts AS beside WHERE beside.task = tasks.number LIMIT 2)) AS task_urls
     FROM json_each(?1) AS asked
       CROSS JOIN posts ON posts.hash = asked.value->>0 AND posts.canonical = asked.value->>1
         AND posts.destination IN (SELECT number FROM destinations WHERE hash IN (?2, ?3))
       LEFT JOIN rounds ON rounds.post = posts.number
       LEFT JOIN attempts ON attempts.round = rounds.number
       LEFT JOIN tasks ON tasks.number = attempts.task
     ORDER BY posts.number, tasks.number, rounds.number)";

/// Reads the histories of these canonical URLs at a destination. A missing URL is unknown.
///
/// The posts of a task in an unknown private folder count for every private folder.
pub(crate) async fn histories(
    connection: &mut SqliteConnection,
    destination: &Destination,
    canonical: impl Iterator<Item = &str>,
) -> Result<HashMap<String, History>, sqlx::Error> {
    let asked: Vec<_> = canonical.map(|url| json!([CanonicalUrl::hash(url), url])).collect();
    let any = (destination.library() == Library::Private).then_some(&ANY_PRIVATE[..]);
    let rows: String = sqlx::query_scalar(HISTORY)
        .bind(json!(asked).to_string())
        .bind(&destination.hash()[..])
        .bind(any)
        .fetch_one(connection)
        .await?;
    let mut histories: HashMap<String, History> = HashMap::new();
    for mut row in column::json::<Vec<Row>>(("rounds", "state", "some posts"), &rows)? {
        let history = histories.entry(std::mem::take(&mut row.canonical)).or_default();
        take(history, row)?;
    }
    Ok(histories)
}

fn take(history: &mut History, row: Row) -> Result<(), sqlx::Error> {
    let is_here = row.is_here != 0;
    if is_here {
        history.post = Some(row.post);
        history.url = Some(row.url);
    }
    let Some(round) = row.round else { return Ok(()) };
    let id = round.to_string();
    let standing = row.standing.filter(|standing| *standing != attempts::WAITS);
    let standing =
        column::numbered_option(("attempts", "standing", &id), standing, AttemptStanding::from_number)?;
    if is_here && (row.waits != 0 || (row.standing.is_some() && standing.is_none())) {
        history.queued = Some(round);
    }
    if let Some(standing) = standing {
        let quality = column::numbered_option(("tasks", "quality", &id), row.quality, Quality::from_number)?;
        history.attempts.push(Attempt { round, quality, standing });
    }
    // A round that was canceled before it was sent says nothing about the post.
    if let Some(code) = row.code.filter(|_| is_here && row.state == Some(0) && row.standing.is_some())
        && history.last.as_ref().is_none_or(|last| last.round <= round)
    {
        let reason = Reason { failure: Failure::new(code, ""), certain: row.certain != Some(0) };
        let was_refused = row.was_refused != 0;
        history.last = Some(Last { round, reason, was_refused, task_urls: row.task_urls });
    }
    Ok(())
}

/// The lines in which posts wait, by platform and quality, as far as they were looked up.
pub(crate) struct Lines {
    destination: i64,
    known: HashMap<(String, i64), i64>,
}

impl Lines {
    pub(crate) fn of(destination: i64) -> Self {
        Self { destination, known: HashMap::new() }
    }

    /// Returns the number of a line, and inserts its row if it has none.
    pub(crate) async fn number(
        &mut self,
        connection: &mut SqliteConnection,
        platform: &str,
        quality: Quality,
    ) -> Result<i64, sqlx::Error> {
        let key = (platform.to_owned(), quality.number());
        if let Some(number) = self.known.get(&key) {
            return Ok(*number);
        }
        let insert =
            "INSERT INTO lines (platform, destination, quality) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
        let select = "SELECT number FROM lines WHERE platform = ?1 AND destination = ?2 AND quality = ?3";
        for sql in [insert, select] {
            let number: Option<i64> = sqlx::query_scalar(sql)
                .bind(platform)
                .bind(self.destination)
                .bind(quality.number())
                .fetch_optional(&mut *connection)
                .await?;
            if let Some(number) = number {
                self.known.insert(key, number);
                return Ok(number);
            }
        }
        Err(sqlx::Error::RowNotFound)
    }
}

/// Returns the next numbers of the tables whose numbers are set by hand, because many rows are inserted at once.
pub(crate) async fn next_numbers(connection: &mut SqliteConnection) -> Result<(i64, Round), sqlx::Error> {
    sqlx::query_as(
        "SELECT 1 + ifnull((SELECT max(number) FROM posts), 0), 1 + ifnull((SELECT max(number) FROM rounds), 0)",
    )
    .fetch_one(connection)
    .await
}

pub(crate) const INSERT_POSTS: &str =
    "INSERT INTO posts (number, destination, hash, canonical, url, platform)
     SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5 FROM json_each(?1)";
/// Counts all rounds that begin to wait together, because a trigger for each of ten thousand would double the time of
/// a job.
pub(crate) const COUNT_WAITING: &str = "UPDATE lines SET waiting = waiting + new.rounds
     FROM (SELECT value->>0 AS line, value->>1 AS rounds FROM json_each(?1)) AS new WHERE number = new.line";
pub(crate) const INSERT_ROUNDS: &str =
    "INSERT INTO rounds (number, post, job, url, begun_at, line, kind, state)
     SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6, value->>7 FROM json_each(?1)";
