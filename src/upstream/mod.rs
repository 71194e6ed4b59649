//! The upstream API: a thin client that turns each answer, and each lack of one, into a type.
//!
//! Must never retry. The caller decides, because a second submit may be charged a second time.

mod answer;
mod budget;
mod check;
mod created;
mod outage;
pub mod wire;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use reqwest::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Method, RequestBuilder, Response, Url};
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

pub use answer::{LONGEST_WAIT, PollAnswer, Refusal, SubmitAnswer};
pub use budget::{Budget, Kind};
pub use check::{Checked, KeyAnswer};
pub use outage::Outage;
use wire::SubmitBody;

use crate::config::Live;
use crate::domain::host::is_loopback;
use crate::domain::token::TokenKeys;
use crate::failpoint::FailPoint;
use crate::network::last_words;
use crate::telemetry::Metrics;

/// The most bytes of an answer that are read.
const ANSWER_CAP: usize = 1024 * 1024;

/// The longest wait for a connection.
const LONGEST_CONNECT: Duration = Duration::from_secs(10);

/// The reason why no client can be made.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The base URL can't be used.
    #[error("upstream.base_url: `{0}` is not an http or https URL")]
    BaseUrl(String),
    /// The key can't be part of a header.
    #[error("upstream.api_key: it contains characters that no HTTP header can carry")]
    ApiKey,
    /// TLS could not be set up.
    #[error("the HTTPS client cannot be created: {}", last_words(.0))]
    Tls(reqwest::Error),
}

/// A client of one upstream with one key. `Debug` shows no key.
#[derive(Clone, Debug)]
pub struct Upstream {
    client: Client,
    base: Url,
    key: HeaderValue,
    timeout: Duration,
    metrics: Arc<Metrics>,
    outage: Arc<Outage>,
    tokens: Option<Arc<Live<TokenKeys>>>,
}

impl Upstream {
    /// Creates a client for the upstream at `base_url`. No request takes longer than `timeout`.
    ///
    /// # Errors
    /// [`ClientError`] names the wrong setting.
    pub fn new(base_url: &str, key: &SecretString, timeout: Duration) -> Result<Self, ClientError> {
        let base = Url::parse(base_url.trim_end_matches('/'))
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            // The HTTP library accepts fewer hosts than the URL library. With the others, no request could be made.
            .filter(|url| url.as_str().parse::<hyper::Uri>().is_ok())
            .ok_or_else(|| ClientError::BaseUrl(base_url.to_owned()))?;
        let key = HeaderValue::from_str(key.expose_secret().trim()).ok();
        // Upstream's words are searched for the key as text, although a header could carry more than text.
        let is_text = |key: &HeaderValue| key.as_bytes().iter().all(|byte| matches!(byte, b' '..=b'~'));
        let mut key = key.filter(is_text).ok_or(ClientError::ApiKey)?;
        key.set_sensitive(true);
        let mut builder = crate::tls::client()
            .user_agent(concat!("scrapehook/", env!("CARGO_PKG_VERSION")))
            // This ends well before the whole timeout. A request without a connection was certainly not sent.
            .connect_timeout(LONGEST_CONNECT.min(timeout / 2))
            .timeout(timeout)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            // If the other side just closed a kept connection, a submit on it would look unconfirmed.
            .pool_max_idle_per_host(0);
        if base.host_str().is_some_and(is_loopback) {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(ClientError::Tls)?;
        let (metrics, outage) = (Arc::default(), Arc::default());
        Ok(Self { client, base, key, timeout, metrics, outage, tokens: None })
    }

    /// Measures its requests here.
    #[must_use]
    pub fn measured_by(mut self, metrics: Arc<Metrics>) -> Self {
        self.metrics = metrics;
        self
    }

    /// Masks callback tokens of these keys in upstream's words, because upstream may quote any callback URL that it
    /// was given.
    #[must_use]
    pub fn masking(mut self, tokens: Arc<Live<TokenKeys>>) -> Self {
        self.tokens = Some(tokens);
        self
    }

    /// Returns the record of whether upstream answers at all.
    pub fn outage(&self) -> Arc<Outage> {
        self.outage.clone()
    }

    /// Sends a submit once.
    pub async fn submit(&self, body: &SubmitBody, public: bool) -> SubmitAnswer {
        let began = Instant::now();
        let answer = self.send(body, public).await.without(self.key.to_str().unwrap_or_default());
        self.metrics.asked_upstream("submit", answer.word(), began.elapsed());
        let answer = match body.callback_url.as_deref() {
            Some(url) => answer.without(url.rsplit('/').next().unwrap_or_default()),
            None => answer,
        };
        self.outage.heard(answer.unanswered());
        answer
    }

    async fn send(&self, body: &SubmitBody, public: bool) -> SubmitAnswer {
        let path = if public { wire::SUBMIT_PUBLIC } else { wire::SUBMIT_PRIVATE };
        match self.request(Method::POST, path).json(body).send().await {
            Ok(response) => {
                FailPoint::SubmitHeard.pass();
                match self.read(response).await {
                    Ok(answer) => {
                        SubmitAnswer::read(answer.status, answer.retry_after.as_deref(), &answer.body)
                    }
                    Err(reason) => SubmitAnswer::Unknown(Refusal::new("no_answer", reason)),
                }
            }
            // A request that could not even be built was not sent, either.
            Err(error) if error.is_connect() || error.is_builder() => {
                SubmitAnswer::Retry(Refusal::new("no_connection", self.words(error)), None)
            }
            Err(error) => SubmitAnswer::Unknown(Refusal::new("no_answer", self.words(error))),
        }
    }

    /// Asks for the videos of a task.
    pub async fn poll(&self, task_id: &str, unique_id: Option<&str>) -> PollAnswer {
        let began = Instant::now();
        let mut request = self.request(Method::GET, wire::POLL).query(&[("task_id", task_id)]);
        if let Some(unique_id) = unique_id {
            request = request.query(&[("unique_id", unique_id)]);
        }
        let answer = match request.send().await {
            Ok(response) => match self.read(response).await {
                Ok(answer) => PollAnswer::read(answer.status, answer.retry_after.as_deref(), &answer.body),
                Err(reason) => PollAnswer::Unanswered(Refusal::new("no_answer", reason)),
            },
            Err(error) => PollAnswer::Unanswered(Refusal::new("no_answer", self.words(error))),
        };
        self.metrics.asked_upstream("poll", answer.word(), began.elapsed());
        let answer = answer.without(self.key.to_str().unwrap_or_default());
        self.outage.heard(answer.unanswered());
        answer
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        self.client.request(method, url).header(AUTHORIZATION, self.key.clone())
    }

    /// Reads a whole answer, and masks scrapehook's own tokens in it.
    async fn read(&self, response: Response) -> Result<Received, String> {
        let mut answer = Received::read(response).await?;
        if let Some(tokens) = &self.tokens
            && let Cow::Owned(masked) = tokens.get().masked(&String::from_utf8_lossy(&answer.body))
        {
            answer.body = masked.into_bytes();
        }
        Ok(answer)
    }

    /// Describes the error in scrapehook's words. The client's own words go to the log.
    fn words(&self, error: reqwest::Error) -> String {
        let error = error.without_url();
        tracing::debug!(error = ?error, "a request to the memories.ai API failed");
        if error.is_builder() {
            "the request could not be made".to_owned()
        } else if error.is_connect() {
            "no connection to the memories.ai API".to_owned()
        } else if error.is_timeout() {
            format!("no answer within {:?}", self.timeout)
        } else {
            "the connection was cut before an answer came".to_owned()
        }
    }
}

/// A whole answer.
struct Received {
    status: u16,
    retry_after: Option<String>,
    body: Vec<u8>,
}

impl Received {
    async fn read(mut response: Response) -> Result<Self, String> {
        let status = response.status().as_u16();
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = retry_after.map(str::to_owned);
        let mut body = BytesMut::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() > ANSWER_CAP => {
                    return Err(format!("HTTP {status} with more than {ANSWER_CAP} bytes"));
                }
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => break,
                Err(error) if error.is_timeout() => {
                    return Err(format!("HTTP {status}, not read to its end in time"));
                }
                Err(_) => return Err(format!("HTTP {status}, cut off while it was read")),
            }
        }
        Ok(Self { status, retry_after, body: body.into() })
    }
}
