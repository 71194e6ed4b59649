//! Upstream's envelope, the form of every answer below `/serve`, errors included.
//!
//! Must never say more of an error than the problem that it is made from.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::edge::problem::{self, Code, Problem};

/// The path of all routes with the envelope.
const ROOT: &str = "/serve";

/// Upstream's code for an accepted request.
const SUCCESS: &str = "0000";
/// Upstream's code for a task that does not exist, and for trouble that may pass.
const TRANSIENT: &str = "0001";
/// Upstream's code for an invalid request.
const INVALID: &str = "0003";
/// Upstream's code for a missing or unknown key.
const UNKNOWN_KEY: &str = "0401";
/// Upstream's code for a request that cannot be repeated.
const NOT_REPEATABLE: &str = "0409";
/// Upstream's code for a key without the permission.
const NOT_PERMITTED: &str = "9009";

/// Whether answers to requests for this path have the envelope.
pub(in crate::http) fn is_used_at(path: &str) -> bool {
    path.strip_prefix(ROOT).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Answer in the form of the memories.ai API.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Envelope<T> {
    /// `0000` for an accepted request. Otherwise `0001`, `0003`, `0401`, `0409` or `9009`.
    code: &'static str,
    /// Explanation for people. It names every error of a request.
    msg: String,
    /// Null unless the request was accepted.
    #[schema(required)]
    data: Option<T>,
    /// Whether the request was accepted.
    success: bool,
    /// The opposite of `success`.
    failed: bool,
}

impl<T> Envelope<T> {
    /// The answer to an accepted request.
    pub(in crate::http) fn success(data: T) -> Self {
        Self { code: SUCCESS, msg: "success".to_owned(), data: Some(data), success: true, failed: false }
    }

    /// The answer to a lookup of an id that nothing has.
    pub(in crate::http) fn unknown_task() -> Self {
        Self::failure(TRANSIENT, "The task does not exist.".to_owned())
    }

    const fn failure(code: &'static str, msg: String) -> Self {
        Self { code, msg, data: None, success: false, failed: true }
    }
}

/// The status and upstream's code for a problem. Upstream answers 200 to whatever its application refuses.
const fn parts(code: Code) -> (StatusCode, &'static str) {
    match code {
        Code::Unauthorized | Code::CrossSite => (StatusCode::OK, UNKNOWN_KEY),
        Code::Forbidden => (StatusCode::OK, NOT_PERMITTED),
        Code::IdempotencyMismatch => (StatusCode::OK, NOT_REPEATABLE),
        Code::Timeout => (StatusCode::OK, TRANSIENT),
        Code::NotFound => (StatusCode::NOT_FOUND, INVALID),
        Code::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, INVALID),
        Code::Internal => (StatusCode::INTERNAL_SERVER_ERROR, TRANSIENT),
        Code::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, TRANSIENT),
        _ => (StatusCode::OK, INVALID),
    }
}

/// Gives an error its body, even if the framework made the error.
pub(in crate::http) fn render(mut response: Response) -> Response {
    let Some(problem) = problem::take(&mut response) else { return response };
    let (status, code) = parts(problem.code());
    let body = Json(Envelope::<()>::failure(code, message(&problem)));
    let mut rendered = problem::with_headers_of(&response, (status, body).into_response());
    // Clients of upstream send no scheme, and this is no 401.
    rendered.headers_mut().remove(header::WWW_AUTHENTICATE);
    rendered
}

/// The words of a problem with all of its faults, in one line.
fn message(problem: &Problem) -> String {
    let faults: Vec<String> = problem
        .named_faults()
        .iter()
        .map(|fault| match fault.pointer.trim_start_matches('/') {
            "" => fault.detail.clone(),
            place => format!("{place}: {}", fault.detail),
        })
        .collect();
    let text = match faults.as_slice() {
        [] => problem.detail().to_owned(),
        [fault] => fault.clone(),
        faults => format!("{} {}", problem.detail(), faults.join("; ")),
    };
    text.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::edge::problem::Faults;

    #[test]
    fn only_paths_below_the_root_have_the_envelope() {
        for path in ["/serve", "/serve/", "/serve/api/v1/scraper_url", "/serve//x"] {
            assert!(is_used_at(path), "{path}");
        }
        for path in ["/", "/v1/jobs", "/server", "/v1/serve/", "/Serve/"] {
            assert!(!is_used_at(path), "{path}");
        }
    }

    #[test]
    fn every_fault_is_in_one_line() {
        let mut faults = Faults::default();
        faults.push("/video_urls/0", "not a URL");
        assert_eq!(message(&Problem::faults(faults.clone())), "video_urls/0: not a URL");
        faults.push("", "two\nlines");
        assert_eq!(
            message(&Problem::faults(faults)),
            "2 errors were found. Nothing was changed. video_urls/0: not a URL; two lines"
        );
        assert_eq!(message(&Problem::new(Code::BadJson, "No.")), "No.");
    }
}
