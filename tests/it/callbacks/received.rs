//! Callbacks as strangers, forgers and the upstream send them: kept, counted, and believed only with a token.

use std::time::Duration;

use reqwest::StatusCode;
use scrapehook::simulator::{Faults, Simulator};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::support::answers::{Page, Task};
use crate::support::raw;
use crate::support::{Scene, Service, Setup, mixed_urls};

const SUCCEEDED: &str = include_str!("fixtures/callback_succeeded.json");
const INDEXED: &str = include_str!("fixtures/callback_indexing_succeeded.json");
const VIDEO: &str = "VI625685456915968000";

/// A job whose upstream says nothing for an hour: every callback that arrives is ours.
struct SilentJob {
    upstream: Simulator,
    service: Service,
    job: String,
}

impl SilentJob {
    async fn new(urls: usize) -> Self {
        Self::with(Faults::default(), urls, "accepted").await
    }

    async fn with(faults: Faults, urls: usize, state: &str) -> Self {
        let hour = Duration::from_secs(3600);
        let (upstream, service) = Scene::new().download_delay(hour).faults(faults).start().await;
        let job = service.submit(&mixed_urls(urls)).await;
        service
            .until("/v1/tasks", |page: &Page<Task>| {
                page.items.len() == urls && page.items.iter().all(|task| task.state == state)
            })
            .await;
        Self { upstream, service, job }
    }

    /// Path with a good token, and `taskId`, of the task that was sent at this place.
    fn sent(&self, place: usize) -> (String, String) {
        let submit = self.upstream.submits().remove(place);
        (token_path(&submit.body.callback_url.unwrap()), submit.task_id.unwrap())
    }

    async fn task(&self, upstream_id: &str) -> Task {
        self.service.task(upstream_id).await
    }

    async fn callbacks(&self, upstream_id: &str) -> Vec<Value> {
        self.service.items(&format!("/v1/tasks/{upstream_id}/callbacks?limit=500")).await
    }

    async fn post(&self, path: &str, body: impl Into<reqwest::Body>) {
        assert_eq!(self.service.post_callback(path, body).await, StatusCode::OK);
    }
}

fn token_path(url: &str) -> String {
    reqwest::Url::parse(url).unwrap().path().to_owned()
}

fn documented(fixture: &str, upstream_id: &str) -> String {
    fixture.replace(r#""...""#, &format!("{upstream_id:?}")).replace("VI...", VIDEO)
}

#[tokio::test]
async fn the_documented_bodies_are_understood_and_kept_word_for_word() {
    let scene = SilentJob::new(1).await;
    let (path, id) = scene.sent(0);
    let (succeeded, indexed) = (documented(SUCCEEDED, &id), documented(INDEXED, &id));
    scene.post(&path, succeeded.clone()).await;
    let task = scene.task(&id).await;
    assert_eq!(task.state, "downloaded");
    assert!(task.downloaded_at.is_some());
    scene.post(&path, indexed.clone()).await;
    let video = scene.service.video(VIDEO).await;
    assert_eq!(video.state, "indexed", "{video:?}");
    assert!(video.indexed_at.is_some());
    // The task has one URL: whatever upstream made of it is of that URL.
    assert_eq!((video.attributed, video.url.as_ref()), (false, mixed_urls(1).first()));
    let kept = scene.callbacks(&id).await;
    let kept: Vec<_> = kept.iter().map(|kept| (&kept["body"], &kept["understood"])).collect();
    assert_eq!(
        kept,
        [(&json!(indexed), &json!("video_indexed")), (&json!(succeeded), &json!("succeeded"))],
        "newest first"
    );
    assert_eq!(scene.task(&id).await.state, "indexed", "without a poll");
    scene.service.stop().await;
}

#[tokio::test]
async fn a_redelivery_is_counted_and_is_no_news() {
    let scene = SilentJob::new(1).await;
    let (path, id) = scene.sent(0);
    let understood = documented(SUCCEEDED, &id);
    for body in [understood.as_str(), "what is this"] {
        scene.post(&path, body.to_owned()).await;
        let before = scene.service.kinds().await;
        scene.post(&path, body.to_owned()).await;
        assert_eq!(scene.service.kinds().await, before, "{body}");
        let kept = scene.callbacks(&id).await;
        assert_eq!(kept.iter().filter(|kept| kept["body"] == body).count(), 1);
        assert_eq!(kept[0]["deliveries"], 2);
    }
    scene.service.stop().await;
}

#[tokio::test]
async fn other_spellings_of_fields_are_understood() {
    for (body, video) in [
        (r#"{"task_id":"ID","status":"SUCCEEDED"}"#, None),
        (r#"{"task_id":"ID","videoNo":"VI1","videoStatus":"INDEXING_SUCCEEDED"}"#, Some("indexed")),
        (r#"{"data":{"taskId":"ID","video_no":"VI1","status":"INDEXING_SUCCEEDED"}}"#, Some("indexed")),
        (r#"{"code":"0000","data":{"taskId":"ID","status":"SUCCEEDED"},"new":[{}]}"#, None),
        (r#"{"taskId":"ID","videoId":"VI1","status":"FAILED"}"#, Some("failed")),
        (r#"{"taskId":"a\u0000b","videoId":"null","status":"SUCCEEDED"}"#, None),
    ] {
        let scene = SilentJob::new(1).await;
        let (path, id) = scene.sent(0);
        scene.post(&path, body.replace("ID", &id)).await;
        // The only video of the only URL decides about the task.
        assert_eq!(scene.task(&id).await.state, video.unwrap_or("downloaded"), "{body}");
        if let Some(state) = video {
            assert_eq!(scene.service.video("VI1").await.state, state, "{body}");
        }
        scene.service.stop().await;
    }
}

#[tokio::test]
async fn what_nobody_understands_is_kept_raw_and_changes_nothing() {
    let scene = SilentJob::new(1).await;
    let (path, id) = scene.sent(0);
    let bodies: Vec<Vec<u8>> = [
        &b"this is not JSON"[..],
        b"",
        b"null",
        b"[\"SUCCEEDED\"]",
        b"\"SUCCEEDED\"",
        br#"{"status":"SUCCEEDING"}"#,
        br#"{"status":"succeeded"}"#,
        br#"{"status":"INDEXING_SUCCEEDED"}"#,
        br#"{"status":["SUCCEEDED"]}"#,
        br#"{"status":{"status":"FAILED"}}"#,
        br#"{"whatever":1,"also":{"this":[]}}"#,
        br#"{"status":"SUCCEEDED\u0000"}"#,
        br#"{"status":"SUCC\u0000EEDED","videoId":"\u0000"}"#,
        b"{\"status\":\"SUCCEEDED\0\"}",
        b"{\"status\":\"SUCCEEDED\xff\"}",
        b"\xff\xfe\x00\x01",
        b"\0",
        br#"{"status":"SUCCEEDED\ud800","x":"\ud800"}"#,
        br#"{"status":"FAILED"#,
        br#"{"status":1e999}"#,
        b"'); DROP TABLE callbacks; --",
    ]
    .map(<[u8]>::to_vec)
    .into_iter()
    .chain([vec![b'['; 64 * 1024], b"{\"data\":".repeat(8 * 1024), vec![0xff; 64 * 1024]])
    .collect();
    for body in &bodies {
        scene.post(&path, body.clone()).await;
    }
    let chunked = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nin \r\n5\r\nparts\r\n0\r\n\r\n"
    );
    assert_eq!(raw::status_of(&scene.service, chunked.as_bytes()).await, 200);

    let kept = scene.callbacks(&id).await;
    assert!(kept.iter().all(|kept| kept["understood"].is_null() && kept["deliveries"] == 1));
    let mut kept: Vec<_> = kept.iter().map(|kept| kept["body"].as_str().unwrap().to_owned()).collect();
    kept.reverse();
    let mut sent: Vec<_> = bodies.iter().map(|body| String::from_utf8_lossy(body).into_owned()).collect();
    sent.push("in parts".to_owned());
    assert!(kept == sent, "each body as it came, in order");
    assert_eq!(scene.task(&id).await.state, "accepted");
    let unrecognized =
        scene.service.kinds().await.iter().filter(|kind| *kind == "callback.unrecognized").count();
    assert_eq!(unrecognized, sent.len());
    assert_eq!(scene.service.job(&scene.job).await.state, "running");
    scene.service.stop().await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_before_it_is_read() {
    let scene = SilentJob::new(1).await;
    let (path, id) = scene.sent(0);
    for path in [path.as_str(), "/callback", "/callback/forged"] {
        let declared = format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 65537\r\n\r\n");
        assert_eq!(raw::status_of(&scene.service, declared.as_bytes()).await, 413, "{path}");

        let mut stream = raw::connect(&scene.service).await;
        let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let chunk = [b"4000\r\n", &[b'x'; 0x4000][..], b"\r\n"].concat();
        for _ in 0..4 {
            stream.write_all(&chunk).await.unwrap();
        }
        stream.write_all(b"1\r\nx\r\n").await.unwrap();
        // The body never ends, and the answer comes all the same.
        let (status, text) = raw::answer(&mut stream).await;
        assert_eq!(status, 413, "{path}");
        assert!(text.to_ascii_lowercase().contains("connection: close"), "{text}");
        raw::until_closed(&mut stream).await;
    }
    assert!(scene.callbacks(&id).await.is_empty());
    assert!(scene.service.items("/v1/quarantine").await.is_empty());
    scene.post(&path, vec![b' '; 64 * 1024]).await;
    scene.service.stop().await;
}

#[tokio::test]
async fn a_forged_token_changes_no_state_and_is_quarantined() {
    let scene = SilentJob::new(1).await;
    let (path, id) = scene.sent(0);
    let token = path.strip_prefix("/callback/").unwrap();
    let mut paths: Vec<String> = [
        "/callback".to_owned(),
        "/callback/".to_owned(),
        "/callback/%ff".to_owned(),
        "/callback/%00".to_owned(),
        "/callback/../x".to_owned(),
        "/callback/..%2f..%2fv1%2fjobs".to_owned(),
        "//callback".to_owned(),
        "//callback/%ff".to_owned(),
        format!("//callback/x/{token}"),
        format!("/callback/x/{token}"),
        format!("/callback/{token}/x"),
        format!("/callback/{token}A"),
        format!("/callback/A{token}"),
        format!("/callback/%20{token}A"),
        format!("/callback/{}", token.to_lowercase()),
        format!("/callback/{}", &token[..42]),
        format!("/callback/{}", &token[..22]),
        format!("/callback/{}", "A".repeat(43)),
        format!("/callback/{}", "A".repeat(4000)),
        format!("/callback?token={token}"),
    ]
    .to_vec();
    for place in [0, 10, 21, 22, 30, 42] {
        let mut flipped = token.as_bytes().to_vec();
        flipped[place] = if flipped[place] == b'A' { b'B' } else { b'A' };
        paths.push(format!("/callback/{}", String::from_utf8(flipped).unwrap()));
    }
    let before = scene.service.kinds().await.len();
    for (number, path) in paths.iter().enumerate() {
        let body = json!({ "taskId": id, "status": "SUCCEEDED", "message": number }).to_string();
        assert_eq!(raw::post(&scene.service, path, &body).await, 202, "{path}");
    }
    let hints = scene.service.items("/v1/quarantine?limit=500").await;
    assert_eq!(hints.len(), paths.len());
    assert!(hints.iter().all(|hint| hint["upstream_id"] == id && hint["deliveries"] == 1));
    assert_eq!(scene.task(&id).await.state, "accepted");
    assert!(scene.callbacks(&id).await.is_empty());
    let news = scene.service.kinds().await.split_off(before);
    assert!(news.iter().all(|kind| kind == "callback.hint"), "{news:?}");
    scene.service.stop().await;
}

#[tokio::test]
async fn the_quarantine_is_listed_in_pages_newest_first() {
    let (_upstream, service) = Scene::new().start().await;
    // As many as are taken at once from strangers, less some.
    for number in 0..150 {
        let hint = format!(r#"{{"taskId":"t{number}"}}"#);
        assert_eq!(service.post_callback("/callback", hint).await, StatusCode::ACCEPTED);
    }
    let first = service.get("/v1/quarantine?limit=100").await;
    let next = first["next"].as_str().unwrap();
    let second = service.get(&format!("/v1/quarantine?limit=100&after={next}")).await;
    assert!(second["next"].is_null(), "{second}");
    let ids = [&first, &second].map(|page| page["items"].as_array().unwrap().clone()).concat();
    let ids: Vec<_> = ids.iter().map(|hint| hint["upstream_id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids, (0..150).rev().map(|number| format!("t{number}")).collect::<Vec<_>>());
    service.stop().await;
}

#[tokio::test]
async fn success_after_failure_reopens_the_task_and_its_job() {
    let scene = SilentJob::new(1).await;
    let (path, id) = scene.sent(0);
    scene.post(&path, json!({ "taskId": id, "status": "FAILED", "message": "no" }).to_string()).await;
    let (task, failed) = (scene.task(&id).await, scene.service.job(&scene.job).await);
    assert_eq!((task.state.as_str(), task.error.unwrap().message.as_str()), ("failed", "no"));
    assert_eq!(failed.state, "failed");
    assert!(task.settled_at.is_some() && failed.settled_at.is_some());
    scene.post(&path, documented(SUCCEEDED, &id)).await;
    let (task, job) = (scene.task(&id).await, scene.service.job(&scene.job).await);
    assert_eq!((task.state.as_str(), job.state.as_str()), ("downloaded", "running"));
    assert!(task.settled_at.is_none() && job.settled_at.is_none() && task.error.is_none());
    assert_eq!((job.progress.downloaded, job.progress.failed), (1, 0));
    scene.service.stop().await;
}

#[tokio::test]
async fn a_video_of_two_tasks_lists_both() {
    let scene = SilentJob::new(2).await;
    for place in 0..2 {
        let (path, id) = scene.sent(place);
        scene.post(&path, documented(INDEXED, &id)).await;
        assert_eq!(scene.task(&id).await.state, "indexed");
    }
    let tasks: Vec<Task> = scene.service.list("/v1/tasks").await;
    let ids: Vec<_> = tasks.into_iter().rev().map(|task| task.id).collect();
    assert_eq!(scene.service.video(VIDEO).await.tasks, ids);
    let news = scene.service.kinds().await;
    assert_eq!(news.iter().filter(|kind| *kind == "video.indexed").count(), 1, "{news:?}");
    scene.service.stop().await;
}

#[tokio::test]
async fn a_cut_submit_takes_the_task_id_of_its_callback_unless_another_task_holds_it() {
    let faults = Faults { cut: 1.0, lose: 1.0, ..Faults::default() };
    let scene = SilentJob::with(faults, 2, "unconfirmed").await;
    let (first, id) = scene.sent(0);
    let (second, _) = scene.sent(1);
    scene.post(&first, documented(SUCCEEDED, &id)).await;
    scene.post(&second, documented(INDEXED, &id)).await;
    let task = scene.task(&id).await;
    assert_eq!((task.state.as_str(), task.upstream_id.as_ref()), ("downloaded", Some(&id)));
    assert!(task.accepted_at.is_some());
    let tasks: Vec<Task> = scene.service.list("/v1/tasks").await;
    let other = tasks.iter().find(|other| other.id != task.id).unwrap();
    assert_eq!((other.state.as_str(), other.upstream_id.as_ref()), ("indexed", None));
    scene.service.stop().await;
}

#[tokio::test]
async fn a_good_token_of_an_unknown_task_recovers_it() {
    let secret = "a-secret-that-two-services-share";
    let hour = Duration::from_secs(3600);
    let (upstream, before) = Scene::new().download_delay(hour).set("CALLBACK__SECRET", secret).start().await;
    before.submit(&mixed_urls(1)).await;
    upstream.until(|upstream| !upstream.submits().is_empty()).await;
    let submit = upstream.submits().remove(0);
    let path = token_path(&submit.body.callback_url.unwrap());
    let id = submit.task_id.unwrap();
    before.stop().await;

    let restored = Setup::new(&upstream.url()).set("CALLBACK__SECRET", secret).start().await;
    for body in [documented(SUCCEEDED, &id), documented(INDEXED, &id)] {
        assert_eq!(restored.post_callback(&path, body).await, StatusCode::OK);
    }
    let tasks: Vec<Task> = restored.list("/v1/tasks").await;
    assert_eq!(tasks.len(), 1);
    let task = &tasks[0];
    assert_eq!((task.state.as_str(), task.upstream_id.as_ref()), ("downloaded", Some(&id)));
    assert!(task.job_id.is_none() && task.platform.is_none());
    assert_eq!(restored.video(VIDEO).await.job_id, None);
    assert!(restored.items("/v1/jobs").await.is_empty());
    restored.stop().await;
}
