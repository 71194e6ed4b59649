//! `/metrics`: counters since the start and the present state, for Prometheus.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use crate::domain::pause::Pause;
use crate::http::context::Context;
use crate::store::{ReadError, free_room};
use crate::telemetry::{Copies, Kept, KeptWebhooks, MEDIA_TYPE, Snapshot, Waiting};

/// Shows all metrics in the Prometheus text format.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "operating",
    responses((status = 200, description = "All metrics.", body = String, content_type = "text/plain")),
)]
pub(in crate::http) async fn get_metrics(State(context): State<Context>) -> Response {
    // Uses separate database connections, so that monitoring and clients do not hold each other up.
    let kept = match kept(&context).await {
        Ok(kept) => Some(kept),
        // The other metrics are worth most just then.
        Err(error) => {
            tracing::error!(%error, "metrics are shown without those from the database");
            context.metrics.read_failed();
            None
        }
    };
    let backlog = context.store.backlog();
    let monitored = &context.monitored;
    let text = context.metrics.show(&Snapshot {
        kept,
        queued: (backlog.facts, backlog.hints),
        oldest: backlog.oldest,
        interval: monitored.budget.interval(),
        copies: monitored.backup_every.map(|every| Copies {
            last: monitored.last_backup.get().at.map_or(0.0, |at| seconds(at.as_millis())),
            every,
        }),
        bytes: bytes(&monitored.store_path),
    });
    ([(CONTENT_TYPE, MEDIA_TYPE)], text).into_response()
}

/// The metrics from the database.
async fn kept(context: &Context) -> Result<Kept, ReadError> {
    let (store, has_callbacks) = (context.store.for_workers(), context.monitored.has_callbacks);
    let pacing = context.pacing();
    let tally = store.read().tally().await?;
    let mut paused: BTreeMap<String, bool> =
        [Pause::ALL, Pause::OPERATOR, Pause::RESTORED].map(|scope| (scope.to_owned(), false)).into();
    paused.extend(store.read().pauses().await?.into_iter().map(|pause| (pause.scope, true)));
    let queue = store.read().queue(pacing).await?;
    let webhooks = store.read().webhooks().await?;
    Ok(Kept {
        waiting: Waiting {
            urls: queue.waiting,
            requests: queue.requests,
            oldest: queue.oldest_at.map_or(Duration::ZERO, |oldest| pacing.now.since(oldest)),
        },
        tasks: tally.tasks.into_iter().collect(),
        paused: paused.into_iter().collect(),
        hints: tally.hints,
        webhooks: KeptWebhooks {
            oldest: webhooks.oldest_waiting_at.map_or(Duration::ZERO, |oldest| pacing.now.since(oldest)),
            failing: webhooks.failing,
            deliveries: webhooks.deliveries.into_iter().collect(),
        },
        last_callback: has_callbacks
            .then(|| tally.last_callback_at.map_or(0.0, |at| seconds(at.as_millis()))),
    })
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds are exact for the next 280,000 years")]
fn seconds(millis: i64) -> f64 {
    millis as f64 / 1000.0
}

/// Sizes of the database and its log, and the free space on their disk. A value is none if the system does not tell.
fn bytes(database: &Path) -> [Option<u64>; 3] {
    let mut log = database.as_os_str().to_owned();
    log.push("-wal");
    let size = |path: &Path| std::fs::metadata(path).ok().map(|file| file.len());
    [size(database), size(Path::new(&log)), free_room(database)]
}
