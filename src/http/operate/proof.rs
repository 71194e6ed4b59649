//! The proof that the database can be written, which is a commit. Must never try more often than it is asked.

use std::time::Instant;

use tokio::sync::Mutex;

use crate::clock;
use crate::problems::Unproven;
use crate::store::Store;

/// The last commit that was tried as a proof. Callers share one that began after they asked. So strangers who ask often
/// do not fill the queue of the callbacks, and if each try waits for a lock, no caller waits for several tries.
#[derive(Debug, Default)]
pub(in crate::http) struct Proof(Mutex<Option<Tried>>);

#[derive(Clone, Copy, Debug)]
struct Tried {
    began: Instant,
    result: Result<(), Unproven>,
}

impl Proof {
    pub(in crate::http) async fn make(&self, store: &Store) -> Result<(), Unproven> {
        let asked = Instant::now();
        let mut last = self.0.lock().await;
        if let Some(tried) = last.filter(|tried| tried.began >= asked) {
            return tried.result;
        }
        let (began, now) = (Instant::now(), clock::now());
        let since = last.and_then(|tried| tried.result.err()).map_or(now, |unproven| unproven.since);
        let result = store.prove(now).await.map_err(|error| Unproven { error, since });
        *last = Some(Tried { began, result });
        result
    }
}
