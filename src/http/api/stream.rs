//! `/v1/events/stream`: the event log as server-sent events. Each event is sent after its commit.
//!
//! Slow readers get their events from the file. Nothing is dropped, and at most one page per reader is in memory.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::IntoResponse;
use axum::response::sse::{self, Sse};
use futures_util::stream;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;
use utoipa::IntoParams;

use crate::domain::event::{Event, EventKind};
use crate::domain::id::JobId;
use crate::http::api::events::{self, Filters};
use crate::http::context::Context;
use crate::http::edge::auth;
use crate::http::edge::problem::{Code, Problem};
use crate::http::edge::query::Params;
use crate::store::Follower;

/// Time between two signs of life, and between two looks at whether the reader may still read.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Events that come closer together are sent together, so that a thousand streams do not wake for each commit.
const TOGETHER: Duration = Duration::from_millis(20);
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// The most events of one read.
const PAGE: i64 = 500;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct StreamParams {
    /// Only items of this job.
    #[param(value_type = Option<JobId>)]
    job: Option<String>,
    /// Only items of this task, by its id or its `taskId`.
    #[param(value_type = Option<String>)]
    task: Option<String>,
    /// Only items of this kind.
    #[param(value_type = Option<EventKind>)]
    kind: Option<String>,
    /// The last `seq` that you have seen. 0 starts at the first event. A blank value counts as absent. For clients that
    /// cannot set headers. If both are given, `Last-Event-ID` wins.
    #[param(value_type = Option<i64>, minimum = 0)]
    after: Option<String>,
}

/// Keeps a proxy such as nginx from holding events back until its buffer is full.
const UNBUFFERED: [(HeaderName, HeaderValue); 1] =
    [(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"))];

/// Streams events as server-sent events.
///
/// `id` is the `seq`, `event` is the kind, and `data` is the event. The stream starts now, or after
/// `Last-Event-ID` or `after`.
#[utoipa::path(
    get,
    path = "/v1/events/stream",
    tag = "events",
    params(
        StreamParams,
        (
            "Last-Event-ID" = Option<i64>,
            Header,
            minimum = 0,
            description = "The last `seq` that you have seen. 0 starts at the first event. A blank value counts as \
                absent.",
        ),
    ),
    responses(
        (
            status = 200,
            description = "The stream.",
            content_type = "text/event-stream",
            body = String,
            headers(
                ("X-Accel-Buffering" = String, description = "Always `no`, so that proxies do not buffer the stream."),
            ),
        ),
        (status = 404, description = "No task has this id."),
        (status = 410, description = "Some events after the cursor have been removed."),
    ),
)]
pub(in crate::http) async fn stream_events(
    State(context): State<Context>,
    Params(params): Params<StreamParams>,
    request: Parts,
) -> Result<impl IntoResponse, Problem> {
    let filters = Filters { job: params.job, task: params.task, kind: params.kind };
    let asked = cursor(&request.headers, params.after.as_deref())?;
    let last = context.store.read().last_seq().await?;
    let after = asked.unwrap_or(last);
    events::check_cursor(&context, after, last).await?;
    let filter = filters.read(&context, after, PAGE).await?.ok_or_else(|| Problem::not_found("task"))?;
    let reader = Reader {
        follower: context.store.follow(filter),
        ready: VecDeque::new(),
        stop: context.stop.clone(),
        heartbeat: HEARTBEAT,
        checked_at: Instant::now(),
        may_read: move || {
            let (context, request) = (context.clone(), request.clone());
            async move { auth::may_still_read(&context, &request).await }
        },
    };
    Ok((UNBUFFERED, Sse::new(stream::unfold(reader, Reader::next))))
}

/// The last event that a client has seen. The header wins, because an `EventSource` that reconnects sends it with its
/// first URL. Some clients send one of them blank if they have seen no event.
fn cursor(headers: &HeaderMap, parameter: Option<&str>) -> Result<Option<i64>, Problem> {
    let parameter = events::read_cursor("after", parameter.and_then(unless_blank))?;
    let mut sent = headers.get_all(LAST_EVENT_ID).iter().map(|id| String::from_utf8_lossy(id.as_bytes()));
    let Some(id) = sent.next() else { return Ok(parameter) };
    if sent.next().is_some() {
        let detail = "The header Last-Event-ID was sent more than once.";
        return Err(Problem::new(Code::BadCursor, detail));
    }
    Ok(events::read_cursor("Last-Event-ID", unless_blank(&id))?.or(parameter))
}

fn unless_blank(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty())
}

struct Reader<M> {
    follower: Follower,
    ready: VecDeque<Arc<Event>>,
    stop: CancellationToken,
    /// Time between two signs of life, and between two looks at whether the reader may still read.
    heartbeat: Duration,
    checked_at: Instant,
    /// Whether its key or session is still good.
    may_read: M,
}

impl<M, F> Reader<M>
where
    M: Fn() -> F,
    F: Future<Output = bool>,
{
    async fn next(mut self) -> Option<(Result<sse::Event, Infallible>, Self)> {
        if self.checked_at.elapsed() >= self.heartbeat {
            if !(self.may_read)().await {
                return None;
            }
            self.checked_at = Instant::now();
        }
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
                // A follower can wait. If many begin at the same moment, they take turns.
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
                    // With a cursor, so that a client that reconnects does not look through filtered events again.
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
    use std::cell::Cell;
    use std::future::{Ready, ready};

    use tempfile::TempDir;
    use tokio::task::JoinHandle;

    use super::*;
    use crate::domain::id::JobId;
    use crate::domain::job::JobOptions;
    use crate::domain::plan::fold;
    use crate::domain::time::Timestamp;
    use crate::domain::url::PostUrl;
    use crate::store::{Binding, EventFilter, NewJob, Policy, Store};

    /// A store with one job.
    struct File {
        store: Store,
        writer: JoinHandle<()>,
        _folder: TempDir,
    }

    impl File {
        async fn close(self) {
            self.store.close();
            self.writer.await.unwrap();
        }
    }

    /// A stream that begins with the first event of its store and gives a sign of life at once.
    async fn reader() -> (File, Reader<impl Fn() -> Ready<bool>>) {
        reader_who(|| ready(true)).await
    }

    async fn reader_who<M: Fn() -> Ready<bool>>(may_read: M) -> (File, Reader<M>) {
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
        let (store, writer) = Store::open(&path, Binding::to("http://upstream"), policy, at).await.unwrap();
        let writer = tokio::spawn(writer.run());
        let urls = fold(vec![PostUrl::parse("https://youtu.be/a").unwrap()]);
        let (id, created_by, idempotency) = (JobId::new(at), None, None);
        let job = NewJob {
            id,
            at,
            created_by,
            options: JobOptions::default(),
            urls,
            force: false,
            callback: None,
            idempotency,
        };
        store.create_job(job).await.unwrap();
        let reader = Reader {
            follower: store.follow(EventFilter { limit: PAGE, ..EventFilter::default() }),
            ready: VecDeque::new(),
            stop: CancellationToken::new(),
            heartbeat: Duration::ZERO,
            checked_at: Instant::now(),
            may_read,
        };
        (File { store, writer, _folder: folder }, reader)
    }

    async fn hears<M: Fn() -> Ready<bool>>(reader: Reader<M>, wanted: &str) -> Reader<M> {
        let (sent, rest) = reader.next().await.expect("the stream goes on");
        assert!(format!("{sent:?}").contains(wanted), "{sent:?}");
        rest
    }

    #[tokio::test]
    async fn a_stream_ends_once_its_reader_may_not_read_any_more() {
        let looks = Cell::new(0);
        let may_read = || {
            looks.set(looks.get() + 1);
            ready(looks.get() < 2)
        };
        let (file, reader) = reader_who(may_read).await;
        let reader = hears(reader, "job.created").await;
        assert!(reader.next().await.is_none());
        file.close().await;
    }

    /// A read that takes longer than the time between two signs of life must still bring events. Here every read takes
    /// longer.
    #[tokio::test]
    async fn a_sign_of_life_cuts_no_read_off() {
        let (file, mut reader) = reader().await;
        for wanted in ["job.created", "alive"] {
            reader = hears(reader, wanted).await;
        }
        drop(reader);
        file.close().await;
    }

    #[tokio::test]
    async fn a_stream_goes_on_after_all_readers_were_taken() {
        let (file, reader) = reader().await;
        let taken = file.store.read().take_all().await;
        let reader = hears(reader, "alive").await;
        drop(taken);
        drop(hears(reader, "job.created").await);
        file.close().await;
    }
}
