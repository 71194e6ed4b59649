//! A receiver of webhooks on loopback, which answers as a test says.

use std::io;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::stream;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::DEADLINE;

/// The secret that tests configure.
pub const SECRET: &str = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";

/// A webhook as it arrived.
#[derive(Clone, Debug)]
pub struct Received {
    pub path: String,
    pub id: String,
    pub kind: String,
    pub body: Value,
    /// Whether it is signed with [`SECRET`].
    pub is_genuine: bool,
    /// The text that was signed, and its signatures.
    signed: (Vec<u8>, String),
    /// The status that it was answered.
    pub answer: u16,
}

impl Received {
    fn new(uri: &Uri, headers: &HeaderMap, body: &Bytes) -> Self {
        let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default();
        let mut signed = format!("{}.{}.", header("webhook-id"), header("webhook-timestamp")).into_bytes();
        signed.extend_from_slice(body);
        let signatures = header("webhook-signature").to_owned();
        // Text for a chat is no JSON.
        let text = || Value::from(String::from_utf8(body.to_vec()).unwrap());
        let body: Value = serde_json::from_slice(body).unwrap_or_else(|_| text());
        let received = Self {
            path: uri.to_string(),
            id: header("webhook-id").to_owned(),
            kind: body["type"].as_str().unwrap_or_default().to_owned(),
            body,
            is_genuine: false,
            signed: (signed, signatures),
            answer: 0,
        };
        Self { is_genuine: received.is_signed_with(SECRET), ..received }
    }

    /// Whether this secret has signed it.
    pub fn is_signed_with(&self, secret: &str) -> bool {
        let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        let mac = Hmac::<Sha256>::new_from_slice(&key).unwrap().chain_update(&self.signed.0);
        let signature = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        self.signed.1.split(' ').any(|one| one == signature)
    }

    /// The `seq` of the event.
    pub fn seq(&self) -> i64 {
        self.body["data"]["event"]["seq"].as_i64().unwrap()
    }
}

/// What the receiver answers: given the webhook and the number of those before it.
type Answer = dyn Fn(&Received, usize) -> u16 + Send + Sync;

/// The status with which a receiver never answers.
pub const SILENCE: u16 = 0;
/// The status with which a receiver answers 200, and cuts the connection in the middle of the body.
pub const CUT: u16 = 1;

#[derive(Clone)]
struct Shared {
    answer: Arc<Answer>,
    seen: Arc<Mutex<Vec<Received>>>,
    /// Whether it remembers what it has seen.
    keeps: bool,
    count: watch::Sender<usize>,
}

/// A receiver of webhooks.
pub struct Receiver {
    port: u16,
    shared: Shared,
}

impl Receiver {
    /// A receiver that answers each webhook with the status that `answer` gives.
    pub async fn start(answer: impl Fn(&Received, usize) -> u16 + Send + Sync + 'static) -> Self {
        Self::start_with(Arc::new(answer), true).await
    }

    /// The same, but only `answer` remembers anything: for tests with many webhooks.
    pub async fn forgetful(answer: impl Fn(&Received) -> u16 + Send + Sync + 'static) -> Self {
        Self::start_with(Arc::new(move |received, _| answer(received)), false).await
    }

    async fn start_with(answer: Arc<Answer>, keeps: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Shared { answer, seen: Arc::default(), keeps, count: watch::Sender::new(0) };
        let router = Router::new().fallback(receive).with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { port, shared }
    }

    /// A URL of the receiver, by this host.
    pub fn url(&self, host: &str, path: &str) -> String {
        format!("http://{host}:{}{path}", self.port)
    }

    /// All webhooks so far.
    pub fn seen(&self) -> Vec<Received> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// Waits for so many webhooks.
    pub async fn until(&self, count: usize) -> Vec<Received> {
        self.until_all(|seen| seen.len() >= count).await
    }

    /// Waits until this is true of all webhooks so far.
    pub async fn until_all(&self, is_enough: impl Fn(&[Received]) -> bool) -> Vec<Received> {
        let mut counts = self.shared.count.subscribe();
        let enough = counts.wait_for(|_| is_enough(&self.shared.seen.lock().unwrap()));
        let all = tokio::time::timeout(DEADLINE, enough).await.is_ok();
        assert!(all, "webhooks never came: {:#?}", self.seen());
        self.seen()
    }
}

async fn receive(State(shared): State<Shared>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let mut received = Received::new(&uri, &headers, &body);
    let answer = {
        let mut seen = shared.seen.lock().unwrap();
        received.answer = (shared.answer)(&received, seen.len());
        let answer = received.answer;
        if shared.keeps {
            seen.push(received);
        }
        answer
    };
    shared.count.send_modify(|count| *count += 1);
    if answer == SILENCE {
        std::future::pending::<()>().await;
    }
    if answer == CUT {
        let parts = [Ok(Bytes::from_static(b"half of")), Err(io::Error::other("cut"))];
        return Body::from_stream(stream::iter(parts)).into_response();
    }
    StatusCode::from_u16(answer).unwrap().into_response()
}
