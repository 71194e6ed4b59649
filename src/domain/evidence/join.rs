//! The entries of each URL, and the end that they give it: rules 1 to 4, in their order.
//!
//! Must never join a video that is listed under the id of one post to a URL that holds the id of another.

use std::collections::HashSet;

use super::matching::perfect_matching;
use super::{Entry, Evidence};
use crate::domain::outcome::{Reason, UrlOutcome, UrlState};
use crate::domain::url::CanonicalUrl;
use crate::domain::video::VideoState;

/// Entries, as positions in the evidence, joined to URLs.
pub(super) struct Joins {
    /// For each URL, the entries that were listed with it. It is open if there are none.
    pub(super) own: Vec<Vec<usize>>,
    /// For each URL, the entries without a URL of the task that belong to it. None unless it is open.
    pub(super) joined: Vec<Vec<usize>>,
    /// See [`Findings::wants_poll`](super::Findings::wants_poll).
    pub(super) wants_poll: bool,
    /// Whether an entry matches no URL of the task.
    has_unmatched: bool,
    /// Whether an entry has not ended that may still decide about an open URL.
    is_pending: bool,
    /// For each URL, the state that its entries give it.
    states: Vec<Option<VideoState>>,
}

impl Joins {
    pub(super) fn of(evidence: &Evidence) -> Self {
        let mut positions: Vec<usize> = (0..evidence.urls.len()).collect();
        positions.sort_unstable_by_key(|&url| &evidence.urls[url].text);
        let mut own = vec![Vec::new(); evidence.urls.len()];
        let mut unmatched = Vec::new();
        for entry in current_entries(evidence) {
            let mut is_matched = false;
            for listed in &evidence.entries[entry].urls {
                let place = positions.binary_search_by_key(&&listed.text, |&url| &evidence.urls[url].text);
                if let Ok(place) = place {
                    own[positions[place]].push(entry);
                    is_matched = true;
                }
            }
            if !is_matched {
                unmatched.push(entry);
            }
        }
        let open: Vec<usize> = positions.into_iter().filter(|&url| own[url].is_empty()).collect();
        let is_pending = is_pending(evidence, &own, &unmatched);
        // If a task has one URL, any video can only be that URL's.
        let every_one = !evidence.has_several_urls() || evidence.polls_are_refused;
        let joinable =
            unmatched.iter().copied().filter(|&entry| every_one || evidence.entries[entry].is_listed);
        // Once complete, a list stays complete. A later video changes only its own URL.
        let may_count = !is_pending || evidence.has_complete_list();
        let joined = join(evidence, &open, &joinable.collect::<Vec<_>>(), may_count);
        let after_poll = join(evidence, &open, &unmatched, may_count);
        let state_of = |entries: &Vec<usize>| state_of(evidence, entries);
        let would_end = |(now, then): (&Vec<usize>, &Vec<usize>)| {
            state_of(then).is_some_and(VideoState::is_ended) && state_of(then) != state_of(now)
        };
        let wants_poll = joined.iter().zip(&after_poll).any(would_end);
        let states =
            own.iter().zip(&joined).map(|(own, joined)| state_of(own).or(state_of(joined))).collect();
        Self { own, joined, wants_poll, has_unmatched: !unmatched.is_empty(), is_pending, states }
    }
}

impl Evidence {
    /// Whether all known videos and entries have ended.
    pub fn all_ended(&self) -> bool {
        current_entries(self).iter().all(|&entry| self.entries[entry].state.is_ended())
    }
}

/// The entries that count, ordered by video id, those without one last.
///
/// An entry without an id that has not ended is left out once a video is listed with the same URL. It was that video
/// before it had its id, and would otherwise stay pending forever.
fn current_entries(evidence: &Evidence) -> Vec<usize> {
    let mut entries: Vec<usize> = (0..evidence.entries.len()).collect();
    if evidence.entries.iter().any(|entry| entry.video_id.is_none()) {
        let videos = evidence.entries.iter().filter(|entry| entry.video_id.is_some());
        let named = urls_of(videos);
        entries.retain(|&entry| {
            let entry = &evidence.entries[entry];
            entry.video_id.is_some() || entry.state.is_ended() || !is_among(entry, &named)
        });
    }
    entries.sort_by(|&one, &two| place(&evidence.entries[one]).cmp(&place(&evidence.entries[two])));
    entries
}

/// The sort key. With it, the order in which facts arrived does not affect the result.
fn place(entry: &Entry) -> (bool, Option<&str>, Option<&str>) {
    let first_url = entry.urls.iter().map(|url| &*url.text).min();
    (entry.video_id.is_none(), entry.video_id.as_deref(), first_url)
}

fn urls_of<'a>(entries: impl Iterator<Item = &'a Entry>) -> HashSet<&'a str> {
    entries.flat_map(|entry| &entry.urls).map(|url| &*url.text).collect()
}

fn is_among(entry: &Entry, urls: &HashSet<&str>) -> bool {
    entry.urls.iter().any(|url| urls.contains(&*url.text))
}

/// A further video of an indexed URL decides nothing. It neither holds others back nor reopens them.
fn is_pending(evidence: &Evidence, own: &[Vec<usize>], unmatched: &[usize]) -> bool {
    let undecided = own.iter().filter(|own| state_of(evidence, own) != Some(VideoState::Indexed));
    undecided.flatten().chain(unmatched).any(|&entry| !evidence.entries[entry].state.is_ended())
}

/// The state that entries give their URL: indexed with the first indexed one, failed once all have failed.
fn state_of(evidence: &Evidence, entries: &[usize]) -> Option<VideoState> {
    let rank = |state: &VideoState| match state {
        VideoState::Failed => 0,
        VideoState::Indexing => 1,
        VideoState::Indexed => 2,
    };
    entries.iter().map(|&entry| evidence.entries[entry].state).max_by_key(rank)
}

/// Rule 2: for each URL, the entries that are joined to it. `open` is in the order of the canonical forms, so that the
/// order of the evidence does not affect the result.
fn join(evidence: &Evidence, open: &[usize], joinable: &[usize], may_count: bool) -> Vec<Vec<usize>> {
    let mut joined = vec![Vec::new(); evidence.urls.len()];
    let fits = |url: usize, entry: usize| can_be(&evidence.entries[entry], &evidence.urls[url]);
    match open {
        [only] => joined[*only] = joinable.iter().copied().filter(|&entry| fits(*only, entry)).collect(),
        _ if may_count => {
            let indexed = indexed_once(evidence, joinable);
            if let Some(matching) = perfect_matching(open, &indexed, fits) {
                matching.into_iter().for_each(|(url, entry)| joined[url].push(entry));
            }
        }
        _ => {}
    }
    joined
}

/// The indexed ones of these entries. Leaves out an entry without an id if there is a video with the same URL. It is
/// that video before it had its id, and must not count twice.
fn indexed_once(evidence: &Evidence, entries: &[usize]) -> Vec<usize> {
    let indexed =
        entries.iter().copied().filter(|&entry| evidence.entries[entry].state == VideoState::Indexed);
    let indexed: Vec<usize> = indexed.collect();
    let videos =
        indexed.iter().map(|&entry| &evidence.entries[entry]).filter(|entry| entry.video_id.is_some());
    let named = urls_of(videos);
    let is_new = |entry: &Entry| entry.video_id.is_some() || !is_among(entry, &named);
    indexed.into_iter().filter(|&entry| is_new(&evidence.entries[entry])).collect()
}

/// Whether nothing proves that the entry is of another post.
fn can_be(entry: &Entry, url: &CanonicalUrl) -> bool {
    let Some(id) = &url.id else { return true };
    entry.urls.iter().filter_map(|listed| listed.id.as_ref()).all(|listed| !listed.is_another_than(id))
}

/// The end of a URL by rules 1 to 4. None if no rule gives it one.
pub(super) fn end_of(url: usize, evidence: &Evidence, joins: &Joins) -> Option<UrlOutcome> {
    let is_open = joins.own[url].is_empty();
    let is_doubtful = is_open && evidence.has_several_urls();
    match joins.states[url] {
        Some(VideoState::Indexing) => return None,
        Some(VideoState::Indexed) => return Some(UrlOutcome::of(UrlState::Indexed)),
        Some(VideoState::Failed) if !is_doubtful || evidence.has_complete_list() => {
            let entries = if is_open { &joins.joined[url] } else { &joins.own[url] };
            let failures = entries.iter().filter_map(|&entry| evidence.entries[entry].failure.as_ref());
            let words = failures.map(|failure| &*failure.message).next();
            let words = words.unwrap_or("the memories.ai API gave no reason");
            let reason = Reason { certain: !is_doubtful, ..Reason::proven("video_failed", words) };
            return Some(UrlOutcome::failed(reason));
        }
        Some(VideoState::Failed) | None => {}
    }
    if let Some(failure) = evidence.failed.as_ref().filter(|_| !evidence.succeeded && !joins.is_pending) {
        // A video contradicts FAILED, because it may be this URL's after all.
        let certain = !evidence.has_several_urls() && !joins.has_unmatched;
        let reason = Reason { certain, ..Reason::proven("task_failed", &*failure.message) };
        return Some(UrlOutcome::failed(reason));
    }
    if !evidence.has_complete_list() {
        return None;
    }
    Some(UrlOutcome::failed(match joins.has_unmatched {
        true => Reason::doubt(
            "unattributed",
            "the memories.ai API made videos that it lists under no URL of this task",
        ),
        false => Reason::doubt("no_video", "the memories.ai API made no video of it"),
    }))
}
