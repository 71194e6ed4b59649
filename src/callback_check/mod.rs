//! The callback check: posts a challenge to the public URL, and reports which server answers and which obstacle it
//! met.
//!
//! Must never store anything, and never show a challenge, or a redirect's target beyond its host.

mod last;
mod obstacle;

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, LOCATION};
use reqwest::{Client, Response, Url};
use serde_json::Value;
use sha2::{Digest, Sha256};

pub use last::{CallbackCheck, LastCheck, keep_checking};
pub use obstacle::{CheckState, Obstacle};

use crate::config::Live;
use crate::domain::byte_order_mark;
use crate::domain::host::is_loopback;
use crate::domain::token::{TokenKeys, callback_url};
use crate::network::{NoAnswer, last_words};

const CONNECT: Duration = Duration::from_secs(10);
const ANSWER: Duration = Duration::from_secs(20);
/// The most bytes of an answer that are read. That of scrapehook has a few hundred.
const ANSWER_CAP: usize = 64 * 1024;
/// The size of real callbacks.
const SMALL: usize = 128;
/// The most bytes that are posted, whatever `callback.max_body` allows, because this happens every hour.
const MOST: usize = 1024 * 1024;

/// Checks whether a public URL leads to a service with the same secret. `Debug` shows no secret.
#[derive(Clone, Debug)]
pub struct Checker {
    public_url: String,
    tokens: Arc<Live<TokenKeys>>,
    largest: usize,
}

impl Checker {
    /// Creates a checker for callbacks below `public_url` with these tokens, of at most `max_body` bytes.
    pub fn new(public_url: &str, tokens: Arc<Live<TokenKeys>>, max_body: usize) -> Self {
        Self { public_url: public_url.trim_end_matches('/').to_owned(), tokens, largest: max_body.min(MOST) }
    }

    /// The URL that is checked.
    pub fn public_url(&self) -> &str {
        &self.public_url
    }

    /// Posts a small body, and then one of the largest accepted size, which it returns.
    ///
    /// # Errors
    /// The first [`Obstacle`].
    pub async fn check(&self) -> Result<usize, Obstacle> {
        // The client is made for each check, because the system's trusted certificates and the address of a name can
        // change.
        let client = self.client().map_err(|error| Obstacle::Ours(last_words(&error)))?;
        self.post(&client, SMALL.min(self.largest)).await?;
        self.post(&client, self.largest).await.map_err(|obstacle| obstacle.met_by_large(self.largest))?;
        Ok(self.largest)
    }

    /// Checks everything that can be checked without a secret: whether the name leads to a server that answers. This
    /// makes no hint if a scrapehook answers.
    ///
    /// # Errors
    /// [`Obstacle`] if there is no such server.
    pub async fn knock(&self) -> Result<(), Obstacle> {
        let client = self.client().map_err(|error| Obstacle::Ours(last_words(&error)))?;
        let response = client.get(callback_url(&self.public_url, "")).send().await;
        let response = response.map_err(|error| Obstacle::NoAnswer(NoAnswer::of(&error)))?;
        match response.status().as_u16() {
            status @ 300..=399 => Err(redirect(status, &response)),
            _ => Ok(()),
        }
    }

    fn client(&self) -> Result<Client, reqwest::Error> {
        let mut builder = crate::tls::client()
            .user_agent(concat!("scrapehook/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .timeout(ANSWER)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .pool_max_idle_per_host(0);
        let url = Url::parse(&self.public_url).ok();
        if url.as_ref().and_then(Url::host_str).is_some_and(is_loopback) {
            builder = builder.no_proxy();
        }
        builder.build()
    }

    async fn post(&self, client: &Client, size: usize) -> Result<(), Obstacle> {
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).map_err(|error| Obstacle::Ours(error.to_string()))?;
        let body = body(size);
        let hash = Sha256::digest(&body).into();
        let challenge = self.tokens.get().challenge(nonce);
        let pair =
            challenge.and_then(|challenge| Some((self.tokens.get().answer(&challenge, &hash)?, challenge)));
        let (expected, challenge) =
            pair.ok_or_else(|| Obstacle::Ours("there is no callback secret".to_owned()))?;
        let request = client.post(callback_url(&self.public_url, &challenge));
        let request = request.header(CONTENT_TYPE, "application/json").body(body);
        let response = request.send().await.map_err(|error| Obstacle::NoAnswer(NoAnswer::of(&error)))?;
        match response.status().as_u16() {
            status @ 300..=399 => Err(redirect(status, &response)),
            status => judge(status, &read(response).await?, &expected, size),
        }
    }
}

/// A body of this many bytes that could be that of a callback.
fn body(size: usize) -> Vec<u8> {
    const HEAD: &[u8] = br#"{"check":""#;
    const TAIL: &[u8] = br#""}"#;
    let filling = size.saturating_sub(HEAD.len() + TAIL.len());
    let mut body = [HEAD, &vec![b'x'; filling], TAIL].concat();
    body.truncate(size);
    body
}

async fn read(mut response: Response) -> Result<Vec<u8>, Obstacle> {
    let mut said = Vec::new();
    while said.len() < ANSWER_CAP {
        match response.chunk().await {
            Ok(Some(chunk)) => said.extend_from_slice(&chunk),
            Ok(None) => break,
            Err(error) if error.is_timeout() => return Err(Obstacle::NoAnswer(NoAnswer::Late)),
            Err(error) if error.is_decode() => break,
            Err(_) => return Err(Obstacle::NoAnswer(NoAnswer::Cut)),
        }
    }
    Ok(said)
}

/// Decides what an answer to the challenge proves.
fn judge(status: u16, said: &[u8], expected: &str, size: usize) -> Result<(), Obstacle> {
    let said: Value = serde_json::from_slice(byte_order_mark::strip(said)).unwrap_or_default();
    // Every error of this service has both fields. Those of hardly any other server do.
    let is_service = said["request_id"].is_string() && said["code"].is_string();
    Err(match status {
        200 if said["answer"] == expected => return Ok(()),
        200 if said["answer"].is_string() => Obstacle::Altered(size),
        200 | 202 if matches!(said["kept"].as_str(), Some("callback" | "hint")) => Obstacle::OtherSecret,
        413 => Obstacle::TooLarge { size, is_service },
        400..=499 if is_service => Obstacle::OtherPath(status),
        401 | 403 | 407 => Obstacle::Forbidden(status),
        404 | 405 | 410 => Obstacle::NoRoute(status),
        429 => Obstacle::Limited,
        500..=599 if is_service => Obstacle::ServiceFailing(status),
        500..=599 => Obstacle::Gateway(status),
        _ => Obstacle::Stranger(status),
    })
}

fn redirect(status: u16, response: &Response) -> Obstacle {
    let location = response.headers().get(LOCATION).and_then(|to| to.to_str().ok());
    Obstacle::Redirect(status, host(location.unwrap_or_default()))
}

/// The scheme and host of a redirect. The rest can repeat the challenge.
fn host(location: &str) -> String {
    let url = Url::parse(location).ok().filter(Url::has_host);
    url.map_or_else(|| "another path".to_owned(), |url| url.origin().ascii_serialization())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_has_the_size_that_was_asked_for() {
        for size in [0, 1, 11, 12, 13, SMALL, 65_536] {
            assert_eq!(body(size).len(), size);
        }
        assert!(serde_json::from_slice::<Value>(&body(SMALL)).is_ok());
    }

    #[test]
    fn only_the_answer_itself_proves_anything() {
        let judged = |status, said: &str| judge(status, said.as_bytes(), "right", 9);
        let problem = r#"{"code":"not_found","request_id":"1"}"#;
        assert_eq!(judged(200, r#"{"kept":"nothing","answer":"right"}"#), Ok(()));
        for (status, said, obstacle) in [
            (200, r#"{"kept":"nothing","answer":"wrong"}"#, Obstacle::Altered(9)),
            (202, r#"{"kept":"nothing","answer":"right"}"#, Obstacle::Stranger(202)),
            (202, r#"{"kept":"hint"}"#, Obstacle::OtherSecret),
            (200, r#"{"kept":"callback"}"#, Obstacle::OtherSecret),
            (200, "\u{feff}{\"kept\":\"hint\"}", Obstacle::OtherSecret),
            (200, "right", Obstacle::Stranger(200)),
            (200, "<html>", Obstacle::Stranger(200)),
            (413, "<html>", Obstacle::TooLarge { size: 9, is_service: false }),
            (413, problem, Obstacle::TooLarge { size: 9, is_service: true }),
            (404, problem, Obstacle::OtherPath(404)),
            (401, problem, Obstacle::OtherPath(401)),
            (404, "", Obstacle::NoRoute(404)),
            (403, "", Obstacle::Forbidden(403)),
            (429, "", Obstacle::Limited),
            (502, "", Obstacle::Gateway(502)),
            (503, problem, Obstacle::ServiceFailing(503)),
            (400, "", Obstacle::Stranger(400)),
        ] {
            assert_eq!(judged(status, said), Err(obstacle), "{status} {said}");
        }
    }

    #[test]
    fn what_a_large_body_meets_alone_is_its_size() {
        for (met, status) in [(Obstacle::Gateway(502), Some(502)), (Obstacle::NoAnswer(NoAnswer::Cut), None)]
        {
            assert_eq!(met.met_by_large(9), Obstacle::LargeLost { size: 9, status });
        }
        assert_eq!(Obstacle::Limited.met_by_large(9), Obstacle::Limited);
    }

    #[test]
    fn a_redirect_shows_its_host_alone() {
        let to = "https://hooks.example.com:8443/callback/secret?x=secret";
        assert_eq!(host(to), "https://hooks.example.com:8443");
        assert_eq!(host("/callback/secret"), "another path");
        assert_eq!(host("data:secret"), "another path");
    }
}
