//! `/metrics`: what happened since the start, and how things are now, for Prometheus.

use std::collections::BTreeMap;
use std::path::Path;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use super::Context;
use super::error::Problem;
use crate::clock;
use crate::store::{Pause, free_room};
use crate::telemetry::{MEDIA_TYPE, Snapshot};

/// Shows all metrics, in Prometheus' text format.
#[utoipa::path(get, path = "/metrics", tag = "operating", responses((status = 200, description = "All metrics.", body = String, content_type = "text/plain")))]
pub(super) async fn get_metrics(State(context): State<Context>) -> Result<Response, Problem> {
    let overview = context.store.overview(clock::now()).await?;
    let mut paused: BTreeMap<String, bool> =
        [Pause::ALL, Pause::OPERATOR, Pause::RESTORED].map(|scope| (scope.to_owned(), false)).into();
    paused.extend(context.store.pauses().await?.into_iter().map(|pause| (pause.scope, true)));
    let backlog = context.store.backlog();
    let surroundings = &context.surroundings;
    let text = context.metrics.show(&Snapshot {
        tasks: overview.counts.tasks.into_iter().collect(),
        paused: paused.into_iter().collect(),
        hints: overview.counts.quarantine,
        queued: (backlog.facts, backlog.hints),
        oldest: backlog.oldest,
        interval: surroundings.budget.interval(),
        last_callback: overview.last_callback_at.map(|at| seconds(at.as_millis())),
        last_backup: surroundings.last_backup.get().at.map(|at| seconds(at.as_millis())),
        bytes: bytes(&surroundings.store_path),
    });
    Ok(([(CONTENT_TYPE, MEDIA_TYPE)], text).into_response())
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds are exact for the next 280,000 years")]
fn seconds(millis: i64) -> f64 {
    millis as f64 / 1000.0
}

/// Sizes of the database and its log, and the room beside them; none where the system does not say.
fn bytes(database: &Path) -> [Option<u64>; 3] {
    let mut log = database.as_os_str().to_owned();
    log.push("-wal");
    let size = |path: &Path| std::fs::metadata(path).ok().map(|file| file.len());
    [size(database), size(Path::new(&log)), free_room(database)]
}
