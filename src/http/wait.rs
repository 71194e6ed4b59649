//! `?wait=`: an answer that comes once a job or a task has settled, or the time is over.

use std::time::Duration;

use super::Context;
use super::error::{Code, Problem};
use crate::store::{Awaited, ReadError, Store};

/// The longest wait.
const MOST: Duration = Duration::from_secs(120);

/// How long a client wants to wait.
pub(super) fn duration(text: Option<&str>) -> Result<Duration, Problem> {
    let Some(text) = text else { return Ok(Duration::ZERO) };
    match humantime::parse_duration(text) {
        Ok(wait) if wait <= MOST => Ok(wait),
        Ok(_) => Err(Problem::new(Code::BadQuery, format!("wait: must be at most {}s.", MOST.as_secs()))),
        Err(_) => Err(Problem::new(Code::BadQuery, "wait: must be a duration such as `30s`.")),
    }
}

/// Reads until what was read is settled, the time is over or the service stops; gives what it read last.
pub(super) async fn until_settled<T, R>(
    context: &Context,
    awaited: Awaited,
    wait: Duration,
    read: impl Fn(Store) -> R,
    is_settled: impl Fn(&T) -> bool,
) -> Result<Option<T>, ReadError>
where
    R: Future<Output = Result<Option<T>, ReadError>>,
{
    let read = || read(context.store.clone());
    if wait.is_zero() {
        return read().await;
    }
    let place = context.store.wait_for(awaited);
    let time_is_over = tokio::time::sleep(wait);
    tokio::pin!(time_is_over);
    loop {
        let woken = place.woken();
        let found = read().await?;
        if found.as_ref().is_none_or(&is_settled) {
            return Ok(found);
        }
        tokio::select! {
            () = woken => {}
            () = &mut time_is_over => return read().await,
            () = context.stop.cancelled() => return Ok(found),
        }
    }
}
