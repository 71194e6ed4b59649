//! Tasks that callbacks without a token made, and the submitted tasks that they turn out to be.

use bytes::Bytes;
use scrapehook::domain::callback::Meaning;
use scrapehook::domain::id::TaskId;
use scrapehook::domain::job::{JobState, Quality};
use scrapehook::domain::task::TaskState;
use scrapehook::domain::video::VideoState::{Indexed, Indexing};
use scrapehook::store::{AcceptedCallback, CallbackPage, Decided, Decision, SubmitEnd, TaskFilter};
use sha2::{Digest, Sha256};

use crate::support::file::{File, MINUTE, at, callback, indexed, listed, lost};

const URL: &str = "https://a.example/x";
const OTHER: &str = "https://a.example/y";

fn without_token(upstream_id: &str, meaning: Meaning) -> AcceptedCallback {
    let body = format!("{meaning:?}");
    AcceptedCallback {
        upstream_id: upstream_id.to_owned(),
        new: TaskId::new(at(1)),
        at: at(1),
        body_hash: Sha256::digest(&body).into(),
        body: Bytes::from(body),
        meaning: Some(meaning),
    }
}

#[tokio::test]
async fn accepted_callbacks_that_overtake_the_answer_are_the_tasks_own() {
    for is_adopted in [false, true] {
        let file = File::started().await;
        let task = file.job_of(&[URL.to_owned()]).await[0];
        for meaning in [Meaning::Succeeded, Meaning::VideoIndexed("v".to_owned())] {
            file.store.accept_callback(without_token("theirs", meaning)).await.unwrap();
        }
        let rival = without_token("theirs", Meaning::Succeeded);
        file.store.accept_callback(rival).await.unwrap();
        if is_adopted {
            file.store.end_submit(task, at(2), lost()).await.unwrap();
            assert_eq!(
                file.store.decide(Decision::Adopt(task, "theirs".to_owned()), None, at(3)).await,
                Ok(Decided::Done)
            );
        } else {
            file.store.end_submit(task, at(2), SubmitEnd::Accepted("theirs".to_owned())).await.unwrap();
        }
        let found = file.store.read().find_task("theirs").await.unwrap();
        assert_eq!(found, Some(task));
        let loaded = file.store.read().task(task).await.unwrap().unwrap();
        assert_eq!((loaded.state, loaded.videos.unwrap().len()), (TaskState::Indexed, 1));
        // One that comes now finds the task as well.
        file.store.accept_callback(without_token("theirs", Meaning::Succeeded)).await.unwrap();
        let page = CallbackPage { task, before: None, limit: 10 };
        let deliveries: Vec<_> = file
            .store
            .read()
            .callbacks(page)
            .await
            .unwrap()
            .iter()
            .map(|callback| callback.deliveries)
            .collect();
        assert_eq!(deliveries, [1, 3], "newest first");
        file.close().await;
    }
}

#[tokio::test]
async fn an_accepted_callback_in_the_commit_of_the_answer_is_the_tasks_own() {
    let file = File::started().await;
    let task = file.job_of(&[URL.to_owned()]).await[0];
    let (callback, end) = tokio::join!(
        file.store.accept_callback(without_token("theirs", Meaning::Succeeded)),
        file.store.end_submit(task, at(2), SubmitEnd::Accepted("theirs".to_owned())),
    );
    callback.unwrap();
    end.unwrap();
    assert_eq!(file.state(task).await, TaskState::Downloaded);
    let filter = TaskFilter { limit: 9, ..Default::default() };
    let others = file.store.read().tasks(&filter).await.unwrap();
    assert!(others.iter().all(|other| other.id == task || other.state == TaskState::Canceled), "{others:?}");
    file.close().await;
}

#[tokio::test]
async fn a_task_made_by_accepted_callbacks_keeps_no_token_out() {
    let file = File::started().await;
    let task = file.job_of(&[URL.to_owned()]).await[0];
    file.submit(task, lost()).await;
    file.store.accept_callback(without_token("theirs", Meaning::Succeeded)).await.unwrap();
    file.store.receive_callback(callback(task, 5, Some(Meaning::Succeeded), "theirs")).await.unwrap();
    assert_eq!(file.store.read().find_task("theirs").await.unwrap(), Some(task));
    assert_eq!(file.store.decide(Decision::Refresh(task), None, at(6)).await, Ok(Decided::Done));
    file.close().await;
}

#[tokio::test]
async fn a_token_and_no_token_in_one_commit_speak_of_one_task() {
    for with_token_first in [true, false] {
        let file = File::started().await;
        let task = file.job_of(&[URL.to_owned()]).await[0];
        file.submit(task, lost()).await;
        file.store.accept_callback(without_token("theirs", Meaning::Succeeded)).await.unwrap();
        let token = file.store.receive_callback(callback(task, 5, indexed("v"), "theirs"));
        let none = file.store.accept_callback(without_token("theirs", Meaning::VideoIndexed("w".to_owned())));
        let (one, other) = if with_token_first {
            tokio::join!(token, none)
        } else {
            let (none, token) = tokio::join!(none, token);
            (token, none)
        };
        one.unwrap();
        other.unwrap();
        let found = file.store.read().task(task).await.unwrap().unwrap();
        assert_eq!(found.upstream_id.as_deref(), Some("theirs"));
        assert_eq!(found.videos.unwrap().len(), 2);
        let page = CallbackPage { task, before: None, limit: 10 };
        assert_eq!(file.store.read().callbacks(page).await.unwrap().len(), 3);
        let others = file.store.read().tasks(&TaskFilter { limit: 9, ..Default::default() }).await.unwrap();
        let is_told = |other: &scrapehook::domain::task::Task| other.replaced_by == Some(task);
        assert!(others.iter().all(|other| other.id == task || is_told(other)), "{others:?}");
        file.close().await;
    }
}

#[tokio::test]
async fn a_task_that_has_a_task_id_does_not_keep_it_from_another_one() {
    let mut file = File::started().await;
    let tasks = file.job(&["a", "b"]).await;
    for task in &tasks {
        file.submit(*task, lost()).await;
    }
    file.store.receive_callback(callback(tasks[0], 5, None, "its own")).await.unwrap();
    // A new process has no task loaded.
    file = File::open(file.close().await).await;
    file.run();
    let (one, other) = tokio::join!(
        file.store.receive_callback(callback(tasks[0], 6, None, "theirs")),
        file.store.receive_callback(callback(tasks[1], 6, None, "theirs")),
    );
    one.unwrap();
    other.unwrap();
    assert_eq!(file.store.read().find_task("theirs").await.unwrap(), Some(tasks[1]));
    file.close().await;
}

#[tokio::test]
async fn a_poll_on_its_way_for_a_task_that_was_taken_in_revives_nothing() {
    for in_one_commit in [true, false] {
        let file = File::started().await;
        let task = file.job_of(&[URL.to_owned()]).await[0];
        file.store.accept_callback(without_token("theirs", Meaning::Succeeded)).await.unwrap();
        let poll = file.due().await.unwrap();
        let rival = poll.task;
        let polled = file.store.record_poll(poll, at(2), at(4), listed(&[("v", Indexed, URL)]));
        let end = file.store.end_submit(task, at(3), SubmitEnd::Accepted("theirs".to_owned()));
        if in_one_commit {
            let (polled, end) = tokio::join!(polled, end);
            polled.unwrap();
            end.unwrap();
        } else {
            end.await.unwrap();
            polled.await.unwrap();
        }
        let tombstone = file.store.read().task(rival).await.unwrap().unwrap();
        let shown = (tombstone.state, tombstone.replaced_by, tombstone.videos.unwrap().len());
        assert_eq!(shown, (TaskState::Canceled, Some(task), 0));
        assert_eq!(tombstone.error.unwrap().failure.message, "it is the same task as its replacement");
        // The task itself is polled, and ends as it should.
        let poll = file.due().await.unwrap();
        assert_eq!(poll.task, task);
        file.store.record_poll(poll, at(5), at(6), listed(&[("v", Indexed, URL)])).await.unwrap();
        assert_eq!(file.state(task).await, TaskState::Indexed);
        file.close().await;
    }
}

#[tokio::test]
async fn what_polls_of_a_task_without_urls_prove_says_nothing_of_the_urls_of_its_owner() {
    let file = File::started().await;
    let task = file.job_of(&[URL.to_owned()]).await[0];
    file.submit(task, lost()).await;
    assert_eq!(file.job_of(&[URL.to_owned()]).await, [], "it shares the round");
    file.store.accept_callback(without_token("theirs", Meaning::Succeeded)).await.unwrap();
    for minute in [1, 3] {
        let (poll, when) = (file.due().await.unwrap(), at(0).after(MINUTE * minute));
        file.store.record_poll(poll, when, when, listed(&[])).await.unwrap();
    }
    assert_eq!(
        file.store.decide(Decision::Adopt(task, "theirs".to_owned()), None, at(400_000)).await,
        Ok(Decided::Done)
    );
    assert_eq!(file.state(task).await, TaskState::Downloaded, "no URL is without a video by that");
    assert!(file.send(400_000).await.is_none());
    let poll = file.due().await.unwrap();
    file.store.record_poll(poll, at(400_001), at(400_002), listed(&[("v", Indexed, URL)])).await.unwrap();
    assert_eq!(file.state(task).await, TaskState::Indexed);
    file.close().await;
}

#[tokio::test]
async fn a_task_made_by_accepted_callbacks_is_the_unconfirmed_one_whose_posts_its_polls_list() {
    let file = File::started().await;
    let task = file.job_of(&[URL.to_owned()]).await[0];
    file.submit(task, lost()).await;
    file.store.accept_callback(without_token("theirs", Meaning::Succeeded)).await.unwrap();
    let poll = file.due().await.unwrap();
    let rival = poll.task;
    file.store.record_poll(poll, at(5), at(6), listed(&[("v", Indexed, URL)])).await.unwrap();
    assert_eq!(
        file.store.read().find_task("theirs").await.unwrap(),
        Some(task),
        "the id of the submitted one stays"
    );
    assert_eq!((file.state(task).await, file.state(rival).await), (TaskState::Indexed, TaskState::Canceled));
    file.close().await;
}

#[tokio::test]
async fn who_waits_for_a_post_in_a_task_that_is_taken_in_waits_for_it_in_its_owner() {
    let file = File::started().await;
    let task = file.job_of(&[URL.to_owned()]).await[0];
    file.store.accept_callback(without_token("theirs", Meaning::Succeeded)).await.unwrap();
    let poll = file.due().await.unwrap();
    let rival = poll.task;
    file.store
        .record_poll(poll, at(2), at(3), listed(&[("v", Indexing, URL), ("w", Indexing, OTHER)]))
        .await
        .unwrap();
    // In a better quality only the task that does not say its own is on its way.
    let better = file.waiting_job(&[URL.to_owned()], Quality::P720, false).await;
    let other = file.waiting_job(&[OTHER.to_owned()], Quality::P360, false).await;
    assert!(file.send(4).await.is_none(), "both are on their way");
    file.store.end_submit(task, at(5), SubmitEnd::Accepted("theirs".to_owned())).await.unwrap();
    let poll = file.due().await.unwrap();
    file.store.record_poll(poll, at(6), at(7), listed(&[("v", Indexed, URL)])).await.unwrap();
    let state = async |job| file.store.read().job(job).await.unwrap().unwrap().state;
    assert_eq!((state(better).await, file.state(rival).await), (JobState::Done, TaskState::Canceled));
    assert_eq!(state(other).await, JobState::Canceled, "nobody has it any more, and nobody waits for it");
    assert!(file.send(8).await.is_none());
    file.close().await;
}
