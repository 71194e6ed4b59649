//! The ledger: over all jobs, no URL is sent while another task has it indexed or on its way.

use std::time::Duration;

use scrapehook::simulator::Faults;
use serde_json::{Value, json};

use crate::support::{Scene, mixed_urls};

const POST: &str = "https://www.youtube.com/watch?v=o9vgXOH4ET0";
const SAME_POST: &str = "https://youtu.be/o9vgXOH4ET0?si=other";

#[tokio::test]
async fn a_post_that_is_indexed_is_known_in_any_spelling_and_not_sent_again() {
    let (upstream, service) = Scene::new().start().await;
    let first = service.submit(&[POST.to_owned()]).await;
    service.until_settled(&first).await;
    let second = service.submit(&[SAME_POST.to_owned()]).await;
    let job = service.get(&format!("/v1/jobs/{second}")).await;
    assert_eq!((&job["state"], &job["progress"]["known"]), (&json!("done"), &json!(1)));
    assert!(job["settled_at"].is_string());
    let rows = service.items(&format!("/v1/jobs/{second}/urls?state=known")).await;
    assert_eq!((&rows[0]["url"], &rows[0]["state"]), (&json!(SAME_POST), &json!("known")));
    assert_eq!(rows[0]["video_ids"].as_array().unwrap().len(), 1);
    let settled = service.items(&format!("/v1/events?kind=job.settled&job={second}")).await;
    assert_eq!(settled.len(), 1);
    // A new post among known ones is sent alone.
    let third = service.submit(&[SAME_POST.to_owned(), "https://youtu.be/another".to_owned()]).await;
    let job = service.until_settled(&third).await;
    assert_eq!((job.progress.known, job.progress.indexed), (1, 1));
    assert_eq!(upstream.submits().len(), 2);
    assert!(upstream.charged().values().all(|times| *times == 1));
    service.stop().await;
}

#[tokio::test]
async fn another_shelf_a_higher_quality_or_force_is_sent() {
    let (upstream, service) = Scene::new().start().await;
    let mut submits = 0;
    for (more, is_sent) in [
        (json!({}), true),
        (json!({ "unique_id": "default" }), false),
        (json!({ "folder_id": -1, "quality": "360" }), false),
        (json!({ "unique_id": "elsewhere" }), true),
        (json!({ "quality": "1080" }), true),
        (json!({ "quality": "720" }), false),
        (json!({ "library": "public" }), true),
        (json!({ "library": "public", "unique_id": "ignored" }), false),
        (json!({ "force": true }), true),
    ] {
        let mut body = json!({ "video_urls": [POST] });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let job = service.submit_with(body).await;
        assert_eq!(service.until_settled(&job).await.state, "done", "{more}");
        submits += usize::from(is_sent);
        assert_eq!(upstream.submits().len(), submits, "{more}");
    }
    service.stop().await;
}

#[tokio::test]
async fn a_post_on_its_way_is_shared() {
    let download_delay = Duration::from_millis(300);
    let (upstream, service) = Scene::new().download_delay(download_delay).start().await;
    let urls = mixed_urls(6);
    let first = service.submit(&urls).await;
    let second = service.submit(&urls[2..]).await;
    for (job, count) in [(&first, 6), (&second, 4)] {
        let settled = service.until_settled(job).await;
        assert_eq!((settled.state.as_str(), settled.progress.indexed), ("done", count));
    }
    let tasks = service.get(&format!("/v1/jobs/{second}")).await["tasks"].as_array().unwrap().len();
    assert_eq!((tasks, upstream.submits().len()), (3, 3));
    assert!(upstream.charged().values().all(|times| *times == 1));
    service.stop().await;
}

#[tokio::test]
async fn the_end_of_an_attempt_is_the_end_for_all_who_share_it_and_nothing_is_sent_again_unasked() {
    let download_delay = Duration::from_millis(300);
    let faults = Faults { fail_task: 1.0, ..Faults::default() };
    let (upstream, service) = Scene::new().download_delay(download_delay).faults(faults).start().await;
    let mut jobs = Vec::new();
    for _ in 0..3 {
        jobs.push(service.submit(&[POST.to_owned()]).await);
    }
    upstream.until(|upstream| !upstream.submits().is_empty()).await;
    upstream.set_faults(Faults::default());
    for job in &jobs {
        assert_eq!(service.until_settled(job).await.state, "failed");
        let rows = service.items(&format!("/v1/jobs/{job}/urls")).await;
        assert_eq!(rows[0]["error"]["code"], "task_failed");
    }
    // A restart looks at everything once more.
    let service = service.stop().await.start().await;
    let other = service.submit(&["https://youtu.be/another".to_owned()]).await;
    assert_eq!(service.until_settled(&other).await.state, "done");
    assert_eq!(upstream.charged()[POST], 1);
    // A job that comes after the end asks for it.
    let late = service.submit(&[SAME_POST.to_owned()]).await;
    assert_eq!(service.until_settled(&late).await.state, "done");
    for job in &jobs {
        assert_eq!(service.job(job).await.state, "failed", "another round");
    }
    assert_eq!(upstream.submits().len(), 3);
    service.stop().await;
}

#[tokio::test]
async fn a_post_that_may_have_been_charged_is_not_sent_again_for_those_who_share_it() {
    let faults = Faults { cut: 1.0, lose: 1.0, ..Faults::default() };
    let (upstream, service) = Scene::new().faults(faults).set("RECONCILE__DEADLINE", "300ms").start().await;
    let first = service.submit(&[POST.to_owned()]).await;
    let second = service.submit(&[SAME_POST.to_owned()]).await;
    for job in [first, second] {
        assert_eq!(service.until_settled(&job).await.state, "failed");
        let rows: Vec<Value> = service.items(&format!("/v1/jobs/{job}/urls")).await;
        assert_eq!(rows[0]["error"]["code"], "unconfirmed");
    }
    // Nor for a job that comes later: only an operator decides that.
    let third = service.submit(&[POST.to_owned()]).await;
    assert_eq!(service.until_settled(&third).await.state, "failed");
    assert_eq!(upstream.charged()[POST], 1);
    service.stop().await;
}

#[tokio::test]
async fn a_retry_leaves_out_what_another_task_has_by_now() {
    let faults = Faults { fail_task: 1.0, ..Faults::default() };
    let (upstream, service) = Scene::new().faults(faults).start().await;
    let first = service.submit(&["https://youtu.be/a".to_owned(), POST.to_owned()]).await;
    assert_eq!(service.until_settled(&first).await.state, "failed");
    upstream.set_faults(Faults::default());
    let second = service.submit(&[POST.to_owned()]).await;
    assert_eq!(service.until_settled(&second).await.state, "done", "it asked after the end");
    let failed = service.items("/v1/tasks?state=failed").await.remove(0);
    let retry = format!("/v1/tasks/{}/retry", failed["id"].as_str().unwrap());
    let (status, new) = service.call(&retry, Value::Null).await;
    assert_eq!((status, new["urls"].as_array().unwrap().len()), (202, 1));
    let job = service.until_settled(&first).await;
    let progress = &job.progress;
    assert_eq!((job.state.as_str(), progress.indexed, progress.known), ("done", 1, 1), "{job:?}");
    assert_eq!(upstream.submits().len(), 3);
    let charged = upstream.charged();
    // A failed task is charged, too: once for each that asked.
    assert_eq!((charged[POST], charged["https://youtu.be/a"]), (2, 2));
    service.stop().await;
}
