//! The HTTP client of the commands: the address of the service, the key, and the meaning of the answers.
//!
//! Must never show the key, nor accept a URL that holds a password.

pub(in crate::cli) mod address;
pub(in crate::cli) mod failure;
pub(in crate::cli) mod reconnect;
pub(in crate::cli) mod sse;

use std::time::Duration;

use clap::Args;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use self::failure::ClientError;
use crate::config::is_in_quotes;
use crate::domain::byte_order_mark;
use crate::domain::host::is_loopback;

const URL_VARIABLE: &str = "SCRAPEHOOK_URL";
const KEY_VARIABLE: &str = "SCRAPEHOOK_API_KEY";
const DEFAULT_URL: &str = "http://127.0.0.1:8080";

const CONNECT: Duration = Duration::from_secs(10);
/// The longest wait for an answer, beyond the time that the service was asked to wait.
const ANSWER: Duration = Duration::from_secs(60);

/// Where the service is. The key is taken from the environment alone: a flag would show in the list of processes.
#[derive(Args, Clone, Debug)]
pub struct Service {
    /// URL of the service. SCRAPEHOOK_API_KEY holds the API key
    #[arg(
        long, value_name = "URL", env = URL_VARIABLE, hide_env_values = true, default_value = DEFAULT_URL
    )]
    server: String,
    /// Print the service's own JSON, one object a line
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

impl Service {
    /// Creates a client for the service.
    pub(in crate::cli) fn connect(&self) -> Result<Api, ClientError> {
        Api::new(if self.server.trim().is_empty() { DEFAULT_URL } else { self.server.trim() })
    }

    /// Returns a command line for another request to this service.
    pub(in crate::cli) fn command(&self, arguments: &str) -> String {
        let usual = std::env::var(URL_VARIABLE).unwrap_or_else(|_| DEFAULT_URL.to_owned());
        if self.server == usual {
            format!("scrapehook {arguments}")
        } else {
            format!("scrapehook {arguments} --server {}", self.server)
        }
    }
}

/// Reads an id, which becomes a segment of a path. An empty id or one of dots alone would lead elsewhere, and the URL
/// library drops line ends and tabs.
pub(in crate::cli) fn id(text: &str) -> Result<String, &'static str> {
    match text.trim() {
        "" | "." | ".." => Err("an id is expected"),
        id if id.contains(char::is_control) => Err("an id must not contain control characters"),
        id => Ok(id.to_owned()),
    }
}

/// The parameters of a query.
pub(in crate::cli) type Query = Vec<(&'static str, String)>;

/// A client of one service with one key.
#[derive(Debug)]
pub(in crate::cli) struct Api {
    client: Client,
    base: Url,
    key: Option<HeaderValue>,
}

impl Api {
    fn new(url: &str) -> Result<Self, ClientError> {
        let usage = |said| ClientError::Usage(format!("{URL_VARIABLE} or --server: {said}"));
        if is_in_quotes(url) {
            return Err(usage("the value is in quotes. Remove them"));
        }
        let base = address::read(url).map_err(usage)?;
        let mut builder = crate::tls::client()
            .user_agent(concat!("scrapehook/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            // A redirected POST becomes a GET, and a redirect may send the key to another server.
            .redirect(reqwest::redirect::Policy::none());
        if base.host_str().is_some_and(is_loopback) {
            builder = builder.no_proxy();
        }
        let client = builder
            .build()
            .map_err(|_| ClientError::Refused("TLS cannot be set up on this machine".to_owned()))?;
        Ok(Self { client, base, key: key()? })
    }

    /// The address for messages.
    pub(in crate::cli) fn address(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    fn request(&self, method: Method, path: &[&str], query: &Query) -> RequestBuilder {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            // Ids are from the command line. Each stays one segment, whatever it contains.
            segments.pop_if_empty().push("v1").extend(path);
        }
        let request = self.client.request(method, url).query(query);
        match &self.key {
            Some(key) => request.header(AUTHORIZATION, key.clone()),
            None => request,
        }
    }

    pub(in crate::cli) async fn get(&self, path: &[&str], query: &Query) -> Result<Answer, ClientError> {
        self.whole(self.request(Method::GET, path, query), ANSWER).await
    }

    /// Sends a request whose answer the service may delay by this time.
    pub(in crate::cli) async fn get_within(
        &self,
        path: &[&str],
        wait: Duration,
    ) -> Result<Answer, ClientError> {
        let query = vec![("wait", format!("{}s", wait.as_secs()))];
        self.whole(self.request(Method::GET, path, &query), ANSWER + wait).await
    }

    pub(in crate::cli) async fn post(
        &self,
        path: &[&str],
        body: Option<&Value>,
    ) -> Result<Answer, ClientError> {
        self.ask_for(Method::POST, path, body).await
    }

    pub(in crate::cli) async fn patch(&self, path: &[&str], body: &Value) -> Result<Answer, ClientError> {
        self.ask_for(Method::PATCH, path, Some(body)).await
    }

    pub(in crate::cli) async fn delete(&self, path: &[&str]) -> Result<Answer, ClientError> {
        self.ask_for(Method::DELETE, path, None).await
    }

    async fn ask_for(
        &self,
        method: Method,
        path: &[&str],
        body: Option<&Value>,
    ) -> Result<Answer, ClientError> {
        let request = self.request(method, path, &Vec::new());
        self.whole(if let Some(body) = body { request.json(body) } else { request }, ANSWER).await
    }

    /// Submits a job in a body of this type.
    pub(in crate::cli) async fn submit(
        &self,
        kind: &'static str,
        body: Vec<u8>,
        query: &Query,
        key: &str,
    ) -> Result<Answer, ClientError> {
        let request = self.request(Method::POST, &["jobs"], query).header("idempotency-key", key);
        self.whole(request.header(CONTENT_TYPE, kind).body(body), ANSWER).await
    }

    /// Opens the stream of events after this one.
    pub(in crate::cli) async fn stream(&self, query: &Query, after: &str) -> Result<Response, ClientError> {
        let request = self.request(Method::GET, &["events", "stream"], query).header("last-event-id", after);
        let response = match tokio::time::timeout(ANSWER, request.send()).await {
            Ok(response) => response.map_err(|error| self.lost(error))?,
            Err(_) => return Err(ClientError::Lost(format!("{} does not answer", self.address()))),
        };
        if !response.status().is_success() {
            return Err(self.refusal(response).await);
        }
        let kind =
            response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("text/event-stream") {
            return Err(self.stranger("with something that is not a stream of events"));
        }
        Ok(response)
    }

    async fn whole(&self, request: RequestBuilder, within: Duration) -> Result<Answer, ClientError> {
        let response = request.timeout(within).send().await.map_err(|error| self.lost(error))?;
        if !response.status().is_success() {
            return Err(self.refusal(response).await);
        }
        let status = response.status();
        let is_again = response.headers().get("idempotent-replayed").is_some();
        let text = text(response).await.map_err(|error| self.lost(error))?;
        if status == StatusCode::NO_CONTENT {
            return Ok(Answer { status, text, value: Value::Null, is_again });
        }
        let value =
            serde_json::from_str(&text).map_err(|_| self.stranger("with something that is not JSON"))?;
        Ok(Answer { status, text, value, is_again })
    }

    /// Converts the error of a request without an answer.
    pub(in crate::cli) fn lost(&self, error: reqwest::Error) -> ClientError {
        let address = self.address();
        // Nothing was sent, and another try would not help.
        if error.is_builder() {
            let why = "an argument is too long, or has characters that a URL or a header cannot carry";
            return ClientError::Usage(format!("this request cannot be sent: {why}"));
        }
        if error.is_connect() {
            let mut cause: &dyn std::error::Error = &error;
            while let Some(deeper) = cause.source() {
                cause = deeper;
            }
            return ClientError::Unreachable(format!(
                "{address} cannot be reached ({cause}). Start `scrapehook serve` there, or set another address with \
                 {URL_VARIABLE} or --server"
            ));
        }
        ClientError::Lost(if error.is_timeout() {
            format!("{address} does not answer")
        } else {
            format!("the connection to {address} was lost")
        })
    }

    /// The failure for an answer that the service never gives.
    pub(in crate::cli) fn stranger(&self, what: &str) -> ClientError {
        let address = self.address();
        ClientError::Refused(format!(
            "{address} answers {what}, so it is not scrapehook. Set another address with {URL_VARIABLE} or --server"
        ))
    }

    /// Reads an answer that is not a success.
    async fn refusal(&self, response: Response) -> ClientError {
        let (status, address) = (response.status(), self.address());
        if status == StatusCode::UNAUTHORIZED {
            return ClientError::Usage(if self.key.is_some() {
                format!("{address} rejects this API key. Correct {KEY_VARIABLE}")
            } else {
                format!("{address} requires an API key. Set {KEY_VARIABLE}")
            });
        }
        if status.is_redirection() {
            let said = format!("{address} redirects to another address. Set {URL_VARIABLE} to that address");
            return ClientError::Usage(said);
        }
        let problem = text(response).await.ok().and_then(|text| serde_json::from_str::<Problem>(&text).ok());
        let said = problem.map(|problem| problem.words());
        match (status, said) {
            (status, said) if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                ClientError::Busy(said.unwrap_or_else(|| format!("{address} answers with HTTP {status}")))
            }
            (StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY, Some(said)) => {
                ClientError::Usage(said)
            }
            (_, Some(said)) => ClientError::Refused(said),
            (status, None) => self.stranger(&format!("with HTTP {status}")),
        }
    }
}

/// Reads the key from the environment.
fn key() -> Result<Option<HeaderValue>, ClientError> {
    let Some(key) = std::env::var_os(KEY_VARIABLE) else { return Ok(None) };
    let key = key.to_string_lossy();
    let key = key.trim();
    if is_in_quotes(key) {
        return Err(ClientError::Usage(format!("{KEY_VARIABLE}: the value is in quotes. Remove them")));
    }
    if key.is_empty() {
        return Ok(None);
    }
    // The service accepts only visible ASCII, although a header could carry more.
    let is_readable = key.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if key.contains('\n') {
        return Err(ClientError::Usage(format!(
            "{KEY_VARIABLE}: it has several lines, but one key is expected"
        )));
    }
    let value = HeaderValue::from_str(&format!("Bearer {key}")).ok().filter(|_| is_readable);
    let mut value = value.ok_or_else(|| {
        ClientError::Usage(format!("{KEY_VARIABLE}: it contains characters that a header cannot carry"))
    })?;
    value.set_sensitive(true);
    Ok(Some(value))
}

/// Returns the text of an answer, without a byte order mark at its start.
async fn text(response: Response) -> Result<String, reqwest::Error> {
    let bytes = response.bytes().await?;
    Ok(String::from_utf8_lossy(byte_order_mark::strip(&bytes)).into_owned())
}

/// An answer, as received and parsed.
#[derive(Debug)]
pub(in crate::cli) struct Answer {
    pub(in crate::cli) status: StatusCode,
    pub(in crate::cli) text: String,
    pub(in crate::cli) value: Value,
    /// Whether it repeats the answer to an earlier request with the same `Idempotency-Key`.
    pub(in crate::cli) is_again: bool,
}

/// One page of a list, with each item as received.
#[derive(Debug, Deserialize)]
pub(in crate::cli) struct Page {
    pub(in crate::cli) items: Vec<Box<RawValue>>,
    pub(in crate::cli) next: Option<String>,
}

impl Api {
    pub(in crate::cli) async fn page(&self, path: &[&str], query: &Query) -> Result<Page, ClientError> {
        let answer = self.get(path, query).await?;
        serde_json::from_str(&answer.text).map_err(|_| self.stranger("with something that is not a list"))
    }
}

/// The fields of RFC 9457 that are shown.
#[derive(Deserialize)]
struct Problem {
    detail: String,
    #[serde(default)]
    errors: Vec<Fault>,
}

#[derive(Deserialize)]
struct Fault {
    #[serde(default)]
    pointer: String,
    detail: String,
}

impl Problem {
    fn words(&self) -> String {
        let faults = self.errors.iter().map(|fault| format!("\n  {}", fault.words()));
        format!("{}{}", self.detail, faults.collect::<String>())
    }
}

impl Fault {
    fn words(&self) -> String {
        let place = self.pointer.trim_start_matches('/');
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // The message already has the number of a line.
        if place.is_empty() || is_number(place) {
            return self.detail.clone();
        }
        let position = place.strip_prefix("video_urls/").and_then(|place| place.parse::<usize>().ok());
        match position.and_then(|place| place.checked_add(1)) {
            Some(number) => format!("URL {number}: {}", self.detail),
            None => format!("{place}: {}", self.detail),
        }
    }
}
