//! A receiver of webhooks on loopback, which answers as a test says.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::DEADLINE;

/// The secret that tests configure, and its key.
pub const SECRET: &str = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
const KEY: &[u8] = b"01234567890123456789012345678901";

/// A webhook as it arrived.
#[derive(Clone, Debug)]
pub struct Received {
    pub path: String,
    pub id: String,
    pub kind: String,
    pub body: Value,
    /// Whether the signature is right.
    pub is_genuine: bool,
    /// The status that it was answered.
    pub answer: u16,
}

impl Received {
    fn new(uri: &Uri, headers: &HeaderMap, body: &Bytes) -> Self {
        let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default();
        let mut mac = Hmac::<Sha256>::new_from_slice(KEY).unwrap();
        let signed = format!("{}.{}.", header("webhook-id"), header("webhook-timestamp"));
        mac.update(signed.as_bytes());
        mac.update(body);
        let signature = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        let body: Value = serde_json::from_slice(body).unwrap();
        Self {
            path: uri.to_string(),
            id: header("webhook-id").to_owned(),
            kind: body["type"].as_str().unwrap_or_default().to_owned(),
            body,
            is_genuine: header("webhook-signature").split(' ').any(|one| one == signature),
            answer: 0,
        }
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

#[derive(Clone)]
struct Shared {
    answer: Arc<Answer>,
    seen: Arc<Mutex<Vec<Received>>>,
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
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Shared { answer: Arc::new(answer), seen: Arc::default(), count: watch::Sender::new(0) };
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
        let mut counts = self.shared.count.subscribe();
        let all = tokio::time::timeout(DEADLINE, counts.wait_for(|seen| *seen >= count)).await;
        all.unwrap_or_else(|_| panic!("{count} webhooks never came: {:#?}", self.seen())).unwrap();
        self.seen()
    }
}

async fn receive(State(shared): State<Shared>, uri: Uri, headers: HeaderMap, body: Bytes) -> StatusCode {
    let mut received = Received::new(&uri, &headers, &body);
    let answer = {
        let mut seen = shared.seen.lock().unwrap();
        received.answer = (shared.answer)(&received, seen.len());
        seen.push(received.clone());
        received.answer
    };
    shared.count.send_modify(|count| *count += 1);
    if answer == SILENCE {
        std::future::pending::<()>().await;
    }
    StatusCode::from_u16(answer).unwrap()
}
