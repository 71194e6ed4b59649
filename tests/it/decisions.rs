//! What an operator decides: retry, adopt, refresh, pause and resume, and when each makes no sense.

use scrapehook::simulator::{Faults, Settings, Simulator};
use serde_json::{Value, json};

use crate::support::{NEVER, Service, Setup, mixed_urls, simulator};

async fn with_faults(faults: Faults, settings: &[(&str, &str)]) -> (Simulator, Service) {
    let upstream = simulator(Settings { faults, ..Settings::default() }).await;
    let setup = Setup::new(&upstream.url()).await;
    let setup = settings.iter().fold(setup, |setup, (key, value)| setup.set(key, value));
    (upstream, setup.start().await)
}

async fn only_task(service: &Service, state: &str) -> String {
    let page = service.until(&format!("/v1/tasks?state={state}"), |page| page["items"][0].is_object()).await;
    page["items"][0]["id"].as_str().unwrap().to_owned()
}

fn assert_wrong_state((status, problem): (u16, Value)) {
    assert_eq!((status, &problem["code"]), (409, &json!("wrong_state")), "{problem}");
}

#[tokio::test]
async fn a_failed_task_is_sent_again_once_and_its_job_follows() {
    let (upstream, service) = with_faults(Faults { fail_task: 1.0, ..Faults::default() }, &[]).await;
    let job = service.submit(&mixed_urls(1)).await;
    assert_eq!(service.until_settled(&job).await["state"], "failed");
    upstream.set_faults(Faults::default());
    let old = only_task(&service, "failed").await;
    let (status, new) = service.call(&format!("/v1/tasks/{old}/retry"), Value::Null).await;
    assert_eq!((status, &new["retry_of"], &new["job_id"]), (202, &json!(old), &json!(job)));
    assert_wrong_state(service.call(&format!("/v1/tasks/{old}/retry"), Value::Null).await);
    assert_eq!(service.get(&format!("/v1/tasks/{old}")).await["replaced_by"], new["id"]);
    assert_eq!(service.until_settled(&job).await["state"], "done");
    let new = new["id"].as_str().unwrap();
    assert_wrong_state(service.call(&format!("/v1/tasks/{new}/retry"), Value::Null).await);
    service.stop().await;
}

#[tokio::test]
async fn retrying_an_unconfirmed_task_gives_it_up_until_its_callbacks_prove_it() {
    let faults = Faults { cut: 1.0, lose: 1.0, ..Faults::default() };
    let (upstream, service) = with_faults(faults, &[]).await;
    let job = service.submit(&mixed_urls(1)).await;
    let old = only_task(&service, "unconfirmed").await;
    upstream.set_faults(Faults::default());
    let (status, _) = service.call(&format!("/v1/tasks/{old}/retry"), Value::Null).await;
    assert_eq!(status, 202);
    assert_eq!(service.until_settled(&job).await["state"], "done");
    let given_up = service.get(&format!("/v1/tasks/{old}")).await;
    assert_eq!((&given_up["state"], &given_up["error"]["code"]), (&json!("canceled"), &json!("canceled")));
    // It had been taken after all.
    let submits = upstream.submits();
    let url = submits[0].body.callback_url.as_ref().unwrap().strip_prefix(&service.base).unwrap();
    let body = json!({ "taskId": submits[0].task_id, "videoId": "VI7", "status": "INDEXING_SUCCEEDED" });
    assert_eq!(service.post_callback(url, body.to_string()).await, 200);
    assert_eq!(service.get(&format!("/v1/tasks/{old}")).await["state"], "downloaded");
    service.stop().await;
}

#[tokio::test]
async fn an_adopted_task_id_lets_polls_bring_the_rest() {
    let faults = Faults { cut: 1.0, lose: 1.0, ..Faults::default() };
    let (upstream, service) = with_faults(faults, &[]).await;
    let job = service.submit(&mixed_urls(1)).await;
    let task = only_task(&service, "unconfirmed").await;
    let adopt = format!("/v1/tasks/{task}/adopt");
    for (body, pointer) in
        [(json!({}), "/upstream_id"), (json!({ "upstream_id": "" }), "/upstream_id"), (json!([]), "")]
    {
        let (status, problem) = service.call(&adopt, body).await;
        assert_eq!((status, &problem["errors"][0]["pointer"]), (422, &json!(pointer)));
    }
    assert_eq!(service.call(&adopt, json!({ "upstream_id": "x", "nope": 1 })).await.0, 422);
    let id = upstream.submits()[0].task_id.clone().unwrap();
    let (status, adopted) = service.call(&adopt, json!({ "upstream_id": id })).await;
    assert_eq!((status, &adopted["upstream_id"], &adopted["state"]), (200, &json!(id), &json!("accepted")));
    assert_wrong_state(service.call(&adopt, json!({ "upstream_id": "other" })).await);
    assert_eq!(service.until_settled(&job).await["state"], "done");
    service.stop().await;
}

#[tokio::test]
async fn a_task_id_that_another_task_holds_is_not_adopted() {
    let (upstream, service) = with_faults(Faults::default(), &[]).await;
    let first = service.submit(&mixed_urls(1)).await;
    service.until_settled(&first).await;
    upstream.set_faults(Faults { cut: 1.0, lose: 1.0, ..Faults::default() });
    service.submit(&["https://youtu.be/other".to_owned()]).await;
    let task = only_task(&service, "unconfirmed").await;
    let held = upstream.submits()[0].task_id.clone().unwrap();
    assert_wrong_state(
        service.call(&format!("/v1/tasks/{task}/adopt"), json!({ "upstream_id": held })).await,
    );
    service.stop().await;
}

#[tokio::test]
async fn a_refresh_polls_now() {
    let faults = Faults { lose: 1.0, ..Faults::default() };
    let (_upstream, service) = with_faults(faults, &[("RECONCILE__AFTER", "1h")]).await;
    let job = service.submit(&mixed_urls(1)).await;
    let task = only_task(&service, "accepted").await;
    let (status, _) = service.call(&format!("/v1/tasks/{task}/refresh"), Value::Null).await;
    assert_eq!(status, 200);
    assert_eq!(service.until_settled(&job).await["state"], "done");
    service.stop().await;
}

#[tokio::test]
async fn nothing_is_sent_between_pause_and_resume() {
    let upstream = simulator(Settings { download_delay: NEVER, ..Settings::default() }).await;
    let service = Setup::new(&upstream.url()).await.set("DISPATCH__PROBE_AFTER", "1ms").start().await;
    let (status, paused) = service.call("/v1/pause", Value::Null).await;
    assert_eq!((status, &paused["paused"][0]["scope"]), (200, &json!("operator")));
    let job = service.submit(&mixed_urls(3)).await;
    let task = only_task(&service, "queued").await;
    assert_wrong_state(service.call(&format!("/v1/tasks/{task}/refresh"), Value::Null).await);
    assert_wrong_state(service.call(&format!("/v1/tasks/{task}/retry"), Value::Null).await);
    // It outlives a restart.
    let service = service.stop().await.start().await;
    assert_eq!(service.items(&format!("/v1/tasks?job={job}&state=queued")).await.len(), 3);
    assert!(upstream.submits().is_empty());
    let (status, resumed) = service.call("/v1/resume", Value::Null).await;
    assert_eq!((status, &resumed["paused"]), (200, &json!([])));
    service.until(&format!("/v1/tasks?job={job}&state=accepted"), |page| page["items"][2].is_object()).await;
    let kinds: Vec<Value> =
        service.items("/v1/events?limit=500").await.iter().map(|event| event["kind"].clone()).collect();
    assert!(kinds.contains(&json!("sending.paused")) && kinds.contains(&json!("sending.resumed")));
    service.stop().await;
}
