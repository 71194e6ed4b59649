//! The store driven by hand: what must hold in the order of a batch, across a crash, and when clocks jump.

use std::time::Duration;

use scrapehook::domain::callback::Meaning;
use scrapehook::domain::event::Source;
use scrapehook::domain::pause::Pause;
use scrapehook::domain::task::{Failure, TaskState};
use scrapehook::domain::video::VideoState;
use scrapehook::store::{Decision, PollEnd, ReceivedCallback, SubmitEnd};

use crate::file::{File, HOUR, MINUTE, at, callback, indexed, listed, lost};

#[tokio::test]
async fn a_callback_in_the_same_batch_keeps_its_task_from_being_sent_again() {
    let mut file = File::new().await;
    file.run();
    let task = file.job(&["a"]).await[0];
    let deferred = SubmitEnd::Deferred(Failure::new("http_503", "down"), Duration::ZERO);
    file.submit(task, deferred).await;
    // Closed and opened again, so that the writer finds both operations waiting in one batch.
    let mut file = File::open(file.close().await).await;
    let both = tokio::join!(
        file.store.receive_callback(callback(task, 5, Some(Meaning::Succeeded), "t")),
        file.store.begin_submit(task, at(6)),
        async { file.running = file.writer.take().map(|writer| tokio::spawn(writer.run())) },
    );
    assert_eq!((both.0, both.1), (Ok(()), Ok(false)));
    assert_eq!(file.state(task).await, TaskState::Downloaded);
    file.close().await;
}

#[tokio::test]
async fn one_task_id_in_one_batch_is_adopted_by_the_first_to_name_it() {
    let mut file = File::started().await;
    let tasks = file.job(&["a", "b"]).await;
    for task in &tasks {
        assert!(file.store.begin_submit(*task, at(1)).await.unwrap());
    }
    file = File::open(file.close().await).await;
    let _ = tokio::join!(
        file.store.receive_callback(callback(tasks[1], 5, Some(Meaning::Succeeded), "same")),
        file.store.receive_callback(callback(tasks[0], 6, Some(Meaning::Succeeded), "same")),
        async { file.running = file.writer.take().map(|writer| tokio::spawn(writer.run())) },
    );
    let id = async |task| file.store.read().task(task).await.unwrap().unwrap().upstream_id;
    assert_eq!(id(tasks[1]).await.as_deref(), Some("same"));
    assert_eq!(id(tasks[0]).await, None);
    file.close().await;
}

#[tokio::test]
async fn submits_that_a_crash_interrupts_count_among_the_unknown_ones_in_a_row() {
    let file = File::started().await;
    let tasks = file.job(&["a", "b"]).await;
    file.submit(tasks[0], lost()).await;
    assert!(file.store.begin_submit(tasks[1], at(3)).await.unwrap());
    assert_eq!(file.store.read().pauses().await.unwrap(), []);
    let mut file = File::open(file.close().await).await;
    file.run();
    file.store.close_open_submits(at(10)).await.unwrap();
    let pauses = file.store.read().pauses().await.unwrap();
    assert_eq!((pauses[0].scope.as_str(), pauses[0].code.as_str()), (Pause::ALL, Pause::UNCONFIRMED));
    file.close().await;
}

#[tokio::test]
async fn unknown_submits_are_counted_in_their_order_wherever_the_clock_is() {
    let file = File::started().await;
    let tasks = file.job(&["a", "b", "c"]).await;
    file.store.begin_submit(tasks[0], at(0).after(HOUR)).await.unwrap();
    file.store.end_submit(tasks[0], at(0).after(HOUR), SubmitEnd::Accepted("t".into())).await.unwrap();
    file.submit(tasks[1], lost()).await;
    assert_eq!(file.store.read().pauses().await.unwrap(), []);
    file.submit(tasks[2], lost()).await;
    assert_eq!(file.store.read().pauses().await.unwrap().len(), 1);
    file.store.resume(Pause::ALL.to_owned(), Source::Operator, at(9)).await.unwrap();
    file.close().await;
}

#[tokio::test]
async fn a_poll_that_was_asked_for_is_not_put_off_by_news() {
    let file = File::started().await;
    let task = file.job(&["a"]).await[0];
    file.accept(task).await;
    assert_eq!(file.due().await.unwrap().due, at(2).after(MINUTE));
    file.store.receive_callback(callback(task, 1_000, None, "t")).await.unwrap();
    let asked = file.due().await.unwrap();
    assert_eq!(asked.due, at(1_000));
    file.store.receive_callback(callback(task, 1_200, Some(Meaning::Succeeded), "t")).await.unwrap();
    assert!(file.due().await.unwrap().due <= at(1_200));
    // One that was asked for while a poll is on its way is not answered by it.
    let poll = file.due().await.unwrap();
    file.store
        .receive_callback(ReceivedCallback { body_hash: [7; 32], ..callback(task, 1_300, None, "t") })
        .await
        .unwrap();
    file.store.record_poll(poll, at(1_250), at(1_400), listed(&[])).await.unwrap();
    assert!(file.due().await.unwrap().due <= at(1_400));
    let poll = file.due().await.unwrap();
    file.store.record_poll(poll, at(1_500), at(1_600), listed(&[])).await.unwrap();
    assert!(file.due().await.unwrap().due > at(30_000), "nobody asks any more");
    file.close().await;
}

#[tokio::test]
async fn polls_in_vain_come_less_and_less_often_also_when_the_clock_was_put_back() {
    let file = File::started().await;
    let task = file.job(&["a"]).await[0];
    file.accept(task).await;
    file.store
        .receive_callback(ReceivedCallback { at: at(0).after(HOUR), ..callback(task, 0, indexed("v1"), "t") })
        .await
        .unwrap();
    let mut waits = Vec::new();
    for minute in 0..6_i64 {
        let now = at(minute * 60_000);
        let poll = file.due().await.unwrap();
        file.store.record_poll(poll, now, now, listed(&[])).await.unwrap();
        waits.push(file.due().await.unwrap().due.since(now).as_secs() / 60);
    }
    assert_eq!(waits, [2, 4, 8, 8, 8, 8]);
    file.close().await;
}

#[tokio::test]
async fn a_settled_task_is_polled_once_after_its_last_news() {
    let file = File::started().await;
    let task = file.job(&["a"]).await[0];
    let url = "https://a.example/post";
    file.accept(task).await;
    let poll = file.due().await.unwrap();
    file.store.record_poll(poll, at(10), at(11), listed(&[("v1", VideoState::Indexing, url)])).await.unwrap();
    file.store.receive_callback(callback(task, 20, indexed("v1"), "t")).await.unwrap();
    assert_eq!(file.state(task).await, TaskState::Indexed);
    let poll = file.due().await.expect("upstream may list more than callbacks told");
    let more = listed(&[("v1", VideoState::Indexed, url), ("v2", VideoState::Indexing, url)]);
    file.store.record_poll(poll, at(30), at(31), more).await.unwrap();
    assert_eq!(file.state(task).await, TaskState::Downloaded, "late news opens it again");
    let poll = file.due().await.unwrap();
    let all = listed(&[("v1", VideoState::Indexed, url), ("v2", VideoState::Failed, url)]);
    file.store.record_poll(poll, at(40), at(41), all).await.unwrap();
    assert_eq!(file.state(task).await, TaskState::Indexed);
    assert_eq!(file.due().await, None);
    file.close().await;
}

#[tokio::test]
async fn refused_polls_let_counting_decide_until_one_names_urls() {
    let urls: Vec<_> = (0..2).map(|n| format!("https://a.example/post{n}")).collect();
    let mut ends = Vec::new();
    for is_answered in [false, true] {
        let file = File::started().await;
        let task = file.job_of(&urls).await[0];
        file.accept(task).await;
        for n in 0..3 {
            let poll = file.due().await.unwrap();
            file.store.record_poll(poll, at(n), at(n), PollEnd::Refused).await.unwrap();
        }
        if is_answered {
            let poll = file.due().await.unwrap();
            file.store.record_poll(poll, at(5), at(6), listed(&[])).await.unwrap();
        }
        for video in ["v1", "v2"] {
            file.store.receive_callback(callback(task, 10, indexed(video), "t")).await.unwrap();
        }
        ends.push(file.state(task).await);
        file.close().await;
    }
    assert_eq!(ends, [TaskState::Indexed, TaskState::Downloaded]);
}

#[tokio::test]
async fn a_task_that_was_let_go_of_is_loaded_again_as_it_was() {
    let file = File::started().await;
    // More tasks than the writer keeps loaded, in several batches.
    let urls: Vec<_> = (0..2_500).map(|n| format!("https://host{n}.example/post")).collect();
    let tasks = file.job_of(&urls).await;
    for video in ["v1", "v2"] {
        for batch in tasks.chunks(200) {
            let sent = batch.iter().map(|task| {
                let id = format!("{video}-{task}");
                file.store.receive_callback(callback(*task, 10, indexed(&id), &task.to_string()))
            });
            futures_util::future::try_join_all(sent).await.unwrap();
        }
    }
    for task in [tasks[0], tasks[2_499]] {
        assert_eq!(file.store.read().task(task).await.unwrap().unwrap().videos.unwrap().len(), 2);
    }
    file.close().await;
}

#[tokio::test]
async fn an_operators_pause_holds_for_the_submit_that_waits_for_its_turn() {
    let file = File::started().await;
    let task = file.job(&["a"]).await[0];
    file.store.decide(Decision::Pause, None, at(1)).await.unwrap();
    assert_eq!(file.store.begin_submit(task, at(2)).await, Ok(false));
    file.store.decide(Decision::Resume, None, at(3)).await.unwrap();
    assert_eq!(file.store.begin_submit(task, at(4)).await, Ok(true));
    file.close().await;
}
