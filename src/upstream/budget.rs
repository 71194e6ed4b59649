//! The rate budget that submits and polls share. Submits come first, but must never starve polls.
//!
//! The distance between requests grows when upstream says that it is too short, and shrinks slowly.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// The longest distance between two requests that is learned.
const WIDEST: Duration = Duration::from_secs(120);
/// The number of submits in a row before a waiting poll has its turn.
const SUBMITS_BEFORE_POLL: u32 = 4;

/// The purpose of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A submit.
    Submit,
    /// A poll.
    Poll,
}

/// Gives out turns, one at a time.
#[derive(Debug)]
pub struct Budget {
    state: Mutex<State>,
    changed: Notify,
    narrowest: Duration,
}

#[derive(Debug)]
struct State {
    interval: Duration,
    free_at: Instant,
    waiting_submits: u32,
    waiting_polls: u32,
    submits_in_a_row: u32,
}

impl Budget {
    /// Creates a budget whose requests are at least `narrowest` apart.
    pub fn new(narrowest: Duration) -> Self {
        let state = State {
            interval: narrowest,
            free_at: Instant::now(),
            waiting_submits: 0,
            waiting_polls: 0,
            submits_in_a_row: 0,
        };
        Self { state: Mutex::new(state), changed: Notify::new(), narrowest }
    }

    /// Waits for a turn. Dropping the future gives up the place in the queue.
    pub async fn turn(&self, kind: Kind) {
        let _place = Place::take(self, kind);
        loop {
            let changed = self.changed.notified();
            let wait_until = {
                let mut state = self.lock();
                if !state.is_turn_of(kind) {
                    None
                } else if state.free_at <= Instant::now() {
                    state.spend(kind);
                    drop(state);
                    self.changed.notify_waiters();
                    return;
                } else {
                    Some(state.free_at)
                }
            };
            match wait_until {
                Some(at) => tokio::select! {
                    () = tokio::time::sleep_until(at) => {}
                    () = changed => {}
                },
                None => changed.await,
            }
        }
    }

    /// Records a request that upstream answered normally. The distance shrinks a little.
    pub fn went_well(&self) {
        let mut state = self.lock();
        state.interval = (state.interval - state.interval / 32).max(self.narrowest);
    }

    /// Records that requests come too fast. The distance doubles, and nothing is sent for as long as upstream asked
    /// for.
    pub fn too_fast(&self, retry_after: Option<Duration>) {
        let mut state = self.lock();
        let floor = Duration::from_millis(100);
        state.interval = (state.interval.max(floor) * 2).min(WIDEST.max(self.narrowest));
        let rest = retry_after.unwrap_or_default().min(WIDEST).max(state.interval);
        state.free_at = state.free_at.max(Instant::now() + rest);
        drop(state);
        self.changed.notify_waiters();
    }

    /// The distance between two requests, as learned so far.
    pub fn interval(&self) -> Duration {
        self.lock().interval
    }

    // The state is a few numbers that are complete after every line, so a panic elsewhere can't have broken it.
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_turn_of(&self, kind: Kind) -> bool {
        let polls_turn = self.waiting_polls > 0
            && (self.waiting_submits == 0 || self.submits_in_a_row >= SUBMITS_BEFORE_POLL);
        match kind {
            Kind::Submit => !polls_turn,
            Kind::Poll => polls_turn,
        }
    }

    fn spend(&mut self, kind: Kind) {
        self.free_at = Instant::now() + self.interval;
        self.submits_in_a_row = match kind {
            Kind::Submit => self.submits_in_a_row.saturating_add(1),
            Kind::Poll => 0,
        };
    }

    fn waiting(&mut self, kind: Kind) -> &mut u32 {
        match kind {
            Kind::Submit => &mut self.waiting_submits,
            Kind::Poll => &mut self.waiting_polls,
        }
    }
}

struct Place<'a> {
    budget: &'a Budget,
    kind: Kind,
}

impl<'a> Place<'a> {
    fn take(budget: &'a Budget, kind: Kind) -> Self {
        *budget.lock().waiting(kind) += 1;
        budget.changed.notify_waiters();
        Self { budget, kind }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        *self.budget.lock().waiting(self.kind) -= 1;
        self.budget.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn requests_keep_their_distance() {
        let budget = Budget::new(SECOND);
        let start = Instant::now();
        for _ in 0..3 {
            budget.turn(Kind::Submit).await;
        }
        assert_eq!(start.elapsed().as_secs(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn submits_go_first_and_polls_are_not_starved() {
        let budget = Arc::new(Budget::new(SECOND));
        let order = Arc::new(Mutex::new(String::new()));
        let mut tasks = tokio::task::JoinSet::new();
        for kind in [Kind::Submit, Kind::Poll] {
            let (budget, order) = (budget.clone(), order.clone());
            tasks.spawn(async move {
                for _ in 0..8 {
                    budget.turn(kind).await;
                    order.lock().unwrap().push(if kind == Kind::Submit { 's' } else { 'p' });
                }
            });
        }
        tasks.join_all().await;
        let order = order.lock().unwrap();
        assert_eq!(&order[..10], "ssssp".repeat(2), "{order}");
        assert_eq!(order.len(), 16);
    }

    #[tokio::test(start_paused = true)]
    async fn the_distance_grows_at_once_and_shrinks_slowly() {
        let budget = Budget::new(SECOND);
        budget.too_fast(None);
        assert_eq!(budget.interval(), 2 * SECOND);
        budget.went_well();
        assert!(budget.interval() < 2 * SECOND && budget.interval() > SECOND);
        for _ in 0..100 {
            budget.went_well();
        }
        assert_eq!(budget.interval(), SECOND);
        let start = Instant::now();
        budget.too_fast(Some(10 * SECOND));
        budget.turn(Kind::Poll).await;
        assert_eq!(start.elapsed(), 10 * SECOND);
    }
}
