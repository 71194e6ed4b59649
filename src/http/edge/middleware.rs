//! The layers that every request passes through: its id, its log line, its metrics, and the form of errors.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::Instrument;

use super::peer;
use super::problem::{self, Code, Problem};
use crate::config::Networks;
use crate::http::drop_in::envelope;
use crate::telemetry::Metrics;

pub(in crate::http) fn answer_panic(_: Box<dyn std::any::Any + Send>) -> Response {
    Problem::new(Code::Internal, "This is a bug in scrapehook. The log has details.").into_response()
}

/// The parts that measure and log every request.
#[derive(Clone, Debug)]
pub(in crate::http) struct Measured {
    pub(in crate::http) metrics: Arc<Metrics>,
    pub(in crate::http) proxies: Arc<Networks>,
}

/// The method, if a route has it. Strangers can send any method, and each would be another metric.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

/// Gives each answer a request id, gives errors their body, measures the request and writes the log line.
pub(in crate::http) async fn finish(
    State(measured): State<Measured>,
    mut request: Request,
    next: Next,
) -> Response {
    let request_id = uuid::Uuid::now_v7().simple().to_string();
    let client = peer::client(&request, &measured.proxies);
    if let Some(client) = client {
        request.extensions_mut().insert(client);
    }
    let client = client.map(|client| client.0.to_string());
    let method = request.method().clone();
    // The route, not the path: a path can hold a token.
    let route = request.extensions().get::<MatchedPath>().cloned();
    let has_envelope = envelope::is_used_at(request.uri().path());
    let start = Instant::now();
    // At every log level, errors on the way are logged with the same id. A disabled span would have no id.
    let span = tracing::error_span!("request", request_id);
    let response = next.run(request).instrument(span).await;
    let is_ours = problem::is_ours(&response);
    let mut response = match has_envelope {
        true => envelope::render(response),
        false => problem::render(response, &request_id),
    };
    let route = route.as_ref().map_or("-", MatchedPath::as_str);
    let status = response.status().as_u16();
    let took = start.elapsed();
    measured.metrics.answered(known(&method), route, status, took);
    let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    if is_ours {
        tracing::warn!(request_id, client, %method, route, status, millis, "answered");
    } else {
        tracing::debug!(request_id, client, %method, route, status, millis, "answered");
    }
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(HeaderName::from_static("x-request-id"), value);
    }
    response
}
