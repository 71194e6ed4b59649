//! Callbacks without a good token: what they may bring about, and what they may not.

use scrapehook::domain::task::TaskState;
use scrapehook::domain::url::PostUrl;
use scrapehook::simulator::{Faults, Settings};
use scrapehook::store::ReceivedHint;
use serde_json::{Value, json};

use crate::file::{File, MINUTE, POLICY, at, callback, lost};
use crate::support::{NEVER, Setup, mixed_urls, simulator};

#[tokio::test]
async fn a_hint_has_its_task_polled_and_many_hints_have_it_polled_once() {
    let faults = Faults { lose: 1.0, ..Faults::default() };
    let upstream = simulator(Settings { faults, ..Settings::default() }).await;
    let setup = Setup::new(&upstream.url()).await.set("RECONCILE__AFTER", "1h");
    let service = setup.set("RECONCILE__HINT_INTERVAL", "1h").start().await;
    let job = service.submit(&mixed_urls(1)).await;
    let accepted = service.until("/v1/tasks?state=accepted", |page| page["items"][0].is_object()).await;
    let id = accepted["items"][0]["upstream_id"].as_str().unwrap().to_owned();
    for n in 0..20 {
        let hint = json!({ "taskId": id, "status": "FAILED", "n": n }).to_string();
        assert_eq!(service.post_callback("/callback", hint).await, 202);
    }
    assert_eq!(service.until_settled(&job).await["state"], "done", "the poll tells, not the hint");
    assert_eq!(upstream.polls(), 1);
    let events = service.items("/v1/events?kind=callback.hint").await;
    assert_eq!((events.len(), &events[0]["upstream_id"]), (1, &json!(id)));
    service.stop().await;
}

#[tokio::test]
async fn a_hint_and_a_poll_prove_that_an_unconfirmed_submit_was_taken() {
    let faults = Faults { cut: 1.0, lose: 1.0, ..Faults::default() };
    let upstream = simulator(Settings { faults, ..Settings::default() }).await;
    let setup = Setup::new(&upstream.url()).await.set("RECONCILE__AFTER", "20ms");
    let service = setup.set("RECONCILE__HINT_INTERVAL", "1ms").start().await;
    let body = json!({ "video_urls": mixed_urls(1), "unique_id": "folder" });
    let job = service.submit_with(body).await;
    service.until("/v1/tasks?state=unconfirmed", |page| page["items"][0].is_object()).await;
    // One that upstream knows nothing of comes first, and changes nothing.
    let stranger = json!({ "taskId": "0-0-0", "status": "SUCCEEDED" }).to_string();
    assert_eq!(service.post_callback("/callback", stranger).await, 202);
    let id = upstream.submits()[0].task_id.clone().unwrap();
    let hint = json!({ "taskId": id, "status": "SUCCEEDED" }).to_string();
    assert_eq!(service.post_callback("/callback/forged", hint).await, 202);
    assert_eq!(service.until_settled(&job).await["state"], "done");
    let accepted = service.items("/v1/events?kind=task.accepted").await;
    assert_eq!((&accepted[0]["source"], &accepted[0]["upstream_id"]), (&json!("poll"), &json!(id)));
    assert_eq!(upstream.submits().len(), 1);
    service.stop().await;
}

#[tokio::test]
async fn unknown_ids_are_asked_about_only_where_they_could_prove_something() {
    let upstream = simulator(Settings { download_delay: NEVER, ..Settings::default() }).await;
    let setup = Setup::new(&upstream.url()).await.set("RECONCILE__AFTER", "1h");
    let service = setup.set("RECONCILE__HINT_INTERVAL", "1ms").start().await;
    for n in 0..50 {
        let hint = json!({ "taskId": format!("made-up-{n}"), "status": "SUCCEEDED" }).to_string();
        assert_eq!(service.post_callback("/callback", hint).await, 202);
    }
    service.submit(&mixed_urls(1)).await;
    service.until("/v1/tasks?state=accepted", |page| page["items"][0].is_object()).await;
    assert_eq!(upstream.polls(), 0);
    service.stop().await;
}

#[tokio::test]
async fn where_the_operator_says_so_a_callback_without_a_token_counts() {
    let upstream = simulator(Settings { download_delay: NEVER, ..Settings::default() }).await;
    let service = Setup::new(&upstream.url()).await.set("CALLBACK__WITHOUT_TOKEN", "accept").start().await;
    service.submit(&mixed_urls(1)).await;
    let accepted = service.until("/v1/tasks?state=accepted", |page| page["items"][0].is_object()).await;
    let id = accepted["items"][0]["upstream_id"].as_str().unwrap().to_owned();
    let body = |task: &str| json!({ "taskId": task, "status": "SUCCEEDED" }).to_string();
    assert_eq!(service.post_callback("/callback", body(&id)).await, 200);
    assert_eq!(service.get(&format!("/v1/tasks/{id}")).await["state"], "downloaded");
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
    let look = async |millis| file.store.next_look(at(millis), POLICY).await.unwrap();
    assert_eq!(look(4).await.unwrap().upstream_id, "second");
    let post = PostUrl::parse(&url[0]).unwrap().canonical;
    let looked = async |millis| {
        file.store.looked("second".to_owned(), None, vec![post.clone()], at(millis)).await.unwrap();
    };
    looked(5).await;
    assert_eq!(file.state(tasks[1]).await, TaskState::Unconfirmed, "it may be either");
    file.store.receive_callback(callback(tasks[0], 6, None, "first")).await.unwrap();
    assert_eq!(look(7).await.unwrap().due, at(5).after(MINUTE));
    looked(60_005).await;
    assert_eq!(file.store.find_task("second").await.unwrap(), Some(tasks[1]));
    assert_eq!(look(70_000).await, None);
    file.close().await;
}
