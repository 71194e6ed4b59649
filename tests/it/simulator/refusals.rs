//! Refusals of submits that keep the rules.

use super::*;

const WATCH: &str = "https://www.youtube.com/watch?v=jNQXAC9IVRw";
const SHORT: &str = "https://youtu.be/o9vgXOH4ET0";

fn url(number: usize) -> String {
    format!("https://www.tiktok.com/@user/video/{number}")
}

/// What a refused submit leaves behind, which is nothing but its record.
fn assert_only_refused(talk: &Conversation, code: &str) {
    assert!(talk.simulator.charged().is_empty());
    assert!(talk.simulator.callbacks_sent().is_empty());
    let submits = talk.simulator.submits();
    assert!(submits.iter().all(|submit| submit.task_id.is_none() && submit.code == code), "{submits:?}");
}

/// The task of each of 32 submits, none where it is refused.
async fn tasks_with(refused: f64) -> Vec<Option<String>> {
    let talk = Conversation::with_faults(Faults { refused, ..Faults::default() }).await;
    let mut tasks = Vec::new();
    for number in 0..32 {
        let answer = talk.submit(json!({"video_urls": [url(number)]})).await;
        tasks.push(answer.task_id());
        assert_eq!(answer.code, if tasks[number].is_some() { "0000" } else { "0001" });
        assert_eq!(talk.simulator.charged().contains_key(&url(number)), tasks[number].is_some());
    }
    tasks
}

#[tokio::test]
async fn a_random_refusal_charges_nothing_and_moves_no_other_luck() {
    let all = tasks_with(0.0).await;
    let some = tasks_with(0.5).await;
    assert!(all.iter().all(Option::is_some));
    let accepted = some.iter().flatten().count();
    assert!((1..32).contains(&accepted), "{accepted}");
    for (one, other) in some.iter().zip(&all).filter(|(one, _)| one.is_some()) {
        assert_eq!(one, other);
    }
    assert_eq!(tasks_with(0.5).await, some);
}

#[tokio::test]
async fn a_certain_refusal_hits_submits_alone_and_can_be_switched_off() {
    let talk = Conversation::with_faults(Faults { refused: 1.0, ..Faults::default() }).await;
    let body = json!({"video_urls": [URL]});
    let raw = talk.submit_raw(SUBMIT_PRIVATE, body.to_string()).await;
    assert_eq!(raw.status(), 200);
    assert_eq!(
        raw.text().await.unwrap(),
        r#"{"code":"0001","msg":"The request could not be processed.","data":null,"success":false,"failed":true}"#
    );
    assert_eq!(talk.submit_public(body.clone()).await.code, "0001");
    assert_only_refused(&talk, "0001");

    talk.simulator.set_faults(Faults::default());
    let task_id = talk.submit(body).await.task_id().unwrap();
    talk.simulator.set_faults(Faults { refused: 1.0, ..Faults::default() });
    assert_eq!(talk.poll(&task_id).await.code, "0000");
}

#[tokio::test]
async fn every_submit_is_refused_until_a_time_after_the_start() {
    let talk = Conversation::with_faults(Faults { refused_for: HOUR, ..Faults::default() }).await;
    for number in 0..8 {
        assert_eq!(talk.submit(json!({"video_urls": [url(number)]})).await.code, "0001");
    }
    assert_eq!(talk.submit_public(json!({"video_urls": [URL]})).await.code, "0001");
    assert_only_refused(&talk, "0001");

    // The start is longer ago than this.
    let over = Duration::from_nanos(1);
    for (refused_for, code) in [(over, "0000"), (HOUR, "0001"), (Duration::ZERO, "0000")] {
        talk.simulator.set_faults(Faults { refused_for, ..Faults::default() });
        assert_eq!(talk.submit(json!({"video_urls": [URL]})).await.code, code, "{refused_for:?}");
    }
}

#[tokio::test]
async fn one_bad_url_has_its_whole_submit_refused() {
    let texts = || vec!["/video/7".to_owned(), "@other".to_owned()];
    for (code, faults) in [
        ("0003", Faults { bad_urls: texts(), ..Faults::default() }),
        ("0001", Faults { unclear_urls: texts(), ..Faults::default() }),
    ] {
        let talk = Conversation::with_faults(faults).await;
        for body in [
            json!({"video_urls": [url(7)]}),
            json!({"video_urls": [url(1), url(70), url(2)]}),
            json!({"video_urls": [url(1), "https://www.tiktok.com/@other/video/1"]}),
            json!({"video_urls": [url(1)], "tiktok_post_urls": [url(7)]}),
        ] {
            let answer = talk.submit(body.clone()).await;
            let said = (answer.code.as_str(), answer.msg.as_str());
            assert_eq!(said, (code, "A video URL is invalid."), "{body}");
            assert_eq!(talk.submit_public(body.clone()).await.code, code, "{body}");
        }
        assert_only_refused(&talk, code);

        assert_eq!(talk.submit(json!({"video_urls": [url(1), url(2)]})).await.code, "0000");
        talk.simulator.set_faults(Faults::default());
        assert_eq!(talk.submit(json!({"video_urls": [url(7)]})).await.code, "0000");
    }
}

#[tokio::test]
async fn a_bad_folder_is_refused_by_name_and_by_number() {
    let number = i64::MAX - 1;
    let bad_folders = vec!["mine".to_owned(), number.to_string()];
    let talk = Conversation::with_faults(Faults { bad_folders, ..Faults::default() }).await;
    let into = |folder: Value| {
        let mut body = json!({"video_urls": [URL]});
        body.as_object_mut().unwrap().extend(folder.as_object().unwrap().clone());
        body
    };
    for folder in [json!({"unique_id": "mine"}), json!({"folder_id": number})] {
        let answer = talk.submit(into(folder.clone())).await;
        assert_eq!(
            (answer.code.as_str(), answer.msg.as_str()),
            ("0003", "The folder is invalid."),
            "{folder}"
        );
    }
    assert_only_refused(&talk, "0003");
    assert_eq!(
        talk.submit_public(into(json!({"unique_id": "mine"}))).await.code,
        "0000",
        "it has no folders"
    );
    let others = [json!({}), json!({"unique_id": "min"}), json!({"folder_id": i64::MAX})];
    for folder in &others {
        assert_eq!(talk.submit(into(folder.clone())).await.code, "0000", "{folder}");
    }

    let defaults = [json!({}), json!({"unique_id": "default"}), json!({"folder_id": -1})];
    for name in ["default", "-1"] {
        talk.simulator.set_faults(Faults { bad_folders: vec![name.to_owned()], ..Faults::default() });
        for folder in &defaults {
            assert_eq!(talk.submit(into(folder.clone())).await.code, "0003", "{name}: {folder}");
        }
        assert_eq!(talk.submit(into(json!({"unique_id": "mine"}))).await.code, "0000", "{name}");
    }
}

#[tokio::test]
async fn a_charged_refusal_has_a_task_that_calls_back() {
    let talk = Conversation::with_faults(Faults { refused_but_charged: 1.0, ..Faults::default() }).await;
    let receiver = Receiver::open().await;
    let answer = talk.submit(json!({"video_urls": [URL], "callback_url": receiver.url})).await;
    assert_eq!((answer.code.as_str(), answer.task_id()), ("0001", None));
    assert_eq!(talk.simulator.charged()[URL], 1);
    assert_eq!(receiver.statuses(2).await, ["SUCCEEDED", "INDEXING_SUCCEEDED"]);

    let submit = talk.simulator.submits().remove(0);
    assert_eq!(submit.code, "0001");
    assert_eq!(strings(&talk.videos(&submit.task_id.unwrap()).await, "video_url"), [URL]);

    // Its answer is that of a refusal without a charge: nobody can tell them apart.
    talk.simulator.set_faults(Faults { refused: 1.0, ..Faults::default() });
    assert_eq!(talk.submit(json!({"video_urls": [URL]})).await, answer);
    talk.simulator.set_faults(Faults::default());
    assert_eq!(talk.submit(json!({"video_urls": [url(2)]})).await.code, "0000");
}

#[tokio::test]
async fn a_refused_or_broken_submit_is_no_charged_refusal() {
    let faults = Faults { refused_but_charged: 1.0, ..Faults::default() };
    let talk = Conversation::with(Settings { credits: Some(0), faults, ..Settings::default() }).await;
    assert_eq!(talk.submit(json!({"video_urls": [URL]})).await.code, "0402");
    assert_eq!(talk.submit(json!({"video_urls": [URL, YOUTUBE]})).await.code, "0001");
    assert!(talk.simulator.charged().is_empty());
    assert!(talk.simulator.submits().iter().all(|submit| submit.task_id.is_none()));
}

#[tokio::test]
async fn two_hosts_of_one_platform_can_count_as_mixed() {
    let talk = Conversation::with_faults(Faults { hosts_are_platforms: true, ..Faults::default() }).await;
    let mixed = talk.submit(json!({"video_urls": [SHORT, WATCH]})).await;
    assert_eq!(mixed.code, "0001");
    assert_eq!(mixed.msg, "One platform per call, not youtu.be and www.youtube.com.");
    let mobile = json!({"video_urls": [URL, "https://m.tiktok.com/v/2.html"]});
    assert_eq!(talk.submit(mobile).await.code, "0001");
    assert_only_refused(&talk, "0001");

    for urls in [&[SHORT][..], &[WATCH, YOUTUBE], &[URL]] {
        assert_eq!(talk.submit(json!({"video_urls": urls})).await.code, "0000", "{urls:?}");
    }
    talk.simulator.set_faults(Faults::default());
    assert_eq!(talk.submit(json!({"video_urls": [SHORT, WATCH]})).await.code, "0000");
}
