//! Errors as clients see them: RFC 9457 problems. Only this file maps errors to an HTTP status.
//!
//! Must never show details of internal errors. These go to the log, once.

use std::fmt::Display;
use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema;

use crate::blocking::Stopping;
use crate::store::{FailureKind, ReadError, WriteError};

macro_rules! codes {
    ($($variant:ident = $status:ident, $code:literal, $title:literal;)+) => {
        /// The code of an error. Codes are stable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(in crate::http) enum Code { $($variant,)+ }

        impl Code {
            /// Every code.
            const ALL: &[&str] = &[$($code,)+];

            const fn parts(self) -> (StatusCode, &'static str, &'static str) {
                match self { $(Self::$variant => (StatusCode::$status, $code, $title),)+ }
            }
        }
    };
}

codes! {
    BadRequest = BAD_REQUEST, "bad_request", "The request is malformed";
    BadJson = BAD_REQUEST, "bad_json", "The request body is not valid JSON";
    BadQuery = BAD_REQUEST, "bad_query", "Invalid query parameter";
    BadCursor = BAD_REQUEST, "bad_cursor", "Invalid cursor";
    CursorAhead = BAD_REQUEST, "cursor_ahead", "The cursor is ahead of the newest event";
    BadIdempotencyKey = BAD_REQUEST, "bad_idempotency_key", "Invalid Idempotency-Key";
    Unauthorized = UNAUTHORIZED, "unauthorized", "A valid API key is required";
    Forbidden = FORBIDDEN, "forbidden", "This API key is read-only";
    CrossSite = FORBIDDEN, "cross_site", "Not allowed from another site or machine";
    NotFound = NOT_FOUND, "not_found", "Not found";
    MethodNotAllowed = METHOD_NOT_ALLOWED, "method_not_allowed", "Method not allowed";
    Timeout = REQUEST_TIMEOUT, "timeout", "The request body arrived too late";
    WrongState = CONFLICT, "wrong_state", "Not possible in the current state";
    CursorGone = GONE, "cursor_gone", "The events after this cursor have been removed";
    TooLarge = PAYLOAD_TOO_LARGE, "too_large", "The request body is too large";
    UnsupportedMediaType = UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "Unsupported content type or encoding";
    Invalid = UNPROCESSABLE_ENTITY, "invalid", "The request body is invalid";
    IdempotencyMismatch = UNPROCESSABLE_ENTITY, "idempotency_mismatch",
        "This Idempotency-Key belongs to a different request";
    Internal = INTERNAL_SERVER_ERROR, "internal", "Internal error";
    Unavailable = SERVICE_UNAVAILABLE, "unavailable", "Temporarily unavailable";
    Incomplete = SERVICE_UNAVAILABLE, "incomplete", "The request body is incomplete";
    TooManyAttempts = TOO_MANY_REQUESTS, "too_many_attempts", "Too many failed sign-ins";
    TooManyHints = SERVICE_UNAVAILABLE, "too_many_hints", "Too many callbacks without a good token";
}

impl Code {
    /// The code for an answer that the framework made.
    const fn of_status(status: StatusCode) -> Self {
        match status.as_u16() {
            404 => Self::NotFound,
            405 => Self::MethodNotAllowed,
            408 => Self::Timeout,
            413 => Self::TooLarge,
            415 => Self::UnsupportedMediaType,
            503 => Self::Unavailable,
            400..=499 => Self::BadRequest,
            _ => Self::Internal,
        }
    }
}

/// An error in a request body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(in crate::http) struct Fault {
    /// JSON pointer to the faulty part.
    pub(in crate::http) pointer: String,
    /// Explanation of the error.
    pub(in crate::http) detail: String,
}

/// The most faults that an answer lists. A body of megabytes can have more than anybody reads.
const NAMED: usize = 1_000;

/// The faults of a body. It counts all of them and keeps the first ones.
#[derive(Clone, Debug, Default)]
pub(in crate::http) struct Faults {
    named: Vec<Fault>,
    count: usize,
}

impl Faults {
    pub(in crate::http) fn push(&mut self, pointer: impl Display, detail: impl Display) {
        self.count += 1;
        if self.named.len() < NAMED {
            self.named.push(Fault { pointer: pointer.to_string(), detail: detail.to_string() });
        }
    }

    /// Adds the faults of another part.
    pub(in crate::http) fn append(&mut self, other: Self) {
        self.count += other.count;
        self.named.extend(other.named);
        self.named.truncate(NAMED);
    }

    pub(in crate::http) const fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// An error on its way to a client.
#[derive(Clone, Debug)]
pub(in crate::http) struct Problem {
    code: Code,
    detail: String,
    faults: Vec<Fault>,
    /// Seconds until the request may be sent again.
    retry_after: u64,
}

/// Seconds after which most requests may be sent again.
const RETRY_AFTER: u64 = 5;

impl Problem {
    pub(in crate::http) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), faults: Vec::new(), retry_after: RETRY_AFTER }
    }

    /// A hint that may be sent again after this time.
    pub(in crate::http) fn too_many_hints(retry_after: Duration) -> Self {
        let detail =
            "Too many callbacks without a good token arrive. This one was not kept. Send it again later.";
        Self { retry_after: whole_seconds(retry_after), ..Self::new(Code::TooManyHints, detail) }
    }

    /// A sign-in that may be tried again after this time.
    pub(in crate::http) fn too_many_sign_ins(retry_after: Duration) -> Self {
        let seconds = whole_seconds(retry_after);
        let detail = format!("Too many sign-ins from this address have failed. Try again in {seconds} s.");
        Self { retry_after: seconds, ..Self::new(Code::TooManyAttempts, detail) }
    }

    /// Its code.
    pub(in crate::http) const fn word(&self) -> &'static str {
        self.code.parts().1
    }

    pub(in crate::http) const fn code(&self) -> Code {
        self.code
    }

    pub(in crate::http) fn detail(&self) -> &str {
        &self.detail
    }

    /// The first faults of the body.
    pub(in crate::http) fn named_faults(&self) -> &[Fault] {
        &self.faults
    }

    pub(in crate::http) fn faults(faults: Faults) -> Self {
        let detail = match faults.count {
            1 => "1 error was found. Nothing was changed.".to_owned(),
            count if count > NAMED => {
                format!("{count} errors were found, and the first {NAMED} are listed. Nothing was changed.")
            }
            count => format!("{count} errors were found. Nothing was changed."),
        };
        Self { faults: faults.named, ..Self::new(Code::Invalid, detail) }
    }

    /// Faults of the settings in a query.
    pub(in crate::http) fn query_faults(faults: Faults) -> Self {
        Self { code: Code::BadQuery, ..Self::faults(faults) }
    }

    /// No object of this kind has the given id.
    pub(in crate::http) fn not_found(what: &str) -> Self {
        Self::new(Code::NotFound, format!("No {what} has this id."))
    }

    /// The body has more than `limit` bytes.
    pub(in crate::http) fn too_large(limit: usize) -> Self {
        Self::new(Code::TooLarge, format!("The request body must not exceed {limit} bytes."))
    }
}

/// The seconds of a wait, rounded up.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

impl From<Stopping> for Problem {
    fn from(_: Stopping) -> Self {
        Self::new(Code::Unavailable, "The service is stopping.")
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        tracing::error!(%error, "a read failed");
        if error.is_about_a_row() {
            return Self::new(Code::Internal, UNREADABLE);
        }
        Self::new(Code::Unavailable, "The database cannot be read at the moment. Try again later.")
    }
}

/// A stored row makes no sense. Another try does not help, so this is not a 503.
const UNREADABLE: &str = "A stored record can't be read. The log names it.";

impl From<WriteError> for Problem {
    fn from(error: WriteError) -> Self {
        let detail = match error {
            WriteError::Failed(FailureKind::Record) => return Self::new(Code::Internal, UNREADABLE),
            WriteError::Busy => {
                "Too many writes are waiting. Nothing was stored. Try again later.".to_owned()
            }
            WriteError::Failed(kind) => {
                format!("The database cannot be written at the moment: {kind}.")
            }
            WriteError::Stopped => "The service is stopping.".to_owned(),
        };
        Self::new(Code::Unavailable, detail)
    }
}

impl IntoResponse for Problem {
    /// The status and the problem itself. [`render`] makes the body once the request's id is known.
    fn into_response(self) -> Response {
        let mut response = self.code.parts().0.into_response();
        match self.code {
            Code::Unauthorized => {
                response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            // The reason may be the encoding, and the header names the supported one (RFC 9110, section 15.5.16).
            Code::UnsupportedMediaType => {
                let identity = HeaderValue::from_static("identity");
                response.headers_mut().insert(header::ACCEPT_ENCODING, identity);
            }
            Code::Unavailable | Code::Incomplete | Code::TooManyAttempts | Code::TooManyHints => {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(self.retry_after));
            }
            // The rest of the body is not read, so the connection can't be used again.
            Code::TooLarge | Code::Timeout => {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        response.extensions_mut().insert(self);
        response
    }
}

fn code_schema() -> schema::Schema {
    schema::ObjectBuilder::new()
        .schema_type(schema::Type::String)
        .enum_values(Some(Code::ALL.iter().copied()))
        .into()
}

#[derive(Serialize, ToSchema)]
pub(in crate::http) struct ProblemBody<'a> {
    r#type: &'static str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    /// Code for programs. Its meaning never changes.
    #[schema(schema_with = code_schema)]
    code: &'a str,
    request_id: &'a str,
    errors: &'a [Fault],
}

/// Whether a failure is the service's. Half a body and too many hints are the client's.
pub(in crate::http) fn is_ours(response: &Response) -> bool {
    let code = response.extensions().get::<Problem>().map(|problem| problem.code);
    response.status().is_server_error() && !matches!(code, Some(Code::Incomplete | Code::TooManyHints))
}

/// The whole answer to bytes that are not valid HTTP. Its head has `status`.
pub(in crate::http) fn raw(status: StatusCode, request_id: &str) -> Vec<u8> {
    let code = Code::BadRequest;
    let title = status.canonical_reason().unwrap_or_default();
    let detail = match status {
        StatusCode::URI_TOO_LONG => "The URL is too long.",
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => "The URL and the headers are too long.",
        _ => "This is not a valid HTTP request.",
    };
    let body = ProblemBody {
        r#type: "about:blank",
        title,
        status: status.as_u16(),
        detail,
        code: code.parts().1,
        request_id,
        errors: &[],
    };
    let body = serde_json::to_string(&body).unwrap_or_default();
    format!(
        "HTTP/1.1 {} {title}\r\ncontent-type: application/problem+json\r\nx-request-id: {request_id}\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        status.as_u16(),
        body.len()
    )
    .into_bytes()
}

/// Takes the problem out of an error, even if the framework made the error. None if this is not an error.
pub(in crate::http) fn take(response: &mut Response) -> Option<Problem> {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return None;
    }
    let problem = response.extensions_mut().remove::<Problem>();
    Some(problem.unwrap_or_else(|| {
        let code = Code::of_status(status);
        let allowed = response.headers().get(header::ALLOW).and_then(|methods| methods.to_str().ok());
        let detail = match (code, allowed) {
            (Code::NotFound, _) => "No route has this path. /docs/ lists all routes.".to_owned(),
            (Code::MethodNotAllowed, Some(methods)) => format!("This route has the methods {methods}."),
            _ => format!("{}.", code.parts().2),
        };
        Problem::new(code, detail)
    }))
}

/// Gives an error its body, even if the framework made the error.
pub(in crate::http) fn render(mut response: Response, request_id: &str) -> Response {
    let Some(problem) = take(&mut response) else { return response };
    let status = response.status();
    let (_, code, title) = problem.code.parts();
    let body = Json(ProblemBody {
        r#type: "about:blank",
        title,
        status: status.as_u16(),
        detail: &problem.detail,
        code,
        request_id,
        errors: &problem.faults,
    });
    let mut rendered = with_headers_of(&response, (status, body).into_response());
    let kind = HeaderValue::from_static("application/problem+json");
    rendered.headers_mut().insert(header::CONTENT_TYPE, kind);
    rendered
}

/// Adds the headers of an error to the answer that takes its place, except those of its body.
pub(in crate::http) fn with_headers_of(response: &Response, mut rendered: Response) -> Response {
    for (name, value) in response.headers() {
        if name != header::CONTENT_TYPE && name != header::CONTENT_LENGTH {
            rendered.headers_mut().insert(name, value.clone());
        }
    }
    rendered
}
