//! The working set: the tasks that were touched last, with all their evidence, as the file has them.
//!
//! Only the writer writes, so a loaded task stays true as long as every change is made here as well. An operation
//! that changes a task's rows by SQL alone must have it forgotten, and a failed transaction empties the set.

use std::collections::HashMap;

use sqlx::sqlite::SqliteConnection;

use crate::domain::id::TaskId;
use crate::store::batch::load;
use crate::store::batch::loaded::LoadedTask;

/// The most tasks that stay loaded. A full one takes some 10 KiB.
const TASKS: usize = 2_048;

/// The loaded tasks, by id.
#[derive(Debug, Default)]
pub(crate) struct WorkingSet {
    tasks: HashMap<TaskId, LoadedTask>,
    batches: u64,
}

impl WorkingSet {
    pub(crate) fn get(&self, task: TaskId) -> Option<&LoadedTask> {
        self.tasks.get(&task)
    }

    pub(crate) fn get_mut(&mut self, task: TaskId) -> Option<&mut LoadedTask> {
        self.tasks.get_mut(&task)
    }

    /// Forgets a task whose rows were changed.
    pub(crate) fn forget(&mut self, task: TaskId) {
        self.tasks.remove(&task);
    }

    /// Forgets all tasks, because nobody knows the content of the file.
    pub(crate) fn clear(&mut self) {
        self.tasks.clear();
    }

    /// Begins a batch. Makes room by forgetting the half that was not used for longest.
    pub(crate) fn begin(&mut self) {
        self.batches += 1;
        if self.tasks.len() > TASKS {
            let mut used: Vec<u64> = self.tasks.values().map(|task| task.used).collect();
            used.sort_unstable();
            let oldest = used[used.len() / 2];
            self.tasks.retain(|_, task| task.used > oldest);
        }
    }

    /// Loads tasks that are not loaded yet. Tasks that the file does not have stay unloaded.
    pub(crate) async fn load(
        &mut self,
        connection: &mut SqliteConnection,
        tasks: impl IntoIterator<Item = TaskId>,
    ) -> Result<(), sqlx::Error> {
        let mut missing = Vec::new();
        for task in tasks {
            match self.tasks.get_mut(&task) {
                Some(loaded) => loaded.used = self.batches,
                None => missing.push(task),
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        for (task, loaded) in load::tasks(connection, &missing, self.batches).await? {
            self.tasks.insert(task, loaded);
        }
        Ok(())
    }
}
