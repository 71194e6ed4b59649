//! Forming: the choice of waiting posts of a line for one request.
//!
//! Must never let strangers share each other's doubts. A post that is known to cause doubt travels alone.

use super::outcome::Reason;
use super::want::Ask;

/// A waiting post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting<P> {
    /// The post.
    pub post: P,
    /// Whether its URL holds an id of a known shape. A short link does not.
    pub has_id: bool,
    /// See [`travels_alone`].
    pub travels_alone: bool,
}

/// The posts of one request, in the order of waiting.
///
/// `waiting` are the posts of one line, in the order of their turns. They are read until the request is full, and no
/// further. `cap` is the most posts that upstream takes in one request. `left_today` is the rest of the day's budget,
/// or none if it has no limit.
///
/// A post that travels alone is taken if it is the first, and passed over otherwise. The request takes one post without
/// an id, then posts with ids, and further ones without only if the line ends before the request is full. So a line of
/// many short links and few other posts is read to its end. Callers that must be quick pass only its beginning.
pub fn form<P>(
    waiting: impl IntoIterator<Item = Waiting<P>>,
    cap: usize,
    left_today: Option<usize>,
) -> Vec<P> {
    let room = left_today.map_or(cap, |left| left.min(cap));
    let mut taken: Vec<(usize, P)> = Vec::new();
    let mut further: Vec<(usize, P)> = Vec::new();
    let mut has_short_link = false;
    let mut waiting = waiting.into_iter().enumerate();
    while taken.len() < room {
        let Some((place, Waiting { post, has_id, travels_alone })) = waiting.next() else { break };
        match (travels_alone, has_id) {
            (true, _) if place == 0 => return vec![post],
            (true, _) => {}
            (false, false) if has_short_link => further.push((place, post)),
            (false, _) => {
                has_short_link |= !has_id;
                taken.push((place, post));
            }
        }
    }
    taken.extend(further.into_iter().take(room - taken.len()));
    taken.sort_unstable_by_key(|&(place, _)| place);
    taken.into_iter().map(|(_, post)| post).collect()
}

/// The end of the last round of a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastEnd<'a> {
    /// The reason why it failed.
    pub reason: &'a Reason,
    /// Whether upstream refused the submit.
    pub was_refused: bool,
    /// Number of URLs in its last task.
    pub task_urls: usize,
}

/// Whether a post is sent alone, because the way its last round ended would harm others in the same request. The retry
/// of a task always sends one request.
pub fn travels_alone(last: Option<&LastEnd<'_>>, ask: Ask) -> bool {
    let Some(last) = last.filter(|_| ask != Ask::TaskRetry) else { return false };
    match &*last.reason.failure.code {
        "unattributed" => true,
        "task_failed" => last.task_urls > 1,
        _ => last.was_refused && last.reason.certain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Posts as letters: `i` holds an id, `s` is a short link, `a` travels alone. Each is named by its place.
    fn line(kinds: &str) -> impl Iterator<Item = Waiting<usize>> {
        let kinds: Vec<char> = kinds.chars().collect();
        kinds.into_iter().enumerate().map(|(post, kind)| Waiting {
            post,
            has_id: kind == 'i',
            travels_alone: kind == 'a',
        })
    }

    fn formed(kinds: &str, cap: usize) -> Vec<usize> {
        form(line(kinds), cap, None)
    }

    #[test]
    fn a_request_is_filled_in_the_order_of_the_line() {
        assert_eq!(formed("iiiii", 3), [0, 1, 2]);
        assert_eq!(formed("ii", 3), [0, 1]);
        assert_eq!(formed("", 3), [0; 0]);
    }

    #[test]
    fn a_request_is_cut_to_what_is_left_of_the_day() {
        assert_eq!(form(line("iiiii"), 3, Some(2)), [0, 1]);
        assert_eq!(form(line("iiiii"), 3, Some(9)), [0, 1, 2]);
        assert_eq!(form(line("iiiii"), 3, Some(0)), [0; 0]);
        assert_eq!(form(line("a"), 3, Some(0)), [0; 0]);
    }

    #[test]
    fn what_travels_alone_goes_alone_when_its_turn_comes() {
        assert_eq!(formed("aii", 3), [0]);
        assert_eq!(formed("iai", 3), [0, 2]);
        assert_eq!(formed("aa", 3), [0]);
    }

    #[test]
    fn further_short_links_take_only_the_room_that_is_left() {
        assert_eq!(formed("sssiii", 4), [0, 3, 4, 5]);
        assert_eq!(formed("isssii", 5), [0, 1, 2, 4, 5]);
        assert_eq!(formed("sss", 5), [0, 1, 2]);
        assert_eq!(formed("ssssi", 3), [0, 1, 4]);
        assert_eq!(formed("sasai", 3), [0, 2, 4]);
    }

    #[test]
    fn a_full_request_reads_no_further() {
        let read = std::cell::Cell::new(0);
        let endless = || (0..).inspect(|_| read.set(read.get() + 1));
        let waiting = |post| Waiting { post, has_id: post > 0, travels_alone: false };
        assert_eq!(form(endless().map(waiting), 3, None), [0, 1, 2]);
        assert_eq!(read.take(), 3);
        assert_eq!(form(endless().map(waiting), 3, Some(0)), [0; 0]);
        assert_eq!(read.take(), 0);
        let alone = |post| Waiting { post, has_id: true, travels_alone: true };
        assert_eq!(form(endless().map(alone), 3, None), [0]);
        assert_eq!(read.take(), 1);
    }

    #[test]
    fn every_short_line_is_packed_lawfully() {
        for length in 0..=6_u32 {
            for number in 0..3_u32.pow(length) {
                let kinds: String = (0..length)
                    .map(|place| ['i', 's', 'a'][(number / 3_u32.pow(place) % 3) as usize])
                    .collect();
                for cap in 0..=4 {
                    let taken = formed(&kinds, cap);
                    let kind = |post: usize| kinds.as_bytes()[post];
                    assert!(taken.is_sorted() && taken.len() <= cap, "{kinds} {cap}");
                    assert_eq!(
                        taken.first(),
                        (cap > 0 && length > 0).then_some(&0),
                        "the head goes: {kinds} {cap}"
                    );
                    if taken.iter().any(|&post| kind(post) == b'a') {
                        assert_eq!(taken, [0], "{kinds} {cap}");
                        continue;
                    }
                    let count = |wanted| (0..kinds.len()).filter(|&post| kind(post) == wanted).count();
                    assert_eq!(taken.len(), cap.min(count(b'i') + count(b's')), "full: {kinds} {cap}");
                    let short = taken.iter().filter(|&&post| kind(post) == b's').count();
                    let ids = taken.len() - short;
                    assert!(short <= 1 || ids == count(b'i'), "others first: {kinds} {cap}");
                    for wanted in [b'i', b's'] {
                        let of_kind: Vec<usize> =
                            (0..kinds.len()).filter(|&post| kind(post) == wanted).collect();
                        let taken = taken.iter().copied().filter(|&post| kind(post) == wanted);
                        assert!(taken.eq(of_kind.into_iter().take(if wanted == b'i' { ids } else { short })));
                    }
                }
            }
        }
    }

    #[test]
    fn a_post_that_others_would_suffer_from_travels_alone() {
        let alone = |reason: Reason, was_refused, task_urls, ask| {
            travels_alone(Some(&LastEnd { reason: &reason, was_refused, task_urls }), ask)
        };
        let proven = |code: &str| Reason::proven(code, "");
        for ask in [Ask::Job, Ask::JobRetry] {
            assert!(alone(Reason::doubt("unattributed", ""), false, 1, ask));
            assert!(alone(Reason::doubt("task_failed", ""), false, 2, ask));
            assert!(!alone(proven("task_failed"), false, 1, ask));
            assert!(alone(proven("0001"), true, 1, ask));
            assert!(!alone(Reason::doubt("0001", ""), true, 2, ask));
            for code in ["video_failed", "canceled", "no_video", "stalled", "unconfirmed"] {
                assert!(
                    !alone(Reason::doubt(code, ""), false, 2, ask) && !alone(proven(code), false, 2, ask)
                );
            }
            assert!(!travels_alone(None, ask), "it was never sent");
        }
        assert!(!alone(Reason::doubt("unattributed", ""), false, 2, Ask::TaskRetry));
        assert!(!alone(proven("0001"), true, 1, Ask::TaskRetry));
    }
}
