//! One transaction: the data that its operations read and have changed, and the data that stays loaded until the next
//! one.

pub(crate) mod changes;
pub(crate) mod load;
pub(crate) mod loaded;
pub(crate) mod log;
pub(crate) mod minutes;
pub(crate) mod operation;
pub(crate) mod received;
pub(crate) mod working_set;

use sqlx::sqlite::SqliteConnection;

use crate::domain::event::Source;
use crate::domain::time::Timestamp;
use crate::store::batch::changes::{Changes, Touch};
use crate::store::batch::working_set::WorkingSet;
use crate::store::policy::Policy;

/// One transaction that is being applied.
pub(crate) struct Batch<'a> {
    pub(crate) connection: &'a mut SqliteConnection,
    /// The loaded tasks, as the file has them.
    pub(crate) tasks: &'a mut WorkingSet,
    pub(crate) policy: Policy,
    /// The changes that the operations have gathered so far for the end of the transaction.
    pub(crate) changes: Changes,
}

/// The time, the source and the operator of a change.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cause<'a> {
    pub(crate) at: Timestamp,
    pub(crate) source: Source,
    /// The name of the operator's API key. None in keyless mode, and if no operator asked.
    pub(crate) operator: Option<&'a str>,
}

impl Cause<'_> {
    /// A cause without an operator.
    pub(crate) const fn new(at: Timestamp, source: Source) -> Self {
        Self { at, source, operator: None }
    }

    /// Describes the change, with the name of the operator.
    pub(crate) fn words(self, what: &str) -> String {
        format!("{what} by {}", self.operator.unwrap_or("an operator"))
    }

    pub(crate) const fn touch(self) -> Touch {
        Touch { at: self.at, source: self.source }
    }
}
