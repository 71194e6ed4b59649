//! Laws that hold for any evidence: all combinations of a few URLs, named things, their states, and facts.

use super::*;
use crate::domain::outcome::UrlState;
use crate::domain::url::PostUrl;

const A: &str = "https://vimeo.com/1";
/// Another canonical form with the same id: the key of an unlisted video.
const A_WITH_KEY: &str = "https://vimeo.com/1?h=abc";
const B: &str = "https://vimeo.com/2";
const C: &str = "https://vimeo.com/3";
const UNKNOWN: &str = "https://vimeo.com/ann/portfolio";

const STATES: [VideoState; 3] = [VideoState::Indexing, VideoState::Failed, VideoState::Indexed];
/// The URLs with which a thing is listed. The last one means none.
const LISTED: [Option<&str>; 6] = [Some(A), Some(A_WITH_KEY), Some(B), Some(C), Some(UNKNOWN), None];
const DOUBTS: [&str; 4] = ["no_video", "unattributed", "stalled", "unconfirmed"];

fn url(text: &str) -> CanonicalUrl {
    PostUrl::parse(text).expect(text).into()
}

fn tasks() -> Vec<Vec<CanonicalUrl>> {
    let sets: [&[&str]; 4] = [&[A], &[UNKNOWN], &[A, B], &[A, UNKNOWN]];
    sets.iter().map(|set| set.iter().map(|text| url(text)).collect()).collect()
}

fn entry(state: VideoState, listed: Option<&str>, is_listed: bool) -> Entry {
    let urls = listed.into_iter().map(url).collect();
    Entry { video_id: Some(String::new()), state, failure: None, urls, is_listed }
}

/// Videos in every state, listed with every URL, listed without one, and named by callbacks alone.
fn videos() -> Vec<Entry> {
    let listed = LISTED.iter().flat_map(|&listed| STATES.map(|state| entry(state, listed, true)));
    listed.chain(STATES.map(|state| entry(state, None, false))).collect()
}

/// Entries in every state, listed with every URL or without one, that have no video id.
fn entries_without_id() -> Vec<Entry> {
    let all = videos().into_iter().filter(|entry| entry.is_listed);
    all.map(|entry| Entry { video_id: None, ..entry }).collect()
}

/// All combinations of at most this many of these things.
fn combinations(things: &[Entry], most: usize) -> Vec<Vec<Entry>> {
    let mut all = vec![(0, Vec::new())];
    let mut from = 0;
    for size in 1..=most {
        let until = all.len();
        for at in from..until {
            let (first, taken): (usize, Vec<Entry>) = all[at].clone();
            for (place, thing) in things.iter().enumerate().skip(first) {
                let mut taken = taken.clone();
                let video_id = thing.video_id.as_ref().map(|_| format!("v{size}"));
                // Entries without an id are told apart by their URL.
                if video_id.is_none()
                    && taken.iter().any(|other| other.video_id.is_none() && other.urls == thing.urls)
                {
                    continue;
                }
                taken.push(Entry { video_id, ..thing.clone() });
                all.push((place, taken));
            }
        }
        from = until;
    }
    all.into_iter().map(|(_, taken)| taken).collect()
}

/// All combinations of facts that affect the proof of entries.
fn with_facts(urls: &[CanonicalUrl], entries: &[Entry], check: &mut impl FnMut(&Evidence)) {
    let mut evidence = Evidence {
        urls: urls.to_vec(),
        submission: Submission::Accepted,
        has_upstream_id: true,
        succeeded: false,
        failed: None,
        canceled: false,
        list_is_complete: false,
        polls_are_refused: false,
        is_stalled: false,
        entries: entries.to_vec(),
    };
    for facts in 0..24_u32 {
        (evidence.succeeded, evidence.list_is_complete) = (facts % 3 > 0, facts % 3 == 2);
        evidence.failed = ((facts / 3) & 1 == 1).then(|| Failure::new("FAILED", "no"));
        evidence.polls_are_refused = (facts / 6) & 1 == 1;
        evidence.is_stalled = facts / 12 == 1;
        check(&evidence);
    }
}

fn matches(entry: &Entry, urls: &[CanonicalUrl]) -> bool {
    entry.urls.iter().any(|listed| urls.contains(listed))
}

fn assert_lawful(evidence: &Evidence) {
    let findings = weigh(evidence);
    let unmatched = evidence.entries.iter().any(|entry| !matches(entry, &evidence.urls));
    assert_eq!(findings.urls.len(), evidence.urls.len());
    for (url, finding) in evidence.urls.iter().zip(&findings.urls) {
        let UrlOutcome { state, reason } = &finding.outcome;
        let has_ended = matches!(state, UrlState::Indexed | UrlState::Failed);
        assert!(has_ended || !findings.state.is_settled(), "an end for each URL: {evidence:?}");
        assert_eq!(reason.is_some(), *state == UrlState::Failed, "{evidence:?}");
        if let Some(reason) = reason {
            let code = &*reason.failure.code;
            assert!(!(reason.certain && DOUBTS.contains(&code)), "{evidence:?}");
            assert!(!(code == "no_video" && unmatched), "{evidence:?}");
            let is_missing = matches!(code, "no_video" | "unattributed");
            assert!(!is_missing || (evidence.succeeded && evidence.list_is_complete), "{evidence:?}");
            let certain = reason.certain && finding.entries.is_empty() && evidence.urls.len() > 1;
            assert!(!certain, "one of several URLs: {evidence:?}");
        }
        for &entry in &finding.entries {
            let entry = &evidence.entries[entry];
            let is_own = entry.urls.contains(url);
            assert_eq!(is_own, finding.attributed, "{evidence:?}");
            let is_another =
                entry.urls.iter().any(|listed| matches!((&listed.id, &url.id), (Some(a), Some(b)) if a != b));
            assert!(is_own || !is_another, "a video of another id: {evidence:?}");
            assert!(is_own || !matches(entry, &evidence.urls), "another URL's video: {evidence:?}");
        }
        let own = evidence.entries.iter().filter(|entry| entry.urls.contains(url));
        if own.clone().any(|entry| entry.state == VideoState::Indexed) {
            assert!(*state == UrlState::Indexed && finding.makes_known, "rule 1 is final: {evidence:?}");
        }
        let is_indexed = |&entry: &usize| evidence.entries[entry].state == VideoState::Indexed;
        let has_video = finding.entries.iter().any(is_indexed);
        assert_eq!(*state == UrlState::Indexed, has_video, "indexed without a video: {evidence:?}");
        assert!(*state == UrlState::Indexed || !finding.makes_known, "{evidence:?}");
    }
    assert_state(evidence, &findings);
}

fn assert_state(evidence: &Evidence, findings: &Findings) {
    let all = |state| findings.urls.iter().all(|url| url.outcome.state == state);
    let has_urls = !findings.urls.is_empty();
    match findings.state {
        TaskState::Indexed => assert!(has_urls && all(UrlState::Indexed), "{evidence:?}"),
        TaskState::Failed => assert!(all(UrlState::Failed), "{evidence:?}"),
        TaskState::Partial => assert!(!all(UrlState::Indexed) && !all(UrlState::Failed), "{evidence:?}"),
        TaskState::Stalled => assert!(evidence.is_stalled, "{evidence:?}"),
        TaskState::Accepted => assert!(!evidence.succeeded && evidence.entries.is_empty(), "{evidence:?}"),
        TaskState::Downloaded => assert!(evidence.succeeded || !evidence.entries.is_empty(), "{evidence:?}"),
        other => panic!("{other}: {evidence:?}"),
    }
    if let Some(error) = &findings.error {
        assert!(!(error.certain && DOUBTS.contains(&&*error.failure.code)), "{evidence:?}");
    }
    let is_bad = matches!(findings.state, TaskState::Failed | TaskState::Partial | TaskState::Stalled);
    assert_eq!(findings.error.is_some(), is_bad, "{evidence:?}");
    let has_unlisted = evidence.entries.iter().any(|entry| !entry.is_listed);
    assert!(!findings.wants_poll || (has_unlisted && evidence.urls.len() > 1), "{evidence:?}");
}

#[test]
fn the_laws_hold_for_every_combination_of_videos() {
    let all = combinations(&videos(), 3);
    for urls in tasks() {
        for entries in &all {
            with_facts(&urls, entries, &mut assert_lawful);
        }
    }
}

#[test]
fn the_laws_hold_for_entries_without_an_id() {
    let mut things = entries_without_id();
    things.extend(videos());
    let all = combinations(&things, 2);
    for urls in tasks().into_iter().chain([Vec::new()]) {
        for entries in &all {
            with_facts(&urls, entries, &mut assert_lawful);
        }
    }
}

/// Findings, with URLs and entries by their content and not by their place.
#[derive(Debug, PartialEq)]
struct Content<'a> {
    state: TaskState,
    error: &'a Option<Reason>,
    urls: Vec<(&'a CanonicalUrl, &'a UrlOutcome, Vec<&'a Entry>)>,
    flags: Vec<[bool; 2]>,
    wants_poll: bool,
}

impl<'a> Content<'a> {
    fn of(evidence: &'a Evidence, findings: &'a Findings) -> Self {
        let mut urls: Vec<_> = evidence.urls.iter().zip(&findings.urls).collect();
        urls.sort_by_key(|(url, _)| &url.text);
        let flags = urls.iter().map(|(_, found)| [found.attributed, found.makes_known]).collect();
        let urls = urls.into_iter().map(|(url, found)| {
            (url, &found.outcome, found.entries.iter().map(|&entry| &evidence.entries[entry]).collect())
        });
        let Findings { state, error, wants_poll, .. } = findings;
        Self { state: *state, error, urls: urls.collect(), flags, wants_poll: *wants_poll }
    }
}

#[test]
fn the_order_of_what_is_known_changes_nothing() {
    let mut things = videos();
    // One state of each is enough here, and both kinds of entries.
    things.retain(|thing| thing.state != VideoState::Indexing);
    things.push(Entry { video_id: None, ..entry(VideoState::Indexed, Some(UNKNOWN), true) });
    things.push(Entry { video_id: None, ..entry(VideoState::Indexing, Some(A_WITH_KEY), true) });
    let all = combinations(&things, 3);
    for urls in tasks() {
        let turned: Vec<_> = urls.iter().rev().cloned().collect();
        for entries in all.iter().filter(|entries| entries.len() > 1) {
            let mut check = |evidence: &Evidence| {
                // Silence and refusals look at no entry.
                if evidence.is_stalled || evidence.polls_are_refused {
                    return;
                }
                let findings = weigh(evidence);
                let expected = Content::of(evidence, &findings);
                let mut other = evidence.clone();
                for turn in 0..2 * entries.len() {
                    other.entries.rotate_left(1);
                    if turn == entries.len() {
                        other.entries.swap(0, 1);
                        other.urls.clone_from(&turned);
                    }
                    let findings = weigh(&other);
                    assert_eq!(Content::of(&other, &findings), expected, "{evidence:?} {other:?}");
                }
            };
            with_facts(&urls, entries, &mut check);
        }
    }
}

#[test]
fn every_submit_leads_to_an_outcome_of_each_url() {
    let failure = || Some(Failure::new("0429", "slow down"));
    let submissions = [
        Submission::Unsent,
        Submission::InFlight,
        Submission::Accepted,
        Submission::Deferred(failure()),
        Submission::Rejected(Reason::proven("0003", "bad")),
        Submission::Unknown(failure()),
    ];
    let tasks = tasks().into_iter().chain([Vec::new()]);
    let pairs = tasks.flat_map(|urls| submissions.iter().map(move |submission| (urls.clone(), submission)));
    for (urls, submission) in pairs {
        with_facts(&urls, &[], &mut |evidence| {
            for (has_upstream_id, canceled) in [(false, false), (false, true), (true, false), (true, true)] {
                let submission = submission.clone();
                let evidence = Evidence { submission, has_upstream_id, canceled, ..evidence.clone() };
                let findings = weigh(&evidence);
                for url in &findings.urls {
                    let has_ended = url.outcome.state == UrlState::Failed;
                    let may_end = findings.state.is_settled() || evidence.is_stalled;
                    assert!(has_ended || !findings.state.is_settled(), "{evidence:?}");
                    assert!(!has_ended || may_end, "{evidence:?}");
                    assert_eq!(url.outcome.reason.is_some(), has_ended, "{evidence:?}");
                }
                if has_upstream_id {
                    let base =
                        Evidence { submission: Submission::Accepted, canceled: false, ..evidence.clone() };
                    assert_eq!(findings, weigh(&base), "a taskId proves that it was taken");
                }
            }
        });
    }
}

#[test]
fn more_evidence_of_others_never_takes_an_own_indexed_video_away() {
    let indexed = Entry { video_id: Some("own".to_owned()), ..entry(VideoState::Indexed, Some(A), true) };
    let mut things = videos();
    things.extend(entries_without_id());
    for mut entries in combinations(&things, 2) {
        entries.push(indexed.clone());
        with_facts(&[url(A), url(B)], &entries, &mut |evidence| {
            let found = &weigh(evidence).urls[0];
            assert!(found.outcome == UrlOutcome::of(UrlState::Indexed) && found.attributed, "{evidence:?}");
        });
    }
}
