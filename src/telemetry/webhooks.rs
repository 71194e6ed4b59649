//! The metrics of webhooks. Must never have a label for a receiver.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::labels::{OfOutcome, OfState, Unlabeled};

type Seconds = Gauge<f64, std::sync::atomic::AtomicU64>;

/// The deliveries in the database.
#[derive(Clone, Debug, Default)]
pub struct KeptWebhooks {
    /// Their numbers by state.
    pub deliveries: Vec<(String, i64)>,
    /// The wait of the oldest one that has not ended.
    pub oldest: Duration,
    /// Subscribers whose last attempt failed.
    pub failing: i64,
}

/// The metrics of webhooks.
#[derive(Debug, Default)]
pub(super) struct WebhookMetrics {
    attempts: Family<OfOutcome, Counter>,
    deliveries: Family<OfState, Gauge>,
    oldest: Family<Unlabeled, Seconds>,
    failing: Family<Unlabeled, Gauge>,
}

const DELIVERED: OfOutcome = OfOutcome { outcome: "delivered" };
const FAILED: OfOutcome = OfOutcome { outcome: "failed" };

impl WebhookMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        for outcome in [DELIVERED, FAILED] {
            drop(self.attempts.get_or_create(&outcome));
        }
        registry.register(
            "webhook_attempts",
            "Attempts to deliver a webhook, by outcome",
            self.attempts.clone(),
        );
        registry.register("webhooks", "Webhooks by state", self.deliveries.clone());
        registry.register(
            "webhook_oldest_age_seconds",
            "How long the oldest waiting webhook has waited, or 0 if none waits",
            self.oldest.clone(),
        );
        registry.register(
            "webhook_failing_subscribers",
            "Subscribers whose last attempt failed",
            self.failing.clone(),
        );
    }

    /// Counts an attempt.
    pub(super) fn attempted(&self, is_success: bool) {
        self.attempts.get_or_create(if is_success { &DELIVERED } else { &FAILED }).inc();
    }

    /// Forgets what only the database knows.
    pub(super) fn clear(&self) {
        self.deliveries.clear();
        self.oldest.clear();
        self.failing.clear();
    }

    pub(super) fn set(&self, kept: &KeptWebhooks) {
        for (state, count) in &kept.deliveries {
            self.deliveries.get_or_create(&OfState { state: state.clone() }).set(*count);
        }
        self.oldest.get_or_create(&Unlabeled {}).set(kept.oldest.as_secs_f64());
        self.failing.get_or_create(&Unlabeled {}).set(kept.failing);
    }
}
