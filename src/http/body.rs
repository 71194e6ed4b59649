//! Reading bodies from strangers: never more than a limit, never longer than a deadline.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;

use super::error::{Code, Problem};

/// Why a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// Declared or found to be over the limit.
    TooLarge,
    /// Not there at the deadline.
    Late,
    /// Cut off by the client.
    Cut,
}

/// Reads a body of at most `limit` bytes within `deadline`; one that is declared larger is not read at all.
pub(super) async fn read(
    headers: &HeaderMap,
    body: Body,
    limit: usize,
    deadline: Duration,
) -> Result<Bytes, Unread> {
    let declared =
        headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|declared| declared > limit as u64) {
        return Err(Unread::TooLarge);
    }
    tokio::time::timeout(deadline, collect(body, limit)).await.unwrap_or(Err(Unread::Late))
}

async fn collect(mut body: Body, limit: usize) -> Result<Bytes, Unread> {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Unread::Cut)?;
        let Ok(data) = frame.into_data() else { continue };
        if whole.len() + data.len() > limit {
            return Err(Unread::TooLarge);
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

/// What a client says its body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Json,
    /// One URL a line; curl calls a file so that it was told nothing about.
    Lines,
    Csv,
}

impl Kind {
    /// What the headers say; none where it is nothing that is taken here.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let kind =
            headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match kind.as_str() {
            "application/json" => Some(Self::Json),
            kind if kind.starts_with("application/") && kind.ends_with("+json") => Some(Self::Json),
            "text/plain" | "application/x-www-form-urlencoded" => Some(Self::Lines),
            "text/csv" => Some(Self::Csv),
            _ => None,
        }
    }
}

/// Reads the JSON body of a client of the API.
pub(super) async fn read_json(request: Request, limit: usize, deadline: Duration) -> Result<Bytes, Problem> {
    if Kind::of(request.headers()) != Some(Kind::Json) {
        return Err(Problem::new(Code::UnsupportedMediaType, "Content-Type must be application/json."));
    }
    read_whole(request, limit, deadline).await
}

/// Reads the body of a client of the API, whatever it is.
pub(super) async fn read_whole(request: Request, limit: usize, deadline: Duration) -> Result<Bytes, Problem> {
    let (parts, stream) = request.into_parts();
    read(&parts.headers, stream, limit, deadline).await.map_err(|unread| match unread {
        Unread::TooLarge => Problem::new(Code::TooLarge, format!("At most {limit} bytes are taken.")),
        Unread::Late => Problem::new(Code::Timeout, "The body did not arrive in time."),
        Unread::Cut => Problem::new(Code::BadRequest, "The body did not arrive whole."),
    })
}
