//! What an operator decides: retry, adopt, refresh, pause and resume, and when each makes no sense.

use scrapehook::simulator::Faults;
use serde_json::{Value, json};

use crate::support::{NEVER, Scene, Service, mixed_urls};

async fn only_task(service: &Service, state: &str) -> String {
    let page = service.until(&format!("/v1/tasks?state={state}"), |page| page["items"][0].is_object()).await;
    page["items"][0]["id"].as_str().unwrap().to_owned()
}

/// The answer is a 409 whose detail begins with this reason.
fn assert_conflict((status, problem): (u16, Value), reason: &str) {
    assert!(problem["detail"].as_str().unwrap().starts_with(reason), "{problem}");
    assert_wrong_state((status, problem));
}

fn assert_wrong_state((status, problem): (u16, Value)) {
    assert_eq!((status, &problem["code"]), (409, &json!("wrong_state")), "{problem}");
}

#[tokio::test]
async fn a_failed_task_is_sent_again_once_and_its_job_follows() {
    let (upstream, service) =
        Scene::new().faults(Faults { fail_task: 1.0, ..Faults::default() }).start().await;
    let job = service.submit(&mixed_urls(1)).await;
    assert_eq!(service.until_settled(&job).await["state"], "failed");
    upstream.set_faults(Faults::default());
    let old = only_task(&service, "failed").await;
    let (status, new) = service.call(&format!("/v1/tasks/{old}/retry"), Value::Null).await;
    assert_eq!((status, &new["retry_of"], &new["job_id"]), (202, &json!(old), &json!(job)));
    let (status, problem) = service.call(&format!("/v1/tasks/{old}/retry"), Value::Null).await;
    assert!(problem["detail"].as_str().unwrap().contains(new["id"].as_str().unwrap()), "{problem}");
    assert_wrong_state((status, problem));
    assert_eq!(service.get(&format!("/v1/tasks/{old}")).await["replaced_by"], new["id"]);
    assert_eq!(service.until_settled(&job).await["state"], "done");
    let new = new["id"].as_str().unwrap();
    assert_conflict(
        service.call(&format!("/v1/tasks/{new}/retry"), Value::Null).await,
        "No job waits for a URL",
    );
    service.stop().await;
}

#[tokio::test]
async fn retrying_an_unconfirmed_task_gives_it_up_until_its_callbacks_prove_it() {
    let faults = Faults { cut: 1.0, lose: 1.0, ..Faults::default() };
    let (upstream, service) = Scene::new().faults(faults).start().await;
    let job = service.submit(&mixed_urls(1)).await;
    let old = only_task(&service, "unconfirmed").await;
    upstream.set_faults(Faults::default());
    let (status, _) = service.call(&format!("/v1/tasks/{old}/retry"), Value::Null).await;
    assert_eq!(status, 202);
    assert_eq!(service.until_settled(&job).await["state"], "done");
    let given_up = service.get(&format!("/v1/tasks/{old}")).await;
    assert_eq!((&given_up["state"], &given_up["error"]["code"]), (&json!("canceled"), &json!("canceled")));
    assert_eq!(upstream.charged().into_values().sum::<u32>(), 2, "once for each who asked");
    // It had been taken after all.
    let submits = upstream.submits();
    let url = submits[0].body.callback_url.as_ref().unwrap().strip_prefix(&service.base).unwrap();
    let body = json!({ "taskId": submits[0].task_id, "videoId": "VI7", "status": "INDEXING_SUCCEEDED" });
    assert_eq!(service.post_callback(url, body.to_string()).await, 200);
    assert_eq!(service.get(&format!("/v1/tasks/{old}")).await["state"], "indexed");
    service.stop().await;
}

#[tokio::test]
async fn an_adopted_task_id_lets_polls_bring_the_rest() {
    let faults = Faults { cut: 1.0, lose: 1.0, ..Faults::default() };
    let (upstream, service) = Scene::new().faults(faults).start().await;
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
    assert_eq!((status, &adopted["upstream_id"]), (200, &json!(id)));
    // It is polled at once, and may have ended by now.
    assert_ne!(adopted["state"], "unconfirmed");
    assert_conflict(
        service.call(&adopt, json!({ "upstream_id": "other" })).await,
        "This task has a taskId from its own callback or an earlier adopt.",
    );
    assert_eq!(service.until_settled(&job).await["state"], "done");
    service.stop().await;
}

#[tokio::test]
async fn a_task_id_that_another_task_holds_is_not_adopted() {
    let (upstream, service) = Scene::new().start().await;
    let first = service.submit(&mixed_urls(1)).await;
    service.until_settled(&first).await;
    upstream.set_faults(Faults { cut: 1.0, lose: 1.0, ..Faults::default() });
    service.submit(&["https://youtu.be/other".to_owned()]).await;
    let task = only_task(&service, "unconfirmed").await;
    let held = upstream.submits()[0].task_id.clone().unwrap();
    let holder = service.items("/v1/tasks?state=indexed").await[0]["id"].as_str().unwrap().to_owned();
    assert_conflict(
        service.call(&format!("/v1/tasks/{task}/adopt"), json!({ "upstream_id": held })).await,
        &format!("The task {holder} holds this taskId."),
    );
    service.stop().await;
}

#[tokio::test]
async fn a_refresh_polls_now() {
    let faults = Faults { lose: 1.0, ..Faults::default() };
    let (_upstream, service) = Scene::new().faults(faults).set("RECONCILE__AFTER", "1h").start().await;
    let job = service.submit(&mixed_urls(1)).await;
    let task = only_task(&service, "accepted").await;
    let (status, _) = service.call(&format!("/v1/tasks/{task}/refresh"), Value::Null).await;
    assert_eq!(status, 200);
    assert_eq!(service.until_settled(&job).await["state"], "done");
    service.stop().await;
}

#[tokio::test]
async fn nothing_is_sent_between_pause_and_resume() {
    let (upstream, service) =
        Scene::new().downloads_nothing().set("DISPATCH__PROBE_AFTER", "1ms").start().await;
    let (status, paused) = service.call("/v1/pause", Value::Null).await;
    assert_eq!((status, &paused["paused"][0]["scope"]), (200, &json!("operator")));
    assert!(paused["paused"][0]["probe_at"].is_null(), "nothing is tried: {paused}");
    let job = service.submit(&mixed_urls(3)).await;
    // It outlives a restart.
    let service = service.stop().await.start().await;
    assert_eq!(service.get(&format!("/v1/jobs/{job}")).await["progress"]["waiting"], 3);
    assert!(service.items("/v1/tasks").await.is_empty(), "a task is formed when its turn comes");
    assert!(upstream.submits().is_empty());
    let (status, resumed) = service.call("/v1/resume", Value::Null).await;
    assert_eq!((status, &resumed["paused"]), (200, &json!([])));
    service.until(&format!("/v1/tasks?job={job}&state=accepted"), |page| page["items"][2].is_object()).await;
    let kinds: Vec<Value> =
        service.items("/v1/events?limit=500").await.iter().map(|event| event["kind"].clone()).collect();
    assert!(kinds.contains(&json!("sending.paused")) && kinds.contains(&json!("sending.resumed")));
    service.stop().await;
}

#[tokio::test]
async fn a_task_that_waits_for_another_attempt_can_not_be_polled_or_retried() {
    let faults = Faults { unavailable: 1.0, ..Faults::default() };
    let (upstream, service) = Scene::new().faults(faults).start().await;
    let job = service.submit(&mixed_urls(1)).await;
    let task = only_task(&service, "queued").await;
    let _ = service.call("/v1/pause", Value::Null).await;
    // One may be on its way still.
    service.until(&format!("/v1/tasks/{task}"), |task| task["state"] == "queued").await;
    assert_conflict(
        service.call(&format!("/v1/tasks/{task}/refresh"), Value::Null).await,
        "The taskId of this task is unknown.",
    );
    for (decision, body) in [("retry", Value::Null), ("adopt", json!({ "upstream_id": "theirs" }))] {
        let answer = service.call(&format!("/v1/tasks/{task}/{decision}"), body).await;
        assert_conflict(answer, "This task is queued.");
    }
    upstream.set_faults(Faults::default());
    let service = service.stop().await.start().await;
    let waiting = service.get(&format!("/v1/tasks/{task}")).await;
    assert_eq!(waiting["state"], "queued", "it outlives a restart");
    let _ = service.call("/v1/resume", Value::Null).await;
    assert_eq!(service.until_settled(&job).await["state"], "done");
    assert_eq!(service.get(&format!("/v1/tasks/{task}")).await["state"], "indexed");
    assert!(upstream.charged().values().all(|times| *times == 1));
    service.stop().await;
}

#[tokio::test]
async fn a_day_s_budget_holds_across_restarts_and_a_refusal_gives_it_back() {
    let faults = Faults { unavailable: 1.0, ..Faults::default() };
    let (upstream, service) =
        Scene::new().faults(faults).downloads_nothing().set("DISPATCH__MAX_URLS_PER_DAY", "4").start().await;
    let urls: Vec<_> = (0..8).map(|n| format!("https://www.tiktok.com/@u/video/{n}")).collect();
    let job = service.submit(&urls).await;
    upstream.until(|upstream| upstream.submits().len() >= 2).await;
    upstream.set_faults(Faults::default());
    service.until("/v1/tasks?state=accepted", |page| page["items"][0].is_object()).await;
    let answer = service.get(&format!("/v1/jobs/{job}")).await;
    let sizes: Vec<&Value> = answer["tasks"].as_array().unwrap().iter().map(|task| &task["urls"]).collect();
    assert_eq!(sizes, [4], "a request is cut to what is left of the day");
    assert!(upstream.submits().iter().all(|submit| submit.body.video_urls.len() == 4));
    let service = service.stop().await.start().await;
    // Another task would be sent at once, if there were a budget for it.
    let more = service.submit(&["https://youtu.be/one-more".to_owned()]).await;
    service.until(&format!("/v1/jobs/{more}"), |job| job["progress"]["waiting"] == 1).await;
    let setup = service.stop().await;
    assert_eq!(upstream.charged().len(), 4);
    let service = setup.set("DISPATCH__MAX_URLS_PER_DAY", "9").start().await;
    upstream.until(|upstream| upstream.charged().len() >= 9).await;
    service.stop().await;
}

#[tokio::test]
async fn a_request_is_cut_to_what_is_left_of_the_day_and_the_rest_waits() {
    let (upstream, service) = Scene::new().downloads_nothing().start().await;
    let _ = service.call("/v1/pause", Value::Null).await;
    let urls: Vec<_> = (0..8).map(|n| format!("https://www.tiktok.com/@u/video/{n}")).collect();
    let job = service.submit(&urls).await;
    let late = service.submit(&["https://www.tiktok.com/@v/video/99".to_owned()]).await;
    let service = service.stop().await.set("DISPATCH__MAX_URLS_PER_DAY", "5").start().await;
    let _ = service.call("/v1/resume", Value::Null).await;
    service.until(&format!("/v1/jobs/{job}"), |job| job["progress"]["sent"] == 5).await;
    let service = service.stop().await.set("DISPATCH__MAX_URLS_PER_DAY", "7").start().await;
    service.until(&format!("/v1/jobs/{job}"), |job| job["progress"]["sent"] == 7).await;
    assert_eq!(service.get(&format!("/v1/jobs/{late}")).await["progress"]["waiting"], 1);
    upstream.until(|upstream| upstream.charged().len() >= 7).await;
    service.stop().await;
    let sent: Vec<String> =
        upstream.submits().into_iter().flat_map(|submit| submit.body.video_urls).collect();
    assert_eq!(sent, urls[..7], "in their order");
    assert_eq!(upstream.submits().len(), 2);
}

#[tokio::test]
async fn a_retry_is_cut_to_what_is_left_of_the_day_and_holds_nobody_up() {
    let faults = Faults { fail_task: 1.0, ..Faults::default() };
    let (upstream, service) =
        Scene::new().faults(faults).set("DISPATCH__MAX_URLS_PER_DAY", "5").start().await;
    let urls: Vec<_> = (0..3).map(|n| format!("https://www.tiktok.com/@u/video/{n}")).collect();
    let job = service.submit(&urls).await;
    service.until_settled(&job).await;
    let failed = only_task(&service, "failed").await;
    let _ = service.call("/v1/pause", Value::Null).await;
    let (status, retry) = service.call(&format!("/v1/tasks/{failed}/retry"), Value::Null).await;
    assert_eq!((status, retry["urls"].as_array().unwrap().len()), (202, 3));
    let _ = service.call("/v1/resume", Value::Null).await;
    upstream.until(|upstream| upstream.submitted() == 2).await;
    service.until(&format!("/v1/jobs/{job}"), |job| job["progress"]["waiting"] == 1).await;
    let status = service.get("/v1/status").await;
    let spent: Vec<_> =
        status["problems"].as_array().unwrap().iter().map(|problem| &problem["code"]).collect();
    assert!(spent.contains(&&json!("budget_spent")), "{status}");
    service.stop().await;
    assert_eq!(upstream.submits()[1].body.video_urls.len(), 2);
}

#[tokio::test]
async fn a_restored_backup_sends_nothing_until_it_is_resumed_and_its_callbacks_find_their_way() {
    use sqlx::ConnectOptions;
    let faults = Faults { lose: 1.0, ..Faults::default() };
    let (upstream, service) = Scene::new().index_delay(NEVER).faults(faults).start().await;
    let _ = service.call("/v1/pause", Value::Null).await;
    let job = service.submit(&mixed_urls(1)).await;
    let setup = service.stop().await;
    // A copy with the mark of a backup; then the original goes on, sends, and is lost.
    let backup = setup.database().with_extension("backup");
    std::fs::copy(setup.database(), &backup).unwrap();
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&backup);
    let mut file = options.connect().await.unwrap();
    sqlx::query("INSERT INTO meta (key, value) VALUES ('backup', 'taken')").execute(&mut file).await.unwrap();
    sqlx::Connection::close(file).await.unwrap();
    let service = setup.start().await;
    let _ = service.call("/v1/resume", Value::Null).await;
    let late = service.submit(&["https://youtu.be/after-the-backup".to_owned()]).await;
    service.until(&format!("/v1/jobs/{late}"), |job| job["progress"]["sent"] == 1).await;
    let last = service.get("/v1/events?limit=500").await["next"].as_str().unwrap().parse::<i64>().unwrap();
    let setup = service.stop().await;
    std::fs::copy(&backup, setup.database()).unwrap();

    let service = setup.set("RECONCILE__AFTER", "20ms").start().await;
    let (_, status) = service.call("/v1/pause", Value::Null).await;
    let scopes: Vec<_> = status["paused"].as_array().unwrap().iter().map(|pause| &pause["scope"]).collect();
    assert_eq!(scopes, ["operator", "restored"]);
    let submits = upstream.submits();
    // One whose post waits in the backup, and one that it has never heard of.
    for submit in &submits[..2] {
        let url = submit.body.callback_url.as_ref().unwrap().replace(&service.base, "");
        let body = json!({ "taskId": submit.task_id, "status": "SUCCEEDED" }).to_string();
        assert_eq!(service.post_callback(&url, body).await, 200);
    }
    for submit in &submits[..2] {
        let recovered = format!("/v1/tasks/{}", submit.task_id.as_ref().unwrap());
        // Polls bring its URL.
        let recovered = service.until(&recovered, |task| task["urls"][0].is_object()).await;
        assert_eq!((&recovered["state"], &recovered["job_id"]), (&json!("downloaded"), &Value::Null));
        assert_eq!(recovered["urls"][0]["url"], submit.body.video_urls[0]);
    }
    let events = service.items(&format!("/v1/events?after={last}")).await;
    assert!(events.iter().all(|event| event["seq"].as_i64().unwrap() > 1_000_000));
    // The queue looks again before it pays.
    let _ = service.call("/v1/resume", Value::Null).await;
    service.until_unannounced(&format!("/v1/jobs/{job}"), |job| job["progress"]["downloaded"] == 1).await;
    let again = service.submit(&["https://youtu.be/fresh".to_owned()]).await;
    service.until(&format!("/v1/jobs/{again}"), |job| job["progress"]["waiting"] == 0).await;
    upstream.until(|upstream| upstream.submits().len() >= 3).await;
    assert_eq!(upstream.submits().len(), 3);
    assert!(upstream.charged().values().all(|times| *times == 1));
    service.stop().await;
}
