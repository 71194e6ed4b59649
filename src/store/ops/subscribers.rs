//! Changes of subscribers. Must never change a subscriber of the configuration on behalf of a client.

use serde_json::json;

use crate::domain::id::SubscriberId;
use crate::domain::time::Timestamp;
use crate::domain::webhook::secret::Secret;
use crate::domain::webhook::subscriber::{MOST_SUBSCRIBERS, Mismatch, SubscriberPatch, SubscriberSettings};
use crate::store::batch::Batch;
use crate::store::batch::operation::Operation;
use crate::store::column::{self, row};
use crate::store::ops::deliveries::begin_forwarding;
use crate::store::read::subscribers::stored_settings;

/// The result of a change of a subscriber.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubscriberChanged {
    /// The subscriber is now as requested.
    Done,
    /// There is no such subscriber.
    Missing,
    /// It is in the configuration, which alone can change it.
    Configured,
    /// The settings would not fit together.
    Mismatch(Mismatch),
    /// Another subscriber has the name.
    NameTaken,
    /// There are as many as there may be.
    TooMany,
}

/// Adds a subscriber.
#[derive(Debug)]
pub(crate) struct AddSubscriber {
    pub(crate) id: SubscriberId,
    pub(crate) settings: SubscriberSettings,
    pub(crate) secret: Secret,
    pub(crate) enabled: bool,
    pub(crate) at: Timestamp,
}

impl Operation for AddSubscriber {
    type Reply = SubscriberChanged;

    async fn apply(&self, batch: &mut Batch<'_>) -> Result<Self::Reply, sqlx::Error> {
        let count: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM subscribers WHERE removed_at IS NULL AND is_configured = 0",
        )
        .fetch_one(&mut *batch.connection)
        .await?;
        if usize::try_from(count).is_ok_and(|count| count >= MOST_SUBSCRIBERS) {
            return Ok(SubscriberChanged::TooMany);
        }
        if is_taken(batch, self.settings.name.as_deref(), None).await? {
            return Ok(SubscriberChanged::NameTaken);
        }
        let number = insert(batch, self.id, &self.settings, self.at).await?;
        sqlx::query("UPDATE subscribers SET secret = ?2 WHERE number = ?1")
            .bind(number)
            .bind(self.secret.expose())
            .execute(&mut *batch.connection)
            .await?;
        if !self.enabled {
            disable(batch, number, None, self.at).await?;
        }
        Ok(SubscriberChanged::Done)
    }
}

pub(super) async fn insert(
    batch: &mut Batch<'_>,
    id: SubscriberId,
    settings: &SubscriberSettings,
    at: Timestamp,
) -> Result<i64, sqlx::Error> {
    begin_forwarding(batch).await?;
    let number: i64 = sqlx::query_scalar(
        "INSERT INTO subscribers (id, is_configured, created_at, url, events, labels, format, after)
         VALUES (?1, 0, ?2, '', '[]', '{}', '',
           ifnull((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0)) RETURNING number",
    )
    .bind(id.to_string())
    .bind(at.as_millis())
    .fetch_one(&mut *batch.connection)
    .await?;
    update(batch, number, settings).await?;
    Ok(number)
}

pub(super) async fn update(
    batch: &mut Batch<'_>,
    number: i64,
    settings: &SubscriberSettings,
) -> Result<(), sqlx::Error> {
    let SubscriberSettings { name, target, events, labels, format, template } = settings;
    let events: Vec<String> = events.iter().map(ToString::to_string).collect();
    sqlx::query(
        "UPDATE subscribers SET name = ?2, url = ?3, events = ?4, labels = ?5, format = ?6, template = ?7
         WHERE number = ?1",
    )
    .bind(number)
    .bind(name)
    .bind(target.expose().as_str())
    .bind(json!(events).to_string())
    .bind(json!(labels).to_string())
    .bind(format.as_str())
    .bind(template.as_ref().map(|template| template.as_str()))
    .execute(&mut *batch.connection)
    .await
    .map(drop)
}

/// Whether another subscriber has this name.
async fn is_taken(batch: &mut Batch<'_>, name: Option<&str>, of: Option<i64>) -> Result<bool, sqlx::Error> {
    let Some(name) = name else { return Ok(false) };
    let other: Option<i64> =
        sqlx::query_scalar("SELECT number FROM subscribers WHERE name = ?1 AND number IS NOT ?2")
            .bind(name)
            .bind(of)
            .fetch_optional(&mut *batch.connection)
            .await?;
    Ok(other.is_some())
}

row! {
    struct Found {
        number: i64,
        is_configured: bool,
    }
}

async fn find(batch: &mut Batch<'_>, id: SubscriberId) -> Result<Option<Found>, sqlx::Error> {
    sqlx::query_as(
        "SELECT number, is_configured = 1 AS is_configured FROM subscribers WHERE id = ?1 AND removed_at IS NULL",
    )
    .bind(id.to_string())
    .fetch_optional(&mut *batch.connection)
    .await
}

/// Disables a subscriber. Its waiting deliveries stay. Returns its name or id, or none if it was disabled already.
pub(crate) async fn disable(
    batch: &mut Batch<'_>,
    number: i64,
    reason: Option<&str>,
    at: Timestamp,
) -> Result<Option<String>, sqlx::Error> {
    // The cursor lags behind the log, and the deliveries of the events in between will not be made. A gap that was not
    // replayed yet keeps its beginning.
    sqlx::query_scalar(
        "UPDATE subscribers SET enabled = 0, disabled_at = ?2, disabled_reason = ?3,
           disabled_seq = ifnull(disabled_seq, 1 + max(after, ifnull(
             (SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'forwarded_to'), 0)))
         WHERE number = ?1 AND enabled = 1 RETURNING ifnull(name, id)",
    )
    .bind(number)
    .bind(at.as_millis())
    .bind(reason)
    .fetch_optional(&mut *batch.connection)
    .await
}

/// Enables a subscriber. It hears of the events from now on.
pub(super) async fn enable(batch: &mut Batch<'_>, number: i64) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE subscribers SET enabled = 1, disabled_at = NULL, disabled_reason = NULL, failing_since = NULL,
           after = ifnull((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0)
         WHERE number = ?1 AND enabled = 0",
    )
    .bind(number)
    .execute(&mut *batch.connection)
    .await
    .map(drop)
}

/// Tries what waits at once and anew, because the receiver may be well by now.
pub(super) async fn try_now(batch: &mut Batch<'_>, number: i64, at: Timestamp) -> Result<(), sqlx::Error> {
    batch.changes.wakes_workers = true;
    sqlx::query(
        "UPDATE deliveries SET next_attempt_at = ?2, attempts = 0, first_attempt_at = NULL
         WHERE receiver = 'subscriber ' || ?1 AND state = 1 AND ahead = 0",
    )
    .bind(number)
    .bind(at.as_millis())
    .execute(&mut *batch.connection)
    .await
    .map(drop)
}

/// Changes the given settings of a subscriber.
#[derive(Debug)]
pub(crate) struct PatchSubscriber {
    pub(crate) id: SubscriberId,
    pub(crate) patch: SubscriberPatch,
    pub(crate) at: Timestamp,
}

impl Operation for PatchSubscriber {
    type Reply = SubscriberChanged;

    async fn apply(&self, batch: &mut Batch<'_>) -> Result<Self::Reply, sqlx::Error> {
        let Some(Found { number, is_configured }) = find(batch, self.id).await? else {
            return Ok(SubscriberChanged::Missing);
        };
        if is_configured && self.patch.changes_settings() {
            return Ok(SubscriberChanged::Configured);
        }
        let before = stored_settings(batch.connection, number).await?;
        let settings = match self.patch.apply(before.clone()) {
            Ok(settings) => settings,
            Err(mismatch) => return Ok(SubscriberChanged::Mismatch(mismatch)),
        };
        if is_taken(batch, settings.name.as_deref(), Some(number)).await? {
            return Ok(SubscriberChanged::NameTaken);
        }
        update(batch, number, &settings).await?;
        if !is_configured {
            // One that is no longer in the configuration belongs to the API now.
            sqlx::query("UPDATE subscribers SET is_configured = 0 WHERE number = ?1")
                .bind(number)
                .execute(&mut *batch.connection)
                .await?;
        }
        match self.patch.enabled {
            Some(true) => enable(batch, number).await?,
            Some(false) => drop(disable(batch, number, None, self.at).await?),
            None => {}
        }
        if self.patch.enabled == Some(true) || settings.target != before.target {
            try_now(batch, number, self.at).await?;
        }
        batch.changes.wakes_workers = true;
        Ok(SubscriberChanged::Done)
    }
}

/// Most old secrets that are kept.
const MOST_OLD: usize = 5;

/// Gives a subscriber a new secret. The old one signs as well until `until`.
#[derive(Debug)]
pub(crate) struct RotateSecret {
    pub(crate) id: SubscriberId,
    pub(crate) secret: Secret,
    pub(crate) at: Timestamp,
    pub(crate) until: Timestamp,
}

row! {
    struct StoredSecrets {
        secret: Option<String>,
        old_secrets: String,
    }
}

impl Operation for RotateSecret {
    type Reply = SubscriberChanged;

    async fn apply(&self, batch: &mut Batch<'_>) -> Result<Self::Reply, sqlx::Error> {
        let Some(Found { number, is_configured }) = find(batch, self.id).await? else {
            return Ok(SubscriberChanged::Missing);
        };
        if is_configured {
            return Ok(SubscriberChanged::Configured);
        }
        let stored: StoredSecrets =
            sqlx::query_as("SELECT secret, old_secrets FROM subscribers WHERE number = ?1")
                .bind(number)
                .fetch_one(&mut *batch.connection)
                .await?;
        let id = self.id.to_string();
        let mut old: Vec<(String, Option<i64>)> =
            column::json(("subscribers", "old_secrets", &id), &stored.old_secrets)?;
        // A client that lost an answer rotates again, while receivers still have the first secret.
        old.retain(|(_, until)| until.is_none_or(|until| until > self.at.as_millis()));
        old.extend(stored.secret.map(|secret| (secret, Some(self.until.as_millis()))));
        let old = &old[old.len().saturating_sub(MOST_OLD)..];
        sqlx::query("UPDATE subscribers SET secret = ?2, old_secrets = ?3 WHERE number = ?1")
            .bind(number)
            .bind(self.secret.expose())
            .bind(json!(old).to_string())
            .execute(&mut *batch.connection)
            .await?;
        Ok(SubscriberChanged::Done)
    }
}

/// Removes a subscriber. Its deliveries follow in later commits.
#[derive(Debug)]
pub(crate) struct RemoveSubscriber {
    pub(crate) id: SubscriberId,
    pub(crate) at: Timestamp,
}

impl Operation for RemoveSubscriber {
    type Reply = SubscriberChanged;

    async fn apply(&self, batch: &mut Batch<'_>) -> Result<Self::Reply, sqlx::Error> {
        let Some(Found { number, is_configured }) = find(batch, self.id).await? else {
            return Ok(SubscriberChanged::Missing);
        };
        if is_configured {
            return Ok(SubscriberChanged::Configured);
        }
        remove(batch, number, self.at).await?;
        Ok(SubscriberChanged::Done)
    }
}

async fn remove(batch: &mut Batch<'_>, number: i64, at: Timestamp) -> Result<(), sqlx::Error> {
    batch.changes.wakes_workers = true;
    sqlx::query(
        "UPDATE subscribers SET removed_at = ?2, enabled = 0, name = NULL, url = '', secret = NULL,
           old_secrets = '[]', template = NULL
         WHERE number = ?1",
    )
    .bind(number)
    .bind(at.as_millis())
    .execute(&mut *batch.connection)
    .await
    .map(drop)
}
