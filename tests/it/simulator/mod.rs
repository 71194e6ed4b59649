//! The simulator observed from outside: over HTTP, with a receiver for its callbacks.
mod faults;
mod lists;
mod other_tasks;
mod refusals;
mod rules;
mod spoiled;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use reqwest::{Client, Method, Response};
use scrapehook::simulator::{Faults, Settings, Simulator};
use scrapehook::upstream::wire::{Envelope, POLL, SUBMIT_PRIVATE, SUBMIT_PUBLIC};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

const HOUR: Duration = Duration::from_secs(3_600);
const URL: &str = "https://www.tiktok.com/@user/video/1";
const YOUTUBE: &str = "https://www.youtube.com/watch?v=o9vgXOH4ET0";

/// Every wait of these tests ends here, so that a missing fact fails instead of hanging.
async fn soon<T>(fact: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), fact).await.expect("it never happened")
}

/// A simulator and a client that talks to it.
struct Conversation {
    simulator: Simulator,
    client: Client,
}

impl Conversation {
    async fn with(settings: Settings) -> Self {
        let simulator = Simulator::bind(settings).await.unwrap();
        Self { simulator, client: crate::support::client() }
    }

    async fn with_faults(faults: Faults) -> Self {
        Self::with(Settings { faults, ..Settings::default() }).await
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let url = format!("{}{path}", self.simulator.url());
        self.client.request(method, url).header("Authorization", "simulator")
    }

    async fn submit_raw(&self, path: &str, body: impl Into<String>) -> Response {
        soon(self.request(Method::POST, path).body(body.into()).send()).await.unwrap()
    }

    async fn submit(&self, body: Value) -> Envelope {
        envelope(self.submit_raw(SUBMIT_PRIVATE, body.to_string()).await).await
    }

    async fn submit_public(&self, body: Value) -> Envelope {
        envelope(self.submit_raw(SUBMIT_PUBLIC, body.to_string()).await).await
    }

    /// Submits URLs with the receiver as their callback URL, and returns the task.
    async fn task(&self, urls: &[&str], receiver: &Receiver) -> String {
        let answer = self.submit(json!({"video_urls": urls, "callback_url": receiver.url})).await;
        answer.task_id().expect("an accepted submit")
    }

    async fn poll_raw(&self, task_id: &str) -> Response {
        let poll = self.request(Method::GET, POLL).query(&[("task_id", task_id)]);
        soon(poll.send()).await.unwrap()
    }

    async fn poll(&self, task_id: &str) -> Envelope {
        envelope(self.poll_raw(task_id).await).await
    }

    /// What a poll lists for a task.
    async fn videos(&self, task_id: &str) -> Vec<Value> {
        self.poll(task_id).await.data["videos"].as_array().expect("a listing").clone()
    }

    async fn callbacks_were_sent(&self, count: usize) {
        soon(self.simulator.until(|simulator| simulator.callbacks_sent().len() >= count)).await;
    }
}

/// An application's answer, which always rides on HTTP 200.
async fn envelope(response: Response) -> Envelope {
    assert_eq!(response.status(), 200);
    let body = soon(response.bytes()).await.unwrap();
    Envelope::parse(&body).expect("an envelope")
}

fn strings(videos: &[Value], field: &str) -> Vec<String> {
    videos.iter().map(|video| video[field].as_str().expect(field).to_owned()).collect()
}

/// Catches callbacks, and answers each when the gate lets it.
struct Receiver {
    url: String,
    caught: watch::Receiver<Vec<String>>,
    gate: Arc<Semaphore>,
}

#[derive(Clone)]
struct Catch {
    caught: watch::Sender<Vec<String>>,
    gate: Arc<Semaphore>,
    status: StatusCode,
}

impl Receiver {
    async fn open() -> Self {
        Self::start(StatusCode::OK, Semaphore::MAX_PERMITS).await
    }

    async fn start(status: StatusCode, permits: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/in/secret", listener.local_addr().unwrap());
        let (sender, caught) = watch::channel(Vec::new());
        let gate = Arc::new(Semaphore::new(permits));
        let catch = Catch { caught: sender, gate: Arc::clone(&gate), status };
        let router = Router::new().route("/in/secret", post(catch_callback)).with_state(catch);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, caught, gate }
    }

    /// The raw bodies, as soon as there are so many.
    async fn caught(&self, count: usize) -> Vec<String> {
        let mut caught = self.caught.clone();
        soon(caught.wait_for(|caught| caught.len() >= count)).await.unwrap().clone()
    }

    /// The statuses, as soon as there are so many.
    async fn statuses(&self, count: usize) -> Vec<String> {
        let bodies: Vec<Value> =
            self.caught(count).await.iter().map(|body| serde_json::from_str(body).unwrap()).collect();
        strings(&bodies, "status")
    }
}

async fn catch_callback(State(catch): State<Catch>, headers: HeaderMap, body: String) -> StatusCode {
    assert_eq!(headers["content-type"], "application/json");
    catch.caught.send_modify(|caught| caught.push(body));
    catch.gate.acquire().await.unwrap().forget();
    catch.status
}
