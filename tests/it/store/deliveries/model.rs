//! What must be due, in other words than the store's: a list of deliveries for each job.

use std::collections::{BTreeMap, BTreeSet};

use scrapehook::store::NewDelivery;

use super::{Key, ONE_COMMIT, of_subscriber};

/// The deliveries of all receivers.
#[derive(Default)]
pub(super) struct Model {
    /// The waiting deliveries of each receiver and job, in their order.
    lists: BTreeMap<(String, i64), Vec<i64>>,
    /// The time of the next attempt, and the job that the body shows.
    pub(super) waiting: BTreeMap<Key, (i64, Option<i64>)>,
    /// Ended ones: whether they are dead, and the job that the body shows.
    pub(super) ended: BTreeMap<Key, (bool, Option<i64>)>,
    pub(super) disabled: BTreeSet<String>,
}

impl Model {
    pub(super) fn enqueue(&mut self, new: &NewDelivery, again: bool, millis: i64) {
        let key = (new.receiver.clone(), new.seq);
        if self.waiting.contains_key(&key) || (self.ended.contains_key(&key) && !again) {
            return;
        }
        self.ended.remove(&key);
        let jobs = if new.order.is_empty() { &[0][..] } else { &new.order };
        for job in jobs {
            self.lists.entry((new.receiver.clone(), *job)).or_default().push(new.seq);
        }
        self.waiting.insert(key, (millis, new.job));
    }

    pub(super) fn end(&mut self, key: &Key, is_dead: bool) {
        let Some((_, job)) = self.waiting.remove(key) else { return };
        for (_, list) in self.lists.iter_mut().filter(|((receiver, _), _)| *receiver == key.0) {
            list.retain(|seq| *seq != key.1);
        }
        self.ended.insert(key.clone(), (is_dead, job));
    }

    /// Gives up all deliveries of a receiver.
    pub(super) fn give_up(&mut self, receiver: &str) {
        let all: Vec<Key> = self.waiting.keys().filter(|key| key.0 == receiver).cloned().collect();
        all.iter().for_each(|key| self.end(key, true));
    }

    /// Makes the dead ones of a receiver again, in the order of their job alone; gives how many.
    pub(super) fn revive(&mut self, receiver: &str, millis: i64) -> u64 {
        let is_dead = |(key, (is_dead, _)): &(&Key, &(bool, Option<i64>))| *is_dead && key.0 == receiver;
        let dead: Vec<_> = self.ended.iter().filter(is_dead).map(|(key, (_, job))| (key.1, *job)).collect();
        for (seq, job) in &dead {
            let order = job.iter().copied().collect();
            let again = NewDelivery { job: *job, order, ..of_subscriber(0, *seq, &[]) };
            self.enqueue(&NewDelivery { receiver: receiver.to_owned(), ..again }, true, millis);
        }
        // More than one commit keeps no order among them: those that were revived before come later.
        assert!(dead.len() < ONE_COMMIT, "the walk has too many dead deliveries: {}", dead.len());
        dead.len() as u64
    }

    pub(super) fn forget(&mut self, receiver: &str) {
        self.lists.retain(|(of, _), _| of != receiver);
        self.waiting.retain(|(of, _), _| of != receiver);
        self.ended.retain(|(of, _), _| of != receiver);
        self.disabled.remove(receiver);
    }

    fn is_behind(&self, key: &Key) -> bool {
        let mut lists = self.lists.iter().filter(|((receiver, _), _)| *receiver == key.0);
        lists.any(|(_, list)| list.contains(&key.1) && list[0] != key.1)
    }

    /// Makes the next attempts of a receiver due, as far as nothing is before them.
    pub(super) fn try_now(&mut self, receiver: &str, millis: i64) {
        let first: Vec<Key> =
            self.waiting.keys().filter(|key| key.0 == receiver && !self.is_behind(key)).cloned().collect();
        for key in first {
            self.waiting.entry(key).and_modify(|(time, _)| *time = millis);
        }
    }

    /// Those with nothing before them in any list, each with its time.
    pub(super) fn due(&self, millis: i64) -> BTreeMap<Key, i64> {
        let is_due = |(key, (time, _)): &(&Key, &(i64, Option<i64>))| {
            *time <= millis && !self.disabled.contains(&key.0) && !self.is_behind(key)
        };
        self.waiting.iter().filter(is_due).map(|(key, (time, _))| (key.clone(), *time)).collect()
    }
}
