//! Refusals: the consequences when upstream refuses a submit. A refusal is free, so refused URLs may be sent again.
//!
//! Must never fail a URL because of another one, nor for trouble that is not about the URLs.

use std::time::Duration;

/// Upstream's code for a bad parameter, and also for a transient failure. Nobody can tell which.
pub const UNCLEAR: &str = "0001";
/// Upstream's code for bad or missing parameters.
pub const CONTENT: &str = "0003";

/// Whether a refusal with this code may be about the URLs of a request.
pub fn is_about_content(code: &str) -> bool {
    matches!(code, UNCLEAR | CONTENT)
}

/// Number of further tries of a task that was refused with [`UNCLEAR`]. Source: upstream's example client.
const RETRIES: u32 = 3;
/// The wait before the first of them. It doubles.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// Most submits from splitting one task.
pub const MOST_FURTHER: usize = 32;
/// This many submits of one task and its halves, none of them taken, are a sign that its line is refused. This many
/// refusals in a row are a sign that the content is not the cause, even for tasks that were set aside before.
pub const BARREN: usize = 8;

/// A refused submit, and the evidence about its task.
#[derive(Clone, Copy, Debug)]
pub struct Refused<'a> {
    /// Upstream's code.
    pub code: &'a str,
    /// Number of its posts.
    pub posts: usize,
    /// The number of the try of its task, from 1. Tries during a pause for refusals prove nothing and do not count.
    pub attempt: u32,
    /// Whether its task is a part of a split one.
    pub is_half: bool,
    /// Number of submits left for splitting its first task.
    pub further: usize,
    /// Whether sending is paused because of refusals, or pauses because of this one.
    pub is_paused: bool,
}

/// The consequence of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consequence {
    /// It is tried again after this long.
    Again(Duration),
    /// It waits until upstream takes a request again.
    SetAside,
    /// Its posts go on in two halves.
    Split,
    /// It is refused for good. This is a doubt if it was not decided for each post alone.
    End {
        /// Whether the refusal is about the post.
        certain: bool,
    },
}

impl Refused<'_> {
    /// Its consequence.
    pub fn consequence(self) -> Consequence {
        let is_unclear = self.code == UNCLEAR;
        if self.is_paused && is_about_content(self.code) {
            return Consequence::SetAside;
        }
        let is_alone = self.posts <= 1;
        let retries = if self.is_half && !is_alone { 0 } else { RETRIES };
        if is_unclear && self.attempt <= retries && (!self.is_half || self.further > 0) {
            return Consequence::Again(FIRST_WAIT * (1 << (self.attempt - 1)));
        }
        if is_alone || !is_about_content(self.code) {
            return Consequence::End { certain: true };
        }
        if self.further >= 2 { Consequence::Split } else { Consequence::End { certain: false } }
    }
}

/// Two halves of posts, each with its host. Because upstream may take two hosts for two platforms, the cut is between
/// hosts, unless one part would be much larger than the other.
pub fn halves<P>(posts: Vec<(P, String)>) -> (Vec<P>, Vec<P>) {
    let count = posts.len();
    // As many halvings as a cut in the middle would take.
    let most = count.div_ceil(2).next_power_of_two();
    let mut sorted: Vec<(usize, (P, String))> = posts.into_iter().enumerate().collect();
    sorted.sort_by(|(a, (_, one)), (b, (_, two))| (one, a).cmp(&(two, b)));
    let middle = count.div_ceil(2);
    let between_hosts = (1..count).filter(|&cut| {
        let hosts = |place: usize| sorted.get(place).map(|(_, (_, host))| host);
        hosts(cut - 1) != hosts(cut) && cut.max(count - cut) <= most
    });
    let cut = between_hosts.min_by_key(|cut| cut.abs_diff(middle)).unwrap_or(middle);
    let rest = sorted.split_off(cut.min(sorted.len()));
    let in_order = |mut half: Vec<(usize, (P, String))>| {
        half.sort_by_key(|(place, _)| *place);
        half.into_iter().map(|(_, (post, _))| post).collect()
    };
    (in_order(sorted), in_order(rest))
}

/// Another task that was refused with [`UNCLEAR`] since something was accepted.
#[derive(Clone, Copy, Debug)]
pub struct RefusedToo {
    /// Number of its refused submits.
    pub submits: usize,
    /// Whether it was set aside before.
    pub was_aside: bool,
}

/// Whether a refusal with [`UNCLEAR`] may not be about the content: other tasks were refused as well, and nothing was
/// accepted in between. `own`: the number of refused submits of the task and its halves, including this one.
///
/// A few tasks that were set aside before may be refused in a row. Otherwise two bad URLs could begin a pause again and
/// again, and it would never end.
pub fn may_not_be_the_content(own: usize, was_aside: bool, others: &[RefusedToo]) -> bool {
    let in_a_row = own + others.iter().map(|other| other.submits).sum::<usize>();
    let is_fresh = |other: &RefusedToo| !(was_aside && other.was_aside);
    others.iter().any(is_fresh) || (!others.is_empty() && in_a_row >= BARREN)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Refused<'_> = Refused {
        code: CONTENT,
        posts: 1,
        attempt: 1,
        is_half: false,
        further: MOST_FURTHER,
        is_paused: false,
    };
    const MANY: Refused<'_> = Refused { posts: 50, ..ONE };

    fn again(seconds: u64) -> Consequence {
        Consequence::Again(Duration::from_secs(seconds))
    }

    #[test]
    fn an_unclear_refusal_is_tried_again_three_times() {
        for posts in [1, 50] {
            let unclear = |attempt| Refused { code: UNCLEAR, posts, attempt, ..ONE }.consequence();
            assert_eq!([unclear(1), unclear(2), unclear(3)], [again(1), again(2), again(4)]);
            let last = if posts == 1 { Consequence::End { certain: true } } else { Consequence::Split };
            assert_eq!(unclear(4), last);
        }
    }

    #[test]
    fn a_part_of_several_posts_is_tried_once_and_a_single_post_gets_all_its_tries() {
        let part = Refused { code: UNCLEAR, is_half: true, ..MANY };
        assert_eq!(part.consequence(), Consequence::Split);
        assert_eq!(Refused { posts: 1, ..part }.consequence(), again(1));
        assert_eq!(
            Refused { posts: 1, further: 0, ..part }.consequence(),
            Consequence::End { certain: true }
        );
        assert_eq!(Refused { posts: 1, is_half: false, further: 0, ..part }.consequence(), again(1));
    }

    #[test]
    fn refused_content_is_split_until_a_post_is_alone() {
        assert_eq!(MANY.consequence(), Consequence::Split);
        assert_eq!(Refused { posts: 2, further: 2, ..MANY }.consequence(), Consequence::Split);
        assert_eq!(ONE.consequence(), Consequence::End { certain: true });
        assert_eq!(Refused { further: 1, ..MANY }.consequence(), Consequence::End { certain: false });
    }

    #[test]
    fn another_code_is_the_end_of_all() {
        assert_eq!(Refused { code: "0409", ..MANY }.consequence(), Consequence::End { certain: true });
        assert_eq!(
            Refused { code: "0409", is_paused: true, ..MANY }.consequence(),
            Consequence::End { certain: true }
        );
    }

    #[test]
    fn in_a_pause_it_is_set_aside() {
        for code in [UNCLEAR, CONTENT] {
            for refused in [ONE, MANY] {
                assert_eq!(Refused { code, is_paused: true, ..refused }.consequence(), Consequence::SetAside);
            }
        }
    }

    #[test]
    fn two_tasks_in_a_row_are_a_sign_of_trouble_and_of_those_set_aside_eight_submits() {
        let other = |submits, was_aside| RefusedToo { submits, was_aside };
        assert!(!may_not_be_the_content(40, false, &[]), "a task alone proves nothing");
        assert!(may_not_be_the_content(1, false, &[other(1, false)]));
        assert!(may_not_be_the_content(1, true, &[other(1, false)]));
        assert!(may_not_be_the_content(1, false, &[other(1, true)]));
        assert!(!may_not_be_the_content(3, true, &[other(4, true)]));
        assert!(may_not_be_the_content(4, true, &[other(4, true)]));
    }

    /// Posts by their hosts, one letter each. A half is the places of its posts.
    fn halved(hosts: &str) -> (Vec<usize>, Vec<usize>) {
        halves(hosts.chars().map(String::from).enumerate().collect())
    }

    #[test]
    fn posts_are_halved_in_their_order() {
        assert_eq!(halved("aaaaa"), (vec![0, 1, 2], vec![3, 4]));
        assert_eq!(halved("aa"), (vec![0], vec![1]));
        assert_eq!(halved("a"), (vec![0], vec![]));
        assert_eq!(halved(""), (vec![], vec![]));
    }

    #[test]
    fn hosts_are_told_apart_first() {
        assert_eq!(halved("abab"), (vec![0, 2], vec![1, 3]));
        assert_eq!(halved("aabbb"), (vec![0, 1], vec![2, 3, 4]));
    }

    #[test]
    fn no_cut_makes_a_single_bad_post_harder_to_find() {
        for count in 2..=50_usize {
            for first in 1..count {
                let hosts = "a".repeat(first) + &"b".repeat(count - first);
                let (one, two) = halved(&hosts);
                let larger = one.len().max(two.len());
                let halvings = |posts: usize| posts.next_power_of_two().trailing_zeros();
                assert!(halvings(larger) < halvings(count), "{count}, {first}: {larger}");
            }
        }
    }
}
