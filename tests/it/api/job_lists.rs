//! Lists of jobs, and their filters.

use serde_json::json;

use crate::support::answers::{Job, Problem};
use crate::support::{Scene, mixed_urls};

#[tokio::test]
async fn jobs_are_listed_by_the_quality_that_they_ask_for() {
    let (_upstream, service) = Scene::new().start().await;
    service.pause().await;
    let low = service.submit(&mixed_urls(1)).await;
    let labels = json!({ "from": "test" });
    let high = json!({ "video_urls": mixed_urls(2), "quality": "1080", "labels": labels });
    let high = service.submit_with(high).await;
    for (query, expected) in [
        ("quality=360", vec![&low]),
        ("quality=1080", vec![&high]),
        ("quality=1080&label=from:test&state=running", vec![&high]),
        ("quality=720", vec![]),
    ] {
        let jobs: Vec<Job> = service.list(&format!("/v1/jobs?{query}")).await;
        assert_eq!(jobs.iter().map(|job| &job.id).collect::<Vec<_>>(), expected, "{query}");
    }
    let answer = service.request(reqwest::Method::GET, "/v1/jobs?quality=721").send().await.unwrap();
    assert_eq!(answer.status(), 400);
    let problem: Problem = answer.json().await.unwrap();
    assert_eq!(problem.code, "bad_query");
    assert!(problem.detail.contains("Use one of `360`, `480`, `720`"), "{problem:?}");
    service.stop().await;
}
