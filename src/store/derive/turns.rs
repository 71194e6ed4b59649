//! Turns: the cost of a request for the API keys that it serves. Must never count a post twice.

use std::collections::BTreeMap;

use serde_json::json;

use crate::domain::time::Timestamp;
use crate::store::batch::Batch;
use crate::store::batch::changes::Round;
use crate::store::column::row;

row! {
    /// The group or the waiting task at the head of a request.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Head {
        pub(crate) key: i64,
        pub(crate) priority: i64,
        /// The number of the group. None for a waiting task.
        pub(crate) grp: Option<i64>,
    }
}

/// Counts a request. Each post moves the clock of the key of its oldest want by one. The unused room moves the clock
/// of the key at the head, and so does each unwanted post.
///
/// `$1` is the first value in each of the statements. With `?1`, this would hold only if none of them skipped a
/// number.
pub(crate) const SERVE: &str =
    "UPDATE queue SET requests = requests + 1, clock = max(clock, (SELECT clock FROM api_keys WHERE number = $1));
     UPDATE api_keys SET clock = clock + new.posts FROM (
         SELECT ifnull((SELECT jobs.key FROM wants CROSS JOIN jobs ON jobs.number = wants.job
                        WHERE wants.round = value AND mark IS NULL ORDER BY wants.job LIMIT 1), $1) AS paying,
           count(*) AS posts
         FROM json_each($3) GROUP BY paying) AS new
       WHERE api_keys.number = new.paying;
     UPDATE api_keys SET clock = clock + $4 WHERE number = $1;
     UPDATE queue_groups SET turn = max(queue_groups.turn, new.turn),
         served = iif(queue_groups.number IS $6, (SELECT requests FROM queue), served)
       FROM (SELECT value->>0 AS number, value->>1 AS turn FROM json_each($5)) AS new
       WHERE queue_groups.number = new.number;
     UPDATE queue_classes SET since = $7 WHERE (key, priority) IN (
       SELECT $1, $2 UNION ALL
       SELECT queue_groups.key, queue_groups.priority FROM json_each($5)
         CROSS JOIN queue_groups ON number = value->>0)";

/// Counts a request (see [`SERVE`]). `left` holds the groups that the posts have left, with the highest turn in each.
pub(crate) async fn serve(
    batch: &mut Batch<'_>,
    head: Head,
    taken: &[Round],
    left: &BTreeMap<i64, i64>,
    at: Timestamp,
) -> Result<(), sqlx::Error> {
    let room = batch.policy.urls_per_task.saturating_sub(taken.len());
    let left: Vec<(&i64, &i64)> = left.iter().collect();
    sqlx::query(SERVE)
        .bind(head.key)
        .bind(head.priority)
        .bind(json!(taken).to_string())
        .bind(i64::try_from(room).unwrap_or(i64::MAX))
        .bind(json!(left).to_string())
        .bind(head.grp)
        .bind(at.as_millis())
        .execute(&mut *batch.connection)
        .await
        .map(|_| ())
}
