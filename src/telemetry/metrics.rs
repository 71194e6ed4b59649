//! All metrics, each defined once with its name, its unit and its labels.
//!
//! Must never have a label without a bound: no id, no URL, no path, and no words of a client or of upstream.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::labels::{OfAnswer, OfBuild, OfCallback, OfFact, OfQueue, OfRequest, OfScope, OfState, Unlabeled};
use super::webhooks::WebhookMetrics;
use super::{Kept, Snapshot, text};
use crate::domain::event::Source;
use crate::domain::task::{FactKind, TaskState};

/// The upper bounds of the durations of commits, in seconds: a fast disk, a slow one, a failing one.
const COMMIT_SECONDS: [f64; 11] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0];
/// The upper bounds of the operations in a commit, up to the writer's own limit.
const COMMIT_OPERATIONS: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];
/// The upper bounds of the durations of scrapehook's and upstream's answers, in seconds. `?wait=` takes up to two
/// minutes.
const ANSWER_SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0, 120.0];

type Seconds = Gauge<f64, std::sync::atomic::AtomicU64>;
type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// All metrics and their registry.
pub struct Metrics {
    registry: Registry,
    callbacks: Family<OfCallback, Counter>,
    facts: Family<OfFact, Counter>,
    commit_operations: Histogram,
    commit_seconds: Histogram,
    failed_commits: Counter,
    answers: Histograms<OfAnswer>,
    upstream: Histograms<OfRequest>,
    open_connections: Gauge,
    evicted_connections: Counter,
    tasks: Family<OfState, Gauge>,
    paused: Family<OfScope, Gauge>,
    hints: Family<Unlabeled, Gauge>,
    waiting_urls: Family<Unlabeled, Gauge>,
    waiting_requests: Family<Unlabeled, Gauge>,
    waiting_oldest: Family<Unlabeled, Seconds>,
    queued: Family<OfQueue, Gauge>,
    oldest: Seconds,
    interval: Seconds,
    last_callback: Family<Unlabeled, Seconds>,
    last_backup: Family<Unlabeled, Seconds>,
    backup_interval: Family<Unlabeled, Seconds>,
    bytes: [Family<Unlabeled, Gauge>; 3],
    webhooks: WebhookMetrics,
    failed_reads: Counter,
    looks: Mutex<()>,
}

fn answer_seconds() -> Histogram {
    Histogram::new(ANSWER_SECONDS)
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("scrapehook"),
            callbacks: Family::default(),
            facts: Family::default(),
            commit_operations: Histogram::new(COMMIT_OPERATIONS),
            commit_seconds: Histogram::new(COMMIT_SECONDS),
            failed_commits: Counter::default(),
            answers: Family::new_with_constructor(answer_seconds),
            upstream: Family::new_with_constructor(answer_seconds),
            open_connections: Gauge::default(),
            evicted_connections: Counter::default(),
            tasks: Family::default(),
            paused: Family::default(),
            hints: Family::default(),
            waiting_urls: Family::default(),
            waiting_requests: Family::default(),
            waiting_oldest: Family::default(),
            queued: Family::default(),
            oldest: Seconds::default(),
            interval: Seconds::default(),
            last_callback: Family::default(),
            last_backup: Family::default(),
            backup_interval: Family::default(),
            bytes: Default::default(),
            webhooks: WebhookMetrics::default(),
            failed_reads: Counter::default(),
            looks: Mutex::default(),
        };
        metrics.register();
        // All series begin at 0, because a series that appears later would not count as a rise.
        for kind in FactKind::ALL {
            for source in [Source::Callback, Source::Poll] {
                let of = OfFact { kind: kind.as_str(), source: source.as_str() };
                drop(metrics.facts.get_or_create(&of));
            }
        }
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        let build = Family::<OfBuild, Gauge>::default();
        build.get_or_create(&OfBuild { version: env!("CARGO_PKG_VERSION") }).set(1);
        let registry = &mut self.registry;
        registry.register("build_info", "The version, as a label of a constant 1", build);
        registry.register(
            "callbacks",
            "Callbacks and hints that arrived, by kind and outcome",
            self.callbacks.clone(),
        );
        registry.register(
            "facts",
            "New facts, by kind and source. The source is a poll if no callback brought the fact",
            self.facts.clone(),
        );
        registry.register("commit_operations", "Operations per commit", self.commit_operations.clone());
        registry.register(
            "commit_duration_seconds",
            "Time from the start of a commit until it is on disk",
            self.commit_seconds.clone(),
        );
        registry.register("failed_commits", "Commits that failed", self.failed_commits.clone());
        registry.register(
            "http_request_duration_seconds",
            "Time from the head of a request to the head of its answer, by route and status class",
            self.answers.clone(),
        );
        registry.register(
            "upstream_request_duration_seconds",
            "Duration of a request to the memories.ai API, by operation and outcome",
            self.upstream.clone(),
        );
        registry.register("open_connections", "Open connections", self.open_connections.clone());
        registry.register(
            "evicted_connections",
            "Silent connections that were closed to make room",
            self.evicted_connections.clone(),
        );
        self.register_state();
    }

    /// Registers the metrics of the present state.
    fn register_state(&mut self) {
        let registry = &mut self.registry;
        registry.register("tasks", "Tasks by state", self.tasks.clone());
        registry.register(
            "sending_paused",
            "Whether sending is paused, by scope: 1 or 0",
            self.paused.clone(),
        );
        registry.register("waiting_urls", "URLs that wait to be sent", self.waiting_urls.clone());
        registry.register(
            "waiting_requests",
            "Requests to the memories.ai API that send all waiting URLs, after packing",
            self.waiting_requests.clone(),
        );
        registry.register(
            "waiting_oldest_age_seconds",
            "How long the oldest URL has waited to be sent, or 0 if none waits",
            self.waiting_oldest.clone(),
        );
        self.webhooks.register(registry);
        registry.register("quarantined_hints", "Hints that are kept", self.hints.clone());
        registry.register("queued_operations", "Operations that wait for their commit", self.queued.clone());
        registry.register(
            "queue_oldest_age_seconds",
            "How long the oldest operation has waited for its commit",
            self.oldest.clone(),
        );
        registry.register(
            "upstream_interval_seconds",
            "Minimum time between two requests to the memories.ai API, as learned so far",
            self.interval.clone(),
        );
        registry.register(
            "last_callback_timestamp_seconds",
            "When the last callback with a good token came. 0 is never, absent means none are requested",
            self.last_callback.clone(),
        );
        registry.register(
            "last_backup_timestamp_seconds",
            "When the last scheduled database copy was made. 0 is never, absent means none are scheduled",
            self.last_backup.clone(),
        );
        registry.register(
            "backup_interval_seconds",
            "Time between two scheduled copies of the database",
            self.backup_interval.clone(),
        );
        registry.register(
            "failed_reads",
            "Requests for these metrics that could not read the database",
            self.failed_reads.clone(),
        );
        let [database, log, free] = self.bytes.clone();
        registry.register("database_bytes", "Size of the database", database);
        registry.register("database_log_bytes", "Size of the database's write-ahead log", log);
        registry.register("disk_free_bytes", "Free space on the database's disk", free);
    }

    /// Counts a callback or a hint.
    pub fn callback(&self, kind: &'static str, outcome: &'static str) {
        self.callbacks.get_or_create(&OfCallback { kind, outcome }).inc();
    }

    /// Counts a new fact.
    pub fn fact(&self, kind: &'static str, source: &'static str) {
        self.facts.get_or_create(&OfFact { kind, source }).inc();
    }

    /// Measures a commit that is on disk.
    pub fn committed(&self, operations: usize, took: Duration) {
        self.commit_operations.observe(u32::try_from(operations).unwrap_or(u32::MAX).into());
        self.commit_seconds.observe(took.as_secs_f64());
    }

    /// Counts a commit that failed.
    pub fn commit_failed(&self) {
        self.failed_commits.inc();
    }

    /// Counts a request for metrics for which the database could not be read.
    pub fn read_failed(&self) {
        self.failed_reads.inc();
    }

    /// Measures an answer. The route is a pattern, never a path.
    pub fn answered(&self, method: &'static str, route: &str, status: u16, took: Duration) {
        let status = match status / 100 {
            1 => "1xx",
            2 => "2xx",
            3 => "3xx",
            4 => "4xx",
            _ => "5xx",
        };
        let labels = OfAnswer { method, route: route.to_owned(), status };
        self.answers.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// Measures a request to upstream.
    pub fn asked_upstream(&self, operation: &'static str, outcome: &'static str, took: Duration) {
        self.upstream.get_or_create(&OfRequest { operation, outcome }).observe(took.as_secs_f64());
    }

    /// Records that a connection was opened or closed.
    pub fn connection(&self, is_opened: bool) {
        if is_opened {
            self.open_connections.inc();
        } else {
            self.open_connections.dec();
        }
    }

    /// Counts a connection that was closed to make room.
    pub fn connection_evicted(&self) {
        self.evicted_connections.inc();
    }

    fn set_kept(&self, kept: &Kept) {
        // States without tasks are shown as well, because a series that begins with 1 would not count as a rise.
        for state in TaskState::ALL {
            self.tasks.get_or_create(&OfState { state: state.to_string() }).set(0);
        }
        for (state, count) in &kept.tasks {
            self.tasks.get_or_create(&OfState { state: state.clone() }).set(*count);
        }
        for (scope, is_paused) in &kept.paused {
            self.paused.get_or_create(&OfScope { scope: scope.clone() }).set((*is_paused).into());
        }
        self.hints.get_or_create(&Unlabeled {}).set(kept.hints);
        self.webhooks.set(&kept.webhooks);
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.waiting_urls.get_or_create(&Unlabeled {}).set(count(kept.waiting.urls));
        self.waiting_requests.get_or_create(&Unlabeled {}).set(count(kept.waiting.requests));
        self.waiting_oldest.get_or_create(&Unlabeled {}).set(kept.waiting.oldest.as_secs_f64());
        if let Some(at) = kept.last_callback {
            self.last_callback.get_or_create(&Unlabeled {}).set(at);
        }
    }

    /// Counts an attempt to deliver a webhook.
    pub fn webhook_attempt(&self, is_success: bool) {
        self.webhooks.attempted(is_success);
    }

    /// Returns all metrics in Prometheus' text format.
    pub fn show(&self, snapshot: &Snapshot) -> String {
        // Two requests at once would show values that the other one has cleared.
        let _one_at_a_time = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        self.tasks.clear();
        self.paused.clear();
        self.hints.clear();
        self.waiting_urls.clear();
        self.waiting_requests.clear();
        self.waiting_oldest.clear();
        self.last_callback.clear();
        self.webhooks.clear();
        if let Some(kept) = &snapshot.kept {
            self.set_kept(kept);
        }
        for (queue, length) in [("facts", snapshot.queued.0), ("hints", snapshot.queued.1)] {
            self.queued.get_or_create(&OfQueue { queue }).set(i64::try_from(length).unwrap_or(i64::MAX));
        }
        self.oldest.set(snapshot.oldest.as_secs_f64());
        self.interval.set(snapshot.interval.as_secs_f64());
        self.last_backup.clear();
        self.backup_interval.clear();
        if let Some(copies) = snapshot.copies {
            self.last_backup.get_or_create(&Unlabeled {}).set(copies.last);
            self.backup_interval.get_or_create(&Unlabeled {}).set(copies.every.as_secs_f64());
        }
        for (gauge, bytes) in self.bytes.iter().zip(snapshot.bytes) {
            gauge.clear();
            // A value that the system does not report is left out. It must not be 0, which means a full disk.
            if let Some(bytes) = bytes.and_then(|bytes| i64::try_from(bytes).ok()) {
                gauge.get_or_create(&Unlabeled {}).set(bytes);
            }
        }
        text::encode(&self.registry)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Waiting;

    #[test]
    fn what_only_the_database_knows_is_not_made_up_where_it_cannot_be_read() {
        let metrics = Metrics::default();
        let waiting = Waiting { urls: 60, requests: 2, oldest: Duration::from_millis(1_500) };
        let kept = Kept { tasks: vec![("queued".to_owned(), 3)], waiting, hints: 2, ..Kept::default() };
        let whole = metrics.show(&Snapshot { kept: Some(kept), ..Snapshot::default() });
        let lines = [
            "scrapehook_tasks{state=\"queued\"} 3\n",
            "scrapehook_quarantined_hints 2\n",
            "scrapehook_waiting_urls 60\n",
            "scrapehook_waiting_requests 2\n",
            "scrapehook_waiting_oldest_age_seconds 1.5\n",
        ];
        assert!(lines.iter().all(|line| whole.contains(line)), "{whole}");
        metrics.commit_failed();
        metrics.read_failed();
        let blind = metrics.show(&Snapshot::default());
        assert!(
            [
                "tasks{",
                "quarantined_hints ",
                "waiting_urls ",
                "waiting_requests ",
                "waiting_oldest_age_seconds "
            ]
            .iter()
            .all(|name| !blind.contains(&format!("scrapehook_{name}"))),
            "{blind}"
        );
        let counted = ["scrapehook_failed_commits_total 1\n", "scrapehook_failed_reads_total 1\n"];
        assert!(counted.iter().all(|line| blind.contains(line)), "{blind}");
    }
}
