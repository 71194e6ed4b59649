//! Silence after SUCCEEDED: tasks that upstream lists no more videos for.

use crate::domain::event::Source;
use crate::domain::task::FactKind;
use crate::domain::time::millis;
use crate::store::batch::Batch;
use crate::store::batch::changes::NewFact;

/// Looks at the tasks that polls of this batch have listed: after SUCCEEDED, two polls far enough apart that
/// list the same ended videos prove that there are no more.
pub(crate) fn judge(batch: &mut Batch<'_>) {
    for (id, asked_at, is_whole) in std::mem::take(&mut batch.changes.listed) {
        let Some(task) = batch.tasks.get_mut(id) else { continue };
        let have_ended = task.facts.videos.iter().all(|video| video.state.is_ended());
        if !is_whole || !task.facts.succeeded || !have_ended || task.facts.exhausted {
            task.quiet_since = None;
            continue;
        }
        // News has taken it back to none; a clock that was put back begins anew.
        let since = *task.quiet_since.insert(match task.quiet_since {
            Some(since) if since <= asked_at.as_millis() => since,
            _ => asked_at.as_millis(),
        });
        if asked_at.as_millis().saturating_sub(since) >= millis(batch.policy.settle_after) {
            batch.changes.facts.push(NewFact {
                task: id,
                kind: FactKind::Exhausted,
                video: String::new(),
                at: asked_at,
                source: Source::Poll,
                failure: None,
            });
        }
    }
}
