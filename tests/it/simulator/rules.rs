//! The documented rules.

use axum::http::StatusCode;
use scrapehook::simulator::Line;
use tokio::net::TcpSocket;
use tokio::sync::mpsc;

use super::*;
use crate::support::free_address;

#[tokio::test]
async fn an_accepted_submit_is_answered_in_the_documented_shape() {
    let talk = Conversation::with(Settings::default()).await;
    let body = json!({"video_urls": [URL], "quality": "360"}).to_string();
    let answer = talk.submit_raw(SUBMIT_PRIVATE, body).await.text().await.unwrap();
    let task_id = Envelope::parse(answer.as_bytes()).unwrap().task_id().unwrap();
    assert_eq!(
        answer,
        format!(
            r#"{{"code":"0000","msg":"success","data":{{"taskId":"{task_id}"}},"success":true,"failed":false}}"#
        )
    );
    let submits = talk.simulator.submits();
    assert_eq!(submits[0].task_id, Some(task_id));
    assert_eq!(submits[0].code, "0000");
    assert!(!submits[0].public);
    assert_eq!(submits[0].body.quality.as_deref(), Some("360"));
}

#[tokio::test]
async fn a_refusal_rides_on_http_200_and_says_that_it_failed() {
    let talk = Conversation::with(Settings::default()).await;
    let response = talk.submit_raw(SUBMIT_PRIVATE, r#"{"video_urls":[]}"#).await;
    assert_eq!(response.status(), 200);
    assert_eq!(
        response.text().await.unwrap(),
        r#"{"code":"0001","msg":"video_urls must not be empty.","data":null,"success":false,"failed":true}"#
    );
}

#[tokio::test]
async fn a_wrong_or_absent_key_is_refused_everywhere() {
    let talk = Conversation::with(Settings::default()).await;
    let list = "/serve/api/v1/list_videos";
    for (method, path) in [
        (Method::POST, SUBMIT_PRIVATE),
        (Method::POST, SUBMIT_PUBLIC),
        (Method::GET, POLL),
        (Method::POST, list),
    ] {
        let url = format!("{}{path}", talk.simulator.url());
        for key in [None, Some("wrong"), Some("Bearer simulator")] {
            let mut request = talk.client.request(method.clone(), &url);
            if let Some(key) = key {
                request = request.header("Authorization", key);
            }
            let answer = envelope(soon(request.send()).await.unwrap()).await;
            assert_eq!(answer.code, "0401", "{path} with {key:?}");
        }
    }
    assert!(talk.simulator.charged().is_empty());
}

#[tokio::test]
async fn a_body_that_breaks_a_rule_is_refused_and_costs_nothing() {
    let talk = Conversation::with(Settings::default()).await;
    let urls = |count: usize| vec![URL; count];
    for (body, code, word) in [
        ("{".to_owned(), "0003", "read"),
        (json!({"video_urls": URL}).to_string(), "0003", "sequence"),
        (json!({"video_urls": [URL], "quality": 360}).to_string(), "0003", "string"),
        (json!({}).to_string(), "0001", "empty"),
        (json!({"video_urls": urls(26), "tiktok_post_urls": urls(25)}).to_string(), "0001", "51"),
        (json!({"video_urls": [URL, YOUTUBE]}).to_string(), "0001", "platform"),
        (json!({"video_urls": ["https://x.com/1", "https://netflix.com/1"]}).to_string(), "0001", "platform"),
        (json!({"video_urls": ["nonsense"]}).to_string(), "0001", "nonsense"),
        (json!({"video_urls": [URL], "quality": "361"}).to_string(), "0001", "quality"),
        (json!({"video_urls": [URL], "callback_url": "c".repeat(299)}).to_string(), "0001", "callback_url"),
    ] {
        let answer = envelope(talk.submit_raw(SUBMIT_PRIVATE, body.clone()).await).await;
        assert_eq!(answer.code, code, "{body}");
        assert!(answer.msg.contains(word), "{body}: {}", answer.msg);
    }
    assert!(talk.simulator.charged().is_empty());
    assert!(talk.simulator.submits().iter().all(|submit| submit.task_id.is_none()));
}

#[tokio::test]
async fn hosts_of_one_platform_go_together() {
    let talk = Conversation::with(Settings::default()).await;
    for urls in [
        ["https://vm.tiktok.com/1", "https://m.tiktok.com/2"],
        ["https://youtu.be/1", YOUTUBE],
        ["https://twitter.com/u/status/1", "https://x.com/u/status/2"],
        ["https://videos.example/1", "https://videos.example/2"],
    ] {
        assert_eq!(talk.submit(json!({"video_urls": urls})).await.code, "0000", "{urls:?}");
    }
}

#[tokio::test]
async fn fifty_urls_of_both_lists_are_one_task() {
    let talk = Conversation::with(Settings::default()).await;
    let url = |n: usize| format!("https://www.tiktok.com/@user/video/{n}");
    let (first, second): (Vec<_>, Vec<_>) = ((0..25).map(url).collect(), (25..50).map(url).collect());
    let answer = talk.submit(json!({"video_urls": first, "tiktok_post_urls": second})).await;
    assert_eq!(talk.videos(&answer.task_id().unwrap()).await.len(), 50);
    assert_eq!(talk.simulator.charged().len(), 50);
}

#[tokio::test]
async fn a_listing_has_the_captured_fields() {
    let talk = Conversation::with(Settings::default()).await;
    let task_id = talk.submit(json!({"video_urls": [YOUTUBE]})).await.task_id().unwrap();
    let answer = talk.poll_raw(&task_id).await.text().await.unwrap();
    let video = &Envelope::parse(answer.as_bytes()).unwrap().data["videos"][0];
    let [id, name, duration, created] =
        ["video_no", "video_name", "duration", "create_time"].map(|f| &video[f]);
    assert_eq!(
        answer,
        format!(
            r#"{{"code":"0000","msg":"success","data":{{"videos":[{{"video_no":{id},"video_name":{name},"video_url":"{YOUTUBE}","status":"PARSE","duration":{duration},"create_time":{created},"size":null,"fps":null,"width":null,"height":null,"resolution_label":null}}]}},"success":true,"failed":false}}"#
        )
    );
    assert!(duration.as_str().unwrap().parse::<u32>().is_ok());
    assert!(created.as_str().unwrap().parse::<u64>().is_ok());
}

#[tokio::test]
async fn a_video_is_listed_from_its_download_on() {
    let talk = Conversation::with(Settings { download_delay: HOUR, ..Settings::default() }).await;
    let task_id = talk.submit(json!({"video_urls": [URL]})).await.task_id().unwrap();
    assert!(talk.videos(&task_id).await.is_empty());

    let talk = Conversation::with(Settings { index_delay: 1_000 * HOUR, ..Settings::default() }).await;
    let task_id = talk.submit(json!({"video_urls": [URL]})).await.task_id().unwrap();
    assert_eq!(strings(&talk.videos(&task_id).await, "status"), ["UNPARSE"]);
    assert_eq!(talk.simulator.polls(), 1);
}

#[tokio::test]
async fn a_poll_needs_a_known_task_and_its_folder() {
    let talk = Conversation::with(Settings::default()).await;
    assert_eq!(talk.poll("31b0fccb-d6f9-4135-922d-1e8828499812").await.code, "0001");
    assert_eq!(envelope(soon(talk.request(Method::GET, POLL).send()).await.unwrap()).await.code, "0001");

    let answer = talk.submit(json!({"video_urls": [URL], "unique_id": "mine"})).await;
    let task_id = answer.task_id().unwrap();
    for (folder, code) in [("mine", "0000"), ("default", "0001")] {
        let query = [("task_id", task_id.as_str()), ("unique_id", folder)];
        let poll = talk.request(Method::GET, POLL).query(&query).send();
        assert_eq!(envelope(soon(poll).await.unwrap()).await.code, code, "{folder}");
    }
}

#[tokio::test]
async fn videos_can_be_listed_by_id() {
    let talk = Conversation::with(Settings::default()).await;
    let task_id = talk.submit(json!({"video_urls": [URL]})).await.task_id().unwrap();
    let videos = talk.videos(&task_id).await;
    let list = |body: Value| talk.submit_raw("/serve/api/v1/list_videos", body.to_string());
    let answer = envelope(list(json!({"video_nos": [videos[0]["video_no"], "VI0"]})).await).await;
    assert_eq!(answer.data["videos"].as_array().unwrap(), &videos);
    assert_eq!(envelope(list(json!({"video_nos": 1})).await).await.code, "0003");
}

#[tokio::test]
async fn a_url_scraped_again_keeps_its_video_and_is_charged_again() {
    let talk = Conversation::with(Settings::default()).await;
    let mut ids = Vec::new();
    for folder in ["a", "a", "b"] {
        let answer = talk.submit(json!({"video_urls": [URL], "unique_id": folder})).await;
        ids.extend(strings(&talk.videos(&answer.task_id().unwrap()).await, "video_no"));
    }
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[0], ids[2]);
    assert_eq!(talk.simulator.charged()[URL], 3);
}

#[tokio::test]
async fn the_public_library_has_its_own_ids_and_no_folders() {
    let talk = Conversation::with(Settings::default()).await;
    let own = talk.submit(json!({"video_urls": [URL]})).await.task_id().unwrap();
    let own = strings(&talk.videos(&own).await, "video_no");
    assert!(own[0].starts_with("VI") && own[0].len() == 20, "{own:?}");

    let mut ids = Vec::new();
    for folder in ["a", "b"] {
        let answer = talk.submit_public(json!({"video_urls": [URL], "unique_id": folder})).await;
        ids.extend(strings(&talk.videos(&answer.task_id().unwrap()).await, "video_no"));
    }
    assert!(ids[0].starts_with("PI-") && ids[0].len() == 21, "{ids:?}");
    assert_eq!(ids[0], ids[1]);
    assert!(talk.simulator.submits()[1].public);
}

#[tokio::test]
async fn callbacks_have_the_documented_bodies() {
    let talk = Conversation::with(Settings::default()).await;
    let receiver = Receiver::open().await;
    let task_id = talk.task(&[URL], &receiver).await;
    let bodies = receiver.caught(2).await;
    assert_eq!(
        bodies[0],
        format!(r#"{{"message":"Video has been downloaded...","taskId":"{task_id}","status":"SUCCEEDED"}}"#)
    );
    let video_id = &strings(&talk.videos(&task_id).await, "video_no")[0];
    assert_eq!(
        bodies[1],
        format!(
            r#"{{"videoId":"{video_id}","message":"Video indexing succeed","taskId":"{task_id}","status":"INDEXING_SUCCEEDED"}}"#
        )
    );
}

#[tokio::test]
async fn a_refused_callback_is_never_sent_again() {
    let talk = Conversation::with(Settings::default()).await;
    let receiver = Receiver::start(StatusCode::SERVICE_UNAVAILABLE, Semaphore::MAX_PERMITS).await;
    talk.task(&[URL], &receiver).await;
    talk.callbacks_were_sent(2).await;
    let answers: Vec<_> = talk.simulator.callbacks_sent().iter().map(|sent| sent.answer).collect();
    assert_eq!(answers, [Some(503), Some(503)]);
    assert_eq!(receiver.caught(2).await.len(), 2);
}

#[tokio::test]
async fn the_transcript_tells_of_a_failed_delivery_and_hides_the_token() {
    let (narrator, mut lines) = mpsc::unbounded_channel();
    let talk = Conversation::with(Settings { narrate: Some(narrator), ..Settings::default() }).await;
    // A bound socket that doesn't listen: its port refuses, and no other test can get it.
    let deaf = TcpSocket::new_v4().unwrap();
    deaf.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let gone = deaf.local_addr().unwrap();
    let callback_url = format!("http://{gone}/in/secret");
    talk.submit(json!({"video_urls": [URL], "callback_url": callback_url})).await;
    talk.callbacks_were_sent(2).await;
    assert!(talk.simulator.callbacks_sent().iter().all(|sent| sent.answer.is_none()));

    let accepted = soon(lines.recv()).await.unwrap();
    assert!(matches!(accepted, Line::Accepted { urls: 1, .. }), "{accepted:?}");
    let callback = soon(lines.recv()).await.unwrap();
    assert!(matches!(callback, Line::Callback { answer: Err("no connection"), .. }), "{callback:?}");
    for line in [accepted, callback] {
        let told = format!("{line:?}");
        assert!(told.contains(&gone.to_string()) && !told.contains("secret"), "{told}");
    }
}

#[tokio::test]
async fn without_a_callback_url_nothing_is_sent() {
    let talk = Conversation::with(Settings::default()).await;
    let receiver = Receiver::open().await;
    talk.submit(json!({"video_urls": [URL]})).await;
    let task_id = talk.task(&[URL], &receiver).await;
    talk.callbacks_were_sent(2).await;
    assert!(talk.simulator.callbacks_sent().iter().all(|sent| sent.task_id == task_id));
}

#[tokio::test]
async fn credits_are_deducted_per_url_until_a_top_up() {
    let talk = Conversation::with(Settings { credits: Some(2), ..Settings::default() }).await;
    let pair = json!({"video_urls": [URL, URL]});
    assert_eq!(talk.submit(pair.clone()).await.code, "0000");
    let short = talk.submit(pair.clone()).await;
    assert_eq!((short.code.as_str(), short.msg.as_str()), ("0402", "not enough points"));
    talk.simulator.add_credits(1);
    assert_eq!(talk.submit(pair.clone()).await.code, "0402");
    talk.simulator.add_credits(1);
    assert_eq!(talk.submit(pair).await.code, "0000");
    assert_eq!(talk.simulator.charged()[URL], 4);
}

#[tokio::test]
async fn only_youtube_costs_points() {
    let talk = Conversation::with(Settings { points: Some(0), ..Settings::default() }).await;
    assert_eq!(talk.submit(json!({"video_urls": [YOUTUBE]})).await.code, "0402");
    assert_eq!(talk.submit(json!({"video_urls": [URL]})).await.code, "0000");
}

#[tokio::test]
async fn submits_and_polls_share_one_rate_limit() {
    let talk = Conversation::with(Settings { min_interval: HOUR, ..Settings::default() }).await;
    let task_id = talk.submit(json!({"video_urls": [URL]})).await.task_id().unwrap();
    assert_eq!(talk.poll(&task_id).await.code, "0429");
    assert_eq!(talk.submit(json!({"video_urls": [URL]})).await.code, "0429");
    assert_eq!(talk.simulator.submits()[1].code, "0429");
}

#[tokio::test]
async fn an_unknown_route_is_answered_by_the_infrastructure() {
    let talk = Conversation::with(Settings::default()).await;
    for (method, path, status) in [(Method::GET, "/nowhere", 404), (Method::GET, SUBMIT_PRIVATE, 405)] {
        let response = soon(talk.request(method, path).send()).await.unwrap();
        assert_eq!(response.status(), status);
        let body: Value = response.json().await.unwrap();
        assert_eq!((&body["path"], &body["status"]), (&json!(path), &json!(status)));
        for field in ["timestamp", "error", "requestId"] {
            assert!(body[field].is_string(), "{field}");
        }
    }
}

#[tokio::test]
async fn the_same_seed_gives_the_same_run() {
    let mut runs = Vec::new();
    for seed in [7, 7, 8] {
        let faults = Faults { second_video: 0.5, fail_video: 0.5, ..Faults::default() };
        let talk = Conversation::with(Settings { seed, faults, ..Settings::default() }).await;
        let mut run = Vec::new();
        for n in 0..16 {
            let answer = talk.submit(json!({"video_urls": [format!("{URL}{n}")]})).await;
            let task_id = answer.task_id().unwrap();
            run.push((talk.videos(&task_id).await, task_id));
        }
        runs.push(run);
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
    let has_tail = |(_, task_id): &(_, String)| task_id.contains('_');
    assert!(runs[0].iter().any(has_tail) && !runs[0].iter().all(has_tail));
}

#[tokio::test]
async fn shutdown_ends_what_is_under_way() {
    let faults = Faults { slow: 1.0, slow_by: HOUR, ..Faults::default() };
    let talk = Conversation::with(Settings { download_delay: HOUR, faults, ..Settings::default() }).await;
    let callback_url = format!("http://{}/", free_address());
    let body = json!({"video_urls": [URL], "callback_url": callback_url}).to_string();
    let waiting = tokio::spawn(talk.request(Method::POST, SUBMIT_PRIVATE).body(body).send());
    soon(talk.simulator.until(|simulator| simulator.submits().len() == 1)).await;
    soon(talk.simulator.shutdown()).await;
    assert!(soon(waiting).await.unwrap().is_err());
}
