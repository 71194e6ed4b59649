//! Wants: what becomes of one URL of a job, when it arrives and while it waits.
//!
//! Must never send again what may have been charged, unless somebody asks: doubt joins, and only `force` and a retry
//! overrule it.

use super::job::{Quality, UrlState};
use super::outcome::{Reason, UrlOutcome};
use super::round;

/// What was decided for one want alone. It holds whatever its round does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The post was indexed when the want arrived.
    Known,
    /// Its job was canceled before the post was sent.
    Canceled,
    /// An older version took its URL for another post, so it was never sent.
    OtherPost,
}

impl Mark {
    /// The number that stands for it in the store.
    pub const fn number(self) -> i64 {
        match self {
            Self::Known => 1,
            Self::Canceled => 2,
            Self::OtherPost => 3,
        }
    }

    /// The mark that this number stands for.
    pub const fn from_number(number: i64) -> Option<Self> {
        match number {
            1 => Some(Self::Known),
            2 => Some(Self::Canceled),
            3 => Some(Self::OtherPost),
            _ => None,
        }
    }
}

/// Where a want stands: its own mark, else its round.
pub fn want_outcome(mark: Option<Mark>, round: &UrlOutcome) -> UrlOutcome {
    match mark {
        Some(Mark::Known) => UrlOutcome::of(UrlState::Known),
        Some(Mark::Canceled) => round::canceled(),
        Some(Mark::OtherPost) => UrlOutcome::failed(Reason::doubt(
            "unattributed",
            "an older version mistook this URL for another post and never sent it",
        )),
        None => round.clone(),
    }
}

/// How a want asks for its post. A waiting entry has the best of all wants that wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The quality that it is content with.
    pub quality: Quality,
    /// Whether the post is sent even if it is indexed or on its way.
    pub force: bool,
}

/// What a waiting entry is worth: the best of each term of the wants that wait. None if nobody waits any more: the post
/// leaves the queue.
///
/// It is computed again whenever a want comes or goes. If the quality rises above that of a waiting task that the post
/// is bound to, the post leaves that task.
pub fn worth(wants: impl IntoIterator<Item = Terms>) -> Option<Terms> {
    wants.into_iter().reduce(|best, want| Terms {
        quality: best.quality.max(want.quality),
        force: best.force || want.force,
    })
}

/// Who asks for a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// A job that has just arrived.
    Job,
    /// The retry of a job, for its failed URLs.
    JobRetry,
    /// The retry of a task.
    TaskRetry,
}

/// Where an attempt to get a post stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptStanding {
    /// It is indexed, and that makes the post known: [`UrlFindings::makes_known`](super::evidence::UrlFindings).
    Indexed,
    /// It is being sent, or was proven to be taken, and has no end. So has a post with a joined video, as long as the
    /// list may still become complete and make it known.
    OnItsWay,
    /// Nobody knows whether it was taken, before its deadline or after it.
    Unconfirmed,
    /// It has ended in any other way.
    Ended,
}

impl AttemptStanding {
    /// The number that stands for it in the store.
    pub const fn number(self) -> i64 {
        match self {
            Self::Ended => 0,
            Self::Unconfirmed => 1,
            Self::OnItsWay => 2,
            Self::Indexed => 3,
        }
    }

    /// The standing that this number stands for.
    pub const fn from_number(number: i64) -> Option<Self> {
        match number {
            0 => Some(Self::Ended),
            1 => Some(Self::Unconfirmed),
            2 => Some(Self::OnItsWay),
            3 => Some(Self::Indexed),
            _ => None,
        }
    }
}

/// One attempt to get a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt<R> {
    /// The round it belongs to.
    pub round: R,
    /// The quality it was sent in. None for a task that was recovered and does not say: it serves every quality,
    /// because doubt never spends money.
    pub quality: Option<Quality>,
    /// Where it stands.
    pub standing: AttemptStanding,
}

impl<R> Attempt<R> {
    fn serves(&self, quality: Quality) -> bool {
        self.quality.is_none_or(|sent| sent >= quality)
    }
}

/// What is known of a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Post<'a, R> {
    /// Every attempt to get it, in the order in which they were sent.
    pub attempts: &'a [Attempt<R>],
    /// The round that is in the queue: it waits for a task, or a task that waits is bound to it.
    pub queued: Option<R>,
}

/// What happens to a want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival<R> {
    /// The post is indexed already.
    Known,
    /// It shares this round.
    Join(R),
    /// The post enters the queue: a new round.
    Enter,
}

/// What happens to a want that arrives, or that is looked up again by a retry.
///
/// A retry sets unconfirmed attempts aside, and otherwise asks like the job that it belongs to, `force` included. Of
/// several attempts that would do, the newest counts.
pub fn look_up<R: Copy>(post: &Post<'_, R>, terms: Terms, ask: Ask) -> Arrival<R> {
    let serving =
        || post.attempts.iter().rev().filter(|attempt| !terms.force && attempt.serves(terms.quality));
    if serving().any(|attempt| attempt.standing == AttemptStanding::Indexed) {
        return Arrival::Known;
    }
    let on_its_way = serving().find(|attempt| attempt.standing == AttemptStanding::OnItsWay);
    // What was last sent may be a lesser quality, which says nothing about this one.
    let last_sent = serving().next();
    let unconfirmed =
        last_sent.filter(|attempt| attempt.standing == AttemptStanding::Unconfirmed && ask == Ask::Job);
    let round = on_its_way.map(|attempt| attempt.round).or(post.queued);
    round.or(unconfirmed.map(|attempt| attempt.round)).map_or(Arrival::Enter, Arrival::Join)
}

/// What happens to a post whose turn has come, before it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecondLook<R> {
    /// The round that its wants without `force` join. None if none of them has to go.
    pub joins: Option<R>,
    /// What the entry is worth from the wants that stay. None if nobody stays: the post leaves the queue.
    pub stays: Option<Terms>,
}

/// Looks once more before a post is sent: if an attempt of at least the entry's quality is indexed by now, or proven to
/// be on its way, only wants with `force` stay.
///
/// If they ask for less than those who went, the entry has another line and waits there.
pub fn second_look<R: Copy>(attempts: &[Attempt<R>], wants: &[Terms]) -> SecondLook<R> {
    let entry = worth(wants.iter().copied());
    let serving =
        || attempts.iter().rev().filter(|attempt| entry.is_some_and(|entry| attempt.serves(entry.quality)));
    let newest = |standing| serving().find(|attempt| attempt.standing == standing);
    let proven = newest(AttemptStanding::Indexed).or_else(|| newest(AttemptStanding::OnItsWay));
    match proven.filter(|_| wants.iter().any(|want| !want.force)) {
        Some(attempt) => SecondLook {
            joins: Some(attempt.round),
            stays: worth(wants.iter().copied().filter(|want| want.force)),
        },
        None => SecondLook { joins: None, stays: entry },
    }
}

#[cfg(test)]
mod tests;
