//! Lists of jobs, their filters, and the search.

use scrapehook::domain::job::Quality;
use scrapehook::store::{JobFilter, JobSearch};
use serde_json::json;

use crate::support::answers::{Job, Problem};
use crate::support::file::File;
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

#[tokio::test]
async fn a_search_finds_jobs_by_ids_urls_labels_and_parts_of_them() {
    let (_upstream, service) = Scene::new().start().await;
    let first =
        json!({ "video_urls": ["https://youtu.be/o9vgXOH4ET0?si=share"], "labels": { "team": "Nüws_1%" } });
    let first = service.submit_with(first).await;
    let second =
        json!({ "video_urls": mixed_urls(3), "unique_id": "autumn", "labels": { "team": "sports" } });
    let second = service.submit_with(second).await;
    service.until_settled(&first).await;
    service.until_settled(&second).await;
    let task = service.job(&first).await.tasks[0].id.clone();
    let upstream_id = service.task(&task).await.upstream_id.unwrap();
    let video =
        service.get(&format!("/v1/tasks/{task}")).await["videos"][0]["id"].as_str().unwrap().to_owned();
    let end = &second[second.len() - 8..];
    let both = vec![&second, &first];
    for (query, expected) in [
        (first.as_str(), vec![&first]),
        (&task, vec![&first]),
        (&upstream_id, vec![&first]),
        (&video, vec![&first]),
        (end, vec![&second]),
        ("https://www.youtube.com/watch?v=o9vgXOH4ET0", vec![&first]),
        ("HTTPS://M.YouTube.com/shorts/o9vgXOH4ET0", vec![&first]),
        ("si=share", vec![&first]),
        ("WATCH?v=o9vg", vec![&first]),
        ("@user/", vec![&second]),
        ("team:nüws", vec![&first]),
        ("_1%", vec![&first]),
        ("AUTUMN", vec![&second]),
        ("youtube", both.clone()),
        (" team ", both.clone()),
        ("youtube&state=done&label=team:sports", vec![&second]),
        ("%25%25", vec![]),
        ("\\", vec![]),
        ("https://youtu.be/AAAAAAAAAAA", vec![]),
    ] {
        // `&` above begins another parameter.
        let query = query.replace('%', "%25").replace("%2525", "%25").replace('?', "%3F").replace(' ', "+");
        let jobs: Vec<Job> = service.list(&format!("/v1/jobs?q={query}")).await;
        assert_eq!(jobs.iter().map(|job| &job.id).collect::<Vec<_>>(), expected, "{query}");
    }
    let page = service.get("/v1/jobs?q=youtube&limit=1").await;
    let next = page["next"].as_str().unwrap();
    let older: Vec<Job> = service.list(&format!("/v1/jobs?q=youtube&limit=1&after={next}")).await;
    assert_eq!(older[0].id, first);
    service.stop().await;
}

#[tokio::test]
async fn a_search_looks_through_few_urls_at_once_and_says_how_far_it_has_come() {
    let file = File::started().await;
    let urls =
        |n: usize| vec![format!("https://youtu.be/video{n:06}"), format!("https://youtu.be/other{n:06}")];
    let mut jobs = Vec::new();
    for n in 0..5 {
        jobs.push(file.waiting_job(&urls(n), Quality::P360, false).await);
    }
    let search = |text: &str| JobSearch { text: text.to_owned(), most_urls: 4 };
    let mut filter = JobFilter { limit: 10, ..JobFilter::default() };
    let mut pages = Vec::new();
    loop {
        let found = file.store.read().search_jobs(&search("video000001"), &filter).await.unwrap();
        pages.push(found.jobs.iter().map(|job| job.id).collect::<Vec<_>>());
        assert!(pages.len() <= jobs.len(), "the search has an end");
        let Some(before) = found.searched_to else { break };
        filter.before = Some(before);
    }
    assert_eq!(pages, [vec![], vec![jobs[1]], vec![]]);
    // A job with more URLs than that is searched all the same, and an exact URL is found at once.
    let filter = JobFilter { limit: 10, ..JobFilter::default() };
    let narrow = JobSearch { text: "other000004".to_owned(), most_urls: 1 };
    assert_eq!(file.store.read().search_jobs(&narrow, &filter).await.unwrap().jobs[0].id, jobs[4]);
    let exact = search("https://www.youtube.com/watch?v=video000000");
    let found = file.store.read().search_jobs(&exact, &filter).await.unwrap();
    assert_eq!((found.jobs[0].id, found.searched_to), (jobs[0], None));
    file.close().await;
}
