//! Replays: a subscriber's dead deliveries are made again, or all events from one on. Must never touch a delivery
//! that waits.

use crate::domain::id::SubscriberId;
use crate::domain::time::Timestamp;
use crate::store::batch::Batch;
use crate::store::batch::operation::Operation;
use crate::store::column::row;
use crate::store::ops::deliveries::{NewDelivery, insert};
use crate::store::ops::subscribers::try_now;

/// Makes some dead deliveries again: those of a subscriber, or those to the URL of a job. The reply is their number.
#[derive(Debug)]
pub(crate) struct ReviveDeliveries {
    pub(crate) of: ReceiverOf,
    /// Most deliveries to make again.
    pub(crate) most: u32,
    pub(crate) at: Timestamp,
}

/// Whose deliveries are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiverOf {
    /// Those of a subscriber, by its number.
    Subscriber(i64),
    /// Those to the URL of a job, by its number.
    Job(i64),
}

row! {
    struct Dead {
        subscriber: i64,
        job: Option<i64>,
        key: String,
        seq: i64,
        receiver: String,
    }
}

impl Operation for ReviveDeliveries {
    type Reply = u64;

    async fn apply(&self, batch: &mut Batch<'_>) -> Result<Self::Reply, sqlx::Error> {
        let (statement, number) = match self.of {
            ReceiverOf::Subscriber(number) => (
                "DELETE FROM deliveries WHERE number IN (
                   SELECT number FROM deliveries WHERE subscriber = ?1 AND subscriber > 0 AND state = 3
                   ORDER BY seq LIMIT ?2) RETURNING subscriber, job, key, seq, receiver",
                number,
            ),
            ReceiverOf::Job(number) => (
                "DELETE FROM deliveries WHERE number IN (
                   SELECT number FROM deliveries WHERE job = ?1 AND subscriber = 0 AND state = 3
                   ORDER BY seq LIMIT ?2) RETURNING subscriber, job, key, seq, receiver",
                number,
            ),
        };
        let mut dead: Vec<Dead> =
            sqlx::query_as(statement).bind(number).bind(self.most).fetch_all(&mut *batch.connection).await?;
        // SQLite does not promise the order of returned rows.
        dead.sort_by_key(|dead| dead.seq);
        let again = |dead: Dead| NewDelivery {
            subscriber: Some(dead.subscriber).filter(|subscriber| *subscriber > 0),
            job: dead.job,
            key: dead.key,
            seq: dead.seq,
            receiver: dead.receiver,
            order: dead.job.into_iter().collect(),
            is_dead: false,
        };
        let again: Vec<_> = dead.into_iter().map(again).collect();
        insert(batch, &again, false, self.at).await?;
        match self.of {
            ReceiverOf::Subscriber(number) => try_now(batch, number, self.at).await?,
            ReceiverOf::Job(number) => {
                sqlx::query("UPDATE jobs SET callback_gone_at = NULL WHERE number = ?1")
                    .bind(number)
                    .execute(&mut *batch.connection)
                    .await?;
            }
        }
        batch.changes.wakes_workers = true;
        Ok(again.len() as u64)
    }
}

/// Begins a replay of all events from `from` on. The forwarder makes its deliveries. The reply is the last `seq` of
/// the replay.
#[derive(Debug)]
pub(crate) struct BeginReplay {
    pub(crate) id: SubscriberId,
    pub(crate) from: i64,
    pub(crate) at: Timestamp,
}

row! {
    struct Begun {
        number: i64,
        replay_to: i64,
    }
}

impl Operation for BeginReplay {
    type Reply = Option<i64>;

    async fn apply(&self, batch: &mut Batch<'_>) -> Result<Self::Reply, sqlx::Error> {
        // A replay that is on its way goes on from the earlier of both.
        let begun: Option<Begun> = sqlx::query_as(
            "UPDATE subscribers SET replay_after = min(ifnull(replay_after, ?2 - 1), ?2 - 1),
               replay_to = ifnull((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0),
               disabled_seq = iif(enabled = 1 AND ?2 <= disabled_seq, NULL, disabled_seq)
             WHERE id = ?1 AND removed_at IS NULL RETURNING number, replay_to",
        )
        .bind(self.id.to_string())
        .bind(self.from)
        .fetch_optional(&mut *batch.connection)
        .await?;
        let Some(Begun { number, replay_to }) = begun else { return Ok(None) };
        try_now(batch, number, self.at).await?;
        Ok(Some(replay_to))
    }
}
