//! Facts: each is set once for a task, a kind and a video. Must never take a repeated fact for news.

use std::collections::BTreeMap;

use serde_json::json;

use crate::domain::event::Source;
use crate::domain::task::FactKind;
use crate::domain::video::VideoState;
use crate::store::batch::Batch;
use crate::store::batch::changes::NewFact;
use crate::store::derive::complete;
use crate::store::derive::videos::{self, VideoNews};

/// Inserts facts. The working set knows every stored fact, so a conflict here would be a bug.
pub(crate) const INSERT: &str = "INSERT INTO facts (task_id, kind, video_id, at, source, code, message)
     SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6 FROM json_each(?)";

/// Sets the gathered facts, and folds new ones into the videos. Their tasks must be loaded.
pub(crate) async fn set(batch: &mut Batch<'_>) -> Result<(), sqlx::Error> {
    let mut news: BTreeMap<String, VideoNews> = BTreeMap::new();
    for fact in std::mem::take(&mut batch.changes.facts) {
        let Some(task) = batch.tasks.get_mut(fact.task) else { continue };
        if !task.note(fact.kind, &fact.video, fact.at, fact.failure.as_ref()) {
            continue;
        }
        // The answer to a poll alone is no news of the task.
        if !matches!(fact.kind, FactKind::ListComplete | FactKind::PollsRefused) {
            complete::heard(task, fact.at);
        }
        if fact.source != Source::Poll {
            task.news += 1;
        }
        batch.changes.note(fact.task, fact.at, fact.source);
        batch.changes.set.push((fact.task, fact.kind, fact.source));
        batch.changes.rows.facts.push(json!([
            fact.task,
            fact.kind,
            fact.video,
            fact.at.as_millis(),
            fact.source,
            fact.failure.as_ref().map(|failure| &failure.code),
            fact.failure.as_ref().map(|failure| &failure.message),
        ]));
        fold(&mut news, fact);
    }
    if news.is_empty() {
        return Ok(());
    }
    videos::fold(batch, news).await
}

/// Keeps the strongest news of each video.
fn fold(news: &mut BTreeMap<String, VideoNews>, fact: NewFact) {
    let state = match fact.kind {
        FactKind::VideoIndexed => VideoState::Indexed,
        FactKind::VideoFailed => VideoState::Failed,
        FactKind::VideoSeen => VideoState::Indexing,
        FactKind::Succeeded
        | FactKind::Failed
        | FactKind::Canceled
        | FactKind::ListComplete
        | FactKind::PollsRefused => return,
    };
    let NewFact { task, video, at, source, failure, .. } = fact;
    let known = news.entry(video).or_insert_with(|| VideoNews {
        task,
        tasks: Vec::new(),
        first_seen_at: at,
        at,
        source,
        state: VideoState::Indexing,
        failure: None,
    });
    known.tasks.push(task);
    if state > known.state {
        (known.at, known.source) = (at, source);
        (known.state, known.failure) = (state, failure);
    }
}
