//! Wants: the fate of one URL of a job, when it arrives and while it waits.
//!
//! Must never send a URL again that may have been charged, unless somebody asks. In doubt a want joins the attempt, and
//! only `force` and a retry overrule that.

use super::job::Quality;
use super::outcome::{Reason, UrlOutcome, UrlState};
use super::round;

/// A decision about one want alone. It holds whatever its round does.
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
    /// Its number in the store.
    pub const fn number(self) -> i64 {
        match self {
            Self::Known => 1,
            Self::Canceled => 2,
            Self::OtherPost => 3,
        }
    }

    /// The mark with this number.
    pub const fn from_number(number: i64) -> Option<Self> {
        match number {
            1 => Some(Self::Known),
            2 => Some(Self::Canceled),
            3 => Some(Self::OtherPost),
            _ => None,
        }
    }
}

/// The outcome of a want: its own mark, else its round.
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

/// The terms on which a want asks for its post. A waiting entry has the best ones of all waiting wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The least quality that it takes.
    pub quality: Quality,
    /// Whether the post is sent even if it is indexed or on its way.
    pub force: bool,
}

/// The terms of a waiting entry: the best of each term of the waiting wants. None if no want waits, so that the post
/// leaves the queue.
///
/// They are computed again whenever a want comes or goes. If the quality rises above that of a waiting task that the
/// post is bound to, the post leaves that task.
pub fn worth(wants: impl IntoIterator<Item = Terms>) -> Option<Terms> {
    wants.into_iter().reduce(|best, want| Terms {
        quality: best.quality.max(want.quality),
        force: best.force || want.force,
    })
}

/// The origin of a request for a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// A job that has just arrived.
    Job,
    /// The retry of a job, for its failed URLs.
    JobRetry,
    /// The retry of a task.
    TaskRetry,
}

/// The standing of an attempt to get a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptStanding {
    /// It is indexed, and that makes the post known: [`UrlFindings::makes_known`](super::evidence::UrlFindings).
    Indexed,
    /// It is being sent, or was proven to be taken, and has no end. This includes a post with a joined video, as long
    /// as the list may still become complete and make it known.
    OnItsWay,
    /// Nobody knows whether it was taken, before its deadline or after it.
    Unconfirmed,
    /// It has ended in any other way.
    Ended,
}

impl AttemptStanding {
    /// Its number in the store.
    pub const fn number(self) -> i64 {
        match self {
            Self::Ended => 0,
            Self::Unconfirmed => 1,
            Self::OnItsWay => 2,
            Self::Indexed => 3,
        }
    }

    /// The standing with this number.
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
    /// The quality it was sent in. None for a recovered task of unknown quality, which serves every quality because
    /// doubt never spends money.
    pub quality: Option<Quality>,
    /// Its standing.
    pub standing: AttemptStanding,
}

impl<R> Attempt<R> {
    fn serves(&self, quality: Quality) -> bool {
        self.quality.is_none_or(|sent| sent >= quality)
    }
}

/// All attempts to get a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Post<'a, R> {
    /// Every attempt to get it, in the order in which they were sent.
    pub attempts: &'a [Attempt<R>],
    /// The round in the queue. It waits for a task, or a waiting task is bound to it.
    pub queued: Option<R>,
}

/// The fate of a want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival<R> {
    /// The post is indexed already.
    Known,
    /// It shares this round.
    Join(R),
    /// The post enters the queue: a new round.
    Enter,
}

/// Decides about a want that arrives, or that a retry looks up again.
///
/// A retry sets unconfirmed attempts aside, and otherwise asks like its job, including `force`. If several attempts
/// would do, the newest counts.
pub fn look_up<R: Copy>(post: &Post<'_, R>, terms: Terms, ask: Ask) -> Arrival<R> {
    let serving =
        || post.attempts.iter().rev().filter(|attempt| !terms.force && attempt.serves(terms.quality));
    if serving().any(|attempt| attempt.standing == AttemptStanding::Indexed) {
        return Arrival::Known;
    }
    let on_its_way = serving().find(|attempt| attempt.standing == AttemptStanding::OnItsWay);
    // The last attempt may have a lower quality, which proves nothing about this one.
    let last_sent = serving().next();
    let unconfirmed =
        last_sent.filter(|attempt| attempt.standing == AttemptStanding::Unconfirmed && ask == Ask::Job);
    let round = on_its_way.map(|attempt| attempt.round).or(post.queued);
    round.or(unconfirmed.map(|attempt| attempt.round)).map_or(Arrival::Enter, Arrival::Join)
}

/// The fate of a post whose turn has come, before it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecondLook<R> {
    /// The round that its wants without `force` join. None if all of them stay.
    pub joins: Option<R>,
    /// The terms of the entry from the wants that stay. None if no want stays, so that the post leaves the queue.
    pub stays: Option<Terms>,
}

/// Looks once more before a post is sent: if an attempt of at least the entry's quality is indexed by now, or proven to
/// be on its way, only wants with `force` stay.
///
/// If they ask for less than the others did, the entry moves to another line and waits there.
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
