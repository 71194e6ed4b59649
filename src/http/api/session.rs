//! `/v1/session`: signs a browser in with an API key, and out. Must never show a token, except in the cookie.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::clock;
use crate::config::Role;
use crate::domain::nearest::unknown;
use crate::domain::session::SessionToken;
use crate::http::context::Context;
use crate::http::edge::auth::Caller;
use crate::http::edge::body::{self, NoBody, escape};
use crate::http::edge::cookie;
use crate::http::edge::peer::Client;
use crate::http::edge::problem::{Code, Faults, Problem};
use crate::http::edge::query::{NoParams, Params};

/// The most bytes of the body.
const BODY: usize = 16 * 1024;

/// What a browser signs in with.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the body is read field by field, to name every fault; this is its description")]
pub(in crate::http) struct SignIn {
    /// An API key.
    key: String,
}

/// The caller.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Session {
    /// The name of the API key. Null if nobody is signed in, and if the service has no keys.
    #[schema(required)]
    name: Option<String>,
    /// The role of the key. Null if nobody is signed in. Without keys, it is `write`.
    #[schema(required, value_type = Option<SessionRole>)]
    role: Option<&'static str>,
}

/// The role of an API key.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "it describes the words")]
enum SessionRole {
    /// The key may only read.
    Read,
    /// The key may also submit and decide.
    Write,
}

/// Shows who is signed in.
#[utoipa::path(
    get,
    path = "/v1/session",
    tag = "operating",
    responses((status = 200, description = "The name and the role of the key.", body = Session)),
)]
pub(in crate::http) async fn get_session(
    caller: Option<Extension<Caller>>,
    Params(NoParams {}): Params<NoParams>,
) -> Json<Session> {
    let Some(Extension(caller)) = caller else { return Json(Session { name: None, role: None }) };
    let role = match caller.role {
        Role::Read => "read",
        Role::Write => "write",
    };
    Json(Session { name: caller.name, role: Some(role) })
}

/// Signs a browser in: exchanges an API key for a cookie.
///
/// The session ends after seven days without a request, at sign-out, and with its key. Without API keys, no session is
/// needed and none begins.
#[utoipa::path(
    post,
    path = "/v1/session",
    tag = "operating",
    request_body = SignIn,
    responses(
        (
            status = 204,
            description = "The browser is signed in.",
            headers(("Set-Cookie" = String, description = "The cookie of the session.")),
        ),
        (status = 415, description = "The request body is not JSON, is compressed, or is not in UTF-8."),
        (status = 429, description = "Ten sign-ins from this address have failed within a minute."),
    ),
)]
pub(in crate::http) async fn sign_in(
    State(context): State<Context>,
    Params(NoParams {}): Params<NoParams>,
    request: Request,
) -> Result<Response, Problem> {
    let client = request.extensions().get::<Client>().map_or(Ipv4Addr::UNSPECIFIED.into(), |client| client.0);
    let is_secure = is_over_tls(request.headers());
    let body = body::read_json(request, BODY, context.limits.body_timeout).await?;
    let secret = read_key(&body)?;
    let keys = context.keys.get();
    if keys.is_empty() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    begin(&context, client)?;
    let Some(key) = keys.find(&secret) else {
        tracing::warn!(%client, "a sign-in failed");
        return Err(Problem::new(Code::Unauthorized, "This service does not know this API key."));
    };
    context.sign_in_limit.succeeded(client);
    let token = SessionToken::generate().map_err(|error| {
        tracing::error!(%error, "the system has no random numbers");
        Problem::new(Code::Internal, "The system has no random numbers for a session.")
    })?;
    context.store.begin_session(token.hash(), token.mark(&key.hash), clock::now()).await?;
    Ok(with_cookie(cookie::set(&token, is_secure)))
}

/// Signs a browser out.
#[utoipa::path(
    delete,
    path = "/v1/session",
    tag = "operating",
    responses((status = 204, description = "The session has ended. Without a session, nothing changes.")),
)]
pub(in crate::http) async fn sign_out(
    State(context): State<Context>,
    headers: HeaderMap,
    Params(NoParams {}): Params<NoParams>,
    _: NoBody,
) -> Result<Response, Problem> {
    if let Some(token) = cookie::token(&headers) {
        context.store.end_session(token.hash()).await?;
    }
    Ok(with_cookie(cookie::removed()))
}

fn begin(context: &Context, client: IpAddr) -> Result<(), Problem> {
    context.sign_in_limit.begin(client, Instant::now()).map_err(Problem::too_many_sign_ins)
}

fn with_cookie(cookie: Option<HeaderValue>) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    if let Some(cookie) = cookie {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

/// Whether the page that signs in came over TLS, even if a proxy has ended it.
fn is_over_tls(headers: &HeaderMap) -> bool {
    headers.get(header::ORIGIN).is_some_and(|origin| origin.as_bytes().starts_with(b"https://"))
}

fn read_key(bytes: &[u8]) -> Result<String, Problem> {
    let mut faults = Faults::default();
    let Value::Object(mut fields) = body::parse_json(bytes)? else {
        faults.push("", "an object is expected");
        return Err(Problem::faults(faults));
    };
    let key = fields.remove("key");
    for name in fields.keys() {
        faults.push(format_args!("/{}", escape(name)), unknown("unknown field", name, ["key"]));
    }
    match key {
        Some(Value::String(key)) if faults.is_empty() => return Ok(key.trim().to_owned()),
        Some(Value::String(_)) => {}
        Some(_) => faults.push("/key", "a string is expected"),
        None => faults.push("/key", "is missing"),
    }
    Err(Problem::faults(faults))
}
