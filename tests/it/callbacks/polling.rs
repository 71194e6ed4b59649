//! Polls in vain: whatever upstream answers, the wait that is written down is kept, and there is an end to them.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use scrapehook::domain::callback::Meaning;
use scrapehook::domain::task::TaskState;
use scrapehook::domain::time::Timestamp;
use scrapehook::domain::video::VideoState;
use scrapehook::store::{Decided, Decision, PollEnd, PolledEntry};

use crate::support::aftermath::number;
use crate::support::file::half;
use crate::support::file::{DAY, File, MINUTE, POLICY, at, callback, listed, whole};

const URL: &str = "https://a.example/post";

/// The reconciler asks at once about a poll that is due later than any wait lasts.
const fn longest() -> Duration {
    Duration::from_secs(86_400)
}

fn answer(random: &mut StdRng) -> PollEnd {
    let video = |url: Option<&str>| PolledEntry {
        id: Some("v1".to_owned()),
        state: VideoState::Indexing,
        url: url.map(str::to_owned),
    };
    match random.random_range(0..8) {
        0 => PollEnd::Unanswered(Duration::ZERO),
        1 => PollEnd::Unanswered(MINUTE),
        2 => half(Vec::new()),
        3 => half(vec![video(Some(URL))]),
        4 => listed(&[]),
        5 => whole(vec![video(None)]),
        _ => PollEnd::Refused,
    }
}

/// Polls a task for this long; gives how often it was asked, and when it was asked last.
async fn polled(
    file: &File,
    from: Timestamp,
    span: Duration,
    mut end: impl FnMut() -> PollEnd,
) -> (usize, Timestamp) {
    let (mut polls, mut now) = (0, from);
    while let Some(due) = file.due().await {
        let next = due.due.max(now);
        // Silence is looked for now and then.
        let mut sweep = now;
        while sweep < next.min(from.after(span)) {
            sweep = sweep.after(longest() / 20);
            file.store.sweep(sweep.min(next)).await.unwrap();
        }
        if next > from.after(span) {
            break;
        }
        now = next;
        let Some(due) = file.due().await.filter(|due| due.due <= now) else { continue };
        polls += 1;
        file.store.record_poll(due, now, now, end()).await.unwrap();
        if let Some(next) = file.due().await {
            assert!(next.due.since(now) >= MINUTE, "{:?} after poll {polls}", next.due.since(now));
            let put_off = file.store.read().next_put_off(&[], now, POLICY.longest_poll_wait()).await.unwrap();
            assert_eq!(put_off, None, "it is no poll that was put off");
        }
    }
    (polls, now)
}

#[tokio::test]
async fn whatever_polls_answer_the_written_wait_is_kept_and_they_come_to_an_end() {
    let seed = number("SCRAPEHOOK_POLLS_SEED", 5);
    for case in 0..number("SCRAPEHOOK_POLLS", 6) {
        let mut random = StdRng::seed_from_u64(seed + case);
        let file = File::started().await;
        let task = file.job_of(&[URL.to_owned()]).await[0];
        file.accept(task).await;
        if case % 2 == 0 {
            file.store.receive_callback(callback(task, 3, Some(Meaning::Succeeded), "t")).await.unwrap();
        }
        let (polls, last) = polled(&file, at(10), DAY * 7, || answer(&mut random)).await;
        println!("case {case}: {polls} polls, {:?}", file.state(task).await);
        assert!((3..250).contains(&polls), "{polls} polls");
        assert!(last < at(0).after(DAY * 4), "polled until {last}");
        assert_eq!(file.due().await, None, "there is an end to it");
        file.close().await;
    }
}

#[tokio::test]
async fn a_stalled_task_that_upstream_never_answers_for_is_polled_for_another_deadline_at_most() {
    let file = File::started().await;
    let task = file.job_of(&[URL.to_owned()]).await[0];
    file.accept(task).await;
    let (_, last) = polled(&file, at(10), DAY * 7, || PollEnd::Unanswered(Duration::ZERO)).await;
    assert_eq!(file.state(task).await, TaskState::Stalled);
    assert!(last < at(0).after(DAY * 2 + MINUTE * 60), "{last}");
    assert_eq!(file.due().await, None);
    // An operator can still ask; without an answer that has an end as well.
    assert_eq!(
        file.store.decide(Decision::Refresh(task), None, at(0).after(DAY * 8)).await,
        Ok(Decided::Done)
    );
    let (polls, _) = polled(&file, at(0).after(DAY * 8), DAY * 30, || PollEnd::Unanswered(MINUTE)).await;
    assert!((2..15).contains(&polls), "{polls}");
    assert_eq!(file.due().await, None);
    // And truth that comes late by callback counts.
    let late = callback(task, 5, Some(Meaning::VideoIndexed("v1".to_owned())), "t");
    file.store.receive_callback(late).await.unwrap();
    assert_eq!(file.state(task).await, TaskState::Indexed, "it can only be its one URL's");
    let due = file.due().await.unwrap();
    let now = at(0).after(DAY * 40);
    file.store.record_poll(due, now, now, listed(&[("v1", VideoState::Indexed, URL)])).await.unwrap();
    assert_eq!(file.state(task).await, TaskState::Indexed);
    file.close().await;
}

#[tokio::test]
async fn a_refusal_after_a_list_that_could_be_whole_is_no_reason_to_ask_at_once() {
    let file = File::started().await;
    let task = file.job_of(&[URL.to_owned()]).await[0];
    file.accept(task).await;
    file.store.receive_callback(callback(task, 3, Some(Meaning::Succeeded), "t")).await.unwrap();
    let mut now = file.due().await.unwrap().due;
    for end in [listed(&[]), PollEnd::Refused, PollEnd::Refused, PollEnd::Refused] {
        let due = file.due().await.unwrap();
        file.store.record_poll(due, now, now, end).await.unwrap();
        let next = file.due().await.unwrap().due;
        assert!(next.since(now) >= MINUTE, "{:?}", next.since(now));
        now = next;
    }
    file.close().await;
}

#[tokio::test]
async fn an_operators_refresh_goes_before_polls_that_are_overdue() {
    let file = File::started().await;
    let tasks = file.job(&["a", "b"]).await;
    for task in &tasks {
        file.accept(*task).await;
    }
    assert_eq!(file.due().await.unwrap().task, tasks[0]);
    assert_eq!(file.store.decide(Decision::Refresh(tasks[1]), None, at(1_000_000)).await, Ok(Decided::Done));
    let due = file.due().await.unwrap();
    assert_eq!(due.task, tasks[1]);
    file.store
        .record_poll(due, at(1_000_001), at(1_000_002), PollEnd::Unanswered(Duration::ZERO))
        .await
        .unwrap();
    assert_eq!(file.due().await.unwrap().task, tasks[0], "asked once");
    file.close().await;
}
