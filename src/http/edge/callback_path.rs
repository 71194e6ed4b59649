//! The paths of callbacks, in all spellings of senders and proxies.
//!
//! Must never change another path, because routes and the check for API keys compare paths exactly.

use std::borrow::Cow;

use axum::extract::Request;
use axum::http::Uri;
use axum::http::uri::PathAndQuery;

/// The path of callbacks. A token follows after a slash.
const CALLBACK: &str = "/callback";

/// Gives a callback the path of its route. Some senders and proxies add slashes, dots or characters from the text
/// around the URL, or escape characters that need no escape. Without this, a genuine callback would become a hint or
/// find no route.
pub(in crate::http) fn make_plain(mut request: Request) -> Request {
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

/// The path of a callback's route. Returns `None` if the path needs no change or is not a callback's.
fn plain(path: &str) -> Option<String> {
    let decoded = decoded(path);
    let written: Vec<&str> = decoded.split('/').filter(|segment| !matches!(*segment, "" | ".")).collect();
    let mut segments = Vec::new();
    for segment in &written {
        if *segment == ".." {
            segments.pop();
        } else {
            segments.push(*segment);
        }
    }
    let plain = match segments.split_first() {
        Some((first, rest)) if is_callback(first) => {
            let tokens = rest.iter().map(|token| token.trim_matches(|c| !is_of_token(c)));
            let mut tokens = tokens.filter(|token| !token.is_empty());
            match (tokens.next(), tokens.next()) {
                (Some(token), None) if token.chars().all(is_of_token) => Some(format!("{CALLBACK}/{token}")),
                _ => None,
            }
        }
        // Any path under that of callbacks is a hint, wherever its dots lead.
        _ if written.first().is_some_and(|first| is_callback(first)) => None,
        _ => return None,
    };
    match plain {
        Some(plain) => (plain != path).then_some(plain),
        // A hint can have any path under that of callbacks.
        None if path == CALLBACK || path.starts_with("/callback/") => None,
        None => Some(CALLBACK.to_owned()),
    }
}

fn is_callback(segment: &str) -> bool {
    CALLBACK.strip_prefix('/').is_some_and(|callback| segment.eq_ignore_ascii_case(callback))
}

/// Whether tokens have this character. They have those of base64url.
const fn is_of_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_')
}

/// The path with its escapes resolved.
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
            "/callback/a-b_9%20",
            "/callback/%20a-b_9",
            "/callback/a-b_9.",
            "/callback/a-b_9,",
            "/callback/(a-b_9)",
            "/callback/a-b_9%22",
            "/callback/a-b_9%0a",
            "/callback/a-b_9=",
            "/callback/a-b_9/%20",
            "/callback/a-b_9%E2%80%8B",
            "/callback/./a-b_9",
            "/Callback/a-b_9",
            "/CALLBACK/a-b_9/.",
            "/./callback/a-b_9",
            "/x/../callback/a-b_9",
            "/x/%2e%2e/callback/a-b_9",
            "//v1/../callback/a-b_9",
            "/callback/x/../a-b_9",
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
            "/callback/%00",
            "/callback/a/b",
            "/callback/a%20b",
            "/callback/./",
            "/callback/../v1/jobs",
            "/callback/..%2fv1%2fjobs",
            "/callbacks/a",
            "/callbackx",
            "/v1/callback/a",
            "//v1/jobs",
            "/v1//jobs",
            "/%76%31/jobs",
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
            ("/Callback", "/callback"),
            ("/CALLBACK/", "/callback"),
            ("/Callback/a/b", "/callback"),
            ("/Callback/../v1/jobs", "/callback"),
            ("/x/../callback/a/b", "/callback"),
        ] {
            assert_eq!(made(path), hint);
        }
    }
}
