//! `/v1/subscribers`: URLs that are told about events.
//!
//! Must never show a secret, except in the answer that makes it.

pub(in crate::http) mod deliveries;
mod json;
pub(in crate::http) mod trial;

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use self::json::{Given, NewSubscriber, SubscriberPatch};
use crate::clock;
use crate::domain::id::SubscriberId;
use crate::domain::webhook::secret::Secret;
use crate::domain::webhook::subscriber::{MOST_SUBSCRIBERS, ROTATION, Subscriber};
use crate::http::context::Context;
use crate::http::edge::body::{self, NoBody};
use crate::http::edge::problem::{Code, Problem};
use crate::http::edge::query::{self, NoParams, Page, PageParams, Params};
use crate::store::{StoredSubscriber, SubscriberChanged};

/// The most bytes of the body. The longest template fits, even if each character is escaped.
const BODY: usize = 256 * 1024;

/// The id in the path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path, names("id"))]
#[expect(dead_code, reason = "the extractor reads the path; this is its description")]
pub(in crate::http) struct SubscriberPath(
    /// The id of a subscriber, or its name.
    String,
);

/// A subscriber with its secret, which no other answer shows.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct SubscriberWithSecret {
    #[serde(flatten)]
    subscriber: Subscriber,
    /// Secret that verifies the signatures: `whsec_` and base64. Keep it, because it is shown only once.
    secret: String,
}

/// The subscriber that a path names.
pub(super) async fn find(context: &Context, id: &str) -> Result<StoredSubscriber, Problem> {
    context.store.read().subscriber(id).await?.ok_or_else(missing)
}

fn missing() -> Problem {
    Problem::new(Code::NotFound, "No subscriber has this id or name.")
}

/// Lists subscribers, newest first.
#[utoipa::path(
    get,
    path = "/v1/subscribers",
    tag = "subscribers",
    params(PageParams),
    responses((status = 200, description = "A page of subscribers.", body = Page<Subscriber>)),
)]
pub(in crate::http) async fn list_subscribers(
    State(context): State<Context>,
    Params(params): Params<PageParams>,
) -> Result<Json<Page<Subscriber>>, Problem> {
    let limit = query::limit(params.limit.as_deref())?;
    let before = query::place::<i64>("subscribers", params.after.as_deref())?;
    let mut all = context.store.read().subscribers().await?;
    all.retain(|subscriber| before.is_none_or(|before| subscriber.number < before));
    all.truncate(usize::try_from(limit + 1).unwrap_or(usize::MAX));
    let page = Page::cut(all, limit, |subscriber| query::cursor("subscribers", subscriber.number));
    Ok(Json(page.map(|subscriber| subscriber.shown)))
}

/// Shows a subscriber.
#[utoipa::path(
    get,
    path = "/v1/subscribers/{id}",
    tag = "subscribers",
    params(SubscriberPath),
    responses((status = 200, description = "The subscriber.", body = Subscriber)),
)]
pub(in crate::http) async fn get_subscriber(
    State(context): State<Context>,
    Path(id): Path<String>,
    Params(NoParams {}): Params<NoParams>,
) -> Result<Json<Subscriber>, Problem> {
    Ok(Json(find(&context, &id).await?.shown))
}

/// Adds a subscriber, which hears of the events from now on.
///
/// The answer has its secret, which no other answer shows.
#[utoipa::path(
    post,
    path = "/v1/subscribers",
    tag = "subscribers",
    request_body = NewSubscriber,
    responses(
        (
            status = 201,
            description = "The subscriber with its secret.",
            body = SubscriberWithSecret,
            headers(("Location" = String, description = "The path of the subscriber.")),
        ),
        (status = 409, description = "Another subscriber has the name, or there are 100 already."),
        (status = 415, description = "The request body is not JSON, is compressed, or is not in UTF-8."),
    ),
)]
pub(in crate::http) async fn add_subscriber(
    State(context): State<Context>,
    Params(NoParams {}): Params<NoParams>,
    request: Request,
) -> Result<Response, Problem> {
    let body = body::read_json(request, BODY, context.limits.body_timeout).await?;
    let Given { settings, secret, enabled } = json::read_new(&body, context.limits.targets)?;
    let secret = secret.map_or_else(new_secret, Ok)?;
    let now = clock::now();
    let id = SubscriberId::new(now);
    let added = context.store.add_subscriber(id, settings, secret.clone(), enabled, now).await?;
    changed(added)?;
    let subscriber = find(&context, &id.to_string()).await?.shown;
    let answer = Json(SubscriberWithSecret { subscriber, secret: secret.expose() });
    let mut response = (StatusCode::CREATED, answer).into_response();
    if let Ok(path) = HeaderValue::try_from(format!("/v1/subscribers/{id}")) {
        response.headers_mut().insert(header::LOCATION, path);
    }
    Ok(response)
}

fn new_secret() -> Result<Secret, Problem> {
    Secret::generate().map_err(|error| {
        tracing::error!(%error, "the system has no random numbers");
        Problem::new(Code::Internal, "The system has no random numbers for a secret.")
    })
}

/// Explains why a subscriber was not changed.
pub(super) fn changed(changed: SubscriberChanged) -> Result<(), Problem> {
    let detail = match changed {
        SubscriberChanged::Done => return Ok(()),
        SubscriberChanged::Missing => return Err(missing()),
        SubscriberChanged::Mismatch(mismatch) => return Err(json::mismatch(&mismatch)),
        SubscriberChanged::Configured => {
            "This subscriber is in the configuration. Change it there, and reload the service.".to_owned()
        }
        SubscriberChanged::NameTaken => "Another subscriber has this name.".to_owned(),
        SubscriberChanged::TooMany => {
            format!("There are {MOST_SUBSCRIBERS} subscribers already. Remove one first.")
        }
    };
    Err(Problem::new(Code::WrongState, detail))
}

/// Changes a subscriber.
///
/// Fields that are not given stay as they are. A subscriber that is enabled again hears of the events from then on, and
/// a replay from `disabled_seq` sends those in between. Of a subscriber of the configuration, only `enabled` can be
/// changed.
#[utoipa::path(
    patch,
    path = "/v1/subscribers/{id}",
    tag = "subscribers",
    params(SubscriberPath),
    request_body = SubscriberPatch,
    responses(
        (status = 200, description = "The subscriber as it is now.", body = Subscriber),
        (status = 409, description = "The configuration has this subscriber, or another one has the name."),
        (status = 415, description = "The request body is not JSON, is compressed, or is not in UTF-8."),
    ),
)]
pub(in crate::http) async fn patch_subscriber(
    State(context): State<Context>,
    Path(id): Path<String>,
    Params(NoParams {}): Params<NoParams>,
    request: Request,
) -> Result<Json<Subscriber>, Problem> {
    let body = body::read_json(request, BODY, context.limits.body_timeout).await?;
    let patch = json::read_patch(&body, context.limits.targets)?;
    let id = find(&context, &id).await?.shown.id;
    changed(context.store.patch_subscriber(id, patch, clock::now()).await?)?;
    Ok(Json(find(&context, &id.to_string()).await?.shown))
}

/// Removes a subscriber with its deliveries.
#[utoipa::path(
    delete,
    path = "/v1/subscribers/{id}",
    tag = "subscribers",
    params(SubscriberPath),
    responses(
        (status = 204, description = "The subscriber is removed."),
        (status = 409, description = "The configuration has this subscriber."),
    ),
)]
pub(in crate::http) async fn remove_subscriber(
    State(context): State<Context>,
    Path(id): Path<String>,
    Params(NoParams {}): Params<NoParams>,
    NoBody: NoBody,
) -> Result<StatusCode, Problem> {
    let id = find(&context, &id).await?.shown.id;
    changed(context.store.remove_subscriber(id, clock::now()).await?)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Gives a subscriber a new secret.
///
/// The old secret signs as well for 24 hours. The answer has the new one, which no other answer shows.
#[utoipa::path(
    post,
    path = "/v1/subscribers/{id}/rotate",
    tag = "subscribers",
    params(SubscriberPath),
    responses(
        (status = 200, description = "The subscriber with its new secret.", body = SubscriberWithSecret),
        (status = 409, description = "The configuration has this subscriber."),
    ),
)]
pub(in crate::http) async fn rotate_secret(
    State(context): State<Context>,
    Path(id): Path<String>,
    Params(NoParams {}): Params<NoParams>,
    NoBody: NoBody,
) -> Result<Json<SubscriberWithSecret>, Problem> {
    let id = find(&context, &id).await?.shown.id;
    let secret = new_secret()?;
    let now = clock::now();
    changed(context.store.rotate_secret(id, secret.clone(), now, now.after(ROTATION)).await?)?;
    let subscriber = find(&context, &id.to_string()).await?.shown;
    Ok(Json(SubscriberWithSecret { subscriber, secret: secret.expose() }))
}
