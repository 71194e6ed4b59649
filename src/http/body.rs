//! Reading bodies from strangers: never more than a limit, never longer than a deadline.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::error::{Code, Problem};
use super::hint_limit::TooMany;

/// Why a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// Declared or found to be over the limit.
    TooLarge,
    /// Not there at the deadline.
    Late,
    /// Cut off by the client.
    Cut,
    /// One hint too many.
    Refused(TooMany),
}

/// Reads a body of at most `limit` bytes within `deadline`; one that is declared larger is not read at all.
pub(super) async fn read(
    headers: &HeaderMap,
    body: Body,
    limit: usize,
    deadline: Duration,
) -> Result<Bytes, Unread> {
    read_if(headers, body, limit, deadline, |_| Ok(())).await
}

/// Like [`read`], if `take` takes its bytes: all at once before they are read if the client says how many there are,
/// else as they arrive. What is refused is read and thrown away, so that the client hears the answer and can keep its
/// connection.
pub(super) async fn read_if(
    headers: &HeaderMap,
    mut body: Body,
    limit: usize,
    deadline: Duration,
    mut take: impl FnMut(u64) -> Result<(), TooMany>,
) -> Result<Bytes, Unread> {
    let declared =
        headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|declared| declared > limit as u64) {
        return Err(Unread::TooLarge);
    }
    let read = async {
        let mut refused = take(declared.unwrap_or_default()).err();
        if let (Some(too_many), true) = (refused, headers.contains_key(header::EXPECT)) {
            // The client has not sent anything yet, and asks whether it should.
            return Err(Unread::Refused(too_many));
        }
        let (mut whole, mut length) = (BytesMut::new(), 0);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| Unread::Cut)?;
            let Ok(data) = frame.into_data() else { continue };
            length += data.len();
            if length > limit {
                return Err(Unread::TooLarge);
            }
            if declared.is_none() && refused.is_none() {
                refused = take(data.len() as u64).err();
            }
            if refused.is_none() {
                whole.extend_from_slice(&data);
            } else {
                whole = BytesMut::new();
            }
        }
        refused.map_or_else(|| Ok(whole.freeze()), |too_many| Err(Unread::Refused(too_many)))
    };
    tokio::time::timeout(deadline, read).await.unwrap_or(Err(Unread::Late))
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
    /// The kind that the headers name; none if it is not accepted here.
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
        Unread::Refused(too_many) => Problem::too_many_hints(too_many.retry_after),
    })
}

/// Runs long work, such as reading a body of megabytes, beside the runtime, whose threads answer callbacks.
pub(super) async fn beside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(_) => Problem::new(Code::Unavailable, "The service is stopping."),
    })
}

/// The fields of a JSON object as they came, also those with one name.
struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// JSON pointers to the names that an object has more than once, itself or in its field `inner`: the last one would
/// silently win, and what the others say be lost.
pub(super) fn repeated(object: &[u8], inner: &str) -> BTreeSet<String> {
    let mut pointers = BTreeSet::new();
    let mut look = |fields: &Fields<'_>, path: &str| {
        let mut seen = BTreeSet::new();
        let twice = fields.0.iter().filter(|(name, _)| !seen.insert(name));
        pointers.extend(twice.map(|(name, _)| format!("{path}/{}", escape(name))));
    };
    // Only an object has names.
    let Ok(fields) = serde_json::from_slice(object) else { return pointers };
    look(&fields, "");
    for (_, value) in fields.0.iter().filter(|(name, _)| name == inner) {
        if let Ok(fields) = serde_json::from_str(value.get()) {
            look(&fields, &format!("/{inner}"));
        }
    }
    pointers
}

/// Most characters of a key in a JSON pointer: somebody may send a very long one.
const KEY_CHARS: usize = 256;

/// A key inside a JSON pointer (RFC 6901).
pub(super) fn escape(key: &str) -> String {
    let key: String = key.chars().take(KEY_CHARS).collect();
    key.replace('~', "~0").replace('/', "~1")
}
