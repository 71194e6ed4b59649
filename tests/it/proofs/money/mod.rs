//! The money proof: no post is charged more often than somebody asked for it, and everybody ends.
//!
//! `SCRAPEHOOK_MONEY=10000 cargo test --test it money:: -- --nocapture` is the long form. `SCRAPEHOOK_MONEY_SEED` names
//! the first scenario of a run. Scenarios that share a file can be in each other's way, so a fault names the first one
//! of its file: `SCRAPEHOOK_MONEY=25 SCRAPEHOOK_MONEY_SEED=4701` replays all of the file that begins with 4701.

mod asks;
mod kills;
mod network;
mod scenario;
mod thousand;
mod upstream;

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use rand::Rng;

use crate::proofs::money::scenario::{Scenario, World};
use crate::support::aftermath::number;

const SCENARIOS: u64 = 100;
/// So many scenarios share a file.
const OF_ONE_FILE: u64 = 25;
/// Of so many scenarios, one goes on with a restored copy.
const RESTORED: u64 = 12;
const THREADS: usize = 3;

/// What scenarios did.
#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    scenarios: u64,
    restored: u64,
    jobs: usize,
    requests: usize,
    asks: u32,
    charges: u32,
}

impl Totals {
    fn add(&mut self, scenario: &Scenario<'_>) {
        self.scenarios += 1;
        self.restored += u64::from(is_restored(scenario.number));
        self.jobs += scenario.jobs.len();
        self.requests += scenario.sent.len();
        self.asks += scenario.asks.values().sum::<u32>();
        self.charges += scenario.charges.values().sum::<u32>();
    }
}

impl Totals {
    fn join(&mut self, other: Self) {
        self.scenarios += other.scenarios;
        self.restored += other.restored;
        self.jobs += other.jobs;
        self.requests += other.requests;
        self.asks += other.asks;
        self.charges += other.charges;
    }
}

fn is_restored(number: u64) -> bool {
    number.is_multiple_of(RESTORED)
}

async fn run(world: &mut World, number: u64, totals: &mut Totals) {
    let mut scenario = Scenario::new(world, number);
    let steps = scenario.random.random_range(6..24);
    for _ in 0..steps {
        scenario.step().await;
    }
    if is_restored(number) {
        scenario.copy().await;
        for _ in 0..steps / 2 {
            scenario.step().await;
        }
        scenario.restore().await;
        for _ in 0..steps / 2 {
            scenario.step().await;
        }
    }
    scenario.end().await;
    if scenario.chance(0.5) {
        scenario.hear_late_truth().await;
    }
    if scenario.chance(0.3) {
        scenario.is_calm = false;
        for _ in 0..4 {
            scenario.submit().await;
            scenario.step().await;
        }
        scenario.end().await;
    }
    totals.add(&scenario);
}

/// The scenarios of one file.
async fn of_one_file(numbers: std::ops::Range<u64>) -> Totals {
    let mut totals = Totals::default();
    let mut world = World::new(numbers.start).await;
    for number in numbers {
        if is_restored(number) {
            // Its file is its own: nobody else's jobs are lost.
            let mut own = World::new(number).await;
            run(&mut own, number, &mut totals).await;
            own.file.close().await;
            continue;
        }
        run(&mut world, number, &mut totals).await;
        world.now += 1_000_000_000;
    }
    world.file.close().await;
    totals
}

/// Takes one file after the other, in a runtime with a single thread: a scenario runs the same each time.
fn work(next: &AtomicU64, numbers: &std::ops::Range<u64>) -> Totals {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut totals = Totals::default();
    loop {
        let from = next.fetch_add(OF_ONE_FILE, Ordering::Relaxed);
        if from >= numbers.end {
            return totals;
        }
        let of_file = runtime.block_on(of_one_file(from..(from + OF_ONE_FILE).min(numbers.end)));
        totals.join(of_file);
    }
}

#[test]
fn no_post_is_charged_more_often_than_somebody_asked_for_it_and_everybody_ends() {
    let (count, first) = (number("SCRAPEHOOK_MONEY", SCENARIOS), number("SCRAPEHOOK_MONEY_SEED", 1));
    let (began, numbers, next) = (Instant::now(), first..first + count, AtomicU64::new(first));
    let mut all = Totals::default();
    thread::scope(|scope| {
        let threads = [(); THREADS].map(|()| scope.spawn(|| work(&next, &numbers)));
        for thread in threads {
            all.join(thread.join().unwrap());
        }
    });
    println!("scenarios from {first}: {all:?} in {:.1?}", began.elapsed());
    assert!(all.charges > 0 && all.charges <= all.asks);
}
