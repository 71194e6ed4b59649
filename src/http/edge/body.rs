//! Reads bodies from strangers, within a limit and a deadline.
//!
//! Must never guess at an encoding. Headers that name compression, or a charset other than UTF-8, are refused.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, HeaderValue, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::domain::byte_order_mark;
use crate::http::context::Context;
use crate::http::edge::problem::{Code, Faults, Problem};
use crate::http::hint_limit::TooMany;

/// The reason why a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Unread {
    /// Its declared or actual size is over the limit.
    TooLarge,
    /// It was not complete at the deadline.
    Late,
    /// The client cut it off.
    Cut,
    /// There were too many hints.
    Refused(TooMany),
}

/// Reads a body of at most `limit` bytes within `deadline`. Does not begin to read a body that is declared larger.
pub(in crate::http) async fn read(
    headers: &HeaderMap,
    body: Body,
    limit: usize,
    deadline: Duration,
) -> Result<Bytes, Unread> {
    read_if(headers, body, limit, deadline, |_| Ok(())).await
}

/// Like [`read`], if `take` takes its bytes: all at once before they are read if the client declares their number, else
/// as they arrive. A refused body is read and thrown away, so that the client gets the answer and can keep its
/// connection.
pub(in crate::http) async fn read_if(
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
        if let Some(too_many) = refused
            && headers.contains_key(header::EXPECT)
        {
            // The client has sent nothing of the body yet, and asks whether it should.
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

/// The kind of a body, as the client declares it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Kind {
    Json,
    /// One URL per line. With `--data-binary`, curl declares the form type by default.
    Lines,
    Csv,
}

impl Kind {
    /// The kind in the headers. Returns none if it is not supported.
    pub(in crate::http) fn of(headers: &HeaderMap) -> Option<Self> {
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

/// Reads the JSON body of an API request.
pub(in crate::http) async fn read_json(
    request: Request,
    limit: usize,
    deadline: Duration,
) -> Result<Bytes, Problem> {
    if Kind::of(request.headers()) != Some(Kind::Json) {
        return Err(Problem::new(Code::UnsupportedMediaType, "Content-Type must be application/json."));
    }
    read_whole(request, limit, deadline).await
}

/// Reads the body of an API request, of any kind. Leaves out a byte order mark.
pub(in crate::http) async fn read_whole(
    request: Request,
    limit: usize,
    deadline: Duration,
) -> Result<Bytes, Problem> {
    let (parts, stream) = request.into_parts();
    if !stream.is_end_stream() {
        check_encoding(&parts.headers)?;
    }
    let body = read(&parts.headers, stream, limit, deadline).await.map_err(|unread| match unread {
        Unread::TooLarge => Problem::too_large(limit),
        Unread::Late => Problem::new(Code::Timeout, "The request body did not arrive in time."),
        Unread::Cut => {
            Problem::new(Code::BadRequest, "The connection was closed before the body was complete.")
        }
        Unread::Refused(too_many) => Problem::too_many_hints(too_many.retry_after),
    })?;
    Ok(body.slice_ref(byte_order_mark::strip(&body)))
}

/// Refuses a body that is compressed or not in UTF-8, because it would be read wrongly.
fn check_encoding(headers: &HeaderMap) -> Result<(), Problem> {
    let refuse = |detail: &str| Err(Problem::new(Code::UnsupportedMediaType, detail));
    for (name, plain) in [(header::CONTENT_ENCODING, "identity"), (header::TRANSFER_ENCODING, "chunked")] {
        let mut codings = headers.get_all(name).iter().flat_map(words(','));
        if codings.any(|coding| !coding.is_empty() && coding != plain) {
            return refuse("Compressed bodies are not supported. Send the body without Content-Encoding.");
        }
    }
    let mut parameters = headers.get_all(header::CONTENT_TYPE).iter().flat_map(words(';'));
    let is_other = |parameter: String| {
        let charset = parameter.split_once('=').filter(|(name, _)| name.trim_end() == "charset");
        let charset = charset.map(|(_, charset)| charset.trim_start().trim_matches('"'));
        charset.is_some_and(|charset| !matches!(charset, "" | "utf-8" | "utf8" | "us-ascii" | "ascii"))
    };
    if parameters.any(is_other) {
        return refuse(
            "Only UTF-8 is supported. Convert the body, and leave the charset out of Content-Type.",
        );
    }
    Ok(())
}

/// The parts of a header's value in lower case. A part that is not text becomes an unknown one.
fn words(separator: char) -> impl Fn(&HeaderValue) -> Vec<String> {
    move |value| {
        let text = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
        text.split(separator).map(|word| word.trim().to_owned()).collect()
    }
}

/// Whether a body is compressed with gzip.
pub(in crate::http) fn is_gzip(body: &[u8]) -> bool {
    body.starts_with(&[0x1f, 0x8b])
}

/// Whether a text is UTF-16. It then begins with a byte order mark, or with an ASCII character that has a zero byte.
pub(in crate::http) fn is_utf16(text: &[u8]) -> bool {
    match *text {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => true,
        [first, second, ..] => (first == 0) != (second == 0),
        _ => false,
    }
}

/// Reads the JSON of a body that [`read_whole`] has read.
pub(in crate::http) fn parse_json(body: &[u8]) -> Result<Value, Problem> {
    if body.trim_ascii().is_empty() {
        return Err(Problem::new(Code::BadJson, "The request body is empty. Send a JSON object."));
    }
    serde_json::from_slice(body).map_err(|error| {
        let why = if is_gzip(body) {
            "it is compressed with gzip, which is not supported".to_owned()
        } else if is_utf16(body) {
            "it looks like UTF-16, not UTF-8".to_owned()
        } else {
            error.to_string()
        };
        Problem::new(Code::BadJson, format!("The request body is not valid JSON: {why}."))
    })
}

/// The most bytes of a body without content.
const NOTHING: usize = 4_096;

/// For requests that take no body. An empty JSON object counts as none, because some clients always send one. Any other
/// body is refused, because it may ask for something that this request does not do, such as a dry run.
pub(in crate::http) struct NoBody;

impl FromRequest<Context> for NoBody {
    type Rejection = Problem;

    async fn from_request(request: Request, context: &Context) -> Result<Self, Problem> {
        let body = read_whole(request, NOTHING, context.limits.body_timeout).await?;
        if body.trim_ascii().is_empty() {
            return Ok(Self);
        }
        let mut faults = Faults::default();
        match serde_json::from_slice(&body) {
            Ok(Value::Null) => {}
            Ok(Value::Object(fields)) => {
                fields
                    .keys()
                    .for_each(|name| faults.push(format_args!("/{}", escape(name)), "unknown field"));
            }
            _ => faults.push("", "this request takes no body"),
        }
        if faults.is_empty() { Ok(Self) } else { Err(Problem::faults(faults)) }
    }
}

/// The fields of a JSON object in their order, including those with the same name.
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

/// JSON pointers to the names that an object, or its field `inner`, has more than once. Otherwise the last value would
/// silently win, and the others would be lost.
pub(in crate::http) fn repeated(object: &[u8], inner: &str) -> BTreeSet<String> {
    let mut pointers = BTreeSet::new();
    let mut look = |fields: &Fields<'_>, path: &str| {
        let mut seen = BTreeSet::new();
        let twice = fields.0.iter().filter(|(name, _)| !seen.insert(name));
        pointers.extend(twice.map(|(name, _)| format!("{path}/{}", escape(name))));
    };
    // Anything but an object has no names.
    let Ok(fields) = serde_json::from_slice(object) else { return pointers };
    look(&fields, "");
    for (_, value) in fields.0.iter().filter(|(name, _)| name == inner) {
        if let Ok(fields) = serde_json::from_str(value.get()) {
            look(&fields, &format!("/{inner}"));
        }
    }
    pointers
}

/// The most characters of a key in a JSON pointer, because a client can send very long keys.
const KEY_CHARS: usize = 256;

/// A key inside a JSON pointer (RFC 6901).
pub(in crate::http) fn escape(key: &str) -> String {
    let key: String = key.chars().take(KEY_CHARS).collect();
    key.replace('~', "~0").replace('/', "~1")
}
