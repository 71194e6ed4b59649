//! All small combinations of attempts, queue, terms and askers.

use super::super::outcome::Reason;
use super::*;

use AttemptStanding::{Ended, Indexed, OnItsWay, Unconfirmed};
use Quality::{P360, P720, P1080};

const STANDINGS: [AttemptStanding; 4] = [Indexed, OnItsWay, Unconfirmed, Ended];
const SENT: [Option<Quality>; 3] = [None, Some(P360), Some(P720)];
const QUEUED: u8 = 9;

fn attempt(round: u8, quality: Quality, standing: AttemptStanding) -> Attempt<u8> {
    Attempt { round, quality: Some(quality), standing }
}

const fn terms(quality: Quality, force: bool) -> Terms {
    Terms { quality, force }
}

fn all_terms() -> [Terms; 4] {
    [terms(P360, false), terms(P360, true), terms(P720, false), terms(P720, true)]
}

/// Every row of at most three attempts, each in a separate round.
fn rows() -> Vec<Vec<Attempt<u8>>> {
    let mut rows = vec![vec![]];
    let mut from = 0;
    for round in 0..3 {
        let until = rows.len();
        for at in from..until {
            for (quality, standing) in
                SENT.iter().flat_map(|&sent| STANDINGS.map(|standing| (sent, standing)))
            {
                let mut longer = rows[at].clone();
                longer.push(Attempt { round, quality, standing });
                rows.push(longer);
            }
        }
        from = until;
    }
    rows
}

fn arrives(attempts: &[Attempt<u8>], queued: Option<u8>, terms: Terms) -> Arrival<u8> {
    look_up(&Post { attempts, queued }, terms, Ask::Job)
}

#[test]
fn a_mark_holds_whatever_the_round_does() {
    let rounds = [UrlOutcome::of(UrlState::Indexed), UrlOutcome::failed(Reason::doubt("stalled", "no news"))];
    for round in rounds {
        assert_eq!(want_outcome(Some(Mark::Known), &round), UrlOutcome::of(UrlState::Known));
        let canceled = want_outcome(Some(Mark::Canceled), &round).reason.unwrap();
        assert_eq!((&*canceled.failure.code, canceled.certain), ("canceled", true));
        let other = want_outcome(Some(Mark::OtherPost), &round).reason.unwrap();
        assert_eq!((&*other.failure.code, other.certain), ("unattributed", false));
        assert_eq!(want_outcome(None, &round), round);
    }
}

#[test]
fn numbers_in_the_store_never_change() {
    for (number, mark) in (1..).zip([Mark::Known, Mark::Canceled, Mark::OtherPost]) {
        assert_eq!((mark.number(), Mark::from_number(number)), (number, Some(mark)));
    }
    for (number, standing) in (0..).zip([Ended, Unconfirmed, OnItsWay, Indexed]) {
        assert_eq!((standing.number(), AttemptStanding::from_number(number)), (number, Some(standing)));
    }
    assert_eq!([-1, 0, 4].map(Mark::from_number), [None; 3]);
    assert_eq!([-1, 4].map(AttemptStanding::from_number), [None; 2]);
}

#[test]
fn an_entry_is_worth_the_best_of_each_term() {
    assert_eq!(worth([]), None);
    assert_eq!(worth([terms(P720, false), terms(P360, true)]), Some(terms(P720, true)));
    assert_eq!(worth([terms(P360, false), terms(P1080, false)]), Some(terms(P1080, false)));
    assert_eq!(worth([terms(P360, true)]), Some(terms(P360, true)));
}

#[test]
fn what_is_indexed_in_at_least_this_quality_is_known() {
    let indexed = [attempt(1, P720, Indexed), attempt(2, P720, Ended)];
    for quality in [P360, P720] {
        assert_eq!(arrives(&indexed, Some(QUEUED), terms(quality, false)), Arrival::Known);
    }
    assert_eq!(arrives(&indexed, None, terms(P1080, false)), Arrival::Enter);
    assert_eq!(arrives(&indexed, None, terms(P360, true)), Arrival::Enter);
    assert_eq!(arrives(&indexed, Some(QUEUED), terms(P360, true)), Arrival::Join(QUEUED));
}

#[test]
fn what_is_on_its_way_in_at_least_this_quality_is_shared() {
    let attempts = [attempt(1, P720, OnItsWay), attempt(2, P360, OnItsWay), attempt(3, P1080, Ended)];
    assert_eq!(arrives(&attempts, Some(QUEUED), terms(P360, false)), Arrival::Join(2));
    assert_eq!(arrives(&attempts, Some(QUEUED), terms(P720, false)), Arrival::Join(1));
    assert_eq!(arrives(&attempts, Some(QUEUED), terms(P1080, false)), Arrival::Join(QUEUED));
    assert_eq!(arrives(&attempts, None, terms(P360, true)), Arrival::Enter);
}

#[test]
fn what_was_last_sent_and_is_unconfirmed_is_shared_and_nothing_else_that_is() {
    let unconfirmed = [attempt(1, P720, Ended), attempt(2, P720, Unconfirmed), attempt(3, P360, Ended)];
    assert_eq!(arrives(&unconfirmed, None, terms(P720, false)), Arrival::Join(2));
    assert_eq!(arrives(&unconfirmed, None, terms(P360, false)), Arrival::Enter, "its last round has ended");
    assert_eq!(arrives(&unconfirmed, None, terms(P1080, false)), Arrival::Enter);
    assert_eq!(arrives(&unconfirmed, None, terms(P720, true)), Arrival::Enter);
    assert_eq!(arrives(&unconfirmed, Some(QUEUED), terms(P720, false)), Arrival::Join(QUEUED));
    for ask in [Ask::JobRetry, Ask::TaskRetry] {
        let post = Post { attempts: &unconfirmed, queued: None };
        assert_eq!(look_up(&post, terms(P720, false), ask), Arrival::Enter, "a retry sets it aside");
    }
}

#[test]
fn every_want_is_looked_up_lawfully() {
    for attempts in rows() {
        for (queued, terms) in
            [None, Some(QUEUED)].into_iter().flat_map(|queued| all_terms().map(|terms| (queued, terms)))
        {
            let post = Post { attempts: &attempts, queued };
            let at_least = |attempt: &&Attempt<u8>| attempt.quality.is_none_or(|sent| sent >= terms.quality);
            let serving: Vec<_> = attempts.iter().filter(at_least).filter(|_| !terms.force).collect();
            let has = |standing| serving.iter().any(|attempt| attempt.standing == standing);
            for ask in [Ask::Job, Ask::JobRetry, Ask::TaskRetry] {
                let is_last_unconfirmed =
                    serving.last().is_some_and(|attempt| attempt.standing == Unconfirmed);
                let shares_doubt = is_last_unconfirmed && ask == Ask::Job;
                match look_up(&post, terms, ask) {
                    Arrival::Known => assert!(has(Indexed)),
                    Arrival::Join(QUEUED) => assert!(queued.is_some() && !has(Indexed) && !has(OnItsWay)),
                    Arrival::Join(round) => {
                        let joined = serving.iter().find(|attempt| attempt.round == round).unwrap();
                        let is_doubt = joined.standing == Unconfirmed && shares_doubt && queued.is_none();
                        assert!(
                            !has(Indexed) && (joined.standing == OnItsWay || (is_doubt && !has(OnItsWay)))
                        );
                    }
                    Arrival::Enter => {
                        assert!(queued.is_none() && !has(Indexed) && !has(OnItsWay) && !shares_doubt);
                    }
                }
            }
        }
    }
}

#[test]
fn only_forced_wants_stay_if_the_post_is_indexed_or_proven_by_now() {
    let proven = [attempt(1, P720, Indexed), attempt(2, P720, OnItsWay), attempt(3, P720, Unconfirmed)];
    let look = |wants: &[Terms]| {
        let SecondLook { joins, stays } = second_look(&proven, wants);
        (joins, stays)
    };
    assert_eq!(look(&[terms(P360, false), terms(P720, false)]), (Some(1), None));
    assert_eq!(look(&[terms(P720, false), terms(P360, true)]), (Some(1), Some(terms(P360, true))));
    assert_eq!(look(&[terms(P720, true)]), (None, Some(terms(P720, true))));
    assert_eq!(look(&[terms(P360, false), terms(P1080, false)]), (None, Some(terms(P1080, false))));
    assert_eq!(look(&[]), (None, None));
}

#[test]
fn every_second_look_is_lawful() {
    let two = all_terms().into_iter().flat_map(|one| all_terms().map(|two| vec![one, two]));
    let wants: Vec<_> = two.chain(all_terms().map(|one| vec![one])).chain([vec![]]).collect();
    for attempts in rows() {
        for wants in &wants {
            let SecondLook { joins, stays } = second_look(&attempts, wants);
            let best = wants.iter().map(|want| want.quality).max();
            let serves = |attempt: &&Attempt<u8>| {
                let is_enough = attempt.quality.is_none_or(|sent| best.is_some_and(|best| sent >= best));
                is_enough && matches!(attempt.standing, Indexed | OnItsWay)
            };
            let is_proven = attempts.iter().any(|attempt| serves(&attempt));
            let somebody_may_go = wants.iter().any(|want| !want.force);
            assert_eq!(joins.is_some(), is_proven && somebody_may_go, "{attempts:?} {wants:?}");
            let stay = wants.iter().copied().filter(|want| joins.is_none() || want.force);
            assert_eq!(stays, worth(stay), "{attempts:?} {wants:?}");
            if let Some(round) = joins {
                let joined = attempts.iter().find(|attempt| attempt.round == round).unwrap();
                let has_indexed = attempts.iter().filter(serves).any(|attempt| attempt.standing == Indexed);
                let newest = attempts
                    .iter()
                    .rev()
                    .filter(serves)
                    .find(|attempt| (attempt.standing == Indexed) == has_indexed);
                assert_eq!(Some(joined), newest, "{attempts:?} {wants:?}");
            }
        }
    }
}
