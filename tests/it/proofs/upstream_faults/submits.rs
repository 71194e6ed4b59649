//! Submits that upstream carries out and answers badly, or that never reach it.

use std::time::Instant;

use futures_util::future::join_all;
use scrapehook::simulator::{Faults, Settings};
use scrapehook::upstream::{SubmitAnswer, Upstream};
use serde_json::Value;
use tokio::net::{TcpSocket, TcpStream};

use super::*;
use crate::support::answers::{Event, Page, Task};
use crate::support::{DEADLINE, Setup, free_address, simulator};

/// The waits of three probes, which double.
const PROBES: Duration = Duration::from_millis(100 + 200 + 400);

async fn with_probes(upstream: &str, after: &str) -> Setup {
    Setup::new(upstream).set("DISPATCH__PROBE_AFTER", after).set("RECONCILE__AFTER", "50ms")
}

/// When the first event of a kind happened, and the last.
async fn times(service: &Service, kind: &str) -> (jiff::Timestamp, jiff::Timestamp) {
    let events = service.items(&format!("/v1/events?kind={kind}")).await;
    let at = |event: Option<&Value>| event.unwrap()["at"].as_str().unwrap().parse().unwrap();
    (at(events.first()), at(events.last()))
}

/// All five tasks are taken, and no answer says so.
async fn every_submit_is_charged_once_and_found((fault, faults): (&str, Faults)) {
    let upstream = simulator(Settings { faults: silent(faults), ..Settings::default() }).await;
    let service = with_probes(&upstream.url(), "100ms").await.timeout(TIMEOUT).start().await;
    let job = service.submit(&urls()).await;
    upstream.until(|upstream| upstream.submits().len() == TASKS).await;
    let all = |page: &Page<Task>| {
        page.items.len() == TASKS && page.items.iter().all(|task| task.state == "unconfirmed")
    };
    service.until(&format!("/v1/tasks?job={job}"), all).await;

    assert_eq!(
        upstream.connections(),
        TASKS as u64,
        "{fault}: one request a task, none repeated or followed"
    );
    assert_charged_once(&upstream, urls().len());
    // Two in a row paused sending; the other three were probes, each later than the one before.
    let (paused, _) = times(&service, "sending.paused").await;
    let (_, last) = times(&service, "task.unconfirmed").await;
    assert!(last.duration_since(paused).unsigned_abs() >= PROBES, "{fault}: {paused} {last}");

    upstream.set_faults(silent(Faults::default()));
    // From here on the service waits for every answer, even on a slow machine.
    let service = service.stop().await.timeout(DEADLINE).start().await;
    send_callbacks(&service, &upstream).await;
    let after = service.submit(&["https://c.example/after".to_owned()]).await;
    for job in [job, after] {
        assert_eq!(service.until_settled(&job).await.state, "done", "{fault}");
    }
    assert_eq!(upstream.submits().len(), TASKS + 1, "{fault}");
    assert_charged_once(&upstream, urls().len() + 1);
    assert_eq!(service.items("/v1/events?kind=sending.resumed").await.len(), 1);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_submit_whose_answer_is_of_no_use_is_charged_once_and_found() {
    let cut = ("cut", Faults { cut: 1.0, ..Faults::default() });
    join_all(spoiled().into_iter().chain([cut]).map(every_submit_is_charged_once_and_found)).await;
}

#[tokio::test]
async fn a_submit_answered_with_wrong_types_is_charged_once_and_found() {
    let faults = silent(Faults { wrong_types: 1.0, ..Faults::default() });
    let upstream = simulator(Settings { faults, ..Settings::default() }).await;
    let service = with_probes(&upstream.url(), "1ms").await.start().await;
    let posts: Vec<_> = (0..40).map(|n| format!("https://host{n}.example/post")).collect();
    let job = service.submit(&posts).await;
    // One choice of types is a number for a `taskId`, which is taken for one; the others prove nothing.
    for state in ["unconfirmed", "accepted"] {
        service.until_tasks(&format!("job={job}&state={state}"), 1).await;
    }
    println!("{} submits until a number came for a taskId", upstream.submits().len());
    upstream.set_faults(silent(Faults::default()));
    upstream.until(|upstream| upstream.submits().len() == posts.len()).await;
    send_callbacks(&service, &upstream).await;
    assert_eq!(service.until_settled(&job).await.state, "done");
    assert_charged_once(&upstream, posts.len());
    service.stop().await;
}

#[tokio::test]
async fn a_connection_cut_before_the_request_was_read_charges_nothing_and_a_retry_charges_once() {
    let faults = silent(Faults { cut_unread: 1.0, ..Faults::default() });
    let upstream = simulator(Settings { faults, ..Settings::default() }).await;
    let service = with_probes(&upstream.url(), "100ms").await.start().await;
    let job = service.submit(&urls()).await;
    upstream.until(|upstream| upstream.connections() == TASKS as u64).await;
    // From here this looks like one that was cut after the request was read.
    let unconfirmed = service.until_tasks(&format!("job={job}&state=unconfirmed"), TASKS).await;
    assert_eq!((upstream.connections(), upstream.charged().len()), (TASKS as u64, 0));
    upstream.set_faults(silent(Faults::default()));
    for task in unconfirmed {
        let id = task.id;
        assert_eq!(service.call(&format!("/v1/tasks/{id}/retry"), Value::Null).await.0, 202);
    }
    assert_eq!(service.until_settled(&job).await.state, "done");
    assert_charged_once(&upstream, urls().len());
    service.stop().await;
}

#[tokio::test]
async fn an_upstream_that_is_down_is_sent_everything_once_it_is_up() {
    let address = free_address();
    let service = with_probes(&format!("http://{address}"), "100ms").await.start().await;
    let begun = Instant::now();
    let job = service.submit(&urls()).await;
    // Refused at once, then after 1 s.
    let is_refused = |page: &Page<Event>| {
        let messages = page.items.iter().filter_map(|event| event.message.as_deref());
        messages.filter(|text| text.starts_with("no_connection: ")).count() == 2
    };
    service.until("/v1/events?kind=task.queued", is_refused).await;
    assert!(begun.elapsed() >= Duration::from_secs(1));
    // One task is tried again and again; no other is formed meanwhile.
    assert_eq!(states(&service, &job).await, ["queued"]);
    assert_eq!(service.job(&job).await.progress.waiting, urls().len());

    let upstream = simulator(Settings { listen: address, ..Settings::default() }).await;
    assert_eq!(service.until_settled(&job).await.state, "done");
    assert_charged_once(&upstream, urls().len());
    assert_eq!(upstream.submits().len(), TASKS);
    assert!(service.items("/v1/events?kind=task.unconfirmed").await.is_empty());
    assert!(service.items("/v1/events?kind=sending.paused").await.is_empty());
    service.stop().await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_no_connection_took_within_the_time_was_certainly_not_sent() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    // Nobody accepts: once its queue is full, the system leaves every other connection waiting.
    let _listener = socket.listen(1).unwrap();
    let mut queue = Vec::new();
    while let Ok(stream) = tokio::time::timeout(TIMEOUT, TcpStream::connect(address)).await {
        queue.push(stream.unwrap());
    }
    let upstream = Upstream::new(&format!("http://{address}"), &"key".into(), TIMEOUT).unwrap();
    let answer = tokio::time::timeout(DEADLINE, upstream.submit(&Default::default(), false)).await.unwrap();
    assert!(
        matches!(&answer, SubmitAnswer::Retry(refusal, None) if refusal.code == "no_connection"),
        "{answer:?}"
    );
}
