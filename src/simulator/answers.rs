//! The two kinds of answer: the application's envelope and the infrastructure's error.
//!
//! Must never decide which answer a request gets.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// The refusal of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The application refuses, with HTTP 200.
    Application {
        /// One of the documented codes.
        code: &'static str,
        /// The reason in words.
        msg: String,
    },
    /// The infrastructure answers with HTTP 503, and the application never sees the request.
    Unavailable,
}

impl Refusal {
    /// Creates a refusal by the application.
    pub(super) fn application(code: &'static str, msg: impl Into<String>) -> Self {
        Self::Application { code, msg: msg.into() }
    }

    /// The application's code, or the HTTP status of the infrastructure.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Application { code, .. } => code,
            Self::Unavailable => "503",
        }
    }

    /// The reason in words.
    pub(super) fn msg(&self) -> &str {
        match self {
            Self::Application { msg, .. } => msg,
            Self::Unavailable => "Service Unavailable",
        }
    }
}

#[derive(Serialize)]
struct Envelope<'a, T> {
    code: Code<'a>,
    msg: &'a str,
    data: Option<T>,
    success: bool,
    failed: bool,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Code<'a> {
    Text(&'a str),
    Integer(u32),
}

/// The application's answer, which always has HTTP 200.
pub(super) fn envelope<T: Serialize>(
    code: &str,
    msg: &str,
    data: Option<T>,
    integer_codes: bool,
) -> Response {
    let success = data.is_some();
    let code = match code.parse() {
        Ok(number) if integer_codes => Code::Integer(number),
        _ => Code::Text(code),
    };
    Json(Envelope { code, msg, data, success, failed: !success }).into_response()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InfrastructureError<'a> {
    timestamp: &'static str,
    path: &'a str,
    status: u16,
    error: &'a str,
    request_id: String,
}

/// The infrastructure's answer, which has no code.
pub(super) fn infrastructure(status: StatusCode, path: &str, request: u64) -> Response {
    let error = InfrastructureError {
        // This is the time of the captured answer. Nobody may rely on it, and the clock isn't read here.
        timestamp: "2025-09-23T13:30:37.659+00:00",
        path,
        status: status.as_u16(),
        error: status.canonical_reason().unwrap_or_default(),
        request_id: format!("{request:08x}-1"),
    };
    (status, Json(error)).into_response()
}
