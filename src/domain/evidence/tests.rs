//! Findings from evidence, by example: the videos of each URL.

mod ends;

use super::*;
use crate::domain::url::PostUrl;

const A: &str = "https://www.youtube.com/watch?v=AAAAAAAAAAA";
const B: &str = "https://www.youtube.com/watch?v=BBBBBBBBBBB";
const C: &str = "https://www.youtube.com/watch?v=CCCCCCCCCCC";
const SHORT: &str = "https://vm.tiktok.com/ZMabcd12/";
const OTHER_SHORT: &str = "https://vm.tiktok.com/ZMefgh34/";
const RESOLVED: &str = "https://www.tiktok.com/@ann/video/7301";

fn url(text: &str) -> CanonicalUrl {
    PostUrl::parse(text).expect(text).into()
}

fn task(urls: &[&str]) -> Evidence {
    Evidence {
        urls: urls.iter().map(|text| url(text)).collect(),
        submission: Submission::Accepted,
        has_upstream_id: true,
        succeeded: false,
        failed: None,
        canceled: false,
        list_is_complete: false,
        polls_are_refused: false,
        is_stalled: false,
        entries: Vec::new(),
    }
}

/// A video that a poll has listed.
fn video(id: &str, state: VideoState, urls: &[&str]) -> Entry {
    let failure = (state == VideoState::Failed).then(|| Failure::new("FAIL", format!("no {id}")));
    let urls = urls.iter().map(|text| url(text)).collect();
    Entry { video_id: Some(id.to_owned()), state, failure, urls, is_listed: true }
}

/// A video that callbacks alone have named.
fn unlisted(id: &str, state: VideoState) -> Entry {
    Entry { is_listed: false, ..video(id, state, &[]) }
}

fn without_id(state: VideoState, urls: &[&str]) -> Entry {
    Entry { video_id: None, ..video("an id", state, urls) }
}

/// The state of each URL, or the code of its failure with a question mark if it is a doubt.
fn urls(evidence: &Evidence) -> Vec<String> {
    let words = |url: &UrlFindings| match &url.outcome.reason {
        Some(reason) => format!("{}{}", reason.failure.code, if reason.certain { "" } else { "?" }),
        None => url.outcome.state.to_string(),
    };
    weigh(evidence).urls.iter().map(words).collect()
}

#[track_caller]
fn assert_is(evidence: &Evidence, state: TaskState, expected: &[&str]) {
    assert_eq!(
        (weigh(evidence).state, urls(evidence)),
        (state, expected.iter().map(|word| word.to_string()).collect())
    );
}

use VideoState::{Failed, Indexed, Indexing};

#[test]
fn a_url_is_indexed_with_its_first_indexed_video() {
    let mut evidence = task(&[A]);
    evidence.entries = vec![video("w", Indexing, &[A]), video("v", Failed, &[A])];
    assert_is(&evidence, TaskState::Downloaded, &["downloaded"]);
    evidence.entries.push(video("x", Indexed, &[A]));
    assert_is(&evidence, TaskState::Indexed, &["indexed"]);
    let findings = &weigh(&evidence).urls[0];
    assert_eq!(findings.entries, [1, 0, 2], "ordered by video id");
    assert!(findings.attributed && findings.makes_known);
}

#[test]
fn a_url_fails_once_all_of_its_videos_have_failed() {
    let mut evidence = task(&[A, B]);
    evidence.entries = vec![video("w", Failed, &[A]), video("v", Failed, &[A]), without_id(Failed, &[B])];
    assert_is(&evidence, TaskState::Failed, &["video_failed", "video_failed"]);
    let findings = weigh(&evidence);
    let words = |url: usize| findings.urls[url].outcome.reason.clone().unwrap().failure.message;
    assert_eq!((words(0), words(1)), ("no v".to_owned(), "no an id".to_owned()));
    assert!(!findings.urls[0].makes_known);
    evidence.entries[2].failure = None;
    assert_eq!(
        weigh(&evidence).urls[1].outcome.reason.clone().unwrap().failure.message,
        "the memories.ai API gave no reason"
    );
}

#[test]
fn an_entry_without_an_id_counts_like_a_video() {
    let mut evidence = task(&[A]);
    for (state, task, word) in [
        (Indexing, TaskState::Downloaded, "downloaded"),
        (Failed, TaskState::Failed, "video_failed"),
        (Indexed, TaskState::Indexed, "indexed"),
    ] {
        evidence.entries = vec![without_id(state, &[A])];
        assert_is(&evidence, task, &[word]);
        evidence.entries = vec![without_id(state, &[])];
        assert_is(&evidence, task, &[word]);
    }
}

#[test]
fn an_entry_that_has_its_id_by_now_is_not_waited_for() {
    let mut evidence = task(&[A, B]);
    evidence.entries = vec![without_id(Indexing, &[A]), video("v", Failed, &[A])];
    assert_is(&evidence, TaskState::Downloaded, &["video_failed", "downloaded"]);
    assert!(evidence.all_ended());
    evidence.entries[1] = video("v", Failed, &[B]);
    assert_is(&evidence, TaskState::Downloaded, &["downloaded", "video_failed"]);
    assert!(!evidence.all_ended());
    evidence.entries[1] = without_id(Failed, &[A]);
    assert_is(&evidence, TaskState::Downloaded, &["downloaded", "downloaded"]);
    assert!(!evidence.all_ended());
    evidence.entries = vec![without_id(Indexed, &[A]), video("v", Indexing, &[A])];
    assert_is(&evidence, TaskState::Downloaded, &["indexed", "downloaded"]);
}

#[test]
fn one_video_can_be_of_two_urls() {
    let mut evidence = task(&[A, B]);
    evidence.entries = vec![video("v", Indexed, &[A, B])];
    assert_is(&evidence, TaskState::Indexed, &["indexed", "indexed"]);
}

#[test]
fn the_only_open_url_has_the_videos_without_one() {
    let mut evidence = task(&[SHORT]);
    evidence.entries = vec![video("v", Indexed, &[RESOLVED])];
    assert_is(&evidence, TaskState::Indexed, &["indexed"]);
    let findings = weigh(&evidence);
    assert_eq!(findings.urls[0].entries, [0]);
    assert!(!findings.urls[0].attributed && findings.urls[0].makes_known);
    let mut evidence = task(&[A, SHORT]);
    evidence.entries =
        vec![video("u", Indexed, &[A]), video("v", Failed, &[]), video("w", Indexing, &[RESOLVED])];
    assert_is(&evidence, TaskState::Downloaded, &["indexed", "downloaded"]);
    evidence.entries[2].state = Indexed;
    assert_is(&evidence, TaskState::Indexed, &["indexed", "indexed"]);
    assert_eq!(weigh(&evidence).urls[1].entries, [1, 2]);
}

#[test]
fn a_joined_video_makes_a_post_known_only_if_no_other_url_can_have_it() {
    let mut evidence = task(&[A, B]);
    evidence.succeeded = true;
    evidence.entries = vec![video("v", Indexed, &[A]), video("w", Indexed, &[])];
    let known =
        |evidence: &Evidence| weigh(evidence).urls.iter().map(|url| url.makes_known).collect::<Vec<_>>();
    assert_eq!(known(&evidence), [true, false]);
    evidence.list_is_complete = true;
    assert_eq!(known(&evidence), [true, true]);
    evidence.succeeded = false;
    assert_eq!(known(&evidence), [true, false], "without SUCCEEDED no list is complete");
    evidence.succeeded = true;
    evidence.entries[0].state = Failed;
    assert_eq!(known(&evidence), [false, false]);
}

#[test]
fn a_video_of_another_id_is_never_joined() {
    let mut evidence = Evidence { succeeded: true, ..task(&[A]) };
    evidence.entries = vec![video("v", Indexed, &[B])];
    assert_is(&evidence, TaskState::Downloaded, &["downloaded"]);
    evidence.list_is_complete = true;
    assert_is(&evidence, TaskState::Failed, &["unattributed?"]);
    evidence.entries[0] = video("v", Indexed, &["https://example.com/1", B]);
    assert_is(&evidence, TaskState::Failed, &["unattributed?"]);
    evidence.entries[0] = video("v", Indexed, &["https://example.com/1"]);
    assert_is(&evidence, TaskState::Indexed, &["indexed"]);
    evidence.urls = vec![url("https://example.com/2")];
    evidence.entries[0] = video("v", Indexed, &[B]);
    assert_is(&evidence, TaskState::Indexed, &["indexed"]);
}

#[test]
fn one_videos_number_of_another_kind_is_no_other_id() {
    let mut evidence = task(&["https://www.bilibili.com/video/av170001"]);
    evidence.entries = vec![video("v", Indexed, &["https://www.bilibili.com/video/BV17x411w7KC"])];
    assert_is(&evidence, TaskState::Indexed, &["indexed"]);
}

#[test]
fn of_several_open_urls_all_are_indexed_if_the_count_fits() {
    let mut evidence = task(&[SHORT, OTHER_SHORT, A]);
    evidence.entries = vec![video("v", Indexed, &[]), video("x", Failed, &[]), video("u", Indexed, &[A])];
    assert_is(&evidence, TaskState::Downloaded, &["downloaded", "downloaded", "indexed"]);
    evidence.entries.push(video("w", Indexed, &[RESOLVED]));
    assert_is(&evidence, TaskState::Indexed, &["indexed", "indexed", "indexed"]);
    let joined: Vec<_> = weigh(&evidence).urls.into_iter().map(|url| (url.entries, url.attributed)).collect();
    assert_eq!(joined, [(vec![0], false), (vec![3], false), (vec![2], true)]);
    evidence.entries.push(video("y", Indexing, &[]));
    assert_is(&evidence, TaskState::Downloaded, &["downloaded", "downloaded", "indexed"]);
    evidence.entries[4].state = Indexed;
    assert_is(&evidence, TaskState::Downloaded, &["downloaded", "downloaded", "indexed"]);
    evidence.entries[4].state = Failed;
    assert_is(&evidence, TaskState::Indexed, &["indexed", "indexed", "indexed"]);
}

#[test]
fn the_count_fits_only_if_each_url_can_have_a_video() {
    let mut evidence = task(&[A, B, SHORT]);
    evidence.entries = vec![video("v", Indexed, &[]), video("w", Indexed, &[C]), video("x", Indexed, &[C])];
    assert_is(&evidence, TaskState::Downloaded, &["downloaded"; 3]);
    evidence.entries[2] = video("x", Indexed, &["https://example.com/1"]);
    assert_is(&evidence, TaskState::Indexed, &["indexed"; 3]);
    assert_eq!(weigh(&evidence).urls[2].entries, [1], "the one that no other URL can have");
}

#[test]
fn an_entry_and_the_video_it_became_are_counted_once() {
    let mut evidence = task(&[SHORT, OTHER_SHORT]);
    evidence.entries = vec![without_id(Indexed, &[RESOLVED]), video("v", Indexed, &[RESOLVED])];
    assert_is(&evidence, TaskState::Downloaded, &["downloaded", "downloaded"]);
    evidence.entries.push(without_id(Indexed, &[]));
    assert_is(&evidence, TaskState::Indexed, &["indexed", "indexed"]);
}

#[test]
fn a_later_video_of_an_indexed_url_reopens_no_other() {
    let mut evidence = task(&[SHORT, OTHER_SHORT, A]);
    evidence.entries = vec![
        video("v", Indexed, &[]),
        video("w", Indexed, &[]),
        video("u", Indexed, &[A]),
        video("x", Indexing, &[A]),
    ];
    assert_is(&evidence, TaskState::Indexed, &["indexed", "indexed", "indexed"]);
    evidence.entries[2].state = Failed;
    assert_is(&evidence, TaskState::Downloaded, &["downloaded"; 3]);
}

#[test]
fn in_a_task_of_several_urls_only_listed_videos_are_joined() {
    let mut evidence = task(&[A, B]);
    evidence.entries = vec![video("v", Indexed, &[A]), unlisted("w", Indexed)];
    assert_is(&evidence, TaskState::Downloaded, &["indexed", "downloaded"]);
    assert!(weigh(&evidence).wants_poll);
    evidence.entries[1].is_listed = true;
    assert_is(&evidence, TaskState::Indexed, &["indexed", "indexed"]);
    assert!(!weigh(&evidence).wants_poll);
    let mut evidence = task(&[A]);
    evidence.entries = vec![unlisted("w", Indexed)];
    assert_is(&evidence, TaskState::Indexed, &["indexed"]);
}

#[test]
fn after_refused_polls_all_unmatched_videos_are_joined() {
    let mut evidence = task(&[A, B]);
    evidence.entries = vec![unlisted("v", Indexed), unlisted("w", Indexed)];
    assert_is(&evidence, TaskState::Downloaded, &["downloaded", "downloaded"]);
    evidence.polls_are_refused = true;
    assert_is(&evidence, TaskState::Indexed, &["indexed", "indexed"]);
    assert!(!weigh(&evidence).wants_poll);
}

#[test]
fn a_task_is_polled_at_once_if_the_count_would_fit() {
    let mut evidence = task(&[A, B]);
    evidence.entries = vec![unlisted("v", Indexed)];
    assert!(!weigh(&evidence).wants_poll, "one video is missing");
    evidence.entries.push(unlisted("w", Indexing));
    assert!(!weigh(&evidence).wants_poll, "one is on its way");
    evidence.entries[1].state = Indexed;
    assert!(weigh(&evidence).wants_poll);
    evidence.entries[1] = video("w", Failed, &[A]);
    assert!(weigh(&evidence).wants_poll, "one URL is open");
    evidence.entries[0].state = Failed;
    assert!(weigh(&evidence).wants_poll, "a poll says which URL has failed");
    evidence.entries.push(video("x", Failed, &[]));
    assert!(!weigh(&evidence).wants_poll, "that would change nothing");
    evidence.entries[0].state = Indexing;
    assert!(!weigh(&evidence).wants_poll);
}

#[test]
fn a_joined_failure_counts_once_the_list_is_complete_and_is_a_doubt() {
    let mut evidence = Evidence { succeeded: true, ..task(&[A, B]) };
    evidence.entries = vec![video("v", Indexed, &[A]), video("w", Failed, &[])];
    assert_is(&evidence, TaskState::Downloaded, &["indexed", "downloaded"]);
    evidence.list_is_complete = true;
    assert_is(&evidence, TaskState::Partial, &["indexed", "video_failed?"]);
    assert_eq!(weigh(&evidence).urls[1].outcome.reason.clone().unwrap().failure.message, "no w");
    evidence.entries[1].urls = vec![url(B)];
    evidence.list_is_complete = false;
    assert_is(&evidence, TaskState::Partial, &["indexed", "video_failed"]);
}

#[test]
fn a_joined_failure_of_a_single_url_is_proven() {
    let mut evidence = task(&[A]);
    evidence.entries = vec![unlisted("v", Failed)];
    assert_is(&evidence, TaskState::Failed, &["video_failed"]);
}
