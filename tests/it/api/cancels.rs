//! What is canceled is not sent, and takes nothing away from others.

use scrapehook::simulator::{Faults, Simulator};
use serde_json::{Value, json};

use crate::support::answers::{Event, JobUrl};
use crate::support::{NEVER, Scene, Service, mixed_urls};

/// A service that sends nothing.
async fn paused() -> (Simulator, Service) {
    let (upstream, service) = Scene::new().downloads_nothing().start().await;
    service.pause().await;
    (upstream, service)
}

/// The messages of a job's events of this kind.
async fn messages(service: &Service, job: &str, kind: &str) -> Vec<String> {
    let events: Vec<Event> = service.list(&format!("/v1/events?job={job}&kind={kind}")).await;
    events.into_iter().map(|event| event.message.unwrap()).collect()
}

#[tokio::test]
async fn a_canceled_job_is_not_sent() {
    let (upstream, service) = paused().await;
    let job = service.submit(&mixed_urls(3)).await;
    let (status, canceled) = service.call(&format!("/v1/jobs/{job}/cancel"), Value::Null).await;
    assert_eq!((status, &canceled["state"]), (200, &json!("canceled")));
    assert!(canceled["settled_at"].is_string());
    service.call_in_wrong_state(&format!("/v1/jobs/{job}/cancel"), Value::Null).await;
    assert_eq!(service.call("/v1/jobs/job_nope/cancel", Value::Null).await.0, 404);
    service.resume().await;
    // Another one is sent, so that one would have been before it.
    let other = service.submit(&["https://youtu.be/other".to_owned()]).await;
    service.until_tasks(&format!("job={other}&state=accepted"), 1).await;
    assert_eq!(upstream.submitted(), 1);
    assert_eq!(messages(&service, &job, "job.canceled").await, ["canceled by an operator"]);
    assert!(service.items(&format!("/v1/tasks?job={job}")).await.is_empty(), "it never had a task");
    // What was canceled can be sent after all, if somebody asks for it by name.
    let retry = format!("/v1/jobs/{job}/retry");
    assert_eq!(service.call(&retry, Value::Null).await.0, 409);
    assert_eq!(service.call(&retry, json!({ "codes": ["canceled"] })).await.0, 202);
    service.until_job(&job, |job| job.progress.sent == 3).await;
    // They count as sent from before the request on.
    upstream.until(|upstream| upstream.submitted() >= 4).await;
    assert_eq!(upstream.submitted(), 4);
    service.stop().await;
}

#[tokio::test]
async fn canceling_a_job_leaves_what_was_sent() {
    let (_upstream, service) =
        Scene::new().index_delay(NEVER).set("DISPATCH__MAX_URLS_PER_DAY", "2").start().await;
    let urls: Vec<_> = (0..4).map(|n| format!("https://www.tiktok.com/@u/video/{n}")).collect();
    let job = service.submit(&urls).await;
    service.until_job(&job, |job| job.progress.downloaded == 2).await;
    let (status, job) = service.call(&format!("/v1/jobs/{job}/cancel"), Value::Null).await;
    assert_eq!(status, 200);
    let progress = &job["progress"];
    assert_eq!(
        (&job["state"], &progress["failed"], &progress["downloaded"]),
        (&json!("running"), &json!(2), &json!(2))
    );
    service.stop().await;
}

#[tokio::test]
async fn a_canceled_task_that_waits_can_be_sent_after_all() {
    let faults = Faults { fail_task: 1.0, ..Faults::default() };
    let (upstream, service) = Scene::new().faults(faults).start().await;
    let job = service.submit(&mixed_urls(1)).await;
    assert_eq!(service.until_settled(&job).await.state, "failed");
    upstream.set_faults(Faults::default());
    let failed = service.items("/v1/tasks?state=failed").await.remove(0);
    service.pause().await;
    let retry = |task: &Value| format!("/v1/tasks/{}/retry", task["id"].as_str().unwrap());
    let (_, waiting) = service.call(&retry(&failed), Value::Null).await;
    assert_eq!(waiting["state"], "queued");
    let cancel = format!("/v1/tasks/{}/cancel", waiting["id"].as_str().unwrap());
    let (status, canceled) = service.call(&cancel, Value::Null).await;
    assert_eq!((status, &canceled["state"]), (200, &json!("canceled")));
    assert_eq!(messages(&service, &job, "task.canceled").await, ["canceled by an operator"]);
    let row = service.list::<JobUrl>(&format!("/v1/jobs/{job}/urls")).await.remove(0);
    assert_eq!((row.state.as_str(), row.error.unwrap().code.as_str()), ("failed", "canceled"));
    assert_eq!(service.call(&retry(&canceled), Value::Null).await.0, 202);
    service.resume().await;
    service.until_job(&job, |job| job.state == "done").await;
    assert_eq!(upstream.submitted(), 2);
    service.stop().await;
}

#[tokio::test]
async fn a_post_that_another_job_still_wants_stays_in_the_queue() {
    let (upstream, service) = paused().await;
    let first = service.submit(&mixed_urls(1)).await;
    let second = service.submit(&mixed_urls(1)).await;
    assert_eq!(service.call(&format!("/v1/jobs/{first}/cancel"), Value::Null).await.0, 200);
    assert_eq!(service.job(&second).await.progress.waiting, 1);
    service.resume().await;
    service.until_tasks(&format!("job={second}&state=accepted"), 1).await;
    assert_eq!(service.job(&first).await.state, "canceled");
    assert_eq!(upstream.submitted(), 1);
    service.stop().await;
}

#[tokio::test]
async fn giving_up_an_unconfirmed_task_lets_nobody_pay_twice_by_itself() {
    let faults = Faults { cut: 1.0, lose: 1.0, ..Faults::default() };
    let (upstream, service) = Scene::new().faults(faults).start().await;
    let first = service.submit(&mixed_urls(1)).await;
    let task = service.until_task("unconfirmed").await.id;
    let second = service.submit(&mixed_urls(1)).await;
    let (status, canceled) = service.call(&format!("/v1/tasks/{task}/cancel"), Value::Null).await;
    assert_eq!((status, &canceled["state"]), (200, &json!("canceled")));
    assert_eq!(service.call(&format!("/v1/tasks/{task}/cancel"), Value::Null).await.0, 409);
    for job in [first, second] {
        assert_eq!(service.job(&job).await.state, "failed");
        let row = service.list::<JobUrl>(&format!("/v1/jobs/{job}/urls")).await.remove(0);
        let error = row.error.unwrap();
        assert_eq!((error.code.as_str(), error.certain), ("unconfirmed", Some(false)));
    }
    assert!(service.items("/v1/tasks?state=queued").await.is_empty());
    assert_eq!(upstream.submitted(), 1);
    // Whoever comes after that asks for it anew.
    let third = service.submit(&mixed_urls(1)).await;
    service.until_job(&third, |job| job.progress.sent == 1).await;
    upstream.until(|upstream| upstream.submitted() >= 2).await;
    service.stop().await;
    assert_eq!(upstream.submitted(), 2);
}

#[tokio::test]
async fn what_is_on_its_way_can_not_be_canceled() {
    let (_upstream, service) = Scene::new().downloads_nothing().start().await;
    service.submit(&mixed_urls(1)).await;
    let task = service.until_task("accepted").await.id;
    service.call_in_wrong_state(&format!("/v1/tasks/{task}/cancel"), Value::Null).await;
    assert_eq!(service.call("/v1/tasks/nope/cancel", Value::Null).await.0, 404);
    service.stop().await;
}

#[tokio::test]
async fn each_decision_is_an_event_with_the_name_of_who_decided() {
    let faults = Faults { cut: 1.0, lose: 1.0, ..Faults::default() };
    let key = "key-of-the-one-operator";
    let keys = format!("ops:write:{key}");
    let (upstream, service) =
        Scene::new().faults(faults).downloads_nothing().set("AUTH__API_KEYS", &keys).start().await;
    let call = async |method: &str, path: &str, body: Value| -> Value {
        let method = method.parse().unwrap();
        let request = service.request(method, path).bearer_auth(key);
        let request = if body.is_null() { request } else { request.json(&body) };
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.json().await.unwrap()
    };
    for n in 0..2 {
        call("POST", "/v1/jobs", json!({ "video_urls": [format!("https://host{n}.example/p")] })).await;
    }
    upstream.until(|upstream| upstream.submitted() >= 2).await;
    let tasks = loop {
        let page = call("GET", "/v1/tasks?state=unconfirmed", Value::Null).await;
        if page["items"][1].is_object() {
            break page["items"].clone();
        }
    };
    let ids = upstream.submits();
    let [two, one] = [0, 1].map(|n| tasks[n]["id"].as_str().unwrap().to_owned());
    call("POST", "/v1/pause", Value::Null).await;
    call("POST", &format!("/v1/tasks/{one}/adopt"), json!({ "upstream_id": ids[0].task_id })).await;
    call("POST", &format!("/v1/tasks/{one}/refresh"), Value::Null).await;
    let new = call("POST", &format!("/v1/tasks/{two}/retry"), Value::Null).await;
    call("POST", &format!("/v1/tasks/{}/cancel", new["id"].as_str().unwrap()), Value::Null).await;
    call("POST", "/v1/resume", Value::Null).await;
    let events = call("GET", "/v1/events?limit=500", Value::Null).await;
    let said: Vec<_> = events["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| {
            event["source"] == "operator" && event["message"].as_str().is_some_and(|m| m.contains("ops"))
        })
        .map(|event| event["kind"].as_str().unwrap().to_owned())
        .collect();
    for kind in [
        "sending.paused",
        "task.accepted",
        "task.refreshed",
        "task.queued",
        "task.canceled",
        "sending.resumed",
    ] {
        assert!(said.iter().any(|known| known == kind), "{kind}: {said:?}");
    }
    service.stop().await;
}
