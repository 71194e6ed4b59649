//! What is counted for each minute, for the figures of the last day.

use serde_json::{Value, json};

use crate::store::batch::changes::Changes;

/// Adds counts.
pub(crate) const ADD: &str = "INSERT INTO minutes (minute, measure, count)
     SELECT value->>0, value->>1, value->>2 FROM json_each(?) WHERE true
     ON CONFLICT (minute, measure) DO UPDATE SET count = count + excluded.count";

/// Removes the counts of minutes that lie more than 25 hours before the newest of the same rows.
pub(crate) const PRUNE: &str =
    "DELETE FROM minutes WHERE minute < (SELECT max(value->>0) FROM json_each(?)) - 1500";

/// The rows of both.
pub(crate) fn rows(changes: &Changes) -> Vec<Value> {
    let row = |((minute, measure), count): (&(i64, i64), &u64)| json!([minute, measure, count]);
    changes.counted.iter().map(row).collect()
}
