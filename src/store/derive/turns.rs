//! Turns: what a request costs the API keys that it serves. Must never let a post be sent for nothing, nor
//! count it twice.

use std::collections::BTreeMap;

use serde_json::json;
use sqlx::FromRow;

use crate::domain::time::Timestamp;
use crate::store::batch::Batch;
use crate::store::batch::changes::Round;

/// Who is at the head of a request.
#[derive(Clone, Copy, Debug, FromRow)]
pub(crate) struct Head {
    pub(crate) key: i64,
    pub(crate) priority: i64,
    /// The group; none if it is a task that has waited.
    pub(crate) grp: Option<i64>,
}

/// Which key pays the turn of each round: that of its oldest want.
pub(crate) const PAYING: &str = "SELECT key, count(*) FROM (
       SELECT (SELECT jobs.key FROM wants CROSS JOIN jobs ON jobs.number = wants.job
               WHERE wants.round = value AND mark IS NULL ORDER BY wants.job LIMIT 1) AS key FROM json_each(?1))
     GROUP BY key";

/// Counts a request. Each post moves the clock of the key of its oldest want by one; the room that is left moves the
/// clock of the key at the head. `left` are the groups that the posts have left, with the highest turn in each.
pub(crate) async fn serve(
    batch: &mut Batch<'_>,
    head: Head,
    (taken, left): (&[Round], &BTreeMap<i64, i64>),
    at: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE queue SET requests = requests + 1,
           clock = max(clock, (SELECT clock FROM api_keys WHERE number = ?1))",
    )
    .bind(head.key)
    .execute(&mut *batch.connection)
    .await?;
    let paying: Vec<(Option<i64>, i64)> =
        sqlx::query_as(PAYING).bind(json!(taken).to_string()).fetch_all(&mut *batch.connection).await?;
    let mut clocks: BTreeMap<i64, i64> = BTreeMap::new();
    let room = batch.policy.urls_per_task.saturating_sub(taken.len());
    *clocks.entry(head.key).or_default() += i64::try_from(room).unwrap_or(i64::MAX);
    for (key, posts) in paying {
        *clocks.entry(key.unwrap_or(head.key)).or_default() += posts;
    }
    let clocks: Vec<(&i64, &i64)> = clocks.iter().collect();
    sqlx::query(
        "UPDATE api_keys SET clock = clock + new.posts
         FROM (SELECT value->>0 AS number, value->>1 AS posts FROM json_each(?1)) AS new
         WHERE api_keys.number = new.number",
    )
    .bind(json!(clocks).to_string())
    .execute(&mut *batch.connection)
    .await?;
    let left: Vec<(&i64, &i64)> = left.iter().collect();
    let left = json!(left).to_string();
    sqlx::query(
        "UPDATE queue_groups SET turn = max(queue_groups.turn, new.turn),
           served = iif(queue_groups.number IS ?2, (SELECT requests FROM queue), served)
         FROM (SELECT value->>0 AS number, value->>1 AS turn FROM json_each(?1)) AS new
         WHERE queue_groups.number = new.number",
    )
    .bind(&left)
    .bind(head.grp)
    .execute(&mut *batch.connection)
    .await?;
    sqlx::query(
        "UPDATE queue_classes SET since = ?2 WHERE (key, priority) IN (
           SELECT ?3, ?4 UNION ALL
           SELECT queue_groups.key, queue_groups.priority
           FROM json_each(?1) CROSS JOIN queue_groups ON number = value->>0)",
    )
    .bind(&left)
    .bind(at.as_millis())
    .bind(head.key)
    .bind(head.priority)
    .execute(&mut *batch.connection)
    .await?;
    Ok(())
}
