//! `POST /callback`: token, limit, tolerant parse, and an answer that leaves after the commit.
//!
//! Must never look anything up before the queue, and never answer 200 without a commit, unless it is a challenge
//! of our own, of which nothing is kept. Answers nothing but 200, 202, 413 and 503: senders give up on other 4xx.

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

use super::Context;
use super::body::{self, Unread};
use super::error::{Code, Problem};
use crate::clock;
use crate::config::WithoutToken;
use crate::domain::callback::Meaning;
use crate::domain::id::TaskId;
use crate::domain::token::{Claims, TokenKeys};
use crate::failpoint::FailPoint;
use crate::store::{AcceptedCallback, ReceivedCallback, ReceivedHint, Trouble, WriteError};
use crate::telemetry::{Part, Span};
use crate::upstream::wire::Notice;

/// How a body was kept.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct KeptAnswer {
    /// `callback`, `hint`, or `nothing` of a check of our own.
    kept: &'static str,
    /// Proves to the sender of a check that this service heard it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    answer: Option<String>,
}

impl KeptAnswer {
    const CALLBACK: Self = Self { kept: "callback", answer: None };
    const HINT: Self = Self { kept: "hint", answer: None };
}

/// Takes a callback from upstream.
///
/// With a good token it is a fact, without one a hint.
#[utoipa::path(
    post,
    path = "/callback/{token}",
    tag = "callbacks",
    params(("token" = String, Path, description = "The end of the callback URL.")),
    request_body(description = "Anything.", content((serde_json::Value = "application/json"))),
    responses(
        (status = 200, description = "The callback is on disk, or was a check by scrapehook.", body = KeptAnswer),
        (status = 202, description = "The callback is kept as a hint.", body = KeptAnswer),
        (status = 413, description = "The body is larger than callback.max_body."),
        (status = 503, description = "The callback was not kept. Send it again after `Retry-After`. Without a good \
            token, the service takes at most 100 callbacks and 1 MiB a second (`too_many_hints`).")
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
    if let (Some(task), true) = (seen.task, context.traces.are_wanted()) {
        context.traces.record(Span {
            task,
            part: Part::Callback,
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

/// The parts of a callback that are measured.
struct Seen {
    kind: &'static str,
    /// Whose token it came with.
    task: Option<TaskId>,
}

/// Senders come again after a 503, whatever the reason is; they may give up after another status.
fn not_kept(error: WriteError) -> Problem {
    match error {
        WriteError::Failed(Trouble::Record) => {
            Problem::new(Code::Unavailable, "The callback was not kept. Send it again.")
        }
        error => error.into(),
    }
}

async fn receive(context: &Context, request: Request, seen: &mut Seen) -> Result<Response, Problem> {
    let (parts, stream) = request.into_parts();
    // The raw path, which `callback_path` has made plain. A path that cannot be decoded is still a hint.
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
        context.surroundings.callback_check.heard();
        return Ok(Json(KeptAnswer { kept: "nothing", answer: Some(answer) }).into_response());
    }
    FailPoint::CallbackRead.pass();
    let at = clock::now();
    let notice = if is_limited { parse_hint(&tokens, &body) } else { parse(&tokens, &body) };
    let meaning =
        Meaning::read(notice.status.as_deref(), notice.video_id.as_deref(), notice.message.as_deref());
    seen.kind = meaning.as_ref().map_or("unknown", |meaning| meaning.kind().as_str());
    let Some(claims) = claims else {
        if let (WithoutToken::Accept, Some(upstream_id)) = (context.without_token, &notice.task_id) {
            let (upstream_id, new) = (upstream_id.clone(), TaskId::new(at));
            let callback = AcceptedCallback { upstream_id, new, at, body, body_hash, meaning };
            context.store.accept_callback(callback).await.map_err(not_kept)?;
            return Ok(Json(KeptAnswer::CALLBACK).into_response());
        }
        if !is_limited {
            // Only its body shows that it is no fact.
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

/// Reads the body; that of a hint only as far as the limit of hints allows.
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
/// masked before texts are cut to their longest length, which could leave a part of a token.
fn parse(tokens: &TokenKeys, body: &[u8]) -> Notice {
    match tokens.masked(&String::from_utf8_lossy(body)) {
        Cow::Borrowed(_) => Notice::parse(body),
        Cow::Owned(masked) => Notice::parse(masked.as_bytes()),
    }
}

/// Reads a hint. Only its `taskId` is shown besides the body, so a stranger's long body is not searched for tokens.
fn parse_hint(tokens: &TokenKeys, body: &[u8]) -> Notice {
    let mut notice = Notice::parse(body);
    notice.task_id = notice.task_id.map(|id| tokens.masked(&id).into_owned());
    notice
}

/// Takes a callback without a token: a hint.
#[utoipa::path(
    post,
    path = "/callback",
    tag = "callbacks",
    request_body(description = "Anything.", content((serde_json::Value = "application/json"))),
    responses(
        (status = 200, description = "Stored as a callback, if callback.without_token is `accept`.", body = KeptAnswer),
        (status = 202, description = "The callback is kept as a hint.", body = KeptAnswer),
        (status = 413, description = "The body is larger than callback.max_body."),
        (status = 503, description = "The callback was not kept. Send it again after `Retry-After`. The service takes \
            at most 100 hints and 1 MiB a second (`too_many_hints`).")
    )
)]
pub(super) async fn receive_hint(context: State<Context>, request: Request) -> Result<Response, Problem> {
    receive_callback(context, request).await
}
