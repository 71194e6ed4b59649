//! Events with their objects, read once for all receivers that are told about them at the same time.
//!
//! Must never give objects from before the last committed event, because receivers get them as they are now.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use super::objects::{self, Objects};
use crate::domain::id::JobId;
use crate::store::{ReadError, Store};

/// Most events to keep. Attempts that begin at the same time are about few events.
const MOST: usize = 16;

/// What is read at most once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    /// The job that the body shows.
    job: Option<JobId>,
    /// The `seq` of the event.
    seq: i64,
    /// The `seq` of the last event that was committed before the objects were read.
    committed: i64,
}

/// An event with its objects. Empty until it is read, and none if retention has removed it.
type Cell = Arc<OnceCell<Option<Arc<Objects>>>>;

/// The events that were read last.
#[derive(Debug)]
pub struct Recent {
    store: Store,
    cells: Mutex<VecDeque<(Key, Cell)>>,
}

impl Recent {
    /// Reads from this store.
    pub const fn new(store: Store) -> Self {
        Self { store, cells: Mutex::new(VecDeque::new()) }
    }

    /// Reads an event and its objects, unless that was done since the last event. None if retention has removed the
    /// event.
    pub(super) async fn read(&self, job: Option<JobId>, seq: i64) -> Result<Option<Arc<Objects>>, ReadError> {
        let committed = *self.store.committed().borrow();
        let cell = self.cell(Key { job, seq, committed });
        let read = async || Ok(objects::read(&self.store, job, seq).await?.map(Arc::new));
        cell.get_or_try_init(read).await.cloned()
    }

    fn cell(&self, key: Key) -> Cell {
        let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, cell)) = cells.iter().find(|(known, _)| *known == key) {
            return cell.clone();
        }
        if cells.len() >= MOST {
            cells.pop_front();
        }
        let cell = Cell::default();
        cells.push_back((key, cell.clone()));
        cell
    }
}
