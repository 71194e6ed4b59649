//! The results of polls, which are facts like any others. Must never take a result for a `taskId` that the task no
//! longer has.

use crate::domain::event::Source;
use crate::domain::evidence::polls::{Refusals, refusals_count};
use crate::domain::id::TaskId;
use crate::domain::outcome::Failure;
use crate::domain::task::FactKind;
use crate::domain::time::Timestamp;
use crate::domain::url::PostUrl;
use crate::domain::video::VideoState;
use crate::store::batch::Batch;
use crate::store::batch::changes::{Listed, ListedEntry, NewFact};
use crate::store::batch::operation::Operation;
use crate::store::ops::polled::{EndedPoll, PollEnd, PolledEntry};
use crate::store::ops::recovered;

/// After this many refusals in a row, a poll counts as answered. A single refusal does not, because the code for
/// "unknown" also stands for transient failures.
const REFUSALS: i64 = 3;

impl Operation for EndedPoll {
    type Reply = ();

    async fn apply(&self, batch: &mut Batch<'_>) -> Result<Self::Reply, sqlx::Error> {
        record(batch, self).await
    }
}

/// Stores the result of a poll.
async fn record(batch: &mut Batch<'_>, ended: &EndedPoll) -> Result<(), sqlx::Error> {
    let EndedPoll { poll, asked_at, at, end } = ended;
    let asked_at = *asked_at;
    let task = poll.task;
    let (word, not_before) = match end {
        PollEnd::Unanswered(wait) => ("unanswered", at.after(*wait).as_millis()),
        PollEnd::Listed { .. } => ("listed", 0),
        PollEnd::Refused => ("refused", 0),
    };
    // The answer does not cover news that came while the question was on its way. If the task has another `taskId` by
    // now, or another task took it in, the answer covers nothing.
    let refused: Option<(i64, i64, Option<i64>)> = sqlx::query_as(ENDED)
        .bind(task.to_string())
        .bind(not_before)
        .bind(word)
        .bind(asked_at.as_millis())
        .bind(poll.news)
        .bind(&poll.upstream_id)
        .bind(matches!(end, PollEnd::Listed { is_whole: true, .. }))
        .bind(REFUSALS)
        .fetch_optional(&mut *batch.connection)
        .await?;
    let Some((number, count, first_at)) = refused else { return Ok(()) };
    batch.changes.touch(task, asked_at, Source::Poll);
    match end {
        PollEnd::Unanswered(_) => {}
        PollEnd::Refused => {
            let refusals = Refusals {
                count: u32::try_from(count).unwrap_or(u32::MAX),
                first_at: first_at.map_or(asked_at, Timestamp::from_millis),
                last_at: asked_at,
            };
            if refusals_count(&refusals, batch.policy.settle_after) {
                batch.changes.facts.push(fact(task, FactKind::PollsRefused, "", asked_at));
            }
        }
        PollEnd::Listed { entries, is_whole, .. } => {
            list(batch, task, asked_at, entries, *is_whole);
            recovered::take_urls(batch, number, ended).await?;
        }
    }
    Ok(())
}

pub(crate) const ENDED: &str = "UPDATE tasks SET poll_not_before = ?2, polls_in_vain = polls_in_vain + 1,
       polled_at = ?4, asked_news = max(asked_news, ?5),
       answered_at = CASE WHEN ?7 OR (?3 = 'refused' AND refused_polls + 1 >= ?8) THEN ?4 ELSE answered_at END,
       polled_news = CASE ?3 WHEN 'unanswered' THEN polled_news ELSE max(polled_news, ?5) END,
       refused_polls = CASE ?3 WHEN 'listed' THEN 0 WHEN 'refused' THEN refused_polls + 1 ELSE refused_polls END,
       refused_since = CASE ?3 WHEN 'listed' THEN NULL WHEN 'refused' THEN ifnull(refused_since, ?4)
                       ELSE refused_since END,
       asks_other = other_id IS NOT NULL AND NOT asks_other
     WHERE id = ?1 AND (upstream_id = ?6 OR other_id = ?6 OR (upstream_id IS NULL AND replaced_by IS NULL))
     RETURNING number, refused_polls, refused_since";

fn fact(task: TaskId, kind: FactKind, video: &str, at: Timestamp) -> NewFact {
    NewFact { task, kind, video: video.to_owned(), at, source: Source::Poll, failure: None }
}

/// Records the entries of an answer, and facts about the videos.
fn list(batch: &mut Batch<'_>, task: TaskId, asked_at: Timestamp, entries: &[PolledEntry], is_whole: bool) {
    let listed = |entry: &PolledEntry| ListedEntry {
        video: entry.id.clone(),
        url: entry.url.clone(),
        canonical: entry.url.as_deref().and_then(PostUrl::recognize).map(|post| post.canonical),
        state: entry.state,
    };
    let listed = Listed { task, asked_at, is_whole, entries: entries.iter().map(listed).collect() };
    batch.changes.listed.push(listed);
    let facts = &mut batch.changes.facts;
    for (id, state) in entries.iter().filter_map(|entry| Some((entry.id.as_deref()?, entry.state))) {
        facts.push(fact(task, FactKind::VideoSeen, id, asked_at));
        match state {
            VideoState::Indexing => {}
            VideoState::Indexed => facts.push(fact(task, FactKind::VideoIndexed, id, asked_at)),
            VideoState::Failed => {
                let failure = Failure::new("video_failed", "the memories.ai API could not index it");
                facts.push(NewFact {
                    failure: Some(failure),
                    ..fact(task, FactKind::VideoFailed, id, asked_at)
                });
            }
        }
    }
}
