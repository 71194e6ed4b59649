//! `POST /callback`: token, limit, tolerant parse, and an answer that is sent after the commit.
//!
//! Must never look anything up before the queue, and never answer 200 without a commit. The exception is a challenge of
//! this service, which is not kept. Answers only 200, 202, 413 and 503, because senders give up on other 4xx.

use std::borrow::Cow;
use std::time::Instant;

use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::clock;
use crate::config::WithoutToken;
use crate::domain::callback::Meaning;
use crate::domain::id::TaskId;
use crate::domain::token::{Claims, TokenKeys};
use crate::failpoint::FailPoint;
use crate::http::context::Context;
use crate::http::edge::body::{self, Unread};
use crate::http::edge::problem::{Code, Problem};
use crate::store::{AcceptedCallback, FailureKind, ReceivedCallback, ReceivedHint, WriteError};
use crate::telemetry::{Span, SpanName};
use crate::upstream::wire::Notice;

/// Result of a callback request.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct KeptAnswer {
    /// `callback`, `hint`, or `nothing` for scrapehook's own callback check.
    kept: &'static str,
    /// Proves to the sender of a callback check that this service received it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    answer: Option<String>,
}

impl KeptAnswer {
    const CALLBACK: Self = Self { kept: "callback", answer: None };
    const HINT: Self = Self { kept: "hint", answer: None };
}

/// Receives a callback from the memories.ai API.
///
/// A callback with a good token is a fact. Without one it is a hint.
#[utoipa::path(
    post,
    path = "/callback/{token}",
    tag = "callbacks",
    params(("token" = String, Path, description = "The end of the callback URL.")),
    request_body(description = "Any content.", content((serde_json::Value = "application/json"))),
    responses(
        (status = 200, description = "The callback is stored, or was a check by scrapehook.", body = KeptAnswer),
        (status = 202, description = "scrapehook keeps the callback as a hint.", body = KeptAnswer),
        (status = 413, description = "The request body is larger than `callback.max_body`."),
        (status = 503, description = "The callback was not kept. Send it again after `Retry-After`. scrapehook takes \
            at most 100 hints and 1 MiB of hints a second (`too_many_hints`).")
    )
)]
pub(super) async fn receive_callback(
    State(context): State<Context>,
    request: Request,
) -> Result<Response, Problem> {
    let mut seen = Seen { kind: "unread", task: None };
    let (began, started) = (clock::now(), Instant::now());
    let answer = receive(&context, request, &mut seen).await;
    let outcome = match &answer {
        Ok(answer) if answer.status() == StatusCode::ACCEPTED => "hint",
        Ok(_) => "kept",
        Err(problem) => problem.word(),
    };
    context.metrics.callback(seen.kind, outcome);
    if let Some(task) = seen.task
        && context.traces.are_wanted()
    {
        context.traces.record(Span {
            task,
            name: SpanName::Callback,
            began,
            took: started.elapsed(),
            attributes: vec![
                ("scrapehook.kind", seen.kind.to_owned()),
                ("scrapehook.outcome", outcome.to_owned()),
            ],
            has_failed: answer.is_err(),
        });
    }
    answer
}

/// The parts of a callback for metrics and traces.
struct Seen {
    kind: &'static str,
    /// The task whose token it has.
    task: Option<TaskId>,
}

/// Senders try again after a 503, whatever the reason is. They may give up after another status.
fn not_kept(error: WriteError) -> Problem {
    match error {
        WriteError::Failed(FailureKind::Record) => {
            Problem::new(Code::Unavailable, "The callback was not kept. Send it again.")
        }
        error => error.into(),
    }
}

async fn receive(context: &Context, request: Request, seen: &mut Seen) -> Result<Response, Problem> {
    let (parts, stream) = request.into_parts();
    // The raw path, in the plain form of `callback_path`. A path that cannot be decoded is still a hint.
    let token = parts.uri.path().strip_prefix("/callback/").unwrap_or_default();
    let tokens = context.tokens.get();
    let claims = tokens.verify(token);
    seen.task = claims.map(|claims| claims.task);
    let is_limited =
        claims.is_none() && context.without_token == WithoutToken::Hint && !tokens.is_challenge(token);
    let body = read(context, &parts.headers, stream, is_limited).await?;
    let body_hash = Sha256::digest(&body).into();
    if claims.is_none()
        && let Some(answer) = tokens.answer(token, &body_hash)
    {
        seen.kind = "check";
        context.monitored.callback_check.heard();
        return Ok(Json(KeptAnswer { kept: "nothing", answer: Some(answer) }).into_response());
    }
    FailPoint::CallbackRead.pass();
    let at = clock::now();
    let notice = if is_limited { parse_hint(&tokens, &body) } else { parse(&tokens, &body) };
    let meaning =
        Meaning::read(notice.status.as_deref(), notice.video_id.as_deref(), notice.message.as_deref());
    seen.kind = meaning.as_ref().map_or("unknown", |meaning| meaning.kind().as_str());
    let Some(claims) = claims else {
        if context.without_token == WithoutToken::Accept
            && let Some(upstream_id) = &notice.task_id
        {
            let (upstream_id, new) = (upstream_id.clone(), TaskId::new(at));
            let callback = AcceptedCallback { upstream_id, new, at, body, body_hash, meaning };
            context.store.accept_callback(callback).await.map_err(not_kept)?;
            return Ok(Json(KeptAnswer::CALLBACK).into_response());
        }
        if !is_limited {
            // Only the body shows that this is a hint.
            let taken = context.hint_limit.begin().take(Instant::now(), body.len() as u64);
            taken.map_err(|too_many| Problem::too_many_hints(too_many.retry_after))?;
        }
        let hint = ReceivedHint { at, body, body_hash, upstream_id: notice.task_id };
        context.store.receive_hint(hint).await.map_err(not_kept)?;
        return Ok((StatusCode::ACCEPTED, Json(KeptAnswer::HINT)).into_response());
    };
    let Claims { task, destination, quality } = claims;
    let upstream_id = notice.task_id;
    let callback = ReceivedCallback { task, at, body, body_hash, meaning, upstream_id, destination, quality };
    context.store.receive_callback(callback).await.map_err(not_kept)?;
    FailPoint::CallbackKept.pass();
    Ok(Json(KeptAnswer::CALLBACK).into_response())
}

/// Reads the body. The body of a hint also counts against the limit of hints.
async fn read(
    context: &Context,
    headers: &HeaderMap,
    body: Body,
    is_limited: bool,
) -> Result<Bytes, Problem> {
    let limits = &context.limits;
    let mut admission = context.hint_limit.begin();
    let take = |bytes| if is_limited { admission.take(Instant::now(), bytes) } else { Ok(()) };
    let read = body::read_if(headers, body, limits.callback_body, limits.body_timeout, take).await;
    read.map_err(|unread| match unread {
        Unread::TooLarge => Problem::too_large(limits.callback_body),
        Unread::Late | Unread::Cut => {
            Problem::new(Code::Incomplete, "The body did not arrive completely. Send it again.")
        }
        Unread::Refused(too_many) => Problem::too_many_hints(too_many.retry_after),
    })
}

/// Reads a body. Holders of a read key must not learn a token from a sender that quotes a callback URL. So tokens are
/// masked before texts are cut to their longest length, because a cut could leave a part of a token.
fn parse(tokens: &TokenKeys, body: &[u8]) -> Notice {
    match tokens.masked(&String::from_utf8_lossy(body)) {
        Cow::Borrowed(_) => Notice::parse(body),
        Cow::Owned(masked) => Notice::parse(masked.as_bytes()),
    }
}

/// Reads a hint. Besides the body, only its `taskId` is shown, so a stranger's long body is not searched for tokens.
fn parse_hint(tokens: &TokenKeys, body: &[u8]) -> Notice {
    let mut notice = Notice::parse(body);
    notice.task_id = notice.task_id.map(|id| tokens.masked(&id).into_owned());
    notice
}

/// Receives a callback without a token, which is a hint.
#[utoipa::path(
    post,
    path = "/callback",
    tag = "callbacks",
    request_body(description = "Any content.", content((serde_json::Value = "application/json"))),
    responses(
        (
            status = 200,
            description = "`callback.without_token` is `accept`, and the callback is stored.",
            body = KeptAnswer,
        ),
        (status = 202, description = "scrapehook keeps the callback as a hint.", body = KeptAnswer),
        (status = 413, description = "The request body is larger than `callback.max_body`."),
        (status = 503, description = "The callback was not kept. Send it again after `Retry-After`. scrapehook takes \
            at most 100 hints and 1 MiB of hints a second (`too_many_hints`).")
    )
)]
pub(super) async fn receive_hint(context: State<Context>, request: Request) -> Result<Response, Problem> {
    receive_callback(context, request).await
}
