//! Tasks that no submit's answer names, and the account's default callback URL.

use scrapehook::simulator::OtherTask;

use super::*;

/// A conversation with this default callback URL.
async fn with_default(receiver: &Receiver, faults: Faults) -> Conversation {
    let default_callback_url = Some(receiver.url.clone());
    Conversation::with(Settings { default_callback_url, faults, ..Settings::default() }).await
}

impl Conversation {
    /// The one task that no answer named.
    fn other_task(&self) -> OtherTask {
        let mut others = self.simulator.other_tasks();
        assert_eq!(others.len(), 1);
        others.remove(0)
    }
}

/// The task ids of callbacks.
fn task_ids(bodies: &[String]) -> Vec<String> {
    let bodies: Vec<Value> = bodies.iter().map(|body| serde_json::from_str(body).unwrap()).collect();
    strings(&bodies, "taskId")
}

#[tokio::test]
async fn a_task_without_a_callback_url_calls_the_default_one() {
    let (default, own) = (Receiver::open().await, Receiver::open().await);
    let talk = with_default(&default, Faults::default()).await;
    let without = talk.submit(json!({ "video_urls": [URL] })).await.task_id().unwrap();
    assert_eq!(task_ids(&default.caught(2).await), [without.clone(), without]);
    let with = talk.task(&[URL], &own).await;
    assert_eq!(task_ids(&own.caught(2).await), [with.clone(), with]);
    assert_eq!(default.caught(2).await.len(), 2, "a task's own URL replaces it");
    assert_eq!(talk.simulator.submits()[0].body.callback_url, None);
}

#[tokio::test]
async fn early_callbacks_go_to_the_default_url_too() {
    let default = Receiver::open().await;
    let talk = with_default(&default, Faults { early_callback: 1.0, ..Faults::default() }).await;
    talk.submit(json!({ "video_urls": [URL] })).await;
    assert_eq!(default.statuses(2).await, ["SUCCEEDED", "INDEXING_SUCCEEDED"]);
}

#[tokio::test]
async fn a_second_task_lists_the_same_videos_and_calls_the_same_url() {
    let talk = Conversation::with_faults(Faults { second_task: 1.0, ..Faults::default() }).await;
    let receiver = Receiver::open().await;
    let task_id = talk.task(&[URL], &receiver).await;
    let second = talk.other_task();
    assert_eq!((second.fault, second.urls.as_slice()), ("second-task", &[URL.to_owned()][..]));
    assert_ne!(second.task_id, task_id);
    assert_eq!(talk.videos(&second.task_id).await, talk.videos(&task_id).await);

    let mut called = task_ids(&receiver.caught(4).await);
    called.sort();
    let mut expected = [task_id.clone(), task_id, second.task_id.clone(), second.task_id];
    expected.sort();
    assert_eq!(called, expected);
    assert_eq!(talk.simulator.charged()[URL], 1);
    assert_eq!(talk.simulator.submitted(), 1);
}

#[tokio::test]
async fn a_second_task_of_a_failed_one_fails_too() {
    let faults = Faults { second_task: 1.0, fail_task: 1.0, ..Faults::default() };
    let talk = Conversation::with_faults(faults).await;
    let receiver = Receiver::open().await;
    talk.task(&[URL], &receiver).await;
    assert_eq!(receiver.statuses(2).await, ["FAILED", "FAILED"]);
    assert!(talk.videos(&talk.other_task().task_id).await.is_empty());
}

#[tokio::test]
async fn another_programs_task_has_a_post_of_its_own_and_calls_the_default_url() {
    for url in [URL, YOUTUBE, "https://videos.example/1"] {
        let (default, own) = (Receiver::open().await, Receiver::open().await);
        let talk = with_default(&default, Faults { other_task: 1.0, ..Faults::default() }).await;
        let task_id = talk.task(&[url], &own).await;
        let other = talk.other_task();
        assert_eq!((other.fault, other.urls.len()), ("other-task", 1));
        assert_ne!(other.urls[0], url);
        assert_eq!(task_ids(&default.caught(2).await), [other.task_id.clone(), other.task_id.clone()]);
        assert_eq!(task_ids(&own.caught(2).await), [task_id.clone(), task_id.clone()]);
        assert_eq!(strings(&talk.videos(&other.task_id).await, "video_url"), other.urls);
        assert_eq!(strings(&talk.videos(&task_id).await, "video_url"), [url]);
        assert_eq!(Vec::from_iter(talk.simulator.charged()), [(url.to_owned(), 1)], "ours alone");
    }
}

#[tokio::test]
async fn another_programs_task_can_have_the_same_urls() {
    let (default, own) = (Receiver::open().await, Receiver::open().await);
    let talk = with_default(&default, Faults { other_task_same_urls: 1.0, ..Faults::default() }).await;
    let task_id = talk.task(&[URL], &own).await;
    let other = talk.other_task();
    assert_eq!((other.fault, other.urls.as_slice()), ("other-task-same-urls", &[URL.to_owned()][..]));
    assert_eq!(talk.videos(&other.task_id).await, talk.videos(&task_id).await);
    assert_eq!(task_ids(&default.caught(2).await), [other.task_id.clone(), other.task_id]);
    assert_eq!(task_ids(&own.caught(2).await), [task_id.clone(), task_id]);
    assert_eq!(talk.simulator.charged()[URL], 1);
}

#[tokio::test]
async fn a_list_can_hold_a_video_of_another_programs_task() {
    let faults = Faults { other_video: 1.0, other_task: 1.0, ..Faults::default() };
    let talk = Conversation::with_faults(faults).await;
    let receiver = Receiver::open().await;
    let task_id = talk.task(&[URL], &receiver).await;
    let other = talk.other_task();
    let listed = talk.videos(&task_id).await;
    assert_eq!(strings(&listed, "video_url"), [URL, &other.urls[0]]);
    let theirs = talk.videos(&other.task_id).await;
    assert_eq!(strings(&theirs, "video_no"), strings(&listed, "video_no")[1..]);

    // Its callbacks, and those of the next task without faults: none names the other video.
    talk.simulator.set_faults(Faults::default());
    talk.task(&[URL], &receiver).await;
    assert!(!receiver.caught(4).await.concat().contains(listed[1]["video_no"].as_str().unwrap()));
    assert_eq!(Vec::from_iter(talk.simulator.charged()), [(URL.to_owned(), 2)]);
}

#[tokio::test]
async fn a_failed_task_lists_no_other_video() {
    let faults = Faults { other_video: 1.0, fail_task: 1.0, ..Faults::default() };
    let talk = Conversation::with_faults(faults).await;
    let task_id = talk.submit(json!({ "video_urls": [URL] })).await.task_id().unwrap();
    assert!(talk.videos(&task_id).await.is_empty());
}

#[tokio::test]
async fn faults_of_lists_and_other_tasks_change_no_other_luck() {
    let shown = Faults {
        several_videos: 0.5,
        late_video: 1.0,
        late_by: 1,
        resolved_url: 1.0,
        other_video: 1.0,
        second_task: 1.0,
        other_task: 1.0,
        other_task_same_urls: 1.0,
        ..Faults::default()
    };
    let mut runs = Vec::new();
    for faults in [Faults::default(), shown] {
        let faults = Faults { no_credits: 0.3, ..faults };
        let talk = Conversation::with_faults(faults).await;
        for n in 0..16 {
            talk.submit(json!({ "video_urls": [format!("{URL}{n}")] })).await;
        }
        let submits = talk.simulator.submits();
        runs.push(submits.into_iter().map(|submit| (submit.code, submit.task_id)).collect::<Vec<_>>());
    }
    assert_eq!(runs[0], runs[1]);
}
