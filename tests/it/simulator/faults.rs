//! Every fault.

use axum::http::StatusCode;
use scrapehook::upstream::wire::is_infrastructure_error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::*;

#[tokio::test]
async fn an_early_callback_is_answered_before_the_submit() {
    let faults = Faults { early_callback: 1.0, ..Faults::default() };
    let settings = Settings { download_delay: HOUR, index_delay: HOUR, faults, ..Settings::default() };
    let talk = Conversation::with(settings).await;
    let receiver = Receiver::start(StatusCode::OK, 0).await;
    let body = json!({"video_urls": [URL], "callback_url": receiver.url}).to_string();
    let submit = tokio::spawn(talk.request(Method::POST, SUBMIT_PRIVATE).body(body).send());

    assert_eq!(receiver.statuses(1).await, ["SUCCEEDED"]);
    assert!(!submit.is_finished());
    receiver.gate.add_permits(1);
    let answer = envelope(soon(submit).await.unwrap().unwrap()).await;
    assert_eq!(talk.simulator.callbacks_sent().len(), 1);
    let videos = talk.videos(&answer.task_id().unwrap()).await;
    assert_eq!(videos.len(), 1, "the download takes no time");
}

#[tokio::test]
async fn early_callbacks_reach_a_task_whose_sender_hung_up() {
    let talk = Conversation::with_faults(Faults { early_callback: 1.0, ..Faults::default() }).await;
    let receiver = Receiver::start(StatusCode::OK, 0).await;
    let body = json!({"video_urls": [URL], "callback_url": receiver.url}).to_string();
    let submit = tokio::spawn(talk.request(Method::POST, SUBMIT_PRIVATE).body(body).send());
    receiver.caught(1).await;
    submit.abort();
    receiver.gate.add_permits(2);
    assert_eq!(receiver.statuses(2).await, ["SUCCEEDED", "INDEXING_SUCCEEDED"]);
}

#[tokio::test]
async fn a_duplicate_comes_right_after_its_callback() {
    let talk = Conversation::with_faults(Faults { duplicate: 1.0, ..Faults::default() }).await;
    let receiver = Receiver::open().await;
    talk.task(&[URL], &receiver).await;
    let bodies = receiver.caught(4).await;
    assert_eq!((&bodies[0], &bodies[2]), (&bodies[1], &bodies[3]));
    assert_ne!(bodies[0], bodies[2]);
}

#[tokio::test]
async fn reordered_callbacks_begin_with_an_indexing_one() {
    let talk = Conversation::with_faults(Faults { reorder: 1.0, ..Faults::default() }).await;
    let receiver = Receiver::open().await;
    talk.task(&[URL], &receiver).await;
    assert_eq!(receiver.statuses(2).await, ["INDEXING_SUCCEEDED", "SUCCEEDED"]);
}

#[tokio::test]
async fn a_lost_callback_is_never_sent() {
    let talk = Conversation::with_faults(Faults { lose: 1.0, ..Faults::default() }).await;
    let receiver = Receiver::open().await;
    let lost = talk.task(&[URL], &receiver).await;
    talk.simulator.set_faults(Faults::default());
    let kept = talk.task(&[URL], &receiver).await;
    talk.callbacks_were_sent(2).await;
    assert!(talk.simulator.callbacks_sent().iter().all(|sent| sent.task_id == kept));
    assert_eq!(strings(&talk.videos(&lost).await, "status"), ["PARSE"]);
}

#[tokio::test]
async fn a_failed_task_lists_nothing_and_says_so_once() {
    let talk = Conversation::with_faults(Faults { fail_task: 1.0, ..Faults::default() }).await;
    let receiver = Receiver::open().await;
    let task_id = talk.task(&[URL], &receiver).await;
    assert_eq!(receiver.statuses(1).await, ["FAILED"]);
    assert!(talk.videos(&task_id).await.is_empty());
    assert_eq!(talk.simulator.charged()[URL], 1);
}

#[tokio::test]
async fn a_failed_video_is_seen_in_the_list_only() {
    let talk = Conversation::with_faults(Faults { fail_video: 1.0, ..Faults::default() }).await;
    let receiver = Receiver::open().await;
    let task_id = talk.task(&[URL], &receiver).await;
    assert_eq!(strings(&talk.videos(&task_id).await, "status"), ["FAIL"]);
    talk.simulator.set_faults(Faults::default());
    talk.task(&[URL], &receiver).await;
    let mut statuses = receiver.statuses(3).await;
    statuses.sort();
    assert_eq!(statuses, ["INDEXING_SUCCEEDED", "SUCCEEDED", "SUCCEEDED"]);
}

#[tokio::test]
async fn a_url_can_yield_no_video_or_two() {
    let talk = Conversation::with_faults(Faults { no_video: 1.0, ..Faults::default() }).await;
    let receiver = Receiver::open().await;
    let none = talk.task(&[URL], &receiver).await;
    assert_eq!(receiver.statuses(1).await, ["SUCCEEDED"]);
    assert!(talk.videos(&none).await.is_empty());

    talk.simulator.set_faults(Faults { second_video: 1.0, ..Faults::default() });
    let two = talk.task(&[URL], &receiver).await;
    let videos = talk.videos(&two).await;
    assert_eq!(strings(&videos, "video_url"), [URL, URL]);
    assert_ne!(videos[0]["video_no"], videos[1]["video_no"]);
}

#[tokio::test]
async fn rate_limits_and_missing_credits_can_be_faults() {
    let talk = Conversation::with(Settings::default()).await;
    let task_id = talk.submit(json!({"video_urls": [URL]})).await.task_id().unwrap();
    talk.simulator.set_faults(Faults { rate_limited: 1.0, ..Faults::default() });
    let limited = talk.submit(json!({"video_urls": [URL]})).await;
    assert_eq!((limited.code.as_str(), limited.msg.as_str()), ("0429", "Request has exceeded the limit."));
    assert_eq!(talk.poll(&task_id).await.code, "0429");

    talk.simulator.set_faults(Faults { no_credits: 1.0, ..Faults::default() });
    let short = talk.submit(json!({"video_urls": [URL]})).await;
    assert_eq!((short.code.as_str(), short.msg.as_str()), ("0402", "not enough points"));
    assert_eq!(talk.poll(&task_id).await.code, "0000");
    assert_eq!(talk.simulator.charged()[URL], 1);
}

#[tokio::test]
async fn faults_come_before_the_parameters_and_after_the_key() {
    let talk = Conversation::with_faults(Faults { no_credits: 1.0, ..Faults::default() }).await;
    assert_eq!(talk.submit(json!({})).await.code, "0402");
    let url = format!("{}{SUBMIT_PRIVATE}", talk.simulator.url());
    let keyless = soon(talk.client.post(url).body("{}").send()).await.unwrap();
    assert_eq!(envelope(keyless).await.code, "0401");
}

#[tokio::test]
async fn an_unavailable_upstream_answers_503_and_does_nothing() {
    let talk = Conversation::with_faults(Faults { unavailable: 1.0, ..Faults::default() }).await;
    let body = json!({"video_urls": [URL]}).to_string();
    for response in [talk.submit_raw(SUBMIT_PRIVATE, body).await, talk.poll_raw("any").await] {
        assert_eq!(response.status(), 503);
        assert!(is_infrastructure_error(&response.bytes().await.unwrap()));
    }
    assert!(talk.simulator.charged().is_empty());
    assert_eq!(talk.simulator.submits()[0].code, "503");
}

#[tokio::test]
async fn a_cut_submit_is_charged_and_unanswered() {
    let talk = Conversation::with_faults(Faults { cut: 1.0, ..Faults::default() }).await;
    let receiver = Receiver::open().await;
    let body = json!({"video_urls": [URL], "callback_url": receiver.url}).to_string();
    let mut stream = TcpStream::connect(talk.simulator.url().trim_start_matches("http://")).await.unwrap();
    let request = format!(
        "POST {SUBMIT_PRIVATE} HTTP/1.1\r\nHost: x\r\nAuthorization: simulator\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // The end can come as a reset: what counts is that no byte came before it.
    let _ = soon(stream.read_to_end(&mut answer)).await;
    assert!(answer.is_empty());

    assert_eq!(talk.simulator.charged()[URL], 1);
    assert_eq!(talk.simulator.submits()[0].code, "0000");
    assert_eq!(receiver.statuses(2).await, ["SUCCEEDED", "INDEXING_SUCCEEDED"]);
    talk.simulator.set_faults(Faults::default());
    assert_eq!(talk.submit(json!({"video_urls": [URL]})).await.code, "0000");
}

#[tokio::test]
async fn a_slow_answer_comes_late() {
    let slow_by = Duration::from_millis(100);
    let talk = Conversation::with_faults(Faults { slow: 1.0, slow_by, ..Faults::default() }).await;
    let begun = Instant::now();
    assert_eq!(talk.submit(json!({"video_urls": [URL]})).await.code, "0000");
    assert!(begun.elapsed() >= slow_by);
    assert_eq!(talk.poll("unknown").await.code, "0001");
    assert!(begun.elapsed() >= 2 * slow_by);
}

#[tokio::test]
async fn the_older_listing_names_no_urls() {
    let talk = Conversation::with_faults(Faults { poll_without_urls: true, ..Faults::default() }).await;
    let task_id = talk.submit(json!({"video_urls": [URL]})).await.task_id().unwrap();
    let data = talk.poll(&task_id).await.data;
    assert_eq!(data["taskId"], json!(task_id));
    assert!(data["video_ids"][0].as_str().unwrap().starts_with("VI"));
    assert!(data.get("videos").is_none());
}

#[tokio::test]
async fn integer_codes_lose_their_zeros() {
    let talk = Conversation::with_faults(Faults { integer_codes: true, ..Faults::default() }).await;
    let accepted: Value =
        talk.submit_raw(SUBMIT_PRIVATE, json!({"video_urls": [URL]}).to_string()).await.json().await.unwrap();
    assert_eq!(accepted["code"], json!(0));
    let unknown: Value = talk.poll_raw("unknown").await.json().await.unwrap();
    assert_eq!(unknown["code"], json!(1));
}

#[tokio::test]
async fn a_fault_with_a_probability_hits_some_and_spares_some() {
    let talk = Conversation::with_faults(Faults { no_credits: 0.5, ..Faults::default() }).await;
    for _ in 0..32 {
        talk.submit(json!({"video_urls": [URL]})).await;
    }
    let submits = talk.simulator.submits();
    let accepted = submits.iter().filter(|submit| submit.task_id.is_some()).count();
    assert!((1..32).contains(&accepted), "{accepted}");
}
