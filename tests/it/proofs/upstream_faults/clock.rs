//! A clock that is an hour off: upstream's, which nobody reads, and our own, which jumps there and back.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use scrapehook::config::Live;
use scrapehook::domain::callback::Meaning;
use scrapehook::domain::id::{JobId, TaskId};
use scrapehook::domain::job::Quality;
use scrapehook::domain::task::{Task, TaskState};
use scrapehook::domain::time::{Timestamp, millis};
use scrapehook::domain::token::TokenKeys;
use scrapehook::simulator::{Faults, Settings, Simulator};
use scrapehook::store::{EventFilter, PollEnd, ReceivedHint, TaskFilter};
use scrapehook::upstream::wire::{POLL, SUBMIT_PRIVATE};
use scrapehook::upstream::{Budget, Upstream};
use scrapehook::workers::{Budgets, CallbackUrls, Dispatcher, Reconciler, Step, Worker};
use serde_json::json;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::{Duration, assert_charged_once, silent};
use crate::support::file::{DAY, File, HOUR, MINUTE, POLICY, at, callback, whole};
use crate::support::{DEADLINE, Setup, UPSTREAM_KEY, mixed_urls, simulator};

/// A real file, the simulator, and workers whose clock is the test.
struct ByHand {
    file: File,
    upstream: Simulator,
    urls_per_day: Option<u64>,
    dispatcher: Dispatcher,
    reconciler: Reconciler,
}

impl ByHand {
    async fn start(faults: Faults, urls_per_day: Option<u64>) -> Self {
        let file = File::started().await;
        let upstream = simulator(Settings { faults: silent(faults), ..Settings::default() }).await;
        let (dispatcher, reconciler) = workers(&file, &upstream, urls_per_day);
        Self { file, upstream, urls_per_day, dispatcher, reconciler }
    }

    /// A job whose URLs wait, each of another platform.
    async fn wait_for(&self, hosts: &[&str]) {
        let urls = hosts.iter().map(|host| format!("https://{host}.example/post")).collect::<Vec<_>>();
        self.file.waiting_job(&urls, Quality::P360, false).await;
    }

    /// The tasks that were formed, oldest first.
    async fn tasks(&self) -> Vec<Task> {
        let filter = TaskFilter { limit: 500, ..TaskFilter::default() };
        let mut tasks = self.file.store.read().tasks(&filter).await.unwrap();
        tasks.reverse();
        tasks
    }

    /// As after a restart: what is kept in memory alone is gone.
    fn restart(&mut self) {
        (self.dispatcher, self.reconciler) = workers(&self.file, &self.upstream, self.urls_per_day);
    }

    async fn send(&mut self, now: Timestamp) -> Step {
        tokio::time::timeout(DEADLINE, self.dispatcher.step(now)).await.unwrap().unwrap()
    }

    async fn poll(&mut self, now: Timestamp) -> Step {
        tokio::time::timeout(DEADLINE, self.reconciler.step(now)).await.unwrap().unwrap()
    }
}

fn workers(file: &File, upstream: &Simulator, urls_per_day: Option<u64>) -> (Dispatcher, Reconciler) {
    let client = Upstream::new(&upstream.url(), &UPSTREAM_KEY.into(), DEADLINE).unwrap();
    let budget = Arc::new(Budget::new(Duration::from_millis(1)));
    let callbacks = CallbackUrls::new(None, Arc::new(Live::new(TokenKeys::new([]))));
    let stop = CancellationToken::new();
    let store = file.store.clone();
    let budgets = Budgets { requests: budget.clone(), urls_per_day };
    let dispatcher = Dispatcher::new(store.clone(), client.clone(), budgets, callbacks, stop.clone());
    (dispatcher, Reconciler::new(store, client, budget, POLICY, stop))
}

fn later(span: Duration) -> Timestamp {
    at(0).after(span)
}

fn before(time: Timestamp, span: Duration) -> Timestamp {
    Timestamp::from_millis(time.as_millis() - millis(span))
}

#[tokio::test]
async fn what_was_put_off_an_hour_ahead_is_sent_when_the_clock_is_back() {
    let mut test = ByHand::start(Faults { unavailable: 1.0, ..Faults::default() }, None).await;
    test.wait_for(&["a"]).await;
    assert_eq!(test.send(later(HOUR)).await, Step::Worked);
    test.upstream.set_faults(Faults::default());
    let Step::WaitUntil(then) = test.send(at(0)).await else { panic!("it is put off for a second") };
    assert!(then <= later(MINUTE), "{then}");
    test.restart();
    assert_eq!(test.send(at(0)).await, Step::Worked);
    assert_charged_once(&test.upstream, 1);
    test.file.close().await;
}

#[tokio::test]
async fn a_pause_an_hour_ahead_is_probed_when_the_clock_is_back() {
    let mut test = ByHand::start(Faults { no_credits: 1.0, ..Faults::default() }, None).await;
    test.wait_for(&["a", "b"]).await;
    assert_eq!(test.send(later(HOUR)).await, Step::Worked);
    let Step::WaitUntil(probe) = test.send(later(HOUR)).await else { panic!("sending is paused") };
    assert!(probe >= later(HOUR + MINUTE), "{probe}");
    test.upstream.set_faults(Faults::default());
    for _ in 0..2 {
        assert_eq!(test.send(at(0)).await, Step::Worked);
    }
    assert_charged_once(&test.upstream, 2);
    assert_eq!(test.file.store.read().pauses().await.unwrap(), []);
    test.file.close().await;
}

#[tokio::test]
async fn polls_put_off_an_hour_ahead_wait_behind_no_other_when_the_clock_is_back() {
    let mut test = ByHand::start(Faults::default(), None).await;
    test.wait_for(&["a", "b", "c"]).await;
    for _ in 0..3 {
        test.send(at(0)).await;
    }
    let tasks = test.tasks().await;
    assert_eq!(tasks.len(), 3);
    test.upstream.set_faults(Faults { html: 1.0, ..Faults::default() });
    for _ in &tasks {
        assert_eq!(test.poll(later(HOUR)).await, Step::Worked);
    }
    // Each of them, although those before have a turn again by then.
    for _ in &tasks {
        assert_eq!(test.poll(at(0)).await, Step::Worked);
    }
    let Step::WaitUntil(then) = test.poll(at(0)).await else { panic!("each has had its turn") };
    assert!(then <= later(MINUTE * 8), "{then}");
    assert_eq!(test.upstream.polls(), 6);
    test.file.close().await;
}

#[tokio::test]
async fn a_hint_an_hour_ahead_is_looked_at_when_the_clock_is_back() {
    let mut test = ByHand::start(Faults { cut: 1.0, ..Faults::default() }, None).await;
    test.wait_for(&["a"]).await;
    test.send(at(0)).await;
    let task = test.tasks().await[0].id;
    assert_eq!(test.file.state(task).await, TaskState::Unconfirmed);
    let upstream_id = test.upstream.submits()[0].task_id.clone();
    let hint = ReceivedHint {
        at: later(HOUR),
        body: "{}".into(),
        body_hash: [7; 32],
        upstream_id: upstream_id.clone(),
    };
    test.file.store.receive_hint(hint).await.unwrap();
    assert_eq!(test.poll(at(0)).await, Step::Worked);
    let found = test.file.store.read().task(task).await.unwrap().unwrap();
    assert_eq!((found.state, found.upstream_id), (TaskState::Accepted, upstream_id));
    test.file.close().await;
}

#[tokio::test]
async fn a_clock_set_forward_proves_no_silence() {
    let mut test = ByHand::start(Faults { no_video: 1.0, ..Faults::default() }, None).await;
    test.wait_for(&["a"]).await;
    test.send(at(0)).await;
    let task = test.tasks().await[0].id;
    let id = test.upstream.submits()[0].task_id.clone().unwrap();
    test.file.store.receive_callback(callback(task, 10, Some(Meaning::Succeeded), &id)).await.unwrap();
    // Two polls, a moment apart, which list nothing; between them the clock gains an hour.
    for now in [later(MINUTE * 2), later(MINUTE * 2 + HOUR)] {
        assert_eq!(test.poll(now).await, Step::Worked);
    }
    assert_eq!(test.upstream.polls(), 2);
    assert_eq!(test.file.state(task).await, TaskState::Downloaded);
    // A minute that did go by proves it.
    let due = test.file.due().await.unwrap();
    let then = later(MINUTE * 3 + HOUR);
    let none = whole(Vec::new());
    test.file.store.record_poll(due, then, then, none).await.unwrap();
    assert_eq!(test.file.state(task).await, TaskState::Failed);
    test.file.close().await;
}

#[tokio::test]
async fn a_clock_set_forward_brings_no_deadline_nearer() {
    let file = File::started().await;
    let task = file.job(&["a"]).await[0];
    file.accept(task).await;
    let before = later(DAY - MINUTE * 30);
    let jumped = before.after(HOUR);
    file.store.clock_set_forward(HOUR, jumped).await.unwrap();
    let ask = async |now: Timestamp| {
        let due = file.due().await.unwrap();
        file.store.record_poll(due, now, now, PollEnd::Unanswered(MINUTE)).await.unwrap();
        file.store.sweep(now).await.unwrap();
    };
    ask(jumped).await;
    assert_eq!(file.state(task).await, TaskState::Accepted);
    ask(jumped.after(MINUTE * 31)).await;
    assert_eq!(file.state(task).await, TaskState::Stalled);
    file.close().await;
}

#[tokio::test]
async fn a_day_s_budget_is_not_doubled_by_a_jump_over_midnight() {
    let mut test = ByHand::start(Faults::default(), Some(2)).await;
    test.wait_for(&["a", "b", "c", "d", "e", "f", "g"]).await;
    let midnight = at(0).next_day();
    let evening = before(midnight, MINUTE * 30);
    let mut send_all = async |now: Timestamp, sum: usize| {
        while test.send(now).await == Step::Worked {}
        assert_eq!(test.upstream.charged().len(), sum, "{now}");
    };
    send_all(evening, 2).await;
    // An hour ahead is the next day, and its budget is spent there, once.
    send_all(evening.after(HOUR), 4).await;
    send_all(evening.after(MINUTE), 4).await;
    send_all(midnight.after(MINUTE), 4).await;
    send_all(midnight.after(HOUR * 2), 4).await;
    send_all(midnight.next_day(), 6).await;
    // And an hour back again.
    send_all(before(midnight.next_day(), MINUTE), 6).await;
    assert_charged_once(&test.upstream, 6);
    test.file.close().await;
}

#[tokio::test]
async fn a_clock_that_jumps_at_every_step_ends_every_task_and_sends_none_twice() {
    let mut random = StdRng::seed_from_u64(11);
    let faults = Faults { unavailable: 0.3, no_credits: 0.1, ..Faults::default() };
    let mut test = ByHand::start(faults, None).await;
    let hosts: Vec<_> = (0..12).map(|n| format!("host{n}")).collect();
    test.wait_for(&hosts.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let mut ids: Vec<TaskId> = Vec::new();
    let mut jobs: Vec<JobId> = Vec::new();
    let mut rounds = 0_u32;
    let all_have_ended = async |test: &ByHand| {
        let tasks = test.tasks().await;
        tasks.len() == hosts.len() && tasks.iter().all(|task| task.state == TaskState::Indexed)
    };
    while !all_have_ended(&test).await {
        rounds += 1;
        assert!(rounds < 500, "a task has no way on");
        let hour = [Duration::ZERO, HOUR, HOUR * 2][random.random_range(0..3)];
        let now = later(MINUTE * rounds + hour);
        ids.push(TaskId::new(now));
        jobs.push(JobId::new(now));
        if random.random_bool(0.5) {
            test.restart();
        }
        test.send(now).await;
        test.poll(now).await;
    }
    println!("{rounds} rounds");
    assert!(ids.is_sorted() && jobs.is_sorted(), "ids grow");
    assert_charged_once(&test.upstream, hosts.len());
    let events =
        test.file.store.read().events(&EventFilter { limit: 1_000, ..EventFilter::default() }).await.unwrap();
    assert!(events.windows(2).all(|pair| pair[0].seq < pair[1].seq));
    assert!(events.windows(2).any(|pair| pair[0].at > pair[1].at), "their order is not that of the clock");
    test.file.close().await;
}

/// Answers with times that lie far ahead, wherever a time can stand.
async fn serve_far_ahead() -> String {
    let asked = Arc::new(Mutex::new(0));
    let date = [("date", "Fri, 01 Jan 2100 01:00:00 GMT"), ("retry-after", "Fri, 01 Jan 2100 01:00:00 GMT")];
    let submit = move |State(asked): State<Arc<Mutex<u32>>>| async move {
        let mut asked = asked.lock().await;
        *asked += 1;
        let busy = json!({ "code": "0429", "msg": "Request has exceeded the limit.", "time": "2100-01-01T01:00:00Z" });
        let taken = json!({ "code": "0000", "data": { "taskId": "t", "create_time": "4102448400000" } });
        if *asked == 1 {
            (StatusCode::TOO_MANY_REQUESTS, date, busy.to_string())
        } else {
            (StatusCode::OK, date, taken.to_string())
        }
        .into_response()
    };
    let video = json!({
        "video_no": "VI1", "video_url": mixed_urls(1)[0], "status": "PARSE", "create_time": "4102448400000",
        "duration": "1", "update_time": 4_102_448_400_000_u64,
    });
    let listed =
        json!({ "code": "0000", "data": { "videos": [video] }, "timestamp": "2100-01-01T01:00:00Z" })
            .to_string();
    let poll = move || async move { (date, listed) };
    let router = Router::new().route(SUBMIT_PRIVATE, post(submit)).route(POLL, get(poll)).with_state(asked);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

#[tokio::test]
async fn nobody_reads_upstream_s_clock() {
    let service = Setup::new(&serve_far_ahead().await).polling_only().start().await;
    let job = service.submit(&mixed_urls(1)).await;
    assert_eq!(service.until_settled(&job).await.state, "done");
    service.stop().await;
}
