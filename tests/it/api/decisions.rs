//! What an operator decides: retry, adopt, refresh, pause and resume, and when each makes no sense.

use scrapehook::simulator::Faults;
use serde_json::{Value, json};

use crate::support::answers::{Event, Job, Task};
use crate::support::{NEVER, Scene, mixed_urls};

#[tokio::test]
async fn a_failed_task_is_sent_again_once_and_its_job_follows() {
    let (upstream, service) =
        Scene::new().faults(Faults { fail_task: 1.0, ..Faults::default() }).start().await;
    let job = service.submit(&mixed_urls(1)).await;
    assert_eq!(service.until_settled(&job).await.state, "failed");
    upstream.set_faults(Faults::default());
    let old = service.until_task("failed").await.id;
    let (status, new) = service.call(&format!("/v1/tasks/{old}/retry"), Value::Null).await;
    assert_eq!((status, &new["retry_of"], &new["job_id"]), (202, &json!(old), &json!(job)));
    let new = new["id"].as_str().unwrap();
    let problem = service.call_in_wrong_state(&format!("/v1/tasks/{old}/retry"), Value::Null).await;
    assert!(problem.detail.contains(new), "{problem:?}");
    assert_eq!(service.task(&old).await.replaced_by.as_deref(), Some(new));
    assert_eq!(service.until_settled(&job).await.state, "done");
    let problem = service.call_in_wrong_state(&format!("/v1/tasks/{new}/retry"), Value::Null).await;
    assert!(problem.detail.starts_with("No job waits for a URL"), "{problem:?}");
    service.stop().await;
}

#[tokio::test]
async fn retrying_an_unconfirmed_task_gives_it_up_until_its_callbacks_prove_it() {
    let faults = Faults { cut: 1.0, lose: 1.0, ..Faults::default() };
    let (upstream, service) = Scene::new().faults(faults).start().await;
    let job = service.submit(&mixed_urls(1)).await;
    let old = service.until_task("unconfirmed").await.id;
    upstream.set_faults(Faults::default());
    let (status, _) = service.call(&format!("/v1/tasks/{old}/retry"), Value::Null).await;
    assert_eq!(status, 202);
    assert_eq!(service.until_settled(&job).await.state, "done");
    let given_up = service.task(&old).await;
    assert_eq!((given_up.state.as_str(), given_up.error.unwrap().code.as_str()), ("canceled", "canceled"));
    assert_eq!(upstream.charged().into_values().sum::<u32>(), 2, "once for each who asked");
    // It had been taken after all.
    let submits = upstream.submits();
    let url = submits[0].body.callback_url.as_ref().unwrap().strip_prefix(&service.base).unwrap();
    let body = json!({ "taskId": submits[0].task_id, "videoId": "VI7", "status": "INDEXING_SUCCEEDED" });
    assert_eq!(service.post_callback(url, body.to_string()).await, 200);
    assert_eq!(service.task(&old).await.state, "indexed");
    service.stop().await;
}

#[tokio::test]
async fn an_adopted_task_id_lets_polls_bring_the_rest() {
    let faults = Faults { cut: 1.0, lose: 1.0, ..Faults::default() };
    let (upstream, service) = Scene::new().faults(faults).start().await;
    let job = service.submit(&mixed_urls(1)).await;
    let task = service.until_task("unconfirmed").await.id;
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
    let problem = service.call_in_wrong_state(&adopt, json!({ "upstream_id": "other" })).await;
    let reason = "This task has a taskId from its own callback or an earlier adopt.";
    assert!(problem.detail.starts_with(reason), "{problem:?}");
    assert_eq!(service.until_settled(&job).await.state, "done");
    service.stop().await;
}

#[tokio::test]
async fn a_task_id_that_another_task_holds_is_not_adopted() {
    let (upstream, service) = Scene::new().start().await;
    let first = service.submit(&mixed_urls(1)).await;
    service.until_settled(&first).await;
    upstream.set_faults(Faults { cut: 1.0, lose: 1.0, ..Faults::default() });
    service.submit(&["https://youtu.be/other".to_owned()]).await;
    let task = service.until_task("unconfirmed").await.id;
    let held = upstream.submits()[0].task_id.clone().unwrap();
    let adopt = format!("/v1/tasks/{task}/adopt");
    let problem = service.call_in_wrong_state(&adopt, json!({ "upstream_id": held })).await;
    let holder = &service.list::<Task>("/v1/tasks?state=indexed").await[0].id;
    assert!(problem.detail.starts_with(&format!("The task {holder} holds this taskId.")), "{problem:?}");
    service.stop().await;
}

#[tokio::test]
async fn a_refresh_polls_now() {
    let faults = Faults { lose: 1.0, ..Faults::default() };
    let (_upstream, service) = Scene::new().faults(faults).set("RECONCILE__AFTER", "1h").start().await;
    let job = service.submit(&mixed_urls(1)).await;
    let task = service.until_task("accepted").await.id;
    let (status, _) = service.call(&format!("/v1/tasks/{task}/refresh"), Value::Null).await;
    assert_eq!(status, 200);
    assert_eq!(service.until_settled(&job).await.state, "done");
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
    assert_eq!(service.job(&job).await.progress.waiting, 3);
    assert!(service.items("/v1/tasks").await.is_empty(), "a task is formed when its turn comes");
    assert!(upstream.submits().is_empty());
    let (status, resumed) = service.call("/v1/resume", Value::Null).await;
    assert_eq!((status, &resumed["paused"]), (200, &json!([])));
    service.until_tasks(&format!("job={job}&state=accepted"), 3).await;
    let kinds = service.kinds().await;
    assert!(
        ["sending.paused", "sending.resumed"].iter().all(|wanted| kinds.iter().any(|kind| kind == wanted))
    );
    service.stop().await;
}

#[tokio::test]
async fn a_task_that_waits_for_another_attempt_can_not_be_polled_or_retried() {
    let faults = Faults { unavailable: 1.0, ..Faults::default() };
    let (upstream, service) = Scene::new().faults(faults).start().await;
    let job = service.submit(&mixed_urls(1)).await;
    let task = service.until_task("queued").await.id;
    service.pause().await;
    // One may be on its way still.
    service.until(&format!("/v1/tasks/{task}"), |task: &Task| task.state == "queued").await;
    for (decision, body, reason) in [
        ("refresh", Value::Null, "The taskId of this task is unknown."),
        ("retry", Value::Null, "This task is queued."),
        ("adopt", json!({ "upstream_id": "theirs" }), "This task is queued."),
    ] {
        let problem = service.call_in_wrong_state(&format!("/v1/tasks/{task}/{decision}"), body).await;
        assert!(problem.detail.starts_with(reason), "{decision}: {problem:?}");
    }
    upstream.set_faults(Faults::default());
    let service = service.stop().await.start().await;
    let waiting = service.get(&format!("/v1/tasks/{task}")).await;
    assert_eq!(waiting["state"], "queued", "it outlives a restart");
    service.resume().await;
    assert_eq!(service.until_settled(&job).await.state, "done");
    assert_eq!(service.task(&task).await.state, "indexed");
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
    service.until_task("accepted").await;
    let sizes: Vec<usize> = service.job(&job).await.tasks.iter().map(|task| task.urls).collect();
    assert_eq!(sizes, [4], "a request is cut to what is left of the day");
    assert!(upstream.submits().iter().all(|submit| submit.body.video_urls.len() == 4));
    let service = service.stop().await.start().await;
    // Another task would be sent at once, if there were a budget for it.
    let more = service.submit(&["https://youtu.be/one-more".to_owned()]).await;
    service.until_job(&more, |job| job.progress.waiting == 1).await;
    let setup = service.stop().await;
    assert_eq!(upstream.charged().len(), 4);
    let service = setup.set("DISPATCH__MAX_URLS_PER_DAY", "9").start().await;
    upstream.until(|upstream| upstream.charged().len() >= 9).await;
    service.stop().await;
}

#[tokio::test]
async fn a_request_is_cut_to_what_is_left_of_the_day_and_the_rest_waits() {
    let (upstream, service) = Scene::new().downloads_nothing().start().await;
    service.pause().await;
    let urls: Vec<_> = (0..8).map(|n| format!("https://www.tiktok.com/@u/video/{n}")).collect();
    let job = service.submit(&urls).await;
    let late = service.submit(&["https://www.tiktok.com/@v/video/99".to_owned()]).await;
    let service = service.stop().await.set("DISPATCH__MAX_URLS_PER_DAY", "5").start().await;
    service.resume().await;
    service.until_job(&job, |job| job.progress.sent == 5).await;
    let service = service.stop().await.set("DISPATCH__MAX_URLS_PER_DAY", "7").start().await;
    service.until_job(&job, |job| job.progress.sent == 7).await;
    assert_eq!(service.job(&late).await.progress.waiting, 1);
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
    let failed = service.until_task("failed").await.id;
    service.pause().await;
    let (status, retry) = service.call(&format!("/v1/tasks/{failed}/retry"), Value::Null).await;
    assert_eq!((status, retry["urls"].as_array().unwrap().len()), (202, 3));
    service.resume().await;
    upstream.until(|upstream| upstream.submitted() == 2).await;
    service.until_job(&job, |job| job.progress.waiting == 1).await;
    let problems = service.problems().await;
    assert!(problems.iter().any(|code| code == "budget_spent"), "{problems:?}");
    let today = service.get("/v1/status").await["today"].take();
    assert_eq!(
        (&today["urls_sent"], &today["max_urls"], &today["urls_left"]),
        (&json!(5), &json!(5), &json!(0))
    );
    assert!(today["ends_at"].as_str().unwrap().ends_with("T00:00:00.000Z"), "{today}");
    service.stop().await;
    assert_eq!(upstream.submits()[1].body.video_urls.len(), 2);
}

#[tokio::test]
async fn a_restored_backup_sends_nothing_until_it_is_resumed_and_its_callbacks_find_their_way() {
    use sqlx::ConnectOptions;
    let faults = Faults { lose: 1.0, ..Faults::default() };
    let (upstream, service) = Scene::new().index_delay(NEVER).faults(faults).start().await;
    service.pause().await;
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
    service.resume().await;
    let late = service.submit(&["https://youtu.be/after-the-backup".to_owned()]).await;
    service.until_job(&late, |job| job.progress.sent == 1).await;
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
        let recovered = service.until(&recovered, |task: &Value| task["urls"][0].is_object()).await;
        assert_eq!((&recovered["state"], &recovered["job_id"]), (&json!("downloaded"), &Value::Null));
        assert_eq!(recovered["urls"][0]["url"], submit.body.video_urls[0]);
    }
    let events: Vec<Event> = service.list(&format!("/v1/events?after={last}")).await;
    assert!(events.iter().all(|event| event.seq > 1_000_000));
    // The queue looks again before it pays.
    service.resume().await;
    service.until_unannounced(&format!("/v1/jobs/{job}"), |job: &Job| job.progress.downloaded == 1).await;
    let again = service.submit(&["https://youtu.be/fresh".to_owned()]).await;
    service.until_job(&again, |job| job.progress.waiting == 0).await;
    upstream.until(|upstream| upstream.submits().len() >= 3).await;
    assert_eq!(upstream.submits().len(), 3);
    assert!(upstream.charged().values().all(|times| *times == 1));
    service.stop().await;
}
