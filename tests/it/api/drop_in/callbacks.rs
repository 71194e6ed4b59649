//! The callbacks of a job that was submitted through the drop-in API.

use reqwest::Method;
use serde_json::{Value, json};

use super::{LOOKUP, PRIVATE, answer, submitted};
use crate::support::receiver::{Received, Receiver, SECRET};
use crate::support::{Scene, Service, mixed_urls};

/// The documented callbacks about a job: whether it is downloaded, and its videos.
fn callbacks(seen: &[Received], job: &str) -> (usize, Vec<String>) {
    let of_job: Vec<&Value> =
        seen.iter().map(|received| &received.body).filter(|body| body["taskId"] == job).collect();
    let downloaded =
        json!({ "message": "Video has been downloaded...", "taskId": job, "status": "SUCCEEDED" });
    let videos = of_job.iter().filter(|body| body["status"] == "INDEXING_SUCCEEDED").map(|body| {
        assert_eq!(body["message"], "Video indexing succeed", "{body}");
        body["videoId"].as_str().unwrap().to_owned()
    });
    (of_job.iter().filter(|body| ***body == downloaded).count(), videos.collect())
}

#[tokio::test]
async fn a_callback_url_gets_the_documented_bodies_once_each() {
    let receiver = Receiver::start(|_, _| 200).await;
    let settings = [("SECRET", SECRET), ("ALLOW_PRIVATE", "true"), ("ALLOW_HTTP", "true")];
    let scene = Scene::new();
    let scene =
        settings.iter().fold(scene, |scene, (key, value)| scene.set(&format!("FORWARD__{key}"), value));
    let (_upstream, service) = scene.start().await;
    let callback = receiver.url("127.0.0.1", "/");
    let urls = mixed_urls(3);
    let ask = json!({ "video_urls": urls, "callback_url": callback });
    let first = submitted(&service, PRIVATE, ask.clone()).await;
    // The second job shares what is on its way, and the third one finds everything indexed.
    let second = submitted(&service, PRIVATE, ask.clone()).await;
    service.until_settled(&first).await;
    service.until_settled(&second).await;
    let third = submitted(&service, PRIVATE, ask).await;
    let videos = videos_of(&service, &third).await;
    assert!(videos.len() >= urls.len());
    let jobs = [first, second, third];
    let seen =
        receiver.until_all(|seen| jobs.iter().all(|job| callbacks(seen, job).1.len() == videos.len())).await;
    for job in &jobs {
        let (downloads, mut found) = callbacks(&seen, job);
        let first_of_job = seen.iter().find(|received| received.body["taskId"] == job.as_str()).unwrap();
        assert_eq!(first_of_job.body["status"], "SUCCEEDED");
        found.sort_unstable();
        assert_eq!((downloads, &found), (1, &videos), "{seen:#?}");
    }
    let all: usize = jobs.iter().map(|job| callbacks(&seen, job).1.len() + 1).sum();
    assert_eq!((seen.len(), seen.iter().all(|received| received.is_genuine)), (all, true), "{seen:#?}");
    service.stop().await;
}

/// The ids of a job's videos, sorted.
async fn videos_of(service: &Service, job: &str) -> Vec<String> {
    let (_, listed) = answer(service.request(Method::GET, &format!("{LOOKUP}?task_id={job}"))).await;
    let videos = listed["data"]["videos"].as_array().unwrap();
    let mut ids: Vec<String> =
        videos.iter().map(|video| video["video_no"].as_str().unwrap().to_owned()).collect();
    ids.sort_unstable();
    ids
}
