//! The running service, as a client sees it.

use reqwest::{Client, Method, RequestBuilder, StatusCode};
use scrapehook::app::App;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::recompute::assert_states_follow_from_facts;
use super::setup::Setup;
use super::stream::Stream;
use super::{DEADLINE, client};

/// A running service, as a client sees it.
pub struct Service {
    pub setup: Setup,
    pub base: String,
    pub client: Client,
    stop: CancellationToken,
    running: JoinHandle<anyhow::Result<()>>,
}

impl Service {
    pub(super) fn new(setup: Setup, app: App) -> Self {
        let base = format!("http://{}", app.address());
        let stop = app.stop_token();
        let running = tokio::spawn(app.join());
        Self { setup, base, client: client(), stop, running }
    }

    /// Stops in order, checks the file, and gives back what it needs to be started again on the same file.
    pub async fn stop(self) -> Setup {
        self.stop.cancel();
        tokio::time::timeout(DEADLINE, self.running).await.expect("stops in time").unwrap().unwrap();
        assert_states_follow_from_facts(&self.setup.database()).await;
        self.setup
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    pub async fn get(&self, path: &str) -> Value {
        let answer = self.request(Method::GET, path).send().await.unwrap();
        let status = answer.status();
        let body: Value = answer.json().await.unwrap();
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    }

    pub async fn items(&self, path: &str) -> Vec<Value> {
        self.get(path).await["items"].as_array().unwrap().clone()
    }

    pub async fn submit(&self, urls: &[String]) -> String {
        self.submit_with(json!({ "video_urls": urls })).await
    }

    pub async fn submit_with(&self, body: Value) -> String {
        let answer = self.request(Method::POST, "/v1/jobs").json(&body).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
        let job: Value = answer.json().await.unwrap();
        job["id"].as_str().unwrap().to_owned()
    }

    /// An operator's call; gives the status and the body.
    pub async fn call(&self, path: &str, body: Value) -> (u16, Value) {
        let mut request = self.request(Method::POST, path);
        if !body.is_null() {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    pub async fn post_callback(&self, path: &str, body: impl Into<reqwest::Body>) -> StatusCode {
        self.request(Method::POST, path).body(body).send().await.unwrap().status()
    }

    /// Waits until the answer at `path` is as wanted. It asks again after each commit that makes an event.
    pub async fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let ask = async {
            // It begins before the first question, so that no commit comes unseen between a question and the wait.
            let mut stream = Stream::open(self.request(Method::GET, "/v1/events/stream"), None).await;
            loop {
                let body = self.get(path).await;
                if wanted(&body) {
                    return body;
                }
                stream.news().await;
            }
        };
        self.in_time(path, ask).await
    }

    /// As [`until`](Self::until), for what no event announces: the result of the callback check, whose a video is, and
    /// what a second look finds. It asks again at once.
    pub async fn until_unannounced(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let ask = async {
            loop {
                let body = self.get(path).await;
                if wanted(&body) {
                    return body;
                }
                tokio::task::yield_now().await;
            }
        };
        self.in_time(path, ask).await
    }

    async fn in_time(&self, path: &str, ask: impl Future<Output = Value>) -> Value {
        match tokio::time::timeout(DEADLINE, ask).await {
            Ok(body) => body,
            Err(_) => panic!("{path} never came to that: {}", self.get(path).await),
        }
    }

    pub async fn until_settled(&self, job: &str) -> Value {
        self.until(&format!("/v1/jobs/{job}"), |job| job["state"] != "running").await
    }
}
