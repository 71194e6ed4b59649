//! `POST /v1/subscribers/{id}/test`: tries a subscriber out. Must never store anything.

use std::time::Instant;

use axum::Json;
use axum::extract::{Path, State};
use bytes::Bytes;
use serde::Serialize;
use utoipa::ToSchema;

use super::{SubscriberPath, find};
use crate::clock;
use crate::forward::{Attempt, Message};
use crate::http::context::Context;
use crate::http::edge::body::NoBody;
use crate::http::edge::problem::{Code, Problem};
use crate::http::edge::query::{NoParams, Params};
use crate::webhooks::test_message;

/// The result of a test message.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct TestResult {
    /// Whether the receiver has accepted it.
    delivered: bool,
    /// HTTP status of the answer, if there was one.
    #[schema(required)]
    status: Option<u16>,
    /// Why it was not delivered. Null if it was.
    #[schema(required)]
    reason: Option<String>,
    /// Milliseconds until the result.
    took_ms: u64,
}

/// Sends a test message, once and now, even if the subscriber is disabled.
///
/// The message is about no event. Its `type` is `subscriber.test`, and it is in the subscriber's format.
#[utoipa::path(
    post,
    path = "/v1/subscribers/{id}/test",
    tag = "subscribers",
    params(SubscriberPath),
    responses((status = 200, description = "What the receiver answered.", body = TestResult)),
)]
pub(in crate::http) async fn test_subscriber(
    State(context): State<Context>,
    Path(id): Path<String>,
    Params(NoParams {}): Params<NoParams>,
    NoBody: NoBody,
) -> Result<Json<TestResult>, Problem> {
    let found = find(&context, &id).await?;
    let now = clock::now();
    let rendered = test_message(&found.settings, &found.shown, now)
        .map_err(|error| Problem::new(Code::WrongState, error.to_string()))?;
    let (secrets, of_jobs) = (found.secrets_at(now), context.forward.secrets.get());
    let message = Message {
        id: &format!("msg_test_{}_{}", now.as_millis(), found.shown.id),
        attempted_at: now,
        target: &found.settings.target,
        secrets: if secrets.is_empty() { &of_jobs } else { &secrets },
        content_type: rendered.content_type,
        headers: rendered.headers,
        body: Bytes::from(rendered.body),
    };
    let began = Instant::now();
    let attempt = context.forward.sender.send(message).await;
    let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let (delivered, status, reason) = match attempt {
        Attempt::Delivered { status } => (true, Some(status), None),
        Attempt::Failed { status, reason, .. } => (false, status, Some(reason)),
        Attempt::Gone => {
            (false, Some(410), Some("the receiver wants no more webhooks (HTTP 410)".to_owned()))
        }
    };
    Ok(Json(TestResult { delivered, status, reason, took_ms }))
}
