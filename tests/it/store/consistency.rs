//! The store driven by hand: what must hold in the order of a batch, across a crash, and when clocks jump.

use std::time::Duration;

use scrapehook::domain::callback::Meaning;
use scrapehook::domain::event::Source;
use scrapehook::domain::id::TaskId;
use scrapehook::domain::job::Quality;
use scrapehook::domain::outcome::{Failure, UrlState};
use scrapehook::domain::pause::Pause;
use scrapehook::domain::task::TaskState;
use scrapehook::domain::video::VideoState;
use scrapehook::store::{
    Conflict, Decided, Decision, NextRequest, PollEnd, ReceivedCallback, Search, SubmitEnd, Turn,
};

use crate::support::file::{File, HOUR, MINUTE, at, callback, indexed, listed, lost};

fn request(turn: Turn, millis: i64) -> NextRequest {
    NextRequest::new(turn, at(millis), None)
}

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
        file.store.form(request(Turn::Task(task), 6)),
        async { file.running = file.writer.take().map(|writer| tokio::spawn(writer.run())) },
    );
    assert_eq!((both.0, both.1.unwrap().is_none()), (Ok(()), true));
    assert_eq!(file.state(task).await, TaskState::Downloaded);
    file.close().await;
}

#[tokio::test]
async fn one_task_id_in_one_batch_is_adopted_by_the_first_to_name_it() {
    let mut file = File::started().await;
    let tasks = file.job(&["a", "b"]).await;
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
    assert_eq!(file.state(tasks[1]).await, TaskState::Submitting);
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
    let urls = ["a", "b", "c"].map(|host| format!("https://{host}.example/post"));
    file.waiting_job(&urls, Quality::P360, false).await;
    let hour = 3_600_000;
    let ahead = file.send(hour).await.unwrap().task;
    file.store.end_submit(ahead, at(hour), SubmitEnd::Accepted("t".into())).await.unwrap();
    let (second, third) = (file.send(1).await.unwrap().task, file.send(1).await.unwrap().task);
    file.submit(second, lost()).await;
    assert_eq!(file.store.read().pauses().await.unwrap(), []);
    file.submit(third, lost()).await;
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
    let urls: Vec<_> = (0..2).map(|n| format!("https://a.example/post{n}")).collect();
    let task = file.job_of(&urls).await[0];
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
async fn a_settled_task_is_polled_until_its_videos_have_ended_and_once_more() {
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
    assert_eq!(
        file.state(task).await,
        TaskState::Indexed,
        "a later video of an indexed post reopens nothing"
    );
    let poll = file.due().await.expect("its end is asked for");
    let all = || listed(&[("v1", VideoState::Indexed, url), ("v2", VideoState::Failed, url)]);
    file.store.record_poll(poll, at(40), at(41), all()).await.unwrap();
    assert_eq!(file.state(task).await, TaskState::Indexed);
    let poll = file.due().await.unwrap();
    assert_eq!(poll.due, at(40).after(MINUTE), "once more");
    file.store.record_poll(poll, at(40).after(MINUTE), at(41).after(MINUTE), all()).await.unwrap();
    assert_eq!(file.due().await, None);
    file.close().await;
}

#[tokio::test]
async fn refused_polls_over_a_minute_let_counting_decide_whatever_later_polls_say() {
    let urls: Vec<_> = (0..2).map(|n| format!("https://a.example/post{n}")).collect();
    let mut ends = Vec::new();
    for (apart, is_answered) in [(Duration::ZERO, false), (MINUTE / 2, false), (MINUTE / 2, true)] {
        let file = File::started().await;
        let task = file.job_of(&urls).await[0];
        file.accept(task).await;
        let mut now = at(10);
        for _ in 0..3 {
            let poll = file.due().await.unwrap();
            file.store.record_poll(poll, now, now, PollEnd::Refused).await.unwrap();
            now = now.after(apart);
        }
        if is_answered {
            let poll = file.due().await.unwrap();
            file.store.record_poll(poll, now, now, listed(&[])).await.unwrap();
        }
        for video in ["v1", "v2"] {
            file.store.receive_callback(callback(task, 20, indexed(video), "t")).await.unwrap();
        }
        ends.push(file.state(task).await);
        file.close().await;
    }
    assert_eq!(ends, [TaskState::Downloaded, TaskState::Indexed, TaskState::Indexed]);
}

#[tokio::test]
async fn a_task_that_was_let_go_of_is_loaded_again_as_it_was() {
    let file = File::started().await;
    let sent = file.job(&["a"]).await[0];
    file.accept(sent).await;
    // More tasks than the writer keeps loaded, in several batches: the others are known from their callbacks alone.
    let mut tasks = vec![sent];
    tasks.extend((0..2_500).map(|_| TaskId::new(at(1))));
    for video in ["v1", "v2"] {
        for batch in tasks.chunks(200) {
            let sent = batch.iter().map(|task| {
                let id = format!("{video}-{task}");
                file.store.receive_callback(callback(*task, 10, indexed(&id), &format!("upstream-{task}")))
            });
            futures_util::future::try_join_all(sent).await.unwrap();
        }
    }
    for task in [tasks[0], tasks[1], tasks[2_500]] {
        assert_eq!(file.store.read().task(task).await.unwrap().unwrap().videos.unwrap().len(), 2);
    }
    let urls = file.store.read().task(sent).await.unwrap().unwrap().urls.unwrap();
    assert_eq!((urls[0].state, urls[0].video_ids.len()), (UrlState::Indexed, 2));
    file.close().await;
}

#[tokio::test]
async fn an_operators_pause_holds_for_the_submit_that_waits_for_its_turn() {
    let file = File::started().await;
    file.waiting_job(&["https://a.example/post".to_owned()], Quality::P360, false).await;
    let turn = file.store.read().next_turn(&Search::default(), at(1), HOUR).await.unwrap().unwrap().turn;
    file.store.decide(Decision::Pause, None, at(1)).await.unwrap();
    assert!(file.store.form(request(turn, 2)).await.unwrap().is_none());
    file.store.decide(Decision::Resume, None, at(3)).await.unwrap();
    assert!(file.store.form(request(turn, 4)).await.unwrap().is_some());
    file.close().await;
}

#[tokio::test]
async fn a_task_that_a_callback_without_a_task_id_has_proven_can_still_be_given_one() {
    let file = File::started().await;
    let task = file.job(&["a"]).await[0];
    file.submit(task, lost()).await;
    let mut nameless = callback(task, 5, Some(Meaning::Succeeded), "");
    nameless.upstream_id = None;
    file.store.receive_callback(nameless).await.unwrap();
    assert_eq!(
        file.store.decide(Decision::Refresh(task), None, at(6)).await,
        Ok(Decided::Impossible(Conflict::NoUpstreamId))
    );
    assert_eq!(
        file.store.decide(Decision::Adopt(task, "theirs".to_owned()), None, at(7)).await,
        Ok(Decided::Done)
    );
    assert_eq!(file.store.decide(Decision::Refresh(task), None, at(8)).await, Ok(Decided::Done));
    file.close().await;
}
