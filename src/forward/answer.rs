//! The answer of a receiver, and what it says about the delivery.
//!
//! Must never follow a redirect, and never show more than the host of one.

use std::time::Duration;

use reqwest::header::{LOCATION, RETRY_AFTER};
use reqwest::{Response, Url};

use super::attempt::{Attempt, Message};
use super::reason;
use crate::domain::webhook::retry::retry_after;

/// Most bytes of an answer that are read.
const ANSWER_CAP: usize = 64 * 1024;
/// The status of a receiver that wants no more webhooks.
const GONE: u16 = 410;

/// Judges an answer. A success is read to its end, which also frees its connection for the next webhook.
pub async fn judge(response: Response, message: &Message<'_>, timeout: Duration) -> Attempt {
    let status = response.status().as_u16();
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    let retry_after = header(RETRY_AFTER).and_then(|text| retry_after(text, message.attempted_at));
    let reason = match (status, header(LOCATION)) {
        (GONE, _) => return Attempt::Gone,
        (200..=299, _) => match read(response, timeout).await {
            Ok(()) => return Attempt::Delivered { status },
            Err(reason) => format!("HTTP {status}, but {reason}"),
        },
        (300..=399, Some(location)) => {
            format!("redirect to {}, which is not followed", origin(message.target.expose(), location))
        }
        _ => format!("HTTP {status}"),
    };
    Attempt::Failed { status: Some(status), reason, retry_after }
}

/// Reads the body and drops it.
async fn read(mut response: Response, timeout: Duration) -> Result<(), String> {
    let mut length = 0;
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => length += chunk.len(),
            Ok(None) => return Ok(()),
            Err(error) => return Err(reason::of_body(error, timeout)),
        }
        if length > ANSWER_CAP {
            return Err("the answer is longer than 64 KiB".to_owned());
        }
    }
}

/// The scheme, host and port of a redirect. The rest can repeat a secret.
fn origin(target: &Url, location: &str) -> String {
    let url = target.join(location).ok().filter(Url::has_host);
    url.map_or_else(|| "something else than a host".to_owned(), |url| url.origin().ascii_serialization())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_shows_its_host_alone() {
        let target = Url::parse("https://user:password@example.com/secret?secret").unwrap();
        for (location, shown) in [
            ("http://169.254.169.254/latest/meta-data?secret", "http://169.254.169.254"),
            ("https://user:password@example.net:8443/secret", "https://example.net:8443"),
            ("//example.net/secret", "https://example.net"),
            ("/secret", "https://example.com"),
            ("?secret", "https://example.com"),
            ("", "https://example.com"),
            ("data:secret", "something else than a host"),
            ("https://", "something else than a host"),
        ] {
            assert_eq!(origin(&target, location), shown, "{location}");
        }
    }
}
