//! Which due deliveries begin next. Receivers take turns, so that none is always served before others.
//!
//! Must never give more than half of the requests to receivers that are not known to answer, however many they are.

use std::collections::HashMap;

use crate::domain::webhook::retry::Retries;
use crate::store::DueDelivery;

/// Most receivers that are remembered. If there are more, all are forgotten, which only sends slower for a moment.
const MOST: usize = 10_000;

/// The limits of sending.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The most requests at once, at least one.
    pub max_in_flight: usize,
    /// The spacing of attempts.
    pub retries: Retries,
}

impl Pace {
    /// The most requests at once to one receiver: a quarter, so that slow receivers leave room for others.
    pub(super) const fn per_receiver(self) -> usize {
        if self.max_in_flight < 8 { 1 } else { self.max_in_flight / 4 }
    }
}

/// So many failures in a row say that a receiver does not answer. A single one can have any reason.
const IN_A_ROW: u32 = 3;

/// The receivers, as far as they are known.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// Those that answer, each with its failures since the last success. All others get one request at a time.
    proven: HashMap<String, u32>,
    /// The last turn of each.
    last: HashMap<String, u64>,
    turn: u64,
}

impl Turns {
    /// Notes what came of an attempt. None if nothing was sent.
    pub(super) fn ended(&mut self, receiver: String, is_success: Option<bool>) {
        match is_success {
            Some(true) if self.proven.len() < MOST => drop(self.proven.insert(receiver, 0)),
            Some(true) => self.proven.clear(),
            Some(false) => {
                let failures = self.proven.get_mut(&receiver).map(|failures| {
                    *failures += 1;
                    *failures
                });
                if failures.is_some_and(|failures| failures >= IN_A_ROW) {
                    self.proven.remove(&receiver);
                }
            }
            None => {}
        }
    }

    /// Chooses at most `most` of the due deliveries, given the receivers of the attempts on their way.
    pub(super) fn choose<'a>(
        &mut self,
        due: Vec<DueDelivery>,
        in_flight: impl Iterator<Item = &'a String>,
        pace: Pace,
        most: usize,
    ) -> Vec<DueDelivery> {
        let (mut of, mut all, mut unproven) = (HashMap::<String, usize>::new(), 0, 0);
        for receiver in in_flight {
            *of.entry(receiver.clone()).or_default() += 1;
            all += 1;
            unproven += usize::from(!self.proven.contains_key(receiver));
        }
        if self.last.len() > MOST {
            self.last.clear();
        }
        let mut chosen = Vec::new();
        for delivery in self.in_turns(due) {
            if all >= pace.max_in_flight || chosen.len() >= most {
                break;
            }
            let is_proven = self.proven.contains_key(&delivery.receiver);
            let most = if is_proven { pace.per_receiver() } else { 1 };
            let count = of.entry(delivery.receiver.clone()).or_default();
            if *count >= most || (!is_proven && unproven >= pace.max_in_flight.div_ceil(2)) {
                continue;
            }
            *count += 1;
            all += 1;
            unproven += usize::from(!is_proven);
            self.turn += 1;
            self.last.insert(delivery.receiver.clone(), self.turn);
            chosen.push(delivery);
        }
        chosen
    }

    /// The first delivery of each receiver, then the second ones. Receivers that were served long ago come first, also
    /// those that fail: nobody else would notice that they are well again.
    fn in_turns(&self, due: Vec<DueDelivery>) -> Vec<DueDelivery> {
        let mut places = HashMap::<String, usize>::new();
        let mut placed: Vec<_> = due
            .into_iter()
            .map(|delivery| {
                let place = places.entry(delivery.receiver.clone()).or_default();
                *place += 1;
                let last = self.last.get(&delivery.receiver).copied().unwrap_or_default();
                ((*place, last), delivery)
            })
            .collect();
        placed.sort_by_key(|(turn, _)| *turn);
        placed.into_iter().map(|(_, delivery)| delivery).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const RETRIES: Retries = Retries { first_retry: Duration::ZERO, give_up_after: Duration::ZERO };

    /// So many due deliveries of each receiver, in the order of their names.
    fn due(receivers: &[&str], each: i64) -> Vec<DueDelivery> {
        let of = |(place, receiver): (usize, &&str)| {
            let first = i64::try_from(place).unwrap() * 100;
            let receiver = (*receiver).to_owned();
            (first..first + each).map(move |number| DueDelivery {
                number,
                subscriber: None,
                job: None,
                key: String::new(),
                seq: number,
                receiver: receiver.clone(),
                attempts: 0,
                first_attempt_at: None,
            })
        };
        receivers.iter().enumerate().flat_map(of).collect()
    }

    fn names(chosen: &[DueDelivery]) -> Vec<&str> {
        chosen.iter().map(|delivery| delivery.receiver.as_str()).collect()
    }

    #[test]
    fn receivers_take_turns() {
        let mut turns = Turns::default();
        let pace = Pace { max_in_flight: 2, retries: RETRIES };
        for receiver in ["a", "b", "c"] {
            turns.ended(receiver.to_owned(), Some(true));
        }
        let mut next =
            || names(&turns.choose(due(&["a", "b", "c"], 4), [].iter(), pace, usize::MAX)).concat();
        assert_eq!([next(), next(), next()], ["ab", "ca", "bc"]);
    }

    #[test]
    fn a_receiver_that_fails_has_its_turn_however_much_waits_for_others() {
        let mut turns = Turns::default();
        let pace = Pace { max_in_flight: 2, retries: RETRIES };
        for receiver in ["a", "b", "c"] {
            turns.ended(receiver.to_owned(), Some(true));
        }
        let every = ["a", "b", "c", "failing"];
        let chosen: Vec<String> = (0..4)
            .flat_map(|_| turns.choose(due(&every, 9), [].iter(), pace, usize::MAX))
            .map(|delivery| delivery.receiver)
            .collect();
        assert_eq!(chosen.iter().filter(|receiver| *receiver == "failing").count(), 2, "{chosen:?}");
    }

    #[test]
    fn receivers_that_do_not_answer_leave_room_for_others() {
        let mut turns = Turns::default();
        let pace = Pace { max_in_flight: 8, retries: RETRIES };
        let silent = ["a", "b", "c", "d", "e", "f"];
        let chosen = turns.choose(due(&silent, 9), [].iter(), pace, usize::MAX);
        assert_eq!(names(&chosen), ["a", "b", "c", "d"], "half of the requests, one each");
        turns.ended("good".to_owned(), Some(true));
        let in_flight: Vec<String> = names(&chosen).into_iter().map(str::to_owned).collect();
        let every: Vec<&str> = silent.into_iter().chain(["good"]).collect();
        assert_eq!(
            names(&turns.choose(due(&every, 9), in_flight.iter(), pace, usize::MAX)),
            ["good", "good"]
        );
        for _ in 0..2 {
            turns.ended("good".to_owned(), Some(false));
            assert!(!turns.choose(due(&every, 9), in_flight.iter(), pace, usize::MAX).is_empty());
        }
        turns.ended("good".to_owned(), Some(false));
        assert!(turns.choose(due(&every, 9), in_flight.iter(), pace, usize::MAX).is_empty());
    }
}
