//! The order of deliveries: which of them are due, compared with a model that keeps a list for each job.
//!
//! `SCRAPEHOOK_DELIVERIES=20000 cargo test --test it deliveries:: -- --nocapture` is the long form;
//! `SCRAPEHOOK_DELIVERIES_SEED` replays a run.

mod model;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, IteratorRandom};
use rand::{Rng, SeedableRng};
use scrapehook::domain::id::SubscriberId;
use scrapehook::domain::webhook::format::Format;
use scrapehook::domain::webhook::secret::Secret;
use scrapehook::domain::webhook::subscriber::{SubscriberPatch, SubscriberSettings};
use scrapehook::domain::webhook::target::Target;
use scrapehook::store::{
    AttemptEnd, ConfiguredSubscriber, DueDelivery, EndedAttempt, NewDelivery, Progress, ReceiverOf,
};
use sqlx::AssertSqlSafe;

use self::model::Model;
use crate::support::aftermath::number;
use crate::support::file::{DAY, File, at};

const STEPS: u64 = 1_200;
const SUBSCRIBERS: usize = 3;
const JOBS: i64 = 4;
/// Longer than the test's time, so that no subscriber is disabled for its failures.
const NEVER: Duration = DAY.saturating_mul(365);
/// Dead deliveries that one commit makes again.
const ONE_COMMIT: usize = 200;
/// More than there are.
const ALL: usize = 10_000;

/// Adds a subscriber; gives its id and its number.
async fn add(file: &File) -> (SubscriberId, i64) {
    let id = SubscriberId::new(at(0));
    let added = file.store.add_subscriber(id, settings(), Secret::generate().unwrap(), true, at(0)).await;
    added.unwrap();
    let stored = file.store.read().subscriber(&id.to_string()).await.unwrap().unwrap();
    (id, stored.number)
}

fn settings() -> SubscriberSettings {
    SubscriberSettings {
        name: None,
        target: Target::from_stored("https://receiver.example/").unwrap(),
        events: vec!["*".parse().unwrap()],
        labels: BTreeMap::new(),
        format: Format::Standard,
        template: None,
    }
}

/// What tells a delivery from all others: its receiver and its `seq`.
type Key = (String, i64);

fn of_subscriber(number: i64, seq: i64, jobs: &[i64]) -> NewDelivery {
    NewDelivery {
        subscriber: Some(number),
        job: jobs.last().copied(),
        key: seq.to_string(),
        seq,
        receiver: format!("subscriber {number}"),
        order: jobs.to_vec(),
        is_dead: false,
    }
}

fn of_url(job: i64, seq: i64) -> NewDelivery {
    NewDelivery {
        subscriber: None,
        job: Some(job),
        key: seq.to_string(),
        seq,
        receiver: format!("host {job}"),
        order: vec![job],
        is_dead: false,
    }
}

fn key(due: &DueDelivery) -> Key {
    (due.receiver.clone(), due.seq)
}

fn ended(due: &DueDelivery, millis: i64, end: AttemptEnd) -> EndedAttempt {
    EndedAttempt { delivery: due.number, began_at: at(millis), at: at(millis), end }
}

const DELIVERED: AttemptEnd = AttemptEnd::Delivered { status: 200 };

fn failed(next: Option<i64>) -> AttemptEnd {
    AttemptEnd::Failed { status: Some(503), reason: "HTTP 503".to_owned(), next_at: next.map(at) }
}

async fn due(file: &File, millis: i64, per_receiver: usize) -> Vec<DueDelivery> {
    file.store.read().due_deliveries(at(millis), per_receiver, &[]).await.unwrap()
}

async fn enqueue(file: &File, deliveries: Vec<NewDelivery>, millis: i64) {
    let to = deliveries.iter().map(|delivery| delivery.seq).max().unwrap();
    file.store.enqueue_deliveries(deliveries, Progress::Forwarded(to), at(millis)).await.unwrap();
}

#[tokio::test]
async fn the_longest_due_receiver_is_first_and_none_has_more_than_its_share() {
    let file = File::started().await;
    let numbers = [add(&file).await.1, add(&file).await.1];
    // The last one of the alphabet and of the numbers is due first.
    enqueue(&file, (1..=3).map(|seq| of_subscriber(numbers[1], seq, &[])).collect(), 1).await;
    enqueue(&file, (4..=6).map(|seq| of_subscriber(numbers[0], seq, &[seq])).collect(), 2).await;
    enqueue(&file, (7..=9).map(|seq| of_subscriber(numbers[1], seq, &[seq])).collect(), 3).await;
    let seqs = async |millis, most| -> Vec<i64> {
        due(&file, millis, most).await.iter().map(|due| due.seq).collect()
    };
    assert_eq!(seqs(0, 1).await, [] as [i64; 0]);
    assert_eq!(seqs(3, 1).await, [1, 4]);
    assert_eq!(seqs(3, 2).await, [1, 4, 5, 7]);
    assert_eq!(seqs(3, ALL).await, [1, 4, 5, 6, 7, 8, 9], "events about no job wait for each other");
    // A failed one goes behind those that are due before its next attempt.
    let first = due(&file, 3, 1).await.remove(0);
    file.store.end_attempts(vec![ended(&first, 4, failed(Some(9)))], NEVER).await.unwrap();
    assert_eq!(seqs(8, 1).await, [4, 7]);
    assert_eq!(seqs(9, ALL).await, [4, 5, 6, 7, 8, 9, 1]);
    file.close().await;
}

#[tokio::test]
async fn numbers_of_removed_subscribers_and_deliveries_are_not_used_again() {
    let file = File::started().await;
    let (first, number) = add(&file).await;
    enqueue(&file, vec![of_subscriber(number, 1, &[1])], 1).await;
    let old = due(&file, 1, ALL).await.remove(0);
    file.store.remove_subscriber(first, at(2)).await.unwrap();
    assert!(due(&file, 2, ALL).await.is_empty());
    while file.store.purge_subscribers().await.unwrap() {}
    let (_, next) = add(&file).await;
    assert!(next > number, "{next} after {number}");
    enqueue(&file, vec![of_subscriber(next, 1, &[1])], 3).await;
    let new = due(&file, 3, ALL).await.remove(0);
    assert!(new.number > old.number, "{new:?} after {old:?}");
    // The end of an attempt that began before the removal touches nothing.
    file.store.end_attempts(vec![ended(&old, 4, DELIVERED)], NEVER).await.unwrap();
    assert_eq!(due(&file, 4, ALL).await.len(), 1);
    file.close().await;
}

#[tokio::test]
async fn stored_settings_that_can_not_be_read_are_replaced_by_the_configuration() {
    let file = File::started().await;
    let configured = || {
        let settings = SubscriberSettings { name: Some("chat".to_owned()), ..settings() };
        vec![ConfiguredSubscriber { settings, secrets: Vec::new() }]
    };
    assert_eq!(file.store.configure_subscribers(configured(), at(1)).await.unwrap(), None);
    let mut spoiling = crate::support::database::open(&file.folder.path().join("scrapehook.db")).await;
    for column in ["url", "events", "labels", "format"] {
        let spoil = format!("UPDATE subscribers SET {column} = 'odd'");
        sqlx::query(AssertSqlSafe(spoil)).execute(&mut spoiling).await.unwrap();
        assert!(file.store.read().subscriber("chat").await.is_err(), "{column}");
        assert_eq!(file.store.configure_subscribers(configured(), at(2)).await.unwrap(), None, "{column}");
        let stored = file.store.read().subscriber("chat").await.unwrap().unwrap();
        assert!(stored.shown.enabled, "{column}");
    }
    file.close().await;
}

/// A file and its model, which go through the same random steps.
struct Walk {
    file: File,
    model: Model,
    random: StdRng,
    /// The jobs of each event.
    events: Vec<Vec<i64>>,
    subscribers: Vec<(SubscriberId, i64)>,
    now: i64,
}

impl Walk {
    /// New events, each with up to three jobs, for each receiver or not.
    async fn enqueue(&mut self) {
        let mut new = Vec::new();
        for _ in 0..self.random.random_range(1..4) {
            let mut jobs: Vec<i64> = (1..=JOBS).filter(|_| self.random.random_bool(0.35)).collect();
            jobs.truncate(3);
            self.events.push(jobs.clone());
            let seq = self.events.len() as i64;
            for (_, number) in &self.subscribers {
                if self.random.random_bool(0.7) {
                    new.push(of_subscriber(*number, seq, &jobs));
                }
            }
            let urls = jobs.iter().filter(|_| self.random.random_bool(0.5));
            new.extend(urls.map(|job| of_url(*job, seq)));
        }
        let to = self.events.len() as i64;
        self.store(new, Progress::Forwarded(to)).await;
    }

    /// The last events again. What waits or has ended stays as it is, except that a replay makes ended ones again.
    async fn repeat(&mut self, as_replay: bool) {
        let (_, subscriber) = *self.subscribers.choose(&mut self.random).unwrap();
        let to = self.events.len() as i64;
        let from = (to - self.random.random_range(0..6)).max(1);
        let jobs = |seq: i64| &self.events[seq as usize - 1];
        let again = (from..=to).map(|seq| of_subscriber(subscriber, seq, jobs(seq))).collect();
        let progress = if as_replay {
            Progress::Replayed { subscriber, after: from - 1, to }
        } else {
            Progress::Forwarded(to)
        };
        self.store(again, progress).await;
    }

    async fn store(&mut self, new: Vec<NewDelivery>, progress: Progress) {
        let again = matches!(progress, Progress::Replayed { .. });
        new.iter().for_each(|one| self.model.enqueue(one, again, self.now));
        self.file.store.enqueue_deliveries(new, progress, at(self.now)).await.unwrap();
    }

    /// Ends some attempts of one commit, in every way.
    async fn end(&mut self) {
        let due = due(&self.file, self.now, ALL).await;
        let mut ends = Vec::new();
        for one in due.into_iter().choose_multiple(&mut self.random, 6) {
            let key = key(&one);
            let end = match self.random.random_range(0..10) {
                0..5 => DELIVERED,
                5..8 => {
                    let next = self.now + self.random.random_range(1..40);
                    self.model.waiting.entry(key.clone()).and_modify(|(time, _)| *time = next);
                    failed(Some(next))
                }
                8 => failed(None),
                _ => AttemptEnd::Gone,
            };
            let is_over = !matches!(end, AttemptEnd::Failed { next_at: Some(_), .. });
            if is_over {
                self.model.end(&key, end.is_success() != Some(true));
            }
            if end == AttemptEnd::Gone && one.subscriber.is_none() {
                self.model.give_up(&key.0);
            } else if end == AttemptEnd::Gone {
                self.model.disabled.insert(key.0);
            }
            ends.push(ended(&one, self.now, end));
        }
        self.file.store.end_attempts(ends, NEVER).await.unwrap();
    }

    async fn turn(&mut self) {
        let (id, number) = *self.subscribers.choose(&mut self.random).unwrap();
        let receiver = format!("subscriber {number}");
        let is_enabled = self.model.disabled.remove(&receiver);
        if !is_enabled {
            self.model.disabled.insert(receiver);
        }
        let patch = SubscriberPatch { enabled: Some(is_enabled), ..SubscriberPatch::default() };
        self.file.store.patch_subscriber(id, patch, at(self.now)).await.unwrap();
        if is_enabled {
            self.model.try_now(&format!("subscriber {number}"), self.now);
        }
    }

    /// Revives the dead deliveries of the receiver that has most of them.
    async fn revive(&mut self) {
        let subscribers = self.subscribers.iter().map(|(_, number)| *number);
        let of_subscribers = subscribers.map(|of| (format!("subscriber {of}"), ReceiverOf::Subscriber(of)));
        let of_urls = (1..=JOBS).map(|job| (format!("host {job}"), ReceiverOf::Job(job)));
        let dead = |receiver: &str| {
            self.model.ended.iter().filter(|((of, _), (is_dead, _))| of == receiver && *is_dead).count()
        };
        let most = of_subscribers.chain(of_urls).max_by_key(|(receiver, _)| dead(receiver));
        let (receiver, of) = most.unwrap();
        let expected = self.model.revive(&receiver, self.now);
        assert_eq!(self.file.store.revive_deliveries(of, at(self.now)).await.unwrap(), expected);
        if matches!(of, ReceiverOf::Subscriber(_)) {
            self.model.try_now(&receiver, self.now);
        }
    }

    async fn replace(&mut self) {
        let place = self.random.random_range(0..SUBSCRIBERS);
        let (id, number) = self.subscribers[place];
        self.file.store.remove_subscriber(id, at(self.now)).await.unwrap();
        self.model.forget(&format!("subscriber {number}"));
        while self.random.random_bool(0.7) && self.file.store.purge_subscribers().await.unwrap() {}
        let new = add(&self.file).await;
        assert!(self.subscribers.iter().all(|(_, known)| new.1 > *known), "{new:?}: {:?}", self.subscribers);
        self.subscribers[place] = new;
    }

    /// Compares what is due, with a share for each receiver and some attempts on their way.
    async fn compare(&mut self, context: &str) {
        let all = self.model.due(self.now);
        let found = due(&self.file, self.now, ALL).await;
        assert_eq!(
            found.iter().map(key).collect::<BTreeSet<_>>(),
            all.keys().cloned().collect(),
            "{context}"
        );
        assert!(found.iter().map(|due| all[&key(due)]).is_sorted(), "{context}: {found:?}");

        let (busy, free): (Vec<_>, Vec<_>) = found.iter().partition(|_| self.random.random_bool(0.3));
        let busy: Vec<i64> = busy.iter().map(|due| due.number).collect();
        let share = self.random.random_range(1..4);
        let some = self.file.store.read().due_deliveries(at(self.now), share, &busy).await.unwrap();
        assert!(some.iter().all(|due| !busy.contains(&due.number)), "{context}");
        let times = |of: &[&DueDelivery]| {
            let mut times: BTreeMap<String, Vec<i64>> = BTreeMap::new();
            of.iter().for_each(|due| times.entry(due.receiver.clone()).or_default().push(all[&key(due)]));
            times.values_mut().for_each(|times| times.sort_unstable());
            times
        };
        let mut expected = times(&free);
        expected.values_mut().for_each(|times| times.truncate(share));
        let some: Vec<&DueDelivery> = some.iter().collect();
        assert_eq!(times(&some), expected, "{context}: the longest due ones of each receiver");
    }
}

#[tokio::test]
async fn the_due_deliveries_are_those_with_nothing_before_them_in_the_list_of_any_of_their_jobs() {
    let (steps, seed) = (number("SCRAPEHOOK_DELIVERIES", STEPS), number("SCRAPEHOOK_DELIVERIES_SEED", 3));
    let file = File::started().await;
    let subscribers = vec![add(&file).await, add(&file).await, add(&file).await];
    assert_eq!(subscribers.len(), SUBSCRIBERS);
    let (model, random) = (Model::default(), StdRng::seed_from_u64(seed));
    let mut walk = Walk { file, model, random, events: Vec::new(), subscribers, now: 1 };
    for step in 0..steps {
        walk.now += walk.random.random_range(0..5);
        match walk.random.random_range(0..100) {
            0..20 => walk.enqueue().await,
            20..88 => walk.end().await,
            88..91 => walk.repeat(false).await,
            91..93 => walk.repeat(true).await,
            93..95 => walk.turn().await,
            95..98 => walk.revive().await,
            _ => walk.replace().await,
        }
        walk.compare(&format!("seed {seed}, step {step}")).await;
    }
    let (waiting, ended) = (walk.model.waiting.len(), walk.model.ended.len());
    println!("seed {seed}: {steps} steps, {} events, {waiting} wait, {ended} ended", walk.events.len());
    // What a removed subscriber has left is in no order.
    while walk.file.store.purge_subscribers().await.unwrap() {}
    walk.file.close().await;
}
