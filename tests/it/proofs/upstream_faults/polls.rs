//! Polls that upstream answers badly: they back off, change nothing, and bring the end once it answers.

use std::time::Instant;

use futures_util::future::join_all;
use scrapehook::simulator::{Faults, Settings};
use scrapehook::upstream::wire::SUBMIT_PRIVATE;

use super::*;
use crate::support::answers::{Page, Task};
use crate::support::{Setup, free_address, simulator};

/// Each is polled in turn, and some faults take the whole time that is allowed: few are enough.
const POLLED: usize = 3;
/// The waits between a task's first four polls in vain, which double.
const WAITS: Duration = Duration::from_millis(100 + 200 + 400);

/// A service whose tasks are accepted, and which has not asked about them yet; stopped.
async fn accepted(upstream: &Simulator) -> (Setup, String) {
    let service = Setup::new(&upstream.url()).set("RECONCILE__AFTER", "1h").start().await;
    let job = service.submit(&posts()).await;
    upstream.until(|upstream| upstream.submits().len() == POLLED).await;
    service.until_tasks(&format!("job={job}&state=accepted"), POLLED).await;
    assert_eq!(upstream.polls(), 0);
    (service.stop().await, job)
}

fn posts() -> Vec<String> {
    urls()[..2 * POLLED].to_vec()
}

async fn polls_back_off_and_recover((fault, faults): (&str, Faults)) {
    let upstream = simulator(Settings { faults: silent(Faults::default()), ..Settings::default() }).await;
    let (setup, job) = accepted(&upstream).await;
    upstream.set_faults(silent(faults));
    let before = upstream.connections();
    let begun = Instant::now();
    let service = setup.set("RECONCILE__AFTER", "100ms").timeout(TIMEOUT).start().await;
    let kinds = service.kinds().await;
    upstream.until(|upstream| upstream.connections() >= before + 4 * POLLED as u64).await;
    assert!(begun.elapsed() >= WAITS, "{fault}: one was polled four times in {:?}", begun.elapsed());
    assert_eq!(states(&service, &job).await, ["accepted"; POLLED], "{fault}");
    assert_eq!(service.kinds().await, kinds, "{fault}: nothing was learned");
    assert_eq!(service.job(&job).await.progress.sent, posts().len());

    upstream.set_faults(silent(Faults::default()));
    assert_eq!(service.until_settled(&job).await.state, "done", "{fault}");
    assert_eq!(upstream.submits().len(), POLLED, "{fault}");
    assert_charged_once(&upstream, posts().len());
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn polls_whose_answers_are_of_no_use_back_off_and_recover() {
    let more = [
        ("wrong-types", Faults { wrong_types: 1.0, ..Faults::default() }),
        ("cut-unread", Faults { cut_unread: 1.0, ..Faults::default() }),
    ];
    join_all(spoiled().into_iter().chain(more).map(polls_back_off_and_recover)).await;
}

#[tokio::test]
async fn polls_of_an_upstream_that_is_down_recover_once_it_is_up() {
    let address = free_address();
    let settings = || Settings { listen: address, faults: silent(Faults::default()), ..Settings::default() };
    let upstream = simulator(settings()).await;
    let (setup, job) = accepted(&upstream).await;
    let sent = upstream.submits();
    upstream.shutdown().await;
    let service = setup.set("RECONCILE__AFTER", "100ms").start().await;
    let path = format!("/v1/tasks?job={job}");
    let down = service.get(&path).await;
    // It answers clients meanwhile; the polls that nobody hears change nothing.
    let more = service.submit(&["https://c.example/while-down".to_owned()]).await;
    let refused = |page: &Page<Task>| {
        let error = page.items.first().and_then(|task| task.error.as_ref());
        error.is_some_and(|error| error.code == "no_connection")
    };
    service.until(&format!("/v1/tasks?job={more}"), refused).await;
    assert_eq!(service.get(&path).await, down);

    // Another one with the same seed gives the same tasks for the same submits, if no other comes first.
    service.pause().await;
    service.until_tasks(&format!("job={more}&state=queued"), 1).await;
    let upstream = simulator(settings()).await;
    for submit in &sent {
        let again = service.client.post(format!("{}{SUBMIT_PRIVATE}", upstream.url())).json(&submit.body);
        again.header("Authorization", UPSTREAM_KEY).send().await.unwrap();
    }
    service.resume().await;
    for job in [job, more] {
        assert_eq!(service.until_settled(&job).await.state, "done");
    }
    let ids = |submits: &[scrapehook::simulator::Submitted]| {
        submits.iter().map(|submit| submit.task_id.clone()).collect::<std::collections::BTreeSet<_>>()
    };
    assert!(ids(&upstream.submits()).is_superset(&ids(&sent)));
    assert_charged_once(&upstream, posts().len() + 1);
    service.stop().await;
}
