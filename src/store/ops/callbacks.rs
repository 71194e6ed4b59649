//! Callbacks with a good token: kept raw, once each, with a count of their deliveries. Must never store the same body
//! of a task twice.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::domain::event::{EventKind, Source};
use crate::domain::measure::Measure;
use crate::store::batch::Batch;
use crate::store::batch::changes::{NewEvent, NewFact};
use crate::store::batch::operation::Operation;
use crate::store::batch::received::ReceivedCallback;
use crate::store::ops::ownership;

/// The most unrecognized bodies that are kept for a task. Further ones are only counted.
const UNRECOGNIZED: i64 = 1_000;

/// Keeps a callback with a good token.
#[derive(Debug)]
pub(crate) struct ReceiveCallback(pub(crate) Arc<ReceivedCallback>);

impl Operation for ReceiveCallback {
    type Reply = ();

    async fn apply(&self, batch: &mut Batch<'_>) -> Result<Self::Reply, sqlx::Error> {
        batch.changes.callbacks.push(Arc::clone(&self.0));
        Ok(())
    }
}

/// Stores the callbacks of a batch, and notes the facts that they state.
pub(crate) async fn keep(batch: &mut Batch<'_>) -> Result<(), sqlx::Error> {
    let mut received = std::mem::take(&mut batch.changes.callbacks);
    if received.is_empty() {
        return Ok(());
    }
    ownership::assign(batch, &mut received).await?;
    for callback in &received {
        batch.changes.count(callback.at, Measure::Callbacks, 1);
        let Some(meaning) = &callback.meaning else {
            keep_unrecognized(batch, callback).await?;
            continue;
        };
        batch.changes.rows.callbacks.push(row(callback));
        batch.changes.facts.push(NewFact {
            task: callback.task,
            kind: meaning.kind(),
            video: meaning.video_id().unwrap_or_default().to_owned(),
            at: callback.at,
            source: Source::Callback,
            failure: meaning.failure().cloned(),
        });
    }
    Ok(())
}

/// Inserts bodies, or counts one more delivery of those already stored. Bodies travel as hex, because they can
/// contain any byte and JSON holds only text.
pub(crate) const INSERT: &str = "INSERT INTO callbacks
       (task_id, body_hash, body, first_received_at, last_received_at, deliveries, understood)
     SELECT value->>0, unhex(value->>1), unhex(value->>2), value->>3, value->>3, 1, value->>4
     FROM json_each(?) WHERE true
     ON CONFLICT (task_id, body_hash) DO UPDATE SET
       deliveries = deliveries + 1,
       last_received_at = max(last_received_at, excluded.last_received_at)";

fn row(callback: &ReceivedCallback) -> Value {
    json!([
        callback.task,
        hex(&callback.body_hash),
        hex(&callback.body),
        callback.at.as_millis(),
        callback.meaning.as_ref().map(|meaning| meaning.kind()),
    ])
}

async fn keep_unrecognized(batch: &mut Batch<'_>, callback: &ReceivedCallback) -> Result<(), sqlx::Error> {
    let (is_known, has_room): (bool, bool) = sqlx::query_as(
        "SELECT EXISTS (SELECT 1 FROM callbacks WHERE task_id = tasks.id AND body_hash = ?2),
           unrecognized < ?3
         FROM tasks WHERE id = ?1",
    )
    .bind(callback.task.to_string())
    .bind(&callback.body_hash[..])
    .bind(UNRECOGNIZED)
    .fetch_one(&mut *batch.connection)
    .await?;
    if is_known || has_room {
        // Each is stored immediately, because the next one in this batch may be the same.
        let rows = json!([row(callback)]).to_string();
        sqlx::query(INSERT).bind(rows).execute(&mut *batch.connection).await?;
    }
    if is_known {
        return Ok(());
    }
    // Asks for a poll, which may show what upstream meant.
    sqlx::query(
        "UPDATE tasks SET unrecognized = unrecognized + 1, news = news + 1, poll_wanted = news + 1,
           polls_in_vain = 0
         WHERE id = ?1",
    )
    .bind(callback.task.to_string())
    .execute(&mut *batch.connection)
    .await?;
    batch.changes.touch(callback.task, callback.at, Source::Callback);
    if has_room {
        batch.changes.events.push(NewEvent {
            task: Some(callback.task),
            ..NewEvent::new(EventKind::CallbackUnrecognized, Source::Callback, callback.at)
        });
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}
