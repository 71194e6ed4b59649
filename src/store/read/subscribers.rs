//! Queries about subscribers. Must never show a secret, except to the worker that signs.

use std::collections::BTreeMap;

use serde::Serialize;
use sqlx::sqlite::SqliteConnection;
use utoipa::ToSchema;

use crate::domain::id::SubscriberId;
use crate::domain::time::Timestamp;
use crate::domain::webhook::delivery::DeliveryState;
use crate::domain::webhook::format::Format;
use crate::domain::webhook::secret::Secret;
use crate::domain::webhook::subscriber::{Subscriber, SubscriberSettings, SubscriberSource};
use crate::domain::webhook::target::Target;
use crate::domain::webhook::template::Template;
use crate::store::column::{self, row};
use crate::store::error::ReadError;
use crate::store::read::Readers;

/// An enabled subscriber, for the worker that sends.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Its number.
    pub number: i64,
    /// Its settings.
    pub settings: SubscriberSettings,
    /// It receives events after this `seq`.
    pub after: i64,
    /// The `seq` that a replay has come to, and the last one of the replay.
    pub replay: Option<(i64, i64)>,
}

/// A stored subscriber: what clients see of it, and what is sent to it.
#[derive(Clone, Debug)]
pub struct StoredSubscriber {
    /// Its number.
    pub number: i64,
    /// Its settings.
    pub settings: SubscriberSettings,
    /// The secrets that sign, each with its last time: none for those of jobs, one, or more after a rotation.
    secrets: Vec<(Secret, Option<Timestamp>)>,
    /// What clients see.
    pub shown: Subscriber,
}

/// The state of all webhooks.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Webhooks {
    /// Numbers of webhooks by state. Retention removes ended ones.
    pub deliveries: BTreeMap<String, i64>,
    /// Since when the oldest waiting one has waited, without those of disabled subscribers.
    #[schema(required)]
    pub oldest_waiting_at: Option<Timestamp>,
    /// Subscribers whose last attempt failed.
    pub failing: i64,
}

row! {
    struct SubscriberRow {
        number: i64,
        id: String,
        name: Option<String>,
        is_configured: i64,
        created_at: i64,
        url: String,
        events: String,
        labels: String,
        format: String,
        template: Option<String>,
        secret: Option<String>,
        old_secrets: String,
        after: i64,
        enabled: bool,
        disabled_at: Option<i64>,
        disabled_seq: Option<i64>,
        disabled_reason: Option<String>,
        failing_since: Option<i64>,
        replay_after: Option<i64>,
        replay_to: Option<i64>,
    }
}

impl Readers {
    /// Returns the enabled subscribers, in the order of their creation. Leaves out one that can't be read, and logs
    /// it: others must not wait for it.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn listeners(&self) -> Result<Vec<Listener>, ReadError> {
        let rows: Vec<SubscriberRow> = sqlx::query_as(
            "SELECT * FROM subscribers WHERE enabled = 1 AND removed_at IS NULL ORDER BY number",
        )
        .fetch_all(&self.pool)
        .await?;
        let listener = |row: SubscriberRow| match settings(&row) {
            Ok(settings) => {
                let replay = row.replay_after.zip(row.replay_to);
                Some(Listener { number: row.number, settings, after: row.after, replay })
            }
            Err(error) => {
                tracing::error!(%error, "a subscriber can't be read, so it receives no webhooks");
                None
            }
        };
        Ok(rows.into_iter().filter_map(listener).collect())
    }

    /// Returns the state of all webhooks.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn webhooks(&self) -> Result<Webhooks, ReadError> {
        let failing = sqlx::query_scalar(
            "SELECT count(*) FROM subscribers WHERE failing_since IS NOT NULL AND removed_at IS NULL",
        );
        Ok(Webhooks {
            deliveries: self.delivery_counts("deliveries").await?,
            oldest_waiting_at: self.oldest_delivery().await?,
            failing: failing.fetch_one(&self.pool).await?,
        })
    }

    /// Returns the subscribers that scrapehook has disabled.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn disabled_subscribers(&self) -> Result<Vec<DisabledSubscriber>, ReadError> {
        let disabled = sqlx::query_as(
            "SELECT id, ifnull(name, id) AS name, disabled_at, disabled_seq, disabled_reason FROM subscribers
             WHERE enabled = 0 AND disabled_reason IS NOT NULL AND is_configured < 2 AND removed_at IS NULL
             ORDER BY number",
        );
        Ok(disabled.fetch_all(&self.pool).await?)
    }

    /// Returns all subscribers, newest first.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn subscribers(&self) -> Result<Vec<StoredSubscriber>, ReadError> {
        let rows: Vec<SubscriberRow> =
            sqlx::query_as("SELECT * FROM subscribers WHERE removed_at IS NULL ORDER BY number DESC")
                .fetch_all(&self.pool)
                .await?;
        let mut subscribers = Vec::with_capacity(rows.len());
        for row in rows {
            let counts = self.delivery_counts(&format!("subscriber {}", row.number)).await?;
            subscribers.push(stored(row, counts)?);
        }
        Ok(subscribers)
    }

    /// Returns the subscriber with this id or name.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn subscriber(&self, id_or_name: &str) -> Result<Option<StoredSubscriber>, ReadError> {
        let row: Option<SubscriberRow> =
            sqlx::query_as("SELECT * FROM subscribers WHERE (id = ?1 OR name = ?1) AND removed_at IS NULL")
                .bind(id_or_name)
                .fetch_optional(&self.pool)
                .await?;
        let Some(row) = row else { return Ok(None) };
        let counts = self.delivery_counts(&format!("subscriber {}", row.number)).await?;
        Ok(Some(stored(row, counts)?))
    }

    /// Returns a subscriber without the numbers of its deliveries.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn subscriber_to_send(&self, id: SubscriberId) -> Result<Option<StoredSubscriber>, ReadError> {
        let row: Option<SubscriberRow> =
            sqlx::query_as("SELECT * FROM subscribers WHERE id = ?1 AND removed_at IS NULL")
                .bind(id.to_string())
                .fetch_optional(&self.pool)
                .await?;
        Ok(row.map(|row| stored(row, BTreeMap::new())).transpose()?)
    }

    /// Returns the numbers of deliveries by state, of all receivers or of a subscriber.
    pub(crate) async fn delivery_counts(&self, subject: &str) -> Result<BTreeMap<String, i64>, ReadError> {
        let rows: Vec<(String, i64)> = sqlx::query_as("SELECT state, count FROM counts WHERE subject = ?1")
            .bind(subject)
            .fetch_all(&self.pool)
            .await?;
        let count = |state: &DeliveryState| {
            let number = state.number().to_string();
            let found = rows.iter().find(|(state, _)| *state == number);
            (state.to_string(), found.map_or(0, |(_, count)| *count))
        };
        Ok(DeliveryState::ALL.iter().map(count).collect())
    }
}

row! {
    /// A subscriber that scrapehook has disabled.
    #[derive(Clone, Debug)]
    pub struct DisabledSubscriber {
        /// Its id.
        pub id: String,
        /// Its name, or its id if it has none.
        pub name: String,
        /// When it was disabled, in milliseconds.
        pub disabled_at: i64,
        /// The `seq` of the first event that it may have missed.
        pub disabled_seq: i64,
        /// Why.
        pub disabled_reason: String,
    }
}

/// Reads the settings of a subscriber within a transaction.
pub(crate) async fn stored_settings(
    connection: &mut SqliteConnection,
    number: i64,
) -> Result<SubscriberSettings, sqlx::Error> {
    let row: SubscriberRow = sqlx::query_as("SELECT * FROM subscribers WHERE number = ?1")
        .bind(number)
        .fetch_one(connection)
        .await?;
    settings(&row)
}

fn settings(row: &SubscriberRow) -> Result<SubscriberSettings, sqlx::Error> {
    let at = |column| ("subscribers", column, row.id.as_str());
    let unreadable =
        |column, error: &dyn std::error::Error| column::unreadable(at(column), error.to_string());
    let events: Vec<String> = column::json(at("events"), &row.events)?;
    let events = events.iter().map(|pattern| column::parsed(at("events"), pattern));
    let template = row.template.as_deref().map(Template::parse).transpose();
    Ok(SubscriberSettings {
        name: row.name.clone(),
        target: Target::from_stored(&row.url).map_err(|error| unreadable("url", &error))?,
        events: events.collect::<Result<_, _>>()?,
        labels: column::json(at("labels"), &row.labels)?,
        format: column::parsed::<Format>(at("format"), &row.format)?,
        template: template.map_err(|error| unreadable("template", &error))?,
    })
}

fn stored(row: SubscriberRow, deliveries: BTreeMap<String, i64>) -> Result<StoredSubscriber, sqlx::Error> {
    let settings = settings(&row)?;
    let at = |column| ("subscribers", column, row.id.as_str());
    let mut texts: Vec<(String, Option<i64>)> = row.secret.iter().map(|text| (text.clone(), None)).collect();
    texts.extend(column::json::<Vec<(String, Option<i64>)>>(at("old_secrets"), &row.old_secrets)?);
    let secret = |(text, until): (String, Option<i64>)| {
        let secret = Secret::parse(&text).map_err(|error| column::unreadable(at("secret"), error))?;
        Ok((secret, column::time_option(at("old_secrets"), until)?))
    };
    let secrets = texts.into_iter().map(secret).collect::<Result<Vec<_>, sqlx::Error>>()?;
    let time = |column, millis| column::time_option(at(column), millis);
    let source = if row.is_configured == 1 { SubscriberSource::Config } else { SubscriberSource::Api };
    let shown = Subscriber {
        id: column::parsed::<SubscriberId>(at("id"), &row.id)?,
        name: settings.name.clone(),
        source,
        url: settings.target.masked(),
        events: settings.events.iter().map(ToString::to_string).collect(),
        labels: settings.labels.clone(),
        format: settings.format,
        template: settings.template.as_ref().map(|template| template.as_str().to_owned()),
        enabled: row.enabled,
        created_at: column::time(at("created_at"), row.created_at)?,
        disabled_at: time("disabled_at", row.disabled_at)?,
        disabled_seq: row.disabled_seq,
        disabled_reason: row.disabled_reason.clone(),
        failing_since: time("failing_since", row.failing_since)?,
        old_secret_until: secrets.iter().filter_map(|(_, until)| *until).max(),
        replayed_to: row.replay_after,
        deliveries,
    };
    Ok(StoredSubscriber { number: row.number, settings, secrets, shown })
}

impl StoredSubscriber {
    /// The secrets that sign at this time.
    pub fn secrets_at(&self, now: Timestamp) -> Vec<Secret> {
        let is_valid = |(_, until): &&(Secret, Option<Timestamp>)| until.is_none_or(|until| now < until);
        self.secrets.iter().filter(is_valid).map(|(secret, _)| secret.clone()).collect()
    }
}
