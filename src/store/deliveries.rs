//! The part of the store for webhooks: deliveries, and the subscribers that receive them.
//!
//! All writes must go through the writer.

use std::time::Duration;

use crate::domain::id::SubscriberId;
use crate::domain::time::Timestamp;
use crate::domain::webhook::secret::Secret;
use crate::domain::webhook::subscriber::{SubscriberPatch, SubscriberSettings};
use crate::store::error::WriteError;
use crate::store::ops::attempts::{EndAttempts, EndedAttempt};
use crate::store::ops::configured::{ConfigureSubscribers, ConfiguredSubscriber};
use crate::store::ops::deliveries::{EnqueueDeliveries, NewDelivery, Progress};
use crate::store::ops::purge::PurgeSubscribers;
use crate::store::ops::replays::{BeginReplay, ReceiverOf, ReviveDeliveries};
use crate::store::ops::subscribers::{
    AddSubscriber, PatchSubscriber, RemoveSubscriber, RotateSecret, SubscriberChanged,
};

/// Most deliveries that one commit removes or makes again.
const STEP: u32 = 200;

impl crate::store::Store {
    /// Stores deliveries, and the progress that they make.
    ///
    /// # Errors
    /// [`WriteError`]: the forwarder reads the same events again.
    pub async fn enqueue_deliveries(
        &self,
        deliveries: Vec<NewDelivery>,
        progress: Progress,
        at: Timestamp,
    ) -> Result<(), WriteError> {
        self.queues.wait(EnqueueDeliveries { deliveries, progress, at }).await
    }

    /// Stores the ends of attempts. A subscriber all of whose attempts have failed for `disable_after` is disabled.
    ///
    /// # Errors
    /// [`WriteError`]: the deliveries are made again.
    pub async fn end_attempts(
        &self,
        attempts: Vec<EndedAttempt>,
        disable_after: Duration,
    ) -> Result<(), WriteError> {
        self.queues.wait(EndAttempts { attempts, disable_after }).await
    }

    /// Adds a subscriber, which hears of the events from now on.
    ///
    /// # Errors
    /// [`WriteError`]
    pub async fn add_subscriber(
        &self,
        id: SubscriberId,
        settings: SubscriberSettings,
        secret: Secret,
        enabled: bool,
        at: Timestamp,
    ) -> Result<SubscriberChanged, WriteError> {
        self.queues.fact(AddSubscriber { id, settings, secret, enabled, at }).await
    }

    /// Changes the given settings of a subscriber.
    ///
    /// # Errors
    /// [`WriteError`]
    pub async fn patch_subscriber(
        &self,
        id: SubscriberId,
        patch: SubscriberPatch,
        at: Timestamp,
    ) -> Result<SubscriberChanged, WriteError> {
        self.queues.fact(PatchSubscriber { id, patch, at }).await
    }

    /// Gives a subscriber a new secret. The old one signs as well until `until`.
    ///
    /// # Errors
    /// [`WriteError`]
    pub async fn rotate_secret(
        &self,
        id: SubscriberId,
        secret: Secret,
        at: Timestamp,
        until: Timestamp,
    ) -> Result<SubscriberChanged, WriteError> {
        self.queues.fact(RotateSecret { id, secret, at, until }).await
    }

    /// Removes a subscriber and, in further commits, its deliveries.
    ///
    /// # Errors
    /// [`WriteError`]
    pub async fn remove_subscriber(
        &self,
        id: SubscriberId,
        at: Timestamp,
    ) -> Result<SubscriberChanged, WriteError> {
        self.queues.fact(RemoveSubscriber { id, at }).await
    }

    /// Removes some deliveries of removed subscribers. Returns whether there may be more.
    ///
    /// # Errors
    /// [`WriteError`]
    pub async fn purge_subscribers(&self) -> Result<bool, WriteError> {
        self.queues.wait(PurgeSubscribers { most: STEP }).await
    }

    /// Makes the subscribers of the configuration those that it has now. Returns a name that a subscriber of the API
    /// has, in which case nothing has changed.
    ///
    /// # Errors
    /// [`WriteError`]
    pub async fn configure_subscribers(
        &self,
        subscribers: Vec<ConfiguredSubscriber>,
        at: Timestamp,
    ) -> Result<Option<String>, WriteError> {
        self.queues.wait(ConfigureSubscribers { subscribers, at }).await
    }

    /// Makes dead deliveries of a subscriber again. Returns their number.
    ///
    /// # Errors
    /// [`WriteError`] means that some of them are made again.
    pub async fn revive_deliveries(&self, of: ReceiverOf, at: Timestamp) -> Result<u64, WriteError> {
        let mut count = 0;
        loop {
            let revived = self.queues.wait(ReviveDeliveries { of, most: STEP, at }).await?;
            count += revived;
            if revived < u64::from(STEP) {
                return Ok(count);
            }
        }
    }

    /// Begins a replay of all events from `from` on. Returns the last `seq` of the replay, or none if there is no such
    /// subscriber.
    ///
    /// # Errors
    /// [`WriteError`]
    pub async fn begin_replay(
        &self,
        id: SubscriberId,
        from: i64,
        at: Timestamp,
    ) -> Result<Option<i64>, WriteError> {
        self.queues.fact(BeginReplay { id, from, at }).await
    }
}
