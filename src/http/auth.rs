//! API keys: who may ask, compared in constant time; and the keyless mode, for this machine alone.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::Context;
use super::error::{Code, Problem};
use crate::config::{ApiKeys, Role};
use crate::domain::host::is_loopback;

/// The keys by their hashes: equal lengths, so that comparing tells nothing.
#[derive(Clone, Debug)]
pub struct Keys(Vec<Key>);

#[derive(Clone, Debug)]
struct Key {
    name: String,
    role: Role,
    hash: [u8; 32],
}

/// Who asks.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// The API key's name; none in keyless mode.
    pub(super) name: Option<String>,
}

impl Keys {
    /// The keys of the configuration.
    pub fn new(keys: &ApiKeys) -> Self {
        let key = |key: &crate::config::ApiKey| Key {
            name: key.name.clone(),
            role: key.role,
            hash: Sha256::digest(key.key.expose_secret()).into(),
        };
        Self(keys.0.iter().map(key).collect())
    }

    fn find(&self, secret: &str) -> Option<&Key> {
        let hash: [u8; 32] = Sha256::digest(secret).into();
        // Every key is compared, whichever one matches.
        let mut found = None;
        for key in &self.0 {
            if bool::from(key.hash.ct_eq(&hash)) {
                found = Some(key);
            }
        }
        found
    }
}

/// Lets a request under `/v1` or for the metrics pass, or answers for it.
pub(super) async fn check_key(
    State(context): State<Context>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let path = request.uri().path();
    if path != "/v1" && !path.starts_with("/v1/") && path != "/metrics" {
        return Ok(next.run(request).await);
    }
    let caller = identify(&context.keys.get(), request.method(), request.headers())?;
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

fn identify(keys: &Keys, method: &Method, headers: &HeaderMap) -> Result<Caller, Problem> {
    if keys.0.is_empty() {
        return check_same_machine(headers).map(|()| Caller { name: None });
    }
    let bearer = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let Some((_, secret)) = bearer else {
        let detail = "Send the header `Authorization: Bearer <api key>`.";
        return Err(Problem::new(Code::Unauthorized, detail));
    };
    let Some(key) = keys.find(secret.trim()) else {
        return Err(Problem::new(Code::Unauthorized, "This API key is not known here."));
    };
    if key.role == Role::Read && !matches!(*method, Method::GET | Method::HEAD) {
        return Err(Problem::new(Code::Forbidden, format!("The key `{}` has the role `read`.", key.name)));
    }
    Ok(Caller { name: Some(key.name.clone()) })
}

/// A page in the user's browser can reach loopback: it gives itself away by a foreign `Host` or `Origin`. And so
/// can a proxy, which may name this machine as the `Host`: whoever is behind it is not on this machine.
fn check_same_machine(headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let host = text(header::HOST).unwrap_or_default();
    let foreign = |detail: &str| Err(Problem::new(Code::CrossSite, detail));
    if !is_loopback(without_port(host)) {
        return foreign("The Host header must name this machine: localhost or a loopback address.");
    }
    if ["forwarded", "x-forwarded-for"].iter().any(|name| headers.contains_key(*name)) {
        return foreign("This came through a proxy: set auth.api_keys, and send one.");
    }
    match text(header::ORIGIN) {
        None => Ok(()),
        Some(origin) if origin.strip_prefix("http://") == Some(host) => Ok(()),
        Some(_) => foreign("The Origin header names another site."),
    }
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}
