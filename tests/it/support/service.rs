//! The running service, as a client sees it.

use reqwest::{Client, Method, RequestBuilder, StatusCode};
use scrapehook::app::App;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::answers::{Event, Job, Page, Problem, Task, Video};
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

    /// A body of this content type.
    pub fn post(&self, path: &str, kind: &str, body: impl Into<reqwest::Body>) -> RequestBuilder {
        self.request(Method::POST, path).header("content-type", kind).body(body)
    }

    /// The status and the body of an answer that may be an error.
    pub async fn ask(&self, path: &str) -> (u16, Value) {
        let answer = self.request(Method::GET, path).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    pub async fn get(&self, path: &str) -> Value {
        let answer = self.request(Method::GET, path).send().await.unwrap();
        let status = answer.status();
        let body: Value = answer.json().await.unwrap();
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    }

    /// The answer as one of the types in `answers`.
    async fn read<T: DeserializeOwned>(&self, path: &str) -> T {
        let body = self.get(path).await;
        let words = body.to_string();
        serde_json::from_value(body).unwrap_or_else(|error| panic!("{path}: {error}: {words}"))
    }

    pub async fn items(&self, path: &str) -> Vec<Value> {
        self.list(path).await
    }

    pub async fn job(&self, job: &str) -> Job {
        self.read(&format!("/v1/jobs/{job}")).await
    }

    pub async fn task(&self, task: &str) -> Task {
        self.read(&format!("/v1/tasks/{task}")).await
    }

    pub async fn video(&self, video: &str) -> Video {
        self.read(&format!("/v1/videos/{video}")).await
    }

    /// The items of a page.
    pub async fn list<T: DeserializeOwned>(&self, path: &str) -> Vec<T> {
        self.read::<Page<T>>(path).await.items
    }

    /// The kinds of the first 500 events, in their order. Without announcements of problems, because a slow machine has
    /// time for more of them.
    pub async fn kinds(&self) -> Vec<String> {
        let events: Vec<Event> = self.list("/v1/events?limit=500").await;
        events.into_iter().map(|event| event.kind).filter(|kind| !kind.starts_with("problem.")).collect()
    }

    pub async fn submit(&self, urls: &[String]) -> String {
        self.submit_with(json!({ "video_urls": urls })).await
    }

    pub async fn submit_with(&self, body: Value) -> String {
        let answer = self.request(Method::POST, "/v1/jobs").json(&body).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
        answer.json::<Job>().await.unwrap().id
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

    /// Stops sending.
    pub async fn pause(&self) {
        assert_eq!(self.call("/v1/pause", Value::Null).await.0, 200);
    }

    /// Lifts every pause.
    pub async fn resume(&self) {
        assert_eq!(self.call("/v1/resume", Value::Null).await.0, 200);
    }

    /// A call that makes no sense in the present state. Checks that the answer says so.
    pub async fn call_in_wrong_state(&self, path: &str, body: Value) -> Problem {
        let (status, body) = self.call(path, body).await;
        let problem: Problem = serde_json::from_value(body).unwrap();
        assert_eq!((status, problem.code.as_str()), (409, "wrong_state"), "{path}: {problem:?}");
        problem
    }

    /// The codes of the problems in `/v1/status`, without that of the disk of the machine that runs the tests.
    pub async fn problems(&self) -> Vec<String> {
        let status = self.get("/v1/status").await;
        let codes =
            status["problems"].as_array().unwrap().iter().map(|problem| problem["code"].as_str().unwrap());
        codes.filter(|code| *code != "disk").map(str::to_owned).collect()
    }

    pub async fn post_callback(&self, path: &str, body: impl Into<reqwest::Body>) -> StatusCode {
        self.request(Method::POST, path).body(body).send().await.unwrap().status()
    }

    /// Waits until the answer at `path` is as wanted. It asks again after each commit that makes an event.
    pub async fn until<T: DeserializeOwned>(&self, path: &str, wanted: impl Fn(&T) -> bool) -> T {
        let ask = async {
            // It begins before the first question, so that no commit comes unseen between a question and the wait.
            let mut stream = Stream::open(self.request(Method::GET, "/v1/events/stream"), None).await;
            loop {
                let answer = self.read(path).await;
                if wanted(&answer) {
                    return answer;
                }
                stream.news().await;
            }
        };
        self.in_time(path, ask).await
    }

    /// As [`until`](Self::until), for what no event announces: the result of the callback check, whose a video is, and
    /// what a second look finds. It asks again at once.
    pub async fn until_unannounced<T: DeserializeOwned>(&self, path: &str, wanted: impl Fn(&T) -> bool) -> T {
        let ask = async {
            loop {
                let answer = self.read(path).await;
                if wanted(&answer) {
                    return answer;
                }
                tokio::task::yield_now().await;
            }
        };
        self.in_time(path, ask).await
    }

    async fn in_time<T>(&self, path: &str, ask: impl Future<Output = T>) -> T {
        match tokio::time::timeout(DEADLINE, ask).await {
            Ok(answer) => answer,
            Err(_) => panic!("{path} never came to that: {}", self.get(path).await),
        }
    }

    pub async fn until_job(&self, job: &str, wanted: impl Fn(&Job) -> bool) -> Job {
        self.until(&format!("/v1/jobs/{job}"), wanted).await
    }

    pub async fn until_settled(&self, job: &str) -> Job {
        self.until_job(job, |job| job.state != "running").await
    }

    /// Waits for a task in this state, and gives the first.
    pub async fn until_task(&self, state: &str) -> Task {
        self.until_tasks(&format!("state={state}"), 1).await.swap_remove(0)
    }

    /// Waits for an event of this kind.
    pub async fn until_event(&self, kind: &str) {
        self.until(&format!("/v1/events?kind={kind}"), |page: &Page<Event>| !page.items.is_empty()).await;
    }

    /// Waits until the list of tasks with this filter has so many.
    pub async fn until_tasks(&self, filter: &str, count: usize) -> Vec<Task> {
        let path = format!("/v1/tasks?{filter}");
        self.until(&path, |page: &Page<Task>| page.items.len() >= count).await.items
    }
}
