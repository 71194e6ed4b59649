//! Whole jobs from submit to settled, whatever the upstream does on the way.

use reqwest::StatusCode;
use scrapehook::simulator::Faults;
use serde_json::{Value, json};

use crate::support::answers::{JobUrl, Page, Task};
use crate::support::{Scene, Service, mixed_urls};

async fn assert_every_url_is_indexed(service: &Service, job: &str, urls: usize) {
    let settled = service.until_settled(job).await;
    assert_eq!(settled.state, "done", "{settled:?}");
    assert_eq!(settled.progress.indexed, urls, "{settled:?}");
    assert!(settled.settled_at.is_some());
    for task in settled.tasks {
        assert_eq!(task.state, "indexed");
    }
    let rows: Vec<JobUrl> = service.list(&format!("/v1/jobs/{job}/urls?limit=500")).await;
    assert_eq!(rows.len(), urls);
    for row in rows {
        assert_eq!((row.state.as_str(), row.video_ids.len()), ("indexed", 1), "{row:?}");
    }
}

#[tokio::test]
async fn a_mixed_job_settles_in_the_fewest_tasks() {
    let (upstream, service) = Scene::new().start().await;
    let urls = mixed_urls(120);
    let job = service.submit(&urls).await;
    assert_every_url_is_indexed(&service, &job, 120).await;
    assert_eq!(upstream.submits().len(), 3, "40 URLs of each of three platforms");
    assert!(upstream.charged().values().all(|times| *times == 1));
    service.stop().await;
}

#[tokio::test]
async fn doubled_reordered_and_early_callbacks_lead_to_the_same_end() {
    let faults = Faults { early_callback: 1.0, duplicate: 1.0, reorder: 1.0, ..Faults::default() };
    let (upstream, service) = Scene::new().faults(faults).start().await;
    let job = service.submit(&mixed_urls(30)).await;
    assert_every_url_is_indexed(&service, &job, 30).await;
    assert!(upstream.charged().values().all(|times| *times == 1));
    service.stop().await;
}

#[tokio::test]
async fn a_job_settles_by_polling_alone() {
    let (upstream, service) = Scene::new().polling_only().start().await;
    let job = service.submit(&mixed_urls(30)).await;
    assert_every_url_is_indexed(&service, &job, 30).await;
    assert!(upstream.callbacks_sent().is_empty());
    assert!(upstream.submits().iter().all(|submit| submit.body.callback_url.is_none()));
    service.stop().await;
}

#[tokio::test]
async fn lost_callbacks_are_made_up_for_by_polls() {
    let faults = Faults { lose: 1.0, ..Faults::default() };
    let (_upstream, service) = Scene::new().faults(faults).set("RECONCILE__AFTER", "50ms").start().await;
    let job = service.submit(&mixed_urls(9)).await;
    assert_every_url_is_indexed(&service, &job, 9).await;
    service.stop().await;
}

#[tokio::test]
async fn failed_videos_make_a_job_partial_or_failed() {
    let faults = Faults { fail_video: 1.0, ..Faults::default() };
    let (_upstream, service) = Scene::new().faults(faults).set("RECONCILE__AFTER", "50ms").start().await;
    let job = service.submit(&mixed_urls(6)).await;
    let settled = service.until_settled(&job).await;
    assert_eq!((settled.state.as_str(), settled.progress.failed), ("failed", 6));
    let rows: Vec<JobUrl> = service.list(&format!("/v1/jobs/{job}/urls")).await;
    let failed = |row: &JobUrl| row.error.as_ref().is_some_and(|error| error.code == "video_failed");
    assert!(rows.iter().all(failed), "{rows:?}");
    service.stop().await;
}

#[tokio::test]
async fn a_failed_task_fails_its_urls() {
    let faults = Faults { fail_task: 1.0, ..Faults::default() };
    let (_upstream, service) = Scene::new().faults(faults).start().await;
    let job = service.submit(&mixed_urls(3)).await;
    assert_eq!(service.until_settled(&job).await.state, "failed");
    for task in service.list::<Task>(&format!("/v1/tasks?job={job}")).await {
        assert_eq!((task.state.as_str(), task.error.unwrap().code.as_str()), ("failed", "task_failed"));
    }
    service.stop().await;
}

#[tokio::test]
async fn a_post_with_two_videos_is_indexed_with_the_first_and_shows_both() {
    let faults = Faults { second_video: 1.0, ..Faults::default() };
    let (_upstream, service) = Scene::new().faults(faults).set("RECONCILE__AFTER", "50ms").start().await;
    let job = service.submit(&mixed_urls(3)).await;
    assert_eq!(service.until_settled(&job).await.state, "done");
    let has_both = |row: &JobUrl| row.state == "indexed" && row.video_ids.len() == 2;
    let rows = format!("/v1/jobs/{job}/urls");
    service.until_unannounced(&rows, |page: &Page<JobUrl>| page.items.iter().all(has_both)).await;
    service.stop().await;
}

#[tokio::test]
async fn counting_decides_where_polls_name_no_urls() {
    let faults = Faults { poll_without_urls: true, integer_codes: true, ..Faults::default() };
    let (_upstream, service) = Scene::new().faults(faults).set("RECONCILE__AFTER", "50ms").start().await;
    let job = service.submit(&mixed_urls(6)).await;
    let settled = service.until_settled(&job).await;
    assert_eq!(settled.state, "done", "{settled:?}");
    service.stop().await;
}

#[tokio::test]
async fn a_refusal_that_passes_is_sent_again_and_charged_once() {
    for faults in
        [Faults { rate_limited: 0.5, ..Faults::default() }, Faults { unavailable: 0.5, ..Faults::default() }]
    {
        let (upstream, service) =
            Scene::new().faults(faults.clone()).set("RECONCILE__AFTER", "50ms").start().await;
        let job = service.submit(&mixed_urls(3)).await;
        upstream.until(|upstream| !upstream.submits().is_empty()).await;
        upstream.set_faults(Faults::default());
        assert_eq!(service.until_settled(&job).await.state, "done", "{faults:?}");
        assert!(upstream.charged().values().all(|times| *times == 1));
        service.stop().await;
    }
}

#[tokio::test]
async fn a_cut_submit_is_never_sent_again_and_its_callbacks_prove_it() {
    let faults = Faults { cut: 1.0, ..Faults::default() };
    let (upstream, service) = Scene::new().faults(faults).start().await;
    let job = service.submit(&mixed_urls(1)).await;
    assert_every_url_is_indexed(&service, &job, 1).await;
    assert_eq!(upstream.submits().len(), 1);
    let kinds = service.kinds().await;
    assert!(kinds.iter().any(|kind| kind == "task.accepted"), "{kinds:?}");
    service.stop().await;
}

#[tokio::test]
async fn two_submits_without_an_answer_pause_sending() {
    let faults = Faults { cut: 1.0, lose: 1.0, ..Faults::default() };
    let (upstream, service) = Scene::new().faults(faults).start().await;
    let job = service.submit(&mixed_urls(9)).await;
    service.until_event("sending.paused").await;
    let tasks: Vec<Task> = service.list(&format!("/v1/tasks?job={job}")).await;
    let states: Vec<&str> = tasks.iter().map(|task| task.state.as_str()).collect();
    assert_eq!(states, ["unconfirmed", "unconfirmed"]);
    let progress = service.job(&job).await.progress;
    assert_eq!((progress.sent, progress.waiting), (6, 3));
    assert_eq!(upstream.submits().len(), 2);
    service.stop().await;
}

#[tokio::test]
async fn short_credits_pause_sending_until_a_probe_goes_through() {
    let (upstream, service) = Scene::new().credits(0).set("DISPATCH__PROBE_AFTER", "50ms").start().await;
    let job = service.submit(&mixed_urls(9)).await;
    service.until_event("sending.paused").await;
    upstream.add_credits(100);
    assert_every_url_is_indexed(&service, &job, 9).await;
    let resumed = service.items("/v1/events?kind=sending.resumed").await;
    assert!(!resumed.is_empty());
    service.stop().await;
}

#[tokio::test]
async fn a_restart_loses_nothing_and_sends_nothing_twice() {
    let (upstream, service) = Scene::new().start().await;
    let first = service.submit(&mixed_urls(12)).await;
    service.until_settled(&first).await;
    let before = service.get(&format!("/v1/jobs/{first}")).await;
    let setup = service.stop().await;
    let service = setup.start().await;
    assert_eq!(service.get(&format!("/v1/jobs/{first}")).await, before);
    let second = service.submit(&["https://youtu.be/another".to_owned()]).await;
    assert_eq!(service.until_settled(&second).await.state, "done");
    assert!(upstream.charged().values().all(|times| *times == 1));
    service.stop().await;
}

#[tokio::test]
async fn a_video_is_found_by_its_id_and_by_any_spelling_of_its_post() {
    let (_upstream, service) = Scene::new().start().await;
    let job = service.submit(&["https://www.youtube.com/watch?v=o9vgXOH4ET0".to_owned()]).await;
    service.until_settled(&job).await;
    // The poll after the end says whose it is.
    let page =
        service.until_unannounced("/v1/videos", |page: &Value| page["items"][0]["attributed"] == true).await;
    let video = page["items"][0].clone();
    let id = video["id"].as_str().unwrap();
    assert_eq!(service.get(&format!("/v1/videos/{id}")).await, video);
    for spelling in ["https://youtu.be/o9vgXOH4ET0?si=x", "http://m.youtube.com/shorts/o9vgXOH4ET0"] {
        let query = reqwest::Url::parse_with_params("http://x/v1/videos", [("url", spelling)]).unwrap();
        let found = service.items(&format!("/v1/videos?{}", query.query().unwrap())).await;
        assert_eq!(found.as_slice(), std::slice::from_ref(&video), "{spelling}");
    }
    let missing = service.request(reqwest::Method::GET, "/v1/videos/VI0").send().await.unwrap();
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
    service.stop().await;
}

#[tokio::test]
async fn a_callback_without_a_good_token_is_a_hint_and_changes_nothing() {
    let (_upstream, service) = Scene::new().downloads_nothing().start().await;
    service.submit(&mixed_urls(1)).await;
    service.until_task("accepted").await;
    let accepted = service.get("/v1/tasks?state=accepted").await;
    let body = json!({ "taskId": accepted["items"][0]["upstream_id"], "status": "FAILED" }).to_string();
    for path in ["/callback", "/callback/", "/callback/forged", "/callback/a/b"] {
        assert_eq!(service.post_callback(path, body.clone()).await, StatusCode::ACCEPTED, "{path}");
    }
    assert_eq!(service.get("/v1/tasks").await, accepted);
    let hints = service.items("/v1/quarantine").await;
    assert_eq!(hints.len(), 1);
    assert_eq!((&hints[0]["body"], &hints[0]["deliveries"]), (&json!(body), &json!(4)));
    service.stop().await;
}

#[tokio::test]
async fn a_url_whose_video_is_indexed_already_settles_without_waiting_for_the_next_poll() {
    let (_upstream, service) = Scene::new().set("RECONCILE__AFTER", "1h").start().await;
    for _ in 0..2 {
        let job = service.submit_with(json!({ "video_urls": mixed_urls(1), "force": true })).await;
        assert_every_url_is_indexed(&service, &job, 1).await;
    }
    service.stop().await;
}
