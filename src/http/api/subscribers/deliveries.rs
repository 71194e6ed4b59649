//! Deliveries of a subscriber or to the URL of a job: their list, and replays.

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{SubscriberPath, find, missing};
use crate::clock;
use crate::domain::nearest::unknown;
use crate::domain::webhook::delivery::{Delivery, DeliveryState};
use crate::http::api::events::check_cursor;
use crate::http::api::jobs::{JobPath, parse_id};
use crate::http::context::Context;
use crate::http::edge::body::{self, Kind, NoBody, escape};
use crate::http::edge::problem::{Code, Faults, Problem};
use crate::http::edge::query::{self, NoParams, Page, Params};
use crate::store::{ListedOf, ReceiverOf};

/// The most bytes of the body.
const BODY: usize = 1024;

query::list_params! {
    DeliveryParams {
        /// Only items in this state.
        #[param(value_type = Option<DeliveryState>)]
        state: Option<String>,
    }
}

/// Lists the deliveries of a subscriber, newest first.
#[utoipa::path(
    get,
    path = "/v1/subscribers/{id}/deliveries",
    tag = "subscribers",
    params(SubscriberPath, DeliveryParams),
    responses((status = 200, description = "A page of deliveries.", body = Page<Delivery>)),
)]
pub(in crate::http) async fn list_deliveries(
    State(context): State<Context>,
    Path(id): Path<String>,
    Params(params): Params<DeliveryParams>,
) -> Result<Json<Page<Delivery>>, Problem> {
    let id = find(&context, &id).await?.shown.id;
    page(&context, ListedOf::Subscriber(id), &id.to_string(), &params).await
}

/// Lists the deliveries to the callback URL of a job, newest first.
#[utoipa::path(
    get,
    path = "/v1/jobs/{id}/deliveries",
    tag = "jobs",
    params(JobPath, DeliveryParams),
    responses((status = 200, description = "A page of deliveries.", body = Page<Delivery>)),
)]
pub(in crate::http) async fn list_job_deliveries(
    State(context): State<Context>,
    Path(id): Path<String>,
    Params(params): Params<DeliveryParams>,
) -> Result<Json<Page<Delivery>>, Problem> {
    let job = parse_id(&id)?;
    if context.store.read().job_number(job).await?.is_none() {
        return Err(Problem::not_found("job"));
    }
    page(&context, ListedOf::Job(job), &id, &params).await
}

async fn page(
    context: &Context,
    of: ListedOf,
    id: &str,
    params: &DeliveryParams,
) -> Result<Json<Page<Delivery>>, Problem> {
    let limit = query::limit(params.limit.as_deref())?;
    let state = query::word("state", params.state.as_deref())?;
    // A cursor of another receiver's deliveries is not valid here.
    let list = format!("deliveries {id}");
    let before = query::place::<i64>(&list, params.after.as_deref())?;
    let deliveries = context.store.read().deliveries(of, state, before, limit + 1).await?;
    Ok(Json(Page::cut(deliveries, limit, |delivery| query::cursor(&list, delivery.number))))
}

/// What to send again. An empty body means the dead deliveries.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the body is read field by field, to name every fault; this is its description")]
pub(in crate::http) struct ReplayRequest {
    /// The `seq` of the first event to send again, with all later ones.
    #[schema(minimum = 1)]
    from: Option<i64>,
    /// The dead deliveries, instead of `from`.
    dead: Option<bool>,
}

/// What is sent again.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Replay {
    /// Number of dead deliveries that are made again. Null with `from`.
    #[schema(required)]
    deliveries: Option<u64>,
    /// The `seq` of the first event to send again.
    #[schema(required)]
    from: Option<i64>,
    /// The `seq` of the last one.
    #[schema(required)]
    to: Option<i64>,
}

/// Sends the dead deliveries of a subscriber again, or all events from one on.
///
/// A subscriber gets an event again under the same `webhook-id`. New events do not wait for a replay.
#[utoipa::path(
    post,
    path = "/v1/subscribers/{id}/replay",
    tag = "subscribers",
    params(SubscriberPath),
    request_body = Option<ReplayRequest>,
    responses(
        (status = 202, description = "What is sent again.", body = Replay),
        (status = 409, description = "The subscriber is disabled."),
        (status = 410, description = "Some events from there on have been removed."),
        (status = 415, description = "The request body is not JSON, is compressed, or is not in UTF-8."),
    ),
)]
pub(in crate::http) async fn replay(
    State(context): State<Context>,
    Path(id): Path<String>,
    Params(NoParams {}): Params<NoParams>,
    request: Request,
) -> Result<Response, Problem> {
    let is_json = Kind::of(request.headers()) == Some(Kind::Json);
    let body = body::read_whole(request, BODY, context.limits.body_timeout).await?;
    let from = read_from(&body, is_json)?;
    let found = find(&context, &id).await?;
    if !found.shown.enabled {
        return Err(Problem::new(Code::WrongState, "This subscriber is disabled. Enable it first."));
    }
    let replay = match from {
        Some(from) => {
            let last = context.store.read().last_seq().await?;
            check_cursor(&context, from - 1, last).await?;
            let to = context.store.begin_replay(found.shown.id, from, clock::now()).await?;
            let to = to.ok_or_else(missing)?;
            Replay { deliveries: None, from: Some(from), to: Some(to) }
        }
        None => revive(&context, ReceiverOf::Subscriber(found.number)).await?,
    };
    Ok((StatusCode::ACCEPTED, Json(replay)).into_response())
}

/// Sends the dead deliveries to the callback URL of a job again.
///
/// A URL that has answered 410 is used again.
#[utoipa::path(
    post,
    path = "/v1/jobs/{id}/replay",
    tag = "jobs",
    params(JobPath),
    responses((status = 202, description = "What is sent again.", body = Replay)),
)]
pub(in crate::http) async fn replay_job(
    State(context): State<Context>,
    Path(id): Path<String>,
    Params(NoParams {}): Params<NoParams>,
    NoBody: NoBody,
) -> Result<Response, Problem> {
    let number = context.store.read().job_number(parse_id(&id)?).await?;
    let number = number.ok_or_else(|| Problem::not_found("job"))?;
    let replay = revive(&context, ReceiverOf::Job(number)).await?;
    Ok((StatusCode::ACCEPTED, Json(replay)).into_response())
}

async fn revive(context: &Context, of: ReceiverOf) -> Result<Replay, Problem> {
    let count = context.store.revive_deliveries(of, clock::now()).await?;
    Ok(Replay { deliveries: Some(count), from: None, to: None })
}

/// The `seq` from which to send again. None for the dead deliveries.
fn read_from(bytes: &[u8], is_json: bool) -> Result<Option<i64>, Problem> {
    if bytes.trim_ascii().is_empty() {
        return Ok(None);
    }
    if !is_json {
        return Err(Problem::new(Code::UnsupportedMediaType, "Content-Type must be application/json."));
    }
    let mut faults = Faults::default();
    let fields = match body::parse_json(bytes)? {
        Value::Null => return Ok(None),
        Value::Object(fields) => fields,
        _ => {
            faults.push("", "an object is expected");
            return Err(Problem::faults(faults));
        }
    };
    for name in fields.keys().filter(|name| !matches!(name.as_str(), "from" | "dead")) {
        let said = unknown("unknown field", name, ["from", "dead"]);
        faults.push(format_args!("/{}", escape(name)), said);
    }
    let from = match fields.get("from") {
        None | Some(Value::Null) => None,
        Some(from) => {
            let seq = from.as_i64().filter(|seq| *seq > 0);
            if seq.is_none() {
                faults.push("/from", "the `seq` of an event is expected, which is at least 1");
            }
            seq
        }
    };
    match fields.get("dead") {
        None | Some(Value::Null | Value::Bool(false)) => {}
        Some(Value::Bool(true)) if fields.get("from").is_none_or(Value::is_null) => {}
        Some(Value::Bool(true)) => faults.push("/dead", "give either from or dead, not both"),
        Some(_) => faults.push("/dead", "true or false is expected"),
    }
    if faults.is_empty() { Ok(from) } else { Err(Problem::faults(faults)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_is_of_dead_deliveries_or_from_an_event_on() {
        let read = |body: &str| read_from(body.as_bytes(), true).map_err(|problem| problem.word());
        for dead in ["", " ", "null", "{}", r#"{"from":null}"#, r#"{"dead":true}"#] {
            assert_eq!(read(dead), Ok(None), "{dead}");
        }
        assert_eq!(read(r#"{"from":7,"dead":false}"#), Ok(Some(7)));
        for wrong in [
            "[]",
            r#"{"from":0}"#,
            r#"{"from":-1}"#,
            r#"{"from":"7"}"#,
            r#"{"from":1.5}"#,
            r#"{"form":7}"#,
            r#"{"from":7,"dead":true}"#,
            r#"{"dead":1}"#,
        ] {
            assert_eq!(read(wrong), Err("invalid"), "{wrong}");
        }
        assert_eq!(read("{"), Err("bad_json"));
        assert_eq!(read_from(b"{}", false).map_err(|problem| problem.word()), Err("unsupported_media_type"));
    }
}
