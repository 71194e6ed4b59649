//! The paths of callbacks as senders and proxies spell them.
//!
//! Must never change the path of anything else: routes and the check for API keys compare paths to the letter.

use std::borrow::Cow;

use axum::extract::Request;
use axum::http::Uri;
use axum::http::uri::PathAndQuery;

/// Where callbacks arrive; a token follows after a slash.
const CALLBACK: &str = "/callback";

/// Gives a callback the path that its route has: some senders and proxies add slashes or escape characters that need
/// no escape. Without this a genuine callback would be a hint, or find no route.
pub(super) fn make_plain(mut request: Request) -> Request {
    if let Some(path) = plain(request.uri().path())
        && let Ok(path) = path.parse::<PathAndQuery>()
    {
        let mut parts = request.uri().clone().into_parts();
        parts.path_and_query = Some(path);
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
    }
    request
}

/// The path of a callback's route; `None` if it needs no change or is not a callback's.
fn plain(path: &str) -> Option<String> {
    let decoded = decoded(path);
    let mut segments = decoded.split('/').filter(|segment| !segment.is_empty());
    if segments.next() != CALLBACK.strip_prefix('/') {
        return None;
    }
    let plain = match (segments.next(), segments.next()) {
        (Some(token), None) if token.bytes().all(is_of_token) => format!("{CALLBACK}/{token}"),
        // A hint, which may have any path below that of callbacks.
        _ if path == CALLBACK || path.starts_with("/callback/") => return None,
        _ => CALLBACK.to_owned(),
    };
    (plain != path).then_some(plain)
}

/// The characters of tokens: those of base64 for URLs.
const fn is_of_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// The path without its escapes.
fn decoded(path: &str) -> Cow<'_, str> {
    if !path.contains('%') {
        return Cow::Borrowed(path);
    }
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, after @ ..] = rest {
        let escaped = match rest {
            [b'%', high, low, ..] => hex(*high).zip(hex(*low)).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        decoded.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    Cow::Owned(String::from_utf8_lossy(&decoded).into_owned())
}

const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn made(uri: &str) -> String {
        make_plain(Request::builder().uri(uri).body(Body::empty()).unwrap()).uri().to_string()
    }

    #[test]
    fn a_token_is_found_however_its_path_is_spelled() {
        for path in [
            "/callback/a-b_9",
            "/callback/a-b_9/",
            "/callback//a-b_9",
            "//callback/a-b_9",
            "///callback///a-b_9//",
            "/callback/a%2Db%5f9",
            "/callback/%61-b_9%2F",
            "/callback%2Fa-b_9",
            "/%63allback/a-b_9",
            "//callback/a-b_9?x=1&y",
            "http://hooks.example//callback/a-b_9",
        ] {
            let found = made(path);
            let found = found.trim_start_matches("http://hooks.example");
            assert_eq!(found.split('?').next(), Some("/callback/a-b_9"), "{path}");
        }
    }

    #[test]
    fn what_names_no_token_stays_what_it_is_or_is_a_hint() {
        for path in [
            "/callback",
            "/callback/%ff",
            "/callback/%",
            "/callback/%2",
            "/callback/%00",
            "/callback/%20a",
            "/callback/a%3d",
            "/callback/a/b",
            "/callback/../v1/jobs",
            "/callback/..%2fv1%2fjobs",
            "/callbacks/a",
            "/callbackx",
            "/v1/callback/a",
            "//v1/jobs",
            "/v1//jobs",
            "/%76%31/jobs",
            "//v1/../callback/a",
            "/./callback/a",
            "//metrics",
            "//",
            "/",
            "*",
        ] {
            assert_eq!(made(path), path);
        }
        for (path, hint) in [
            ("//callback", "/callback"),
            ("//callback//", "/callback"),
            ("//callback/%ff", "/callback"),
            ("//callback/../v1/jobs", "/callback"),
            ("/%63allback", "/callback"),
        ] {
            assert_eq!(made(path), hint);
        }
    }
}
