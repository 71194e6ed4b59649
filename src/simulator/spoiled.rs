//! Replacements of an answer: none at all, one that is too large or too slow, or another one.
//!
//! Must never change a decision, because the request has been carried out by then.

use std::convert::Infallible;
use std::future::pending;
use std::iter::{once, repeat_n};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::Json;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::header::LOCATION;
use axum::http::{StatusCode, Uri};
use axum::response::{Html, IntoResponse, Response};
use hyper::body::Frame;
use rand::Rng;
use serde_json::{Value, json};
use tokio::time::{Duration, Interval, interval};

use super::faults::{Dice, Faults};

/// The time between two bytes of an answer that drips.
const DRIP: Duration = Duration::from_secs(1);
/// One part of the padding of a huge answer.
static PADDING: [u8; 64 * 1024] = [b'x'; 64 * 1024];
/// The number of parts that make 10 MiB.
const PARTS: usize = 160;

const PAGE: &str = "<!doctype html>\n<title>Just a moment</title>\n<p>Checking your browser.</p>\n";

/// The replacement of an answer.
#[derive(Clone, Copy, Debug)]
pub(super) enum Spoiled {
    Hang,
    Drip,
    Html,
    Huge,
    /// The number selects the wrong types.
    WrongTypes(u32),
    Redirect,
}

impl Spoiled {
    /// Draws whether and how the answer to a request is spoiled.
    pub(super) fn draw(dice: &mut Dice, faults: &Faults, request: &str) -> Option<Self> {
        let which = dice.rng.random();
        let all = [
            ("hang", faults.hang, Self::Hang),
            ("drip", faults.drip, Self::Drip),
            ("html", faults.html, Self::Html),
            ("huge", faults.huge, Self::Huge),
            ("wrong-types", faults.wrong_types, Self::WrongTypes(which)),
            ("redirect", faults.redirect, Self::Redirect),
        ];
        dice.one_of(all, request)
    }

    /// Returns the replacement of this answer to a request for `uri`.
    pub(super) async fn in_place_of(self, answer: Response, uri: &Uri) -> Response {
        match self {
            // This lasts until the client disconnects or the simulator stops.
            Self::Hang => pending().await,
            Self::Drip => {
                let (head, body) = read(answer).await;
                let bytes = (0..body.len()).map(move |place| body.slice(place..=place));
                let parts = Parts { parts: Box::new(bytes), ticks: Some(interval(DRIP)) };
                (head, Body::new(parts)).into_response()
            }
            Self::Html => Html(PAGE).into_response(),
            Self::Huge => {
                let (head, body) = read(answer).await;
                let start = body.slice(..body.len().saturating_sub(1));
                let parts = once(start)
                    .chain(once(Bytes::from_static(b",\"padding\":\"")))
                    .chain(repeat_n(Bytes::from_static(&PADDING), PARTS))
                    .chain(once(Bytes::from_static(b"\"}")));
                (head, Body::new(Parts { parts: Box::new(parts), ticks: None })).into_response()
            }
            Self::WrongTypes(which) => {
                let (head, body) = read(answer).await;
                let right = serde_json::from_slice(&body).unwrap_or_default();
                (head.status, Json(wrong_types(right, which))).into_response()
            }
            Self::Redirect => {
                let here = uri.path_and_query().map_or_else(|| uri.path().to_owned(), ToString::to_string);
                (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, here)]).into_response()
            }
        }
    }
}

async fn read(answer: Response) -> (axum::http::response::Parts, Bytes) {
    let (head, body) = answer.into_parts();
    // The simulator's answers are whole in memory, so reading them can't fail.
    (head, to_bytes(body, usize::MAX).await.unwrap_or_default())
}

/// Returns the answer with a wrong type in its code or its data, and in all other fields.
fn wrong_types(right: Value, which: u32) -> Value {
    let (code, data) = (&right["code"], &right["data"]);
    let (code, data) = match which % 9 {
        0 => (json!([code]), data.clone()),
        1 => (json!({ "code": code }), data.clone()),
        2 => (json!(true), data.clone()),
        3 => (code.clone(), json!("success")),
        4 => (code.clone(), json!(7)),
        5 => (code.clone(), json!([data])),
        6 => (code.clone(), json!({ "taskId": which, "videos": { "0": data["videos"][0] } })),
        7 => (code.clone(), json!({ "taskId": [data["taskId"]], "videos": "none" })),
        _ => (code.clone(), json!({ "taskId": null, "videos": [7, null, []] })),
    };
    json!({ "code": code, "msg": [right["msg"]], "data": data, "success": "true", "failed": 0 })
}

/// A body that arrives in parts, one per tick.
struct Parts {
    parts: Box<dyn Iterator<Item = Bytes> + Send>,
    ticks: Option<Interval>,
}

impl hyper::body::Body for Parts {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(ticks) = &mut self.ticks {
            ready!(ticks.poll_tick(context));
        }
        Poll::Ready(self.parts.next().map(|part| Ok(Frame::data(part))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::wire::Envelope;

    #[test]
    fn every_choice_of_wrong_types_hides_the_task() {
        let right = json!({ "code": "0000", "msg": "success", "data": { "taskId": "t" }, "success": true });
        for which in 0..9 {
            let wrong = wrong_types(right.clone(), which).to_string();
            let task = Envelope::parse(wrong.as_bytes()).filter(|read| read.code == "0000");
            assert_ne!(task.and_then(|read| read.task_id()).as_deref(), Some("t"), "{wrong}");
        }
    }
}
