//! The announcer: compares the problems of the status with those that are announced, and announces the difference.
//!
//! It never looks for `not_writable`, because nothing can be announced while nothing can be written.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Step, StepError, Worker};
use crate::domain::problem::{OpenProblem, Problem, ProblemKey};
use crate::domain::time::Timestamp;
use crate::problems::{self, Monitored, Observed};
use crate::store::Store;

/// Least time between two looks, so that neither a flood of commits nor the announcer's own make it look all the time.
const APART: Duration = Duration::from_secs(5);
/// Most time between two looks. Some problems begin without a commit.
const LATEST: Duration = Duration::from_secs(15);
/// A problem is announced once two looks in a row have found it, this long apart. Many pass within a second, such as
/// a pause whose first try succeeds, and nobody could act on them.
const BEFORE_OPENING: Duration = APART;
/// The end of a problem is announced once no look has found it for this long. To hear of an end late costs nothing. A
/// problem that comes and goes, such as an upstream that answers now and then, stays open meanwhile and is announced
/// once.
const BEFORE_CLOSING: Duration = Duration::from_secs(60);

/// Owns the announcements of problems.
#[derive(Debug)]
pub struct Announcer {
    store: Store,
    monitored: Monitored,
    looked_at: Option<Timestamp>,
    /// The problems that are to be opened or closed, with the time of the look that found the difference first. After
    /// a restart that time begins again. Which problems are open is in the store.
    differing: BTreeMap<ProblemKey, Timestamp>,
}

/// The difference between the problems that were found and those that are announced.
#[derive(Debug)]
struct Difference {
    begun: Vec<OpenProblem>,
    ended: Vec<ProblemKey>,
}

impl Difference {
    /// A problem has not ended as long as nobody knows.
    fn of(found: &[Problem], open: &[OpenProblem], observed: &Observed) -> Self {
        let is_open = |problem: &&Problem| open.iter().any(|open| open.key == problem.key());
        let is_found = |open: &&OpenProblem| found.iter().any(|problem| open.key == problem.key());
        let is_unclear = |open: &&OpenProblem| problems::is_unclear(observed, &open.key.code);
        Self {
            begun: found.iter().filter(|found| !is_open(found)).map(Problem::to_open).collect(),
            ended: open
                .iter()
                .filter(|open| !is_found(open) && !is_unclear(open))
                .map(|open| open.key.clone())
                .collect(),
        }
    }
}

impl Announcer {
    /// Announces the problems of the parts in `monitored`.
    pub fn new(store: Store, monitored: Monitored) -> Self {
        Self { store, monitored, looked_at: None, differing: BTreeMap::new() }
    }

    /// Keeps of `difference` the part that has lasted. Gives the time at which the next part will have.
    fn keep_lasting(&mut self, difference: &mut Difference, now: Timestamp) -> Option<Timestamp> {
        let before = std::mem::take(&mut self.differing);
        let mut next: Option<Timestamp> = None;
        let mut has_lasted = |key: &ProblemKey, wait| {
            // After the clock was put back, the time begins again.
            let since = before.get(key).copied().filter(|since| *since <= now).unwrap_or(now);
            self.differing.insert(key.clone(), since);
            let due = since.after(wait);
            if due > now {
                next = Some(next.map_or(due, |next| next.min(due)));
            }
            due <= now
        };
        difference.begun.retain(|problem| has_lasted(&problem.key, BEFORE_OPENING));
        difference.ended.retain(|key| has_lasted(key, BEFORE_CLOSING));
        next
    }
}

impl Worker for Announcer {
    /// Looks for problems, unless the last look was just now, and announces the differences that have lasted.
    async fn step(&mut self, now: Timestamp) -> Result<Step, StepError> {
        let next = self.looked_at.filter(|at| *at <= now).map(|at| at.after(APART));
        if let Some(next) = next.filter(|next| *next > now) {
            return Ok(Step::WaitUntil(next));
        }
        self.looked_at = Some(now);
        let observed = self.monitored.observe(&self.store, now).await?;
        let open = self.store.read().open_problems().await?;
        let mut difference = Difference::of(&problems::find(&observed), &open, &observed);
        let next = self.keep_lasting(&mut difference, now);
        let Difference { begun, ended } = difference;
        if !begun.is_empty() || !ended.is_empty() {
            self.store.record_problems(begun, ended, now).await?;
        }
        let latest = now.after(LATEST);
        Ok(Step::WaitUntil(next.map_or(latest, |next| next.min(latest))))
    }
}
