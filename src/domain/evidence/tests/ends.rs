//! Findings from evidence, by example: the ends of tasks and URLs, and facts that end neither.

use super::*;

#[test]
fn a_submit_leads_where_the_contract_says() {
    let failure = || Some(Failure::new("0429", "slow down"));
    for (submission, state, url, certain) in [
        (Submission::Unsent, TaskState::Queued, "waiting", None),
        (Submission::InFlight, TaskState::Submitting, "sent", None),
        (Submission::Deferred(failure()), TaskState::Queued, "waiting", Some(true)),
        (Submission::Deferred(None), TaskState::Queued, "waiting", None),
        (Submission::Unknown(failure()), TaskState::Unconfirmed, "sent", Some(false)),
        (Submission::Accepted, TaskState::Accepted, "sent", None),
        (Submission::Rejected(Reason::proven("0003", "bad")), TaskState::Rejected, "0003", Some(true)),
        (Submission::Rejected(Reason::doubt("0001", "bad")), TaskState::Rejected, "0001?", Some(false)),
    ] {
        let evidence = Evidence { submission, has_upstream_id: false, ..task(&[A, B]) };
        assert_is(&evidence, state, &[url, url]);
        assert_eq!(weigh(&evidence).error.map(|error| error.certain), certain, "{evidence:?}");
        assert_is(&Evidence { has_upstream_id: true, ..evidence }, TaskState::Accepted, &["sent", "sent"]);
    }
}

#[test]
fn stronger_evidence_overrules_weaker() {
    let mut evidence = Evidence { submission: Submission::Unsent, has_upstream_id: false, ..task(&[A]) };
    evidence.canceled = true;
    assert_is(&evidence, TaskState::Canceled, &["canceled"]);
    evidence.submission = Submission::Deferred(None);
    assert_is(&evidence, TaskState::Canceled, &["canceled"]);
    evidence.submission = Submission::InFlight;
    assert_is(&evidence, TaskState::Submitting, &["sent"]);
    evidence.submission = Submission::Unknown(None);
    assert_is(&evidence, TaskState::Canceled, &["unconfirmed?"]);
    evidence.submission = Submission::Rejected(Reason::proven("0001", "bad"));
    assert_is(&evidence, TaskState::Rejected, &["0001"]);
    evidence.failed = Some(Failure::new("FAILED", "no"));
    assert_is(&evidence, TaskState::Failed, &["task_failed"]);
    evidence.succeeded = true;
    assert_is(&evidence, TaskState::Downloaded, &["downloaded"]);
    evidence.entries = vec![video("v", Indexed, &[A])];
    assert_is(&evidence, TaskState::Indexed, &["indexed"]);
}

#[test]
fn silence_ends_what_was_sent_and_nothing_that_has_its_end() {
    let mut evidence = Evidence { submission: Submission::Unsent, has_upstream_id: false, ..task(&[A, B]) };
    evidence.is_stalled = true;
    assert_is(&evidence, TaskState::Queued, &["waiting", "waiting"]);
    evidence.submission = Submission::InFlight;
    assert_is(&evidence, TaskState::Submitting, &["sent", "sent"]);
    evidence.submission = Submission::Unknown(None);
    assert_is(&evidence, TaskState::Unconfirmed, &["unconfirmed?", "unconfirmed?"]);
    evidence.submission = Submission::Accepted;
    assert_is(&evidence, TaskState::Stalled, &["stalled?", "stalled?"]);
    evidence.entries = vec![video("v", Indexed, &[A]), video("w", Indexing, &[B])];
    assert_is(&evidence, TaskState::Stalled, &["indexed", "stalled?"]);
    assert_eq!(weigh(&evidence).error.unwrap().failure.code, "stalled");
    evidence.entries[1].state = Failed;
    assert_is(&evidence, TaskState::Partial, &["indexed", "video_failed"]);
}

#[test]
fn failed_ends_open_urls_once_nothing_is_pending() {
    let mut evidence = task(&[A, B, C]);
    evidence.failed = Some(Failure::new("FAILED", "no"));
    assert_is(&evidence, TaskState::Failed, &["task_failed?"; 3]);
    assert!(weigh(&evidence).error.unwrap().certain, "of the task itself it is proven");
    evidence.entries = vec![video("v", Indexed, &[A]), video("w", Indexing, &[B])];
    assert_is(&evidence, TaskState::Downloaded, &["indexed", "downloaded", "downloaded"]);
    evidence.entries[1] = video("w", Failed, &[B]);
    assert_is(&evidence, TaskState::Partial, &["indexed", "video_failed", "task_failed?"]);
    assert_eq!(weigh(&evidence).error.unwrap(), Reason::proven("video_failed", "no w"));
    evidence.entries.push(video("x", Failed, &[]));
    assert_is(&evidence, TaskState::Partial, &["indexed", "video_failed", "task_failed?"]);
    evidence.succeeded = true;
    assert_is(&evidence, TaskState::Downloaded, &["indexed", "video_failed", "downloaded"]);
}

#[test]
fn failed_is_a_doubt_beside_a_video_of_nobody() {
    let mut evidence = Evidence { failed: Some(Failure::new("FAILED", "no")), ..task(&[A]) };
    assert_is(&evidence, TaskState::Failed, &["task_failed"]);
    evidence.entries = vec![video("v", Indexed, &[B])];
    assert_is(&evidence, TaskState::Failed, &["task_failed?"]);
}

#[test]
fn an_empty_list_proves_nothing_until_it_is_complete() {
    let mut evidence = Evidence { list_is_complete: true, ..task(&[A, B]) };
    assert_is(&evidence, TaskState::Accepted, &["sent", "sent"]);
    evidence.succeeded = true;
    assert_is(&evidence, TaskState::Failed, &["no_video?", "no_video?"]);
    evidence.list_is_complete = false;
    assert_is(&evidence, TaskState::Downloaded, &["downloaded", "downloaded"]);
}

#[test]
fn an_unmatched_video_is_never_followed_by_no_video() {
    let mut evidence = Evidence { succeeded: true, list_is_complete: true, ..task(&[A, B, C]) };
    evidence.entries = vec![video("v", Indexed, &[A])];
    assert_is(&evidence, TaskState::Partial, &["indexed", "no_video?", "no_video?"]);
    evidence.entries.push(unlisted("w", Indexed));
    assert_is(&evidence, TaskState::Partial, &["indexed", "unattributed?", "unattributed?"]);
}

#[test]
fn news_after_a_complete_list_changes_only_its_own_url() {
    let mut evidence = Evidence { succeeded: true, list_is_complete: true, ..task(&[A, SHORT, OTHER_SHORT]) };
    evidence.entries = vec![video("v", Failed, &[A]), video("w", Indexed, &[]), video("x", Indexed, &[])];
    assert_is(&evidence, TaskState::Partial, &["video_failed", "indexed", "indexed"]);
    evidence.entries.push(video("y", Indexing, &[A]));
    assert_is(&evidence, TaskState::Downloaded, &["downloaded", "indexed", "indexed"]);
    evidence.entries[3] = video("y", Indexing, &[]);
    assert_is(&evidence, TaskState::Partial, &["video_failed", "indexed", "indexed"]);
    let mut evidence = Evidence { succeeded: true, list_is_complete: true, ..task(&[A, B]) };
    evidence.entries = vec![video("v", Indexed, &[A])];
    assert_is(&evidence, TaskState::Partial, &["indexed", "no_video?"]);
    evidence.entries.push(video("w", Indexing, &[]));
    assert_is(&evidence, TaskState::Downloaded, &["indexed", "downloaded"]);
}

#[test]
fn a_recovered_task_without_urls_ends_by_failed_or_silence_alone() {
    let mut evidence =
        Evidence { submission: Submission::Unsent, succeeded: true, list_is_complete: true, ..task(&[]) };
    evidence.entries = vec![video("v", Indexed, &[A])];
    assert_is(&evidence, TaskState::Downloaded, &[]);
    assert!(!weigh(&evidence).wants_poll);
    evidence.is_stalled = true;
    assert_is(&evidence, TaskState::Stalled, &[]);
    evidence =
        Evidence { failed: Some(Failure::new("FAILED", "no")), submission: Submission::Unsent, ..task(&[]) };
    assert_is(&evidence, TaskState::Failed, &[]);
}
