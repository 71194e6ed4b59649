//! Callbacks without a good token: what they may bring about, and what they may not.

use scrapehook::domain::callback::Meaning;
use scrapehook::domain::task::TaskState;
use scrapehook::domain::url::PostUrl;
use scrapehook::simulator::Faults;
use scrapehook::store::{Conflict, Decided, Decision, Found, ReceivedHint, SubmitEnd};
use serde_json::{Value, json};

use crate::support::answers::Event;
use crate::support::file::{File, MINUTE, POLICY, at, callback, lost};
use crate::support::{Scene, mixed_urls};

#[tokio::test]
async fn a_hint_has_its_task_polled_and_many_hints_have_it_polled_once() {
    let faults = Faults { lose: 1.0, ..Faults::default() };
    let (upstream, service) = Scene::new()
        .faults(faults)
        .set("RECONCILE__AFTER", "1h")
        .set("RECONCILE__HINT_INTERVAL", "1h")
        .start()
        .await;
    let job = service.submit(&mixed_urls(1)).await;
    let accepted = service.until_task("accepted").await;
    let id = accepted.upstream_id.unwrap();
    for n in 0..20 {
        let hint = json!({ "taskId": id, "status": "FAILED", "n": n }).to_string();
        assert_eq!(service.post_callback("/callback", hint).await, 202);
    }
    assert_eq!(service.until_settled(&job).await.state, "done", "the poll tells, not the hint");
    assert_eq!(upstream.polls(), 1);
    let events: Vec<Event> = service.list("/v1/events?kind=callback.hint").await;
    assert_eq!((events.len(), events[0].upstream_id.as_ref()), (1, Some(&id)));
    service.stop().await;
}

#[tokio::test]
async fn a_hint_and_a_poll_prove_that_an_unconfirmed_submit_was_taken() {
    let faults = Faults { cut: 1.0, lose: 1.0, ..Faults::default() };
    let (upstream, service) = Scene::new()
        .faults(faults)
        .set("RECONCILE__AFTER", "20ms")
        .set("RECONCILE__HINT_INTERVAL", "1ms")
        .start()
        .await;
    let body = json!({ "video_urls": mixed_urls(1), "unique_id": "folder" });
    let job = service.submit_with(body).await;
    service.until_task("unconfirmed").await;
    // One that upstream knows nothing of comes first, and changes nothing.
    let stranger = json!({ "taskId": "0-0-0", "status": "SUCCEEDED" }).to_string();
    assert_eq!(service.post_callback("/callback", stranger).await, 202);
    let id = upstream.submits()[0].task_id.clone().unwrap();
    let hint = json!({ "taskId": id, "status": "SUCCEEDED" }).to_string();
    assert_eq!(service.post_callback("/callback/forged", hint).await, 202);
    assert_eq!(service.until_settled(&job).await.state, "done");
    let accepted: Vec<Event> = service.list("/v1/events?kind=task.accepted").await;
    assert_eq!((accepted[0].source.as_str(), accepted[0].upstream_id.as_deref()), ("poll", Some(&*id)));
    assert_eq!(upstream.submits().len(), 1);
    service.stop().await;
}

#[tokio::test]
async fn unknown_ids_are_asked_about_only_where_they_could_prove_something() {
    let (upstream, service) = Scene::new()
        .downloads_nothing()
        .set("RECONCILE__AFTER", "1h")
        .set("RECONCILE__HINT_INTERVAL", "1ms")
        .start()
        .await;
    for n in 0..50 {
        let hint = json!({ "taskId": format!("made-up-{n}"), "status": "SUCCEEDED" }).to_string();
        assert_eq!(service.post_callback("/callback", hint).await, 202);
    }
    service.submit(&mixed_urls(1)).await;
    service.until_task("accepted").await;
    assert_eq!(upstream.polls(), 0);
    service.stop().await;
}

#[tokio::test]
async fn where_the_operator_says_so_a_callback_without_a_token_counts() {
    let (_upstream, service) =
        Scene::new().downloads_nothing().set("CALLBACK__WITHOUT_TOKEN", "accept").start().await;
    service.submit(&mixed_urls(1)).await;
    let accepted = service.until_task("accepted").await;
    let id = accepted.upstream_id.unwrap();
    let body = |task: &str| json!({ "taskId": task, "status": "SUCCEEDED" }).to_string();
    assert_eq!(service.post_callback("/callback", body(&id)).await, 200);
    assert_eq!(service.task(&id).await.state, "downloaded");
    for _ in 0..2 {
        assert_eq!(service.post_callback("/callback", body("from-elsewhere")).await, 200);
    }
    let made = service.get("/v1/tasks/from-elsewhere").await;
    assert_eq!(
        (&made["state"], &made["job_id"], &made["urls"]),
        (&json!("downloaded"), &Value::Null, &json!([]))
    );
    let callbacks = service.items("/v1/tasks/from-elsewhere/callbacks").await;
    assert_eq!((callbacks.len(), &callbacks[0]["deliveries"]), (1, &json!(2)));
    assert_eq!(service.post_callback("/callback", "{}").await, 202, "it names no task");
    service.stop().await;
}

#[tokio::test]
async fn an_id_that_fits_two_tasks_is_asked_about_again_and_found_once_one_is_confirmed() {
    let file = File::started().await;
    let url = ["https://a.example/post".to_owned()];
    let tasks = [file.job_with(&url, true).await[0], file.job_with(&url, true).await[0]];
    for task in tasks {
        file.submit(task, lost()).await;
    }
    let hint = ReceivedHint {
        at: at(3),
        body_hash: [0; 32],
        body: "{}".into(),
        upstream_id: Some("second".to_owned()),
    };
    file.store.receive_hint(hint).await.unwrap();
    let look = async |millis| file.store.read().next_look(at(millis), POLICY).await.unwrap();
    assert_eq!(look(4).await.unwrap().upstream_id, "second");
    let post = PostUrl::parse(&url[0]).unwrap().canonical;
    let looked = async |millis| {
        file.store.store_lookup("second".to_owned(), found(&[post.as_str()]), at(millis)).await.unwrap();
    };
    looked(5).await;
    assert_eq!(file.state(tasks[1]).await, TaskState::Unconfirmed, "it may be either");
    file.store.receive_callback(callback(tasks[0], 6, None, "first")).await.unwrap();
    assert_eq!(look(7).await.unwrap().due, at(5).after(MINUTE));
    looked(60_005).await;
    assert_eq!(file.store.read().find_task("second").await.unwrap(), Some(tasks[1]));
    assert_eq!(look(70_000).await, None);
    file.close().await;
}

/// What a poll after a hint lists: these posts and nothing else.
fn found(posts: &[&str]) -> Found {
    Found {
        posts: posts.iter().map(|post| (*post).to_owned()).collect(),
        unique_id: Some("default".to_owned()),
        ..Found::default()
    }
}

const POSTS: [&str; 3] = ["https://a.example/1", "https://a.example/2", "https://a.example/3"];

/// A file with an unconfirmed task of three posts, submitted at one millisecond.
async fn unconfirmed() -> (File, scrapehook::domain::id::TaskId) {
    let file = File::started().await;
    let task = file.job_of(&POSTS.map(str::to_owned)).await[0];
    file.submit(task, lost()).await;
    (file, task)
}

#[tokio::test]
async fn a_poll_after_a_hint_counts_only_if_it_lists_all_posts_of_one_task_and_nothing_else() {
    let (file, task) = unconfirmed().await;
    let mut doubtful = found(&POSTS);
    doubtful.is_doubtful = true;
    let mut older = found(&POSTS);
    older.earliest = Some(at(0).before(MINUTE));
    let mut elsewhere = found(&POSTS);
    elsewhere.unique_id = Some("elsewhere".to_owned());
    let more = [&POSTS[..], &["https://a.example/4"]].concat();
    for (n, answer) in [
        found(&[]),
        found(&POSTS[..1]),
        found(&POSTS[1..]),
        found(&more),
        found(&["https://a.example/4"]),
        doubtful,
        older,
        elsewhere,
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(
            file.store.store_lookup("foreign".to_owned(), answer.clone(), at(5)).await,
            Ok(false),
            "{n}: {answer:?}"
        );
        assert_eq!(file.state(task).await, TaskState::Unconfirmed, "{n}");
    }
    // Within the minute of grace, in any order, and a post that has two videos.
    let mut whole = found(&[POSTS[2], POSTS[0], POSTS[1], POSTS[0]]);
    whole.earliest = Some(at(2).before(MINUTE));
    assert_eq!(file.store.store_lookup("ours".to_owned(), whole, at(6)).await, Ok(true));
    assert_eq!(file.store.read().find_task("ours").await.unwrap(), Some(task));
    file.close().await;
}

#[tokio::test]
async fn a_post_that_a_second_unconfirmed_task_has_too_proves_nothing() {
    let (file, task) = unconfirmed().await;
    let other = file.job_with(&[POSTS[0].to_owned()], true).await[0];
    file.submit(other, lost()).await;
    // The list of the larger task may not be whole yet.
    assert_eq!(file.store.store_lookup("first".to_owned(), found(&POSTS[..1]), at(5)).await, Ok(false));
    assert_eq!(file.store.store_lookup("all".to_owned(), found(&POSTS), at(6)).await, Ok(true));
    assert_eq!(file.store.read().find_task("all").await.unwrap(), Some(task));
    file.close().await;
}

#[tokio::test]
async fn a_callback_with_the_token_replaces_a_guess_and_polling_moves_to_its_id() {
    let (file, task) = unconfirmed().await;
    assert_eq!(file.store.store_lookup("guess".to_owned(), found(&POSTS), at(5)).await, Ok(true));
    assert_eq!(file.due().await.unwrap().upstream_id, "guess");
    file.store.receive_callback(callback(task, 7, Some(Meaning::Succeeded), "genuine")).await.unwrap();
    assert_eq!(file.store.read().find_task("guess").await.unwrap(), None);
    let due = file.due().await.unwrap();
    assert_eq!((due.task, due.upstream_id.as_str()), (task, "genuine"));
    // The token counts for more than the operator and than any later guess.
    let adopt = |id: &str| Decision::Adopt(task, id.to_owned());
    assert_eq!(
        file.store.decide(adopt("other"), None, at(8)).await,
        Ok(Decided::Impossible(Conflict::HasUpstreamId))
    );
    assert_eq!(file.store.store_lookup("again".to_owned(), found(&POSTS), at(9)).await, Ok(false));
    assert_eq!(file.store.read().find_task("genuine").await.unwrap(), Some(task));
    file.close().await;
}

#[tokio::test]
async fn the_operator_replaces_a_guess_once_and_the_token_replaces_the_operator() {
    let (file, task) = unconfirmed().await;
    assert_eq!(file.store.store_lookup("guess".to_owned(), found(&POSTS), at(5)).await, Ok(true));
    let adopt = |id: &str| Decision::Adopt(task, id.to_owned());
    assert_eq!(file.store.decide(adopt("operators"), Some("ann".to_owned()), at(6)).await, Ok(Decided::Done));
    assert_eq!(file.store.read().find_task("operators").await.unwrap(), Some(task));
    let filter = scrapehook::store::EventFilter { task: Some(task), limit: 99, ..Default::default() };
    let events = file.store.read().events(&filter).await.unwrap();
    let last = events.iter().rfind(|event| event.kind.as_str() == "task.accepted").unwrap();
    assert_eq!(last.message.as_deref(), Some("adopted by ann"));
    assert_eq!(
        file.store.decide(adopt("second"), None, at(7)).await,
        Ok(Decided::Impossible(Conflict::HasUpstreamId))
    );
    file.store.receive_callback(callback(task, 8, Some(Meaning::Succeeded), "genuine")).await.unwrap();
    assert_eq!(file.store.read().find_task("genuine").await.unwrap(), Some(task));
    file.close().await;
}

#[tokio::test]
async fn a_task_that_holds_an_id_by_a_guess_gives_it_to_the_one_that_has_evidence() {
    let (file, task) = unconfirmed().await;
    let tasks = file.job(&["b", "c"]).await;
    assert_eq!(file.store.store_lookup("one".to_owned(), found(&POSTS), at(5)).await, Ok(true));
    file.submit(tasks[0], lost()).await;
    file.store.receive_callback(callback(tasks[0], 7, Some(Meaning::Succeeded), "one")).await.unwrap();
    assert_eq!(file.store.read().find_task("one").await.unwrap(), Some(tasks[0]));
    assert_eq!(file.state(task).await, TaskState::Unconfirmed, "nothing proves it any more");
    assert_eq!(file.store.store_lookup("two".to_owned(), found(&POSTS), at(8)).await, Ok(true));
    file.submit(tasks[1], SubmitEnd::Accepted("two".to_owned())).await;
    assert_eq!(file.store.read().find_task("two").await.unwrap(), Some(tasks[1]));
    assert_eq!(file.state(task).await, TaskState::Unconfirmed);
    file.close().await;
}
