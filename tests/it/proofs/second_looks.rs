//! The second look: what meanwhile became of a post is looked up again before it is paid for, and whenever somebody
//! asks for it again. Nobody pays twice, nobody is left behind, every count adds up.

use scrapehook::domain::callback::Meaning;
use scrapehook::domain::event::EventKind;
use scrapehook::domain::job::{JobState, Quality};
use scrapehook::domain::outcome::Failure;
use scrapehook::domain::task::TaskState;
use scrapehook::domain::video::VideoState::{Failed, Indexed, Indexing};
use scrapehook::simulator::Faults;
use scrapehook::store::{EventFilter, JobRetried, NextRequest, SubmitEnd, Turn};
use serde_json::{Value, json};

use crate::support::file::{DAY, File, at, callback, indexed, listed, lost};
use crate::support::rounds::{X, Y, deferred, failed, refused, retry, sent, stands, urls, wanted};
use crate::support::{Scene, mixed_urls};

#[tokio::test]
async fn a_queued_retry_is_not_sent_once_its_old_task_proves_itself() {
    let faults = Faults { cut: 1.0, lose: 1.0, ..Faults::default() };
    let (upstream, service) = Scene::new().faults(faults).start().await;
    let job = service.submit(&mixed_urls(1)).await;
    let unconfirmed = service.until_task("unconfirmed").await;
    let old = unconfirmed.id;
    service.pause().await;
    let (status, new) = service.call(&format!("/v1/tasks/{old}/retry"), Value::Null).await;
    assert_eq!(status, 202);
    let submits = upstream.submits();
    let path = submits[0].body.callback_url.as_ref().unwrap().strip_prefix(&service.base).unwrap();
    let body = json!({ "taskId": submits[0].task_id, "status": "SUCCEEDED" }).to_string();
    assert_eq!(service.post_callback(path, body).await, 200);
    assert_eq!(service.job(&job).await.progress.waiting, 1);
    service.resume().await;
    // Polls bring the videos; the retry is canceled and costs nothing.
    assert_eq!(service.call(&format!("/v1/tasks/{old}/refresh"), Value::Null).await.0, 200);
    assert_eq!(service.until_settled(&job).await.state, "done");
    let new = service.get(&format!("/v1/tasks/{}", new["id"].as_str().unwrap())).await;
    assert_eq!((&new["state"], &new["retry_of"]), (&json!("canceled"), &json!(old)));
    assert_eq!(service.get(&format!("/v1/tasks/{old}")).await["replaced_by"], Value::Null);
    assert_eq!(upstream.submitted(), 1);
    service.stop().await;
}

#[tokio::test]
async fn a_task_that_waits_sends_only_what_no_other_has_on_its_way_by_then() {
    let file = File::started().await;
    let (waiting, old) = sent(&file, &[X, Y], Quality::P360, false).await;
    file.submit(old[0], lost()).await;
    let (_, new) = retry(&file, old[0], 3).await;
    file.store.receive_callback(callback(old[0], 5, Some(Meaning::Succeeded), "theirs")).await.unwrap();
    let poll = file.due().await.unwrap();
    let end = listed(&[("v", Failed, X), ("w", Indexing, Y)]);
    file.store.record_poll(poll, at(6), at(6), end).await.unwrap();
    let request = file.send(7).await.unwrap();
    assert_eq!((request.task, request.urls), (new, vec![X.to_owned()]));
    // x stays with the retry, y went back to the old task; there it fails, and can be retried there.
    let poll = file.due().await.unwrap();
    let end = listed(&[("v", Failed, X), ("w", Failed, Y)]);
    file.store.record_poll(poll, at(8), at(8), end).await.unwrap();
    file.submit(new, SubmitEnd::Accepted("rest".to_owned())).await;
    assert!(!retry(&file, new, 9).await.0);
    let (is_made, again) = retry(&file, old[0], 10).await;
    assert!(is_made);
    assert_eq!(urls(&file, again).await, [Y]);
    let (_, progress) = stands(&file, waiting).await;
    assert_eq!((progress.sent, progress.waiting, progress.failed), (1, 1, 0));
    file.close().await;
}

#[tokio::test]
async fn a_post_in_a_line_is_not_sent_once_an_attempt_is_proven() {
    for is_indexed in [false, true] {
        let file = File::started().await;
        let (first, task) = sent(&file, &[X], Quality::P360, false).await;
        file.submit(task[0], lost()).await;
        file.store.sweep(at(3).after(DAY)).await.unwrap();
        assert_eq!(file.store.retry_job(first, None, None, at(3)).await, Ok(JobRetried::Changed));
        let forced = wanted(&file, &[Y], Quality::P360, false).await;
        let meaning = if is_indexed { indexed("v") } else { Some(Meaning::Succeeded) };
        file.store.receive_callback(callback(task[0], 4, meaning, "theirs")).await.unwrap();
        assert_eq!(stands(&file, first).await.1.waiting, 1, "it is looked at when its turn comes");
        let request = file.send(5).await.unwrap();
        assert_eq!((request.urls, stands(&file, forced).await.1.sent), (vec![Y.to_owned()], 1));
        assert!(file.send(6).await.is_none());
        let expected = if is_indexed { JobState::Done } else { JobState::Running };
        assert_eq!((stands(&file, first).await.0, stands(&file, first).await.1.waiting), (expected, 0));
        file.close().await;
    }
}

#[tokio::test]
async fn only_those_who_force_stay_when_an_attempt_is_proven() {
    let file = File::started().await;
    let (first, task) = sent(&file, &[X], Quality::P360, false).await;
    file.submit(task[0], lost()).await;
    file.store.sweep(at(3).after(DAY)).await.unwrap();
    assert_eq!(file.store.retry_job(first, None, None, at(3)).await, Ok(JobRetried::Changed));
    let forced = wanted(&file, &[X], Quality::P360, true).await;
    file.store.receive_callback(callback(task[0], 4, indexed("v"), "theirs")).await.unwrap();
    let request = file.send(5).await.unwrap();
    assert_eq!(request.urls, [X]);
    assert_eq!((stands(&file, first).await.0, stands(&file, forced).await.1.sent), (JobState::Done, 1));
    assert!(file.send(6).await.is_none());
    file.close().await;
}

#[tokio::test]
async fn those_who_force_stay_in_a_task_that_waits_when_an_attempt_is_proven() {
    let file = File::started().await;
    let (forced, old) = sent(&file, &[X, Y], Quality::P360, true).await;
    file.submit(old[0], lost()).await;
    let (_, new) = retry(&file, old[0], 3).await;
    let shares = wanted(&file, &[X], Quality::P360, false).await;
    file.store.receive_callback(callback(old[0], 4, Some(Meaning::Succeeded), "theirs")).await.unwrap();
    let request = file.send(5).await.unwrap();
    assert_eq!((request.task, request.urls), (new, vec![X.to_owned(), Y.to_owned()]));
    assert_eq!((stands(&file, forced).await.1.sent, stands(&file, shares).await.1.downloaded), (2, 1));
    assert!(file.send(6).await.is_none());
    file.close().await;
}

#[tokio::test]
async fn a_lesser_quality_that_is_proven_keeps_no_better_one_from_being_sent() {
    let file = File::started().await;
    let (low, old) = sent(&file, &[X], Quality::P360, false).await;
    file.submit(old[0], lost()).await;
    let (_, new) = retry(&file, old[0], 3).await;
    // Another job wants a better quality: the post leaves the retry and waits in that one.
    let high = wanted(&file, &[X], Quality::P720, false).await;
    file.store.receive_callback(callback(old[0], 5, Some(Meaning::Succeeded), "theirs")).await.unwrap();
    assert_eq!(file.state(new).await, TaskState::Canceled);
    let request = file.send(6).await.unwrap();
    assert_eq!((request.quality, request.urls), (Quality::P720, vec![X.to_owned()]));
    assert!(file.send(7).await.is_none(), "one charge for both");
    for job in [low, high] {
        assert_eq!(stands(&file, job).await.1.sent, 1);
    }
    file.close().await;
}

#[tokio::test]
async fn a_forced_job_and_its_retry_leave_nothing_out() {
    let file = File::started().await;
    let (_, first) = sent(&file, &[X], Quality::P360, false).await;
    file.accept(first[0]).await;
    file.store.receive_callback(callback(first[0], 3, indexed("v"), "t")).await.unwrap();
    let (_, forced) = sent(&file, &[X], Quality::P360, true).await;
    file.submit(forced[0], lost()).await;
    let (is_made, new) = retry(&file, forced[0], 5).await;
    assert!(is_made);
    assert_eq!(file.send(6).await.unwrap().task, new);
    file.close().await;
}

#[tokio::test]
async fn what_went_back_to_the_old_task_is_retried_there_and_nowhere_else() {
    let file = File::started().await;
    let (waiting, old) = sent(&file, &[X], Quality::P360, false).await;
    file.submit(old[0], lost()).await;
    let (_, new) = retry(&file, old[0], 3).await;
    file.store.receive_callback(callback(old[0], 5, None, "theirs")).await.unwrap();
    assert!(file.send(7).await.is_none());
    assert_eq!(file.state(new).await, TaskState::Canceled);
    file.store.receive_callback(callback(old[0], 8, failed(), "theirs")).await.unwrap();
    assert_eq!(stands(&file, waiting).await.0, JobState::Failed);
    assert!(!retry(&file, new, 9).await.0, "no job waits for it");
    let (is_made, again) = retry(&file, old[0], 10).await;
    assert!(is_made);
    assert_eq!(file.send(11).await.unwrap().task, again);
    assert_eq!(stands(&file, waiting).await.1.sent, 1);
    file.close().await;
}

#[tokio::test]
async fn a_retry_of_what_others_have_makes_no_task_and_leaves_nobody_behind() {
    let file = File::started().await;
    let (waiting, task) = sent(&file, &[X], Quality::P360, false).await;
    file.submit(task[0], refused()).await;
    let (_, forced) = sent(&file, &[X], Quality::P360, true).await;
    file.accept(forced[0]).await;
    let (is_done, new) = retry(&file, task[0], 5).await;
    assert!(is_done);
    assert!(file.store.read().task(new).await.unwrap().is_none());
    let (state, progress) = stands(&file, waiting).await;
    assert_eq!((state, progress.sent), (JobState::Running, 1));
    file.close().await;
}

#[tokio::test]
async fn a_retry_tells_of_no_end_that_is_none() {
    let file = File::started().await;
    let (waiting, task) = sent(&file, &[X, Y], Quality::P360, false).await;
    file.submit(task[0], SubmitEnd::refused(Failure::new("0409", "no"), at(2))).await;
    let (_, forced) = sent(&file, &[X], Quality::P360, true).await;
    file.accept(forced[0]).await;
    let poll = file.due().await.unwrap();
    file.store.record_poll(poll, at(3), at(3), listed(&[("v", Indexed, X)])).await.unwrap();
    let after = file.store.read().last_seq().await.unwrap();
    assert!(retry(&file, task[0], 5).await.0);
    let filter = EventFilter {
        after,
        job: Some(waiting),
        kind: Some(EventKind::JobSettled),
        limit: 9,
        ..EventFilter::default()
    };
    assert!(file.store.read().events(&filter).await.unwrap().is_empty());
    let (state, progress) = stands(&file, waiting).await;
    assert_eq!((state, progress.known, progress.waiting), (JobState::Running, 1, 1));
    file.close().await;
}

#[tokio::test]
async fn a_retry_waits_for_all_who_wanted_the_old_task_and_is_sent_once() {
    let file = File::started().await;
    let (first, task) = sent(&file, &[X, Y], Quality::P360, false).await;
    file.accept(task[0]).await;
    let second = wanted(&file, &[Y], Quality::P360, false).await;
    let poll = file.due().await.unwrap();
    let end = listed(&[("v", Indexed, X), ("w", Failed, Y)]);
    file.store.record_poll(poll, at(3), at(3), end).await.unwrap();
    assert_eq!(
        (stands(&file, first).await.0, stands(&file, second).await.0),
        (JobState::Partial, JobState::Failed)
    );
    let (is_made, new) = retry(&file, task[0], 5).await;
    assert!(is_made && !retry(&file, task[0], 6).await.0, "nobody waits in the old one any more");
    let request = file.send(7).await.unwrap();
    assert_eq!((request.task, request.urls), (new, vec![Y.to_owned()]));
    file.accept(new).await;
    file.store.receive_callback(callback(new, 8, indexed("w2"), "n")).await.unwrap();
    assert_eq!(
        (stands(&file, first).await.0, stands(&file, second).await.0),
        (JobState::Done, JobState::Done)
    );
    assert!(file.send(9).await.is_none());
    file.close().await;
}

#[tokio::test]
async fn a_turn_that_somebody_else_took_sends_nothing() {
    let file = File::started().await;
    let (_, task) = sent(&file, &[X], Quality::P360, false).await;
    file.submit(task[0], deferred()).await;
    let turn = || NextRequest::new(Turn::Task(task[0]), at(3), None);
    assert!(file.store.form(turn()).await.unwrap().is_some());
    assert!(file.store.form(turn()).await.unwrap().is_none(), "one submit on its way");
    file.close().await;
}
