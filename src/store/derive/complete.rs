//! Complete lists: stores the entries that polls have listed, and decides whether a task's list is complete.
//!
//! Must never take a list for complete because something is missing (see `domain::evidence::polls`).

use serde_json::json;

use crate::domain::event::Source;
use crate::domain::evidence::polls::{WholeAnswer, list_is_complete};
use crate::domain::task::FactKind;
use crate::domain::time::Timestamp;
use crate::store::batch::Batch;
use crate::store::batch::changes::{Listed, NewFact};
use crate::store::batch::loaded::LoadedTask;

pub(crate) const INSERT: &str = "INSERT INTO entries (task, number, video, url, canonical, state, at)
     SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6 FROM json_each(?1)";

/// Stores the entries that the polls of this batch have listed, and judges the lists of their tasks.
pub(crate) async fn judge(batch: &mut Batch<'_>) -> Result<(), sqlx::Error> {
    let mut rows = Vec::new();
    for listed in std::mem::take(&mut batch.changes.listed) {
        let Some(task) = batch.tasks.get_mut(listed.task) else { continue };
        let set = &batch.changes.set;
        let mut brought_news =
            set.iter().any(|(task, _, source)| *task == listed.task && *source == Source::Poll);
        let at = listed.asked_at.as_millis();
        for entry in &listed.entries {
            let news = task.list(entry);
            brought_news |= news.is_listing || news.is_state;
            if let Some(number) = news.row {
                let state = entry.state.number();
                rows.push(json!([task.number, number, entry.video, entry.url, entry.canonical, state, at]));
            }
        }
        if brought_news {
            heard(task, listed.asked_at);
        }
        if is_complete(task, &listed, brought_news, batch.policy.settle_after) {
            batch.changes.facts.push(NewFact {
                task: listed.task,
                kind: FactKind::ListComplete,
                video: String::new(),
                at: listed.asked_at,
                source: Source::Poll,
                failure: None,
            });
        }
    }
    if !rows.is_empty() {
        sqlx::query(INSERT).bind(json!(rows).to_string()).execute(&mut *batch.connection).await?;
    }
    Ok(())
}

/// Records news of a task. The task is no longer silent, and its end is no longer that of an older version.
pub(crate) fn heard(task: &mut LoadedTask, at: Timestamp) {
    task.stalled_at = None;
    task.evidence.is_stalled = false;
    task.polls_in_vain = 0;
    task.news_at = at.as_millis();
    task.is_old = false;
}

fn is_complete(
    task: &mut LoadedTask,
    listed: &Listed,
    brought_news: bool,
    settle_after: std::time::Duration,
) -> bool {
    let asked_at = listed.asked_at;
    if brought_news {
        task.quiet_since = None;
        return false;
    }
    let Some(succeeded_at) = task.succeeded_at.filter(|succeeded_at| asked_at >= *succeeded_at) else {
        return false;
    };
    if !listed.is_whole {
        return false;
    }
    // If the clock was set back, the first answer counts from now.
    let kept = task.quiet_since.map(Timestamp::from_millis);
    let kept = kept.filter(|since| (succeeded_at..=asked_at).contains(since));
    let since = kept.unwrap_or(asked_at);
    task.quiet_since = Some(since.as_millis());
    let answer = |asked_at| WholeAnswer { asked_at, brought_news: false };
    let answers = [answer(since), answer(asked_at)];
    let answers = if kept.is_some() { &answers[..] } else { &answers[1..] };
    let all_ended = task.evidence.all_ended();
    !task.evidence.list_is_complete && list_is_complete(Some(succeeded_at), answers, all_ended, settle_after)
}
