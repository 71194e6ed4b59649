//! `/v1/events/stream`: the log of changes as server-sent events, each sent after its commit.
//!
//! A reader that is slow is caught up from the file: nothing is dropped, and no more than a page is kept for it in memory.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{self, Sse};
use futures_util::{Stream, stream};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;
use utoipa::IntoParams;

use super::Context;
use super::error::{Code, Problem};
use super::events::{self, Filters};
use super::query::Params;
use crate::domain::event::{Event, EventKind};
use crate::domain::id::JobId;
use crate::store::Follower;

/// Between two signs of life.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Events that come closer together are sent together: a thousand streams must not wake for each commit.
const TOGETHER: Duration = Duration::from_millis(20);
/// Most events that one look brings.
const PAGE: i64 = 500;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct StreamParams {
    /// Only those of this job.
    #[param(value_type = Option<JobId>)]
    job: Option<String>,
    /// Only those of this task, by our id or upstream's.
    #[param(value_type = Option<String>)]
    task: Option<String>,
    /// Only events of this kind.
    #[param(value_type = Option<EventKind>)]
    kind: Option<String>,
}

/// Streams what changes, as server-sent events.
///
/// `id` is the `seq`, `event` the kind, `data` the event. It starts at now, or after `Last-Event-ID`.
#[utoipa::path(get, path = "/v1/events/stream", tag = "events", params(StreamParams, ("Last-Event-ID" = Option<i64>, Header, description = "The last `id` seen; 0 is the beginning.", minimum = 0)), responses((status = 200, description = "The stream.", content_type = "text/event-stream", body = String), (status = 404, description = "There is no such task."), (status = 410, description = "What came after the cursor is no longer kept.")))]
pub(super) async fn stream_events(
    State(context): State<Context>,
    Params(params): Params<StreamParams>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<sse::Event, Infallible>>>, Problem> {
    let filters = Filters { job: params.job, task: params.task, kind: params.kind };
    let last = context.store.last_seq().await?;
    let after = match headers.get("last-event-id") {
        None => last,
        Some(id) => {
            let id = id.to_str().ok().and_then(|id| id.trim().parse().ok()).filter(|id| *id >= 0);
            let id = id.ok_or_else(|| {
                Problem::new(Code::BadCursor, "Last-Event-ID: the `id` of an event is expected.")
            })?;
            events::check_cursor(&context, id, last).await?;
            id
        }
    };
    let filter = filters.read(&context, after, PAGE).await?.ok_or_else(|| Problem::not_found("task"))?;
    let reader = Reader {
        follower: context.store.follow(filter),
        ready: VecDeque::new(),
        stop: context.stop.clone(),
        heartbeat: HEARTBEAT,
    };
    Ok(Sse::new(stream::unfold(reader, Reader::next)))
}

struct Reader {
    follower: Follower,
    ready: VecDeque<Arc<Event>>,
    stop: CancellationToken,
    /// Between two signs of life.
    heartbeat: Duration,
}

impl Reader {
    async fn next(mut self) -> Option<(Result<sse::Event, Infallible>, Self)> {
        let heartbeat = tokio::time::sleep(self.heartbeat);
        tokio::pin!(heartbeat);
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some((Ok(render(&event)), self));
            }
            if self.stop.is_cancelled() {
                return None;
            }
            let is_busy = match self.follower.read().await {
                Ok(events) if !events.is_empty() => {
                    self.ready.extend(events);
                    continue;
                }
                Ok(_) => false,
                // A follower can wait: if many begin at the same moment, they take turns.
                Err(error) if error.is_busy() => true,
                Err(error) => {
                    tracing::warn!(%error, "a stream of events ends; its reader may come back");
                    return None;
                }
            };
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return None,
                () = &mut heartbeat => {
                    // With a cursor: whoever comes back need not look through what was filtered out.
                    let id = self.follower.cursor().to_string();
                    return Some((Ok(sse::Event::default().comment("alive").id(id)), self));
                }
                () = self.follower.news(), if !is_busy => {}
                () = std::future::ready(()), if is_busy => {}
            }
            tokio::select! {
                () = self.stop.cancelled() => return None,
                () = tokio::time::sleep(TOGETHER) => {}
            }
        }
    }
}

fn render(event: &Event) -> sse::Event {
    let data = serde_json::to_string(event).unwrap_or_default();
    sse::Event::default().id(event.seq.to_string()).event(event.kind.as_str()).data(data)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tempfile::TempDir;
    use tokio::task::JoinHandle;

    use super::*;
    use crate::domain::id::JobId;
    use crate::domain::job::{JobOptions, Library, Quality};
    use crate::domain::plan::fold;
    use crate::domain::time::Timestamp;
    use crate::domain::url::PostUrl;
    use crate::store::{EventFilter, NewJob, Policy, Store};

    /// A store with one job, and a stream that begins with its first event and is silent for no time at all.
    async fn reader() -> (TempDir, Store, JoinHandle<()>, Reader) {
        const HOUR: Duration = Duration::from_secs(3_600);
        let policy = Policy {
            poll_after: HOUR,
            urls_per_task: 50,
            probe_after: HOUR,
            settle_after: HOUR,
            deadline: HOUR,
            hint_interval: HOUR,
        };
        let at = Timestamp::from_millis(1_800_000_000_000);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scrapehook.db");
        let (store, writer) = Store::open(&path, "http://upstream", false, policy, at).await.unwrap();
        let writer = tokio::spawn(writer.run());
        let options = JobOptions {
            unique_id: None,
            folder_id: None,
            quality: Quality::P360,
            library: Library::Private,
            labels: BTreeMap::new(),
        };
        let urls = fold(vec![PostUrl::parse("https://youtu.be/a").unwrap()]);
        let (id, created_by, idempotency) = (JobId::new(at), None, None);
        let job = NewJob { id, at, created_by, options, urls, force: false, idempotency };
        store.create_job(job).await.unwrap();
        let reader = Reader {
            follower: store.follow(EventFilter { limit: PAGE, ..EventFilter::default() }),
            ready: VecDeque::new(),
            stop: CancellationToken::new(),
            heartbeat: Duration::ZERO,
        };
        (folder, store, writer, reader)
    }

    async fn hears(reader: Reader, wanted: &str) -> Reader {
        let (sent, rest) = reader.next().await.expect("the stream goes on");
        assert!(format!("{sent:?}").contains(wanted), "{sent:?}");
        rest
    }

    /// A read that takes longer than the pause between two signs of life must bring something all the same; here each
    /// takes longer.
    #[tokio::test]
    async fn a_sign_of_life_cuts_no_read_off() {
        let (_folder, store, writer, mut reader) = reader().await;
        for wanted in ["job.created", "task.queued", "alive"] {
            reader = hears(reader, wanted).await;
        }
        drop(reader);
        store.close();
        writer.await.unwrap();
    }

    #[tokio::test]
    async fn a_stream_goes_on_after_all_readers_were_taken() {
        let (_folder, store, writer, reader) = reader().await;
        let taken = store.take_readers().await;
        let reader = hears(reader, "alive").await;
        drop(taken);
        drop(hears(reader, "job.created").await);
        store.close();
        writer.await.unwrap();
    }
}
