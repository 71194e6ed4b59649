//! `POST /callback`: limit, token, tolerant parse, and an answer that leaves after the commit.
//!
//! Must never look anything up before the queue, and never answer 200 without a commit, unless it is a challenge
//! of our own, of which nothing is kept. Answers nothing but 200, 202, 413 and 503: senders give up on other 4xx.

use std::time::Instant;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
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
use crate::domain::redact;
use crate::failpoint::FailPoint;
use crate::store::{AcceptedCallback, ReceivedCallback, ReceivedHint, Trouble, WriteError};
use crate::telemetry::{Part, Span};
use crate::upstream::wire::Notice;

/// What became of a body.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct KeptAnswer {
    /// `callback`, `hint`, or `nothing` of a check of our own.
    kept: &'static str,
    /// Proves to who made that check that this service heard it.
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
#[utoipa::path(post, path = "/callback/{token}", tag = "callbacks", params(("token" = String, Path, description = "What the callback URL ends in.")), request_body(description = "Anything.", content((serde_json::Value = "application/json"))), responses((status = 200, description = "On disk, or heard, where it is a check of our own.", body = KeptAnswer), (status = 202, description = "Kept as a hint.", body = KeptAnswer), (status = 413, description = "Larger than callback.max_body."), (status = 503, description = "Not kept: send it again.")))]
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

/// What is measured of a callback.
struct Seen {
    kind: &'static str,
    /// Whose token it came with.
    task: Option<TaskId>,
}

/// Senders come again after a 503, whatever the reason is; they may give up after another status.
fn not_kept(error: WriteError) -> Problem {
    match error {
        WriteError::Failed(Trouble::Record) => {
            Problem::new(Code::Unavailable, "It was not kept: send it again.")
        }
        error => error.into(),
    }
}

async fn receive(context: &Context, request: Request, seen: &mut Seen) -> Result<Response, Problem> {
    let (parts, stream) = request.into_parts();
    // The raw path: a good token needs no decoding, and a path that can't be decoded is still a hint.
    let token = parts.uri.path().strip_prefix("/callback/").unwrap_or_default();
    let task = context.tokens.get().verify(token);
    seen.task = task;
    let limits = &context.limits;
    let body = body::read(&parts.headers, stream, limits.callback_body, limits.body_timeout).await.map_err(
        |unread| match unread {
            Unread::TooLarge => {
                Problem::new(Code::TooLarge, format!("At most {} bytes are taken.", limits.callback_body))
            }
            Unread::Late | Unread::Cut => Problem::new(Code::Incomplete, "Send it again, whole."),
        },
    )?;
    let body_hash = Sha256::digest(&body).into();
    if task.is_none()
        && let Some(answer) = context.tokens.get().answer(token, &body_hash)
    {
        seen.kind = "check";
        context.surroundings.callback_check.heard();
        return Ok(Json(KeptAnswer { kept: "nothing", answer: Some(answer) }).into_response());
    }
    FailPoint::CallbackRead.pass();
    let at = clock::now();
    let mut notice = Notice::parse(&body);
    // Whoever may read events must not learn a token from a sender that quotes its callback URL.
    if let (Some(_), Some(words)) = (task, &mut notice.message) {
        *words = redact::without(words, token, "[token]");
    }
    let meaning =
        Meaning::read(notice.status.as_deref(), notice.video_id.as_deref(), notice.message.as_deref());
    seen.kind = meaning.as_ref().map_or("unknown", |meaning| meaning.kind().as_str());
    let Some(task) = task else {
        if let (WithoutToken::Accept, Some(upstream_id)) = (context.without_token, &notice.task_id) {
            let (upstream_id, new) = (upstream_id.clone(), TaskId::new(at));
            let callback = AcceptedCallback { upstream_id, new, at, body, body_hash, meaning };
            context.store.accept_callback(callback).await.map_err(not_kept)?;
            return Ok(Json(KeptAnswer::CALLBACK).into_response());
        }
        let hint = ReceivedHint { at, body, body_hash, upstream_id: notice.task_id };
        context.store.receive_hint(hint).await.map_err(not_kept)?;
        return Ok((StatusCode::ACCEPTED, Json(KeptAnswer::HINT)).into_response());
    };
    let callback = ReceivedCallback { task, at, body, body_hash, meaning, upstream_id: notice.task_id };
    context.store.receive_callback(callback).await.map_err(not_kept)?;
    FailPoint::CallbackKept.pass();
    Ok(Json(KeptAnswer::CALLBACK).into_response())
}

/// Takes a callback without a token: a hint.
#[utoipa::path(post, path = "/callback", tag = "callbacks", request_body(description = "Anything.", content((serde_json::Value = "application/json"))), responses((status = 200, description = "On disk; where callback.without_token is `accept`.", body = KeptAnswer), (status = 202, description = "Kept as a hint.", body = KeptAnswer), (status = 413, description = "Larger than callback.max_body."), (status = 503, description = "Not kept: send it again.")))]
pub(super) async fn receive_hint(context: State<Context>, request: Request) -> Result<Response, Problem> {
    receive_callback(context, request).await
}
