//! Who may use the API: a caller with a key, or a browser that has signed in with one. Without keys, only this machine
//! has access.

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::Response;

use crate::clock;
use crate::config::Role;
use crate::domain::session::{IDLE, SessionToken, USE_STRIDE};
use crate::http::context::Context;
use crate::http::drop_in::envelope;
use crate::http::edge::cookie;
use crate::http::edge::keys::{Key, Keys};
use crate::http::edge::origin::{check_same_machine, check_same_site};
use crate::http::edge::problem::{Code, Problem};

/// The path that signs in and out.
pub(in crate::http) const SESSION: &str = "/v1/session";

/// The client that sent a request.
#[derive(Clone, Debug)]
pub(in crate::http) struct Caller {
    /// The name of the API key. None without keys.
    pub(in crate::http) name: Option<String>,
    /// The role of the key. Without keys, everybody may write.
    pub(in crate::http) role: Role,
}

impl Caller {
    fn with(key: &Key) -> Self {
        Self { name: Some(key.name.clone()), role: key.role }
    }
}

/// Checks requests under `/v1` and `/serve` and for the metrics, and lets all others pass.
pub(in crate::http) async fn check_key(
    State(context): State<Context>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let path = request.uri().path();
    let is_drop_in = envelope::is_used_at(path);
    if path != "/v1" && !path.starts_with("/v1/") && path != "/metrics" && !is_drop_in {
        return Ok(next.run(request).await);
    }
    let (mut parts, body) = request.into_parts();
    if let Some(caller) = identify(&context, &parts, is_drop_in).await? {
        parts.extensions.insert(caller);
    }
    Ok(next.run(Request::from_parts(parts, body)).await)
}

/// Whether the client of a request that is being answered may still read. A failure to look is no reason to end it.
pub(in crate::http) async fn may_still_read(context: &Context, request: &Parts) -> bool {
    match identify(context, request, false).await {
        Ok(_) => true,
        Err(problem) => problem.code() != Code::Unauthorized,
    }
}

/// The client of a request. None for one that is about to sign in, or that asks whether it has.
async fn identify(context: &Context, request: &Parts, is_drop_in: bool) -> Result<Option<Caller>, Problem> {
    let (method, headers) = (&request.method, &request.headers);
    let keys = context.keys.get();
    if keys.is_empty() {
        check_same_machine(&request.uri, headers)?;
        return Ok(Some(Caller { name: None, role: Role::Write }));
    }
    let is_session = request.uri.path() == SESSION;
    if is_session && method == Method::POST {
        return Ok(None);
    }
    let caller = match secret(headers, is_drop_in) {
        Some(secret) => keys.find(secret).map(Caller::with).ok_or_else(|| {
            let detail = "This service does not know this API key. Check auth.api_keys.";
            Problem::new(Code::Unauthorized, detail)
        }),
        None => match cookie::token(headers).filter(|_| !is_drop_in) {
            Some(token) => signed_in(context, &keys, request, &token).await,
            None => {
                let form = if is_drop_in { "<api key>" } else { "Bearer <api key>" };
                Err(Problem::new(Code::Unauthorized, format!("Send the header `Authorization: {form}`.")))
            }
        },
    };
    let caller = match caller {
        // Whether somebody is signed in is a question, so the answer is no error.
        Err(problem) if is_session && problem.code() == Code::Unauthorized && method == Method::GET => {
            return Ok(None);
        }
        caller => caller?,
    };
    let only_reads = is_session || matches!(*method, Method::GET | Method::HEAD);
    if caller.role == Role::Read && !only_reads {
        let name = caller.name.unwrap_or_default();
        let detail = format!("The key `{name}` has the role `read`. Use a key with the role `write`.");
        return Err(Problem::new(Code::Forbidden, detail));
    }
    Ok(Some(caller))
}

/// The client behind the cookie of a session. A session ends with its key.
async fn signed_in(
    context: &Context,
    keys: &Keys,
    request: &Parts,
    token: &SessionToken,
) -> Result<Caller, Problem> {
    let now = clock::now();
    let hash = token.hash();
    let stored = context.store.read().session(&hash).await?;
    let stored = stored.filter(|session| session.used_at.after(IDLE) > now);
    let found = stored.and_then(|session| {
        let key = keys.all().find(|key| token.mark(&key.hash)[..] == session.mark[..])?.clone();
        Some((session, key))
    });
    let Some((session, key)) = found else {
        return Err(Problem::new(Code::Unauthorized, "This session has ended. Sign in again."));
    };
    if !matches!(request.method, Method::GET | Method::HEAD) {
        check_same_site(&request.headers)?;
    }
    if session.used_at.after(USE_STRIDE) <= now
        && let Err(error) = context.store.use_session(hash, now).await
    {
        // The session ends a little earlier, which is no reason to refuse the request.
        tracing::debug!(%error, "the use of a session could not be noted");
    }
    Ok(Caller::with(&key))
}

/// The key of a request, after the word `Bearer`. Clients of upstream send the key alone.
fn secret(headers: &HeaderMap, is_drop_in: bool) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?.trim();
    match value.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")) {
        Some((_, secret)) => Some(secret.trim()),
        None => Some(value).filter(|value| is_drop_in && !value.is_empty()),
    }
}
