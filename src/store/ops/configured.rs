//! The subscribers of the configuration. Must never remove one: it may be missing by mistake.

use std::collections::BTreeMap;

use serde_json::json;

use crate::domain::id::SubscriberId;
use crate::domain::time::Timestamp;
use crate::domain::webhook::secret::Secret;
use crate::domain::webhook::subscriber::SubscriberSettings;
use crate::store::batch::Batch;
use crate::store::batch::operation::Operation;
use crate::store::column;
use crate::store::ops::subscribers::{disable, enable, insert, try_now, update};
use crate::store::read::subscribers::stored_settings;

/// A subscriber of the configuration.
#[derive(Clone, Debug)]
pub struct ConfiguredSubscriber {
    /// Its settings, with a name.
    pub settings: SubscriberSettings,
    /// Its secrets: the first signs, and so does the second. Without any, those of jobs sign.
    pub secrets: Vec<Secret>,
}

const NOT_CONFIGURED: &str = "it is no longer in the configuration";

/// Makes the subscribers of the configuration those that it has now. Those that are no longer in it are disabled. The
/// reply is the name that a subscriber of the API has, in which case nothing has changed.
#[derive(Debug)]
pub(crate) struct ConfigureSubscribers {
    pub(crate) subscribers: Vec<ConfiguredSubscriber>,
    pub(crate) at: Timestamp,
}

impl Operation for ConfigureSubscribers {
    type Reply = Option<String>;

    async fn apply(&self, batch: &mut Batch<'_>) -> Result<Self::Reply, sqlx::Error> {
        let known: Vec<(i64, Option<String>, i64)> =
            sqlx::query_as("SELECT number, name, is_configured FROM subscribers WHERE removed_at IS NULL")
                .fetch_all(&mut *batch.connection)
                .await?;
        let mut configured = BTreeMap::new();
        for (number, name, is_configured) in known {
            let Some(name) = name else { continue };
            let is_wanted =
                self.subscribers.iter().any(|new| new.settings.name.as_deref() == Some(name.as_str()));
            match (is_configured, is_wanted) {
                (0, true) => return Ok(Some(name)),
                (1, _) | (_, true) => drop(configured.insert(name, number)),
                (_, false) => {}
            }
        }
        for subscriber in &self.subscribers {
            let known = subscriber.settings.name.as_ref().and_then(|name| configured.remove(name));
            self.configure(batch, subscriber, known).await?;
        }
        // Nobody knows whether they were removed on purpose, or the service runs with another file by mistake. So they
        // and their deliveries stay.
        for number in configured.into_values() {
            disable(batch, number, Some(NOT_CONFIGURED), self.at).await?;
            sqlx::query("UPDATE subscribers SET is_configured = 2 WHERE number = ?1")
                .bind(number)
                .execute(&mut *batch.connection)
                .await?;
        }
        batch.changes.wakes_workers = true;
        Ok(None)
    }
}

impl ConfigureSubscribers {
    /// Stores an entry of the configuration. One that has changed or come back is enabled again.
    async fn configure(
        &self,
        batch: &mut Batch<'_>,
        ConfiguredSubscriber { settings, secrets }: &ConfiguredSubscriber,
        known: Option<i64>,
    ) -> Result<(), sqlx::Error> {
        let mut texts = secrets.iter().map(Secret::expose);
        let secret = texts.next();
        let old: Vec<(String, Option<i64>)> = texts.map(|secret| (secret, None)).collect();
        let number = match known {
            Some(number) => number,
            None => insert(batch, SubscriberId::new(self.at), settings, self.at).await?,
        };
        // Settings that can't be read are replaced, like all that have changed: one row must not stop every start.
        let stored = match stored_settings(batch.connection, number).await {
            Ok(stored) => Some(stored),
            Err(error) if column::is_unreadable(&error) => {
                tracing::warn!(%error, "the stored settings of a subscriber can't be read, and are replaced");
                None
            }
            Err(error) => return Err(error),
        };
        let is_same = known.is_some()
            && stored.as_ref() == Some(settings)
            && sqlx::query_scalar("SELECT is_configured = 1 FROM subscribers WHERE number = ?1")
                .bind(number)
                .fetch_one(&mut *batch.connection)
                .await?;
        update(batch, number, settings).await?;
        sqlx::query(
            "UPDATE subscribers SET is_configured = 1, secret = ?2, old_secrets = ?3 WHERE number = ?1",
        )
        .bind(number)
        .bind(secret)
        .bind(json!(old).to_string())
        .execute(&mut *batch.connection)
        .await?;
        if !is_same {
            enable(batch, number).await?;
            try_now(batch, number, self.at).await?;
        }
        Ok(())
    }
}
