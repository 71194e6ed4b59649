//! Tasks that are known from their callbacks alone. Their polls say which posts they have.
//!
//! Must never send a post that such a task has, because doubt never spends money.

use std::collections::BTreeSet;

use serde_json::json;

use crate::domain::destination::{ANY_PRIVATE, Destination};
use crate::domain::event::Source;
use crate::domain::id::TaskId;
use crate::domain::task::UpstreamIdSource;
use crate::domain::time::Timestamp;
use crate::domain::url::{CanonicalUrl, PostUrl};
use crate::store::batch::Batch;
use crate::store::derive::posts;
use crate::store::ops::adopts;
use crate::store::ops::hints::{self, Found};
use crate::store::ops::ownership::Claim;
use crate::store::ops::polled::{EndedPoll, PollEnd, PolledEntry};
use crate::store::read::due::DuePoll;

/// The prefix of the ids of videos in the public library.
const PUBLIC_VIDEO: &str = "PI-";

/// Gives a task without a job the posts that a poll has listed.
///
/// If an accepted callback made the task, and it is certainly an unconfirmed one, the two become one.
pub(crate) async fn take_urls(
    batch: &mut Batch<'_>,
    number: i64,
    ended: &EndedPoll,
) -> Result<(), sqlx::Error> {
    let EndedPoll { poll, asked_at, end, .. } = ended;
    let task = poll.task;
    let PollEnd::Listed { entries, is_whole, earliest } = end else { return Ok(()) };
    let (has_job, was_sent, destination): (bool, bool, Option<i64>) = sqlx::query_as(
        "SELECT job_id IS NOT NULL, EXISTS (SELECT 1 FROM submits WHERE task_id = tasks.id), destination
         FROM tasks WHERE number = ?1",
    )
    .bind(number)
    .fetch_one(&mut *batch.connection)
    .await?;
    // If a task has a `taskId` but was never sent from this file, it was sent from a later copy of the file.
    if (has_job && was_sent) || entries.is_empty() {
        return Ok(());
    }
    let posts: Vec<PostUrl> =
        entries.iter().filter_map(|entry| PostUrl::recognize(entry.url.as_deref()?)).collect();
    if !was_sent
        && is_unconfirmed_task(
            batch,
            poll,
            *asked_at,
            Answer { posts: &posts, entries, is_whole: *is_whole, earliest: *earliest },
        )
        .await?
    {
        return Ok(());
    }
    let destination = match destination {
        Some(destination) => destination,
        None => find_destination(batch, task, was_sent, entries).await?,
    };
    add(batch, number, destination, posts, *asked_at).await?;
    batch.changes.stale.insert(task);
    Ok(())
}

/// The content of an answer.
struct Answer<'a> {
    posts: &'a [PostUrl],
    entries: &'a [PolledEntry],
    /// Whether every entry could be read.
    is_whole: bool,
    /// The creation time of the oldest video.
    earliest: Option<Timestamp>,
}

/// Whether the task is one whose submit was not answered. If so, that one has taken it in.
async fn is_unconfirmed_task(
    batch: &mut Batch<'_>,
    poll: &DuePoll,
    at: Timestamp,
    Answer { posts, entries, is_whole, earliest }: Answer<'_>,
) -> Result<bool, sqlx::Error> {
    let found = Found {
        // The task can be in any folder, because an accepted callback does not name one.
        unique_id: poll.unique_id.clone().or_else(|| Some("default".to_owned())),
        posts: posts.iter().map(|post| post.canonical.clone()).collect(),
        is_doubtful: !is_whole || posts.len() < entries.len(),
        earliest,
    };
    let Some(owner) = hints::owner(batch, &poll.upstream_id, &found).await? else { return Ok(false) };
    let claim = Claim { task: owner, upstream_id: &poll.upstream_id, by: UpstreamIdSource::Poll, at };
    Ok(adopts::adopt(batch, &claim, Source::Poll).await? == adopts::Decided::Done)
}

/// Finds the destination of a task that does not name it. A task of an old token counts for every folder of its
/// library. A task that an accepted callback made counts for the default folder.
async fn find_destination(
    batch: &mut Batch<'_>,
    task: TaskId,
    was_sent: bool,
    entries: &[PolledEntry],
) -> Result<i64, sqlx::Error> {
    let is_public = |entry: &PolledEntry| entry.id.as_deref().is_some_and(|id| id.starts_with(PUBLIC_VIDEO));
    let number = if entries.iter().any(is_public) {
        posts::destination(batch.connection, &Destination::Public).await?
    } else if was_sent {
        posts::destination_of_hash(batch.connection, ANY_PRIVATE).await?
    } else {
        posts::destination(batch.connection, &Destination::Default).await?
    };
    sqlx::query("UPDATE tasks SET destination = ?2 WHERE id = ?1")
        .bind(task.to_string())
        .bind(number)
        .execute(&mut *batch.connection)
        .await?;
    Ok(number)
}

/// Adds the listed posts that the task does not have yet.
async fn add(
    batch: &mut Batch<'_>,
    number: i64,
    destination: i64,
    listed: Vec<PostUrl>,
    at: Timestamp,
) -> Result<(), sqlx::Error> {
    let known: Vec<(i64, String)> = sqlx::query_as(
        "SELECT position, canonical FROM attempts CROSS JOIN rounds ON rounds.number = attempts.round
           CROSS JOIN posts ON posts.number = rounds.post WHERE attempts.task = ?1",
    )
    .bind(number)
    .fetch_all(&mut *batch.connection)
    .await?;
    let mut position = known.iter().map(|(position, _)| position + 1).max().unwrap_or(0);
    let mut seen: BTreeSet<String> = known.into_iter().map(|(_, canonical)| canonical).collect();
    for url in listed {
        if !seen.insert(url.canonical.clone()) {
            continue;
        }
        let post = post(batch, destination, &url).await?;
        let (_, round) = posts::next_numbers(batch.connection).await?;
        let given = Some(&url.given);
        let row = json!([[round, post, NOTHING, given, at.as_millis(), NOTHING, 0, 2]]);
        sqlx::query(posts::INSERT_ROUNDS).bind(row.to_string()).execute(&mut *batch.connection).await?;
        sqlx::query(
            "INSERT INTO attempts (task, position, round, state, standing) VALUES (?1, ?2, ?3, 2, 2)",
        )
        .bind(number)
        .bind(position)
        .bind(round)
        .execute(&mut *batch.connection)
        .await?;
        sqlx::query("UPDATE tasks SET platform = ifnull(platform, ?2) WHERE number = ?1")
            .bind(number)
            .bind(url.platform.as_str())
            .execute(&mut *batch.connection)
            .await?;
        position += 1;
        // If such a post waits, it leaves the queue when its turn comes. This wakes the dispatcher to check that now.
        batch.changes.changes_queue = true;
    }
    Ok(())
}

/// NULL in a row of JSON.
const NOTHING: Option<i64> = None;

/// Returns the number of a post, and inserts its row if it has none.
async fn post(batch: &mut Batch<'_>, destination: i64, url: &PostUrl) -> Result<i64, sqlx::Error> {
    let hash = CanonicalUrl::hash(&url.canonical);
    let known: Option<i64> = sqlx::query_scalar(
        "SELECT number FROM posts WHERE hash = ?1 AND canonical = ?2 AND destination = ?3",
    )
    .bind(hash)
    .bind(&url.canonical)
    .bind(destination)
    .fetch_optional(&mut *batch.connection)
    .await?;
    if let Some(known) = known {
        return Ok(known);
    }
    let (number, _) = posts::next_numbers(batch.connection).await?;
    let row = json!([[number, destination, hash, url.canonical, url.given, url.platform.as_str()]]);
    sqlx::query(posts::INSERT_POSTS).bind(row.to_string()).execute(&mut *batch.connection).await?;
    Ok(number)
}
