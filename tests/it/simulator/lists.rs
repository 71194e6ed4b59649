//! Faults of what polls list.

use scrapehook::domain::url::{CanonicalUrl, PostUrl};
use scrapehook::upstream::wire::{ListedEntry, ListedStatus, Listing};

use super::*;

/// Posts of each platform, short links and unknown hosts.
const URLS: [&str; 18] = [
    URL,
    "https://vm.tiktok.com/ZMabcdef1/",
    YOUTUBE,
    "https://youtu.be/o9vgXOH4ET0",
    "https://www.instagram.com/reel/Cabcdef1234/",
    "https://x.com/user/status/1",
    "https://www.facebook.com/watch/?v=1",
    "https://fb.watch/abcdef1234/",
    "https://www.vimeo.com/1",
    "https://www.twitch.tv/videos/1",
    "https://www.bilibili.com/video/BV1xx411c7mD/",
    "https://redd.it/abc123",
    "https://www.dailymotion.com/video/x8abcde",
    "https://www.threads.com/@user/post/Cabcdef1234",
    "https://www.linkedin.com/feed/update/urn:li:activity:7123456789012345678/",
    "https://videos.example/1",
    "http://www.videos.example/1/",
    "https://videos.example/?v=1/",
];

impl Conversation {
    /// Submits one URL, and returns the task.
    async fn task_of(&self, url: &str) -> String {
        self.submit(json!({ "video_urls": [url] })).await.task_id().expect("an accepted submit")
    }

    /// The task's entries, as the service reads them.
    async fn entries(&self, task_id: &str) -> Vec<ListedEntry> {
        let listing = Listing::parse(&self.poll(task_id).await.data).expect("a list");
        assert!(listing.is_whole);
        listing.entries
    }

    /// The one URL that a task of this URL lists.
    async fn listed_url(&self, url: &str) -> String {
        let mut entries = self.entries(&self.task_of(url).await).await;
        assert_eq!(entries.len(), 1, "{url}");
        entries.remove(0).url.expect("a listed URL")
    }
}

fn post(url: &str) -> PostUrl {
    PostUrl::parse(url).expect(url)
}

fn has_known_id(post: &PostUrl) -> bool {
    CanonicalUrl::from_stored(post.canonical.clone()).id.is_some()
}

#[tokio::test]
async fn a_resolved_url_is_another_one_in_a_shape_of_the_platform() {
    let talk = Conversation::with_faults(Faults { resolved_url: 1.0, ..Faults::default() }).await;
    for url in URLS {
        let (submitted, listed) = (post(url), post(&talk.listed_url(url).await));
        assert_eq!(listed.platform, submitted.platform);
        assert_ne!(listed.canonical, submitted.canonical);
        assert_eq!(has_known_id(&listed), !url.contains("videos.example"), "{listed:?}");
        assert_eq!(talk.listed_url(url).await, listed.given, "it is the same each time");
    }
    assert_eq!(talk.simulator.charged()[URL], 2);
}

#[tokio::test]
async fn an_unknown_url_is_in_no_shape_of_the_platform() {
    let talk = Conversation::with_faults(Faults { unknown_url: 1.0, ..Faults::default() }).await;
    for url in URLS {
        let (submitted, listed) = (post(url), post(&talk.listed_url(url).await));
        assert_eq!(listed.platform, submitted.platform);
        assert_ne!(listed.canonical, submitted.canonical);
        assert!(!has_known_id(&listed), "{listed:?}");
        assert_eq!(talk.listed_url(url).await, listed.given, "it is the same each time");
    }
}

#[tokio::test]
async fn another_spelling_is_the_same_post() {
    let talk = Conversation::with_faults(Faults { other_spelling: 1.0, ..Faults::default() }).await;
    let mut differences = [false; 3];
    for url in URLS.iter().cycle().take(4 * URLS.len()) {
        let listed = talk.listed_url(url).await;
        assert_ne!(listed, *url);
        assert_eq!(post(&listed).canonical, post(url).canonical, "{listed}");
        differences[0] |= url.starts_with("https:") && listed.starts_with("http:");
        differences[1] |= url.contains("www.") && !listed.contains("www.");
        differences[2] |= url.ends_with('/') && !listed.ends_with('/');
    }
    assert_eq!(differences, [true; 3], "scheme, www and slash");
}

#[tokio::test]
async fn all_urls_can_be_null_or_some_beside_others() {
    let urls: Vec<_> = (0..32).map(|n| format!("https://www.tiktok.com/@user/video/{n}")).collect();
    for (null_url, expected) in [(1.0, 32..=32), (0.5, 1..=31)] {
        let talk = Conversation::with_faults(Faults { null_url, ..Faults::default() }).await;
        let task_id = talk.submit(json!({ "video_urls": urls })).await.task_id().unwrap();
        assert!(talk.videos(&task_id).await.iter().all(|video| video.get("video_url").is_some()));
        let entries = talk.entries(&task_id).await;
        assert!(entries.iter().all(|entry| entry.id.is_some()));
        let nulls = entries.iter().filter(|entry| entry.url.is_none()).count();
        assert!(entries.len() == 32 && expected.contains(&nulls), "{nulls}");
    }
}

#[tokio::test]
async fn an_entry_without_an_id_has_a_url_and_a_status() {
    for (fail_video, expected) in [(0.0, ListedStatus::Indexed), (1.0, ListedStatus::Failed)] {
        let faults = Faults { no_id: 1.0, fail_video, ..Faults::default() };
        let talk = Conversation::with_faults(faults).await;
        let task_id = talk.task_of(URL).await;
        assert!(talk.videos(&task_id).await[0]["video_no"].is_null());
        let entries = talk.entries(&task_id).await;
        assert_eq!((entries.len(), &entries[0].id, entries[0].status), (1, &None, expected));
        assert_eq!(entries[0].url.as_deref(), Some(URL));
    }
}

#[tokio::test]
async fn the_older_listing_leaves_out_what_has_no_id() {
    let faults = Faults { no_id: 1.0, poll_without_urls: true, ..Faults::default() };
    let talk = Conversation::with_faults(faults).await;
    let task_id = talk.task_of(URL).await;
    assert_eq!(talk.poll(&task_id).await.data["video_ids"], json!([]));
}

#[tokio::test]
async fn callbacks_name_a_video_that_is_listed_without_its_id() {
    let talk = Conversation::with_faults(Faults { no_id: 1.0, ..Faults::default() }).await;
    let receiver = Receiver::open().await;
    talk.task(&[URL], &receiver).await;
    let indexed: Value = serde_json::from_str(&receiver.caught(2).await[1]).unwrap();
    assert!(indexed["videoId"].as_str().unwrap().starts_with("VI"));
}

#[tokio::test]
async fn a_list_can_be_null_or_absent() {
    let talk = Conversation::with_faults(Faults { null_list: 1.0, ..Faults::default() }).await;
    let task_id = talk.task_of(URL).await;
    let mut forms = std::collections::BTreeSet::new();
    for _ in 0..32 {
        let answer: Value = talk.poll_raw(&task_id).await.json().await.unwrap();
        assert_eq!((&answer["code"], &answer["success"]), (&json!("0000"), &json!(true)));
        forms.insert(answer["data"].to_string());
        assert!(talk.entries(&task_id).await.is_empty());
    }
    assert_eq!(Vec::from_iter(forms), ["null", r#"{"videos":null}"#, "{}"]);
    talk.simulator.set_faults(Faults::default());
    assert_eq!(talk.entries(&task_id).await.len(), 1);
}

#[tokio::test]
async fn the_first_polls_can_be_refused_and_the_next_ones_empty() {
    let faults = Faults { refused_polls: 2, empty_polls: 3, ..Faults::default() };
    let talk = Conversation::with_faults(faults).await;
    for _ in 0..2 {
        let task_id = talk.task_of(URL).await;
        for expected in ["0001", "0001", "0000", "0000", "0000"] {
            let answer = talk.poll(&task_id).await;
            assert_eq!(answer.code, expected);
            assert_eq!(answer.data, if expected == "0000" { json!({ "videos": [] }) } else { Value::Null });
        }
        assert_eq!(talk.entries(&task_id).await.len(), 1, "each task has its own count");
    }
}

#[tokio::test]
async fn polls_can_be_refused_for_a_while() {
    let talk = Conversation::with(Settings::default()).await;
    let task_id = talk.task_of(URL).await;
    for (refused_polls, expected) in [(0, "0000"), (u32::MAX, "0001"), (0, "0000")] {
        talk.simulator.set_faults(Faults { refused_polls, ..Faults::default() });
        assert_eq!(talk.poll(&task_id).await.code, expected);
    }
}

#[tokio::test]
async fn a_late_video_is_listed_some_polls_after_its_end() {
    let faults = Faults { late_video: 1.0, late_by: 2, ..Faults::default() };
    let talk = Conversation::with_faults(faults.clone()).await;
    let receiver = Receiver::open().await;
    let task_id = talk.task(&[URL], &receiver).await;
    assert_eq!(receiver.statuses(2).await, ["SUCCEEDED", "INDEXING_SUCCEEDED"]);
    for expected in [0, 0, 1, 1] {
        assert_eq!(talk.entries(&task_id).await.len(), expected);
    }

    let some = Faults { late_video: 0.5, ..faults.clone() };
    let talk = Conversation::with_faults(some).await;
    let urls: Vec<_> = (0..32).map(|n| format!("https://www.tiktok.com/@user/video/{n}")).collect();
    let task_id = talk.submit(json!({ "video_urls": urls })).await.task_id().unwrap();
    let first = talk.entries(&task_id).await.len();
    assert!((1..32).contains(&first), "{first}");
    assert_eq!(talk.entries(&task_id).await.len(), first);
    assert_eq!(talk.entries(&task_id).await.len(), 32);

    let talk =
        Conversation::with(Settings { index_delay: 1_000 * HOUR, faults, ..Settings::default() }).await;
    let task_id = talk.task_of(URL).await;
    for _ in 0..4 {
        assert_eq!(talk.entries(&task_id).await.len(), 0, "polls before its end do not count");
    }
}

#[tokio::test]
async fn a_url_can_yield_several_videos() {
    let talk = Conversation::with_faults(Faults { several_videos: 1.0, ..Faults::default() }).await;
    let receiver = Receiver::open().await;
    let videos = talk.videos(&talk.task(&[URL], &receiver).await).await;
    assert!((3..=5).contains(&videos.len()));
    assert!(strings(&videos, "video_url").iter().all(|url| url == URL));
    let mut ids = strings(&videos, "video_no");
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), videos.len());
    assert_eq!(receiver.statuses(1 + videos.len()).await.len(), 1 + videos.len());
    assert_eq!(talk.simulator.charged()[URL], 1);
}
