//! `?wait=`: answers once a job or a task has settled, or the time is over.

use std::time::Duration;

use tokio::time::Instant;

use crate::http::context::Context;
use crate::http::edge::problem::{Code, Problem};
use crate::store::{Awaited, ReadError, Store};

/// The longest wait.
const MOST: Duration = Duration::from_secs(120);

/// Reads the time that a client wants to wait.
pub(in crate::http) fn duration(text: Option<&str>) -> Result<Duration, Problem> {
    let Some(text) = text else { return Ok(Duration::ZERO) };
    match humantime::parse_duration(text) {
        Ok(wait) if wait <= MOST => Ok(wait),
        Ok(_) => Err(Problem::new(Code::BadQuery, format!("wait: must be at most {}s.", MOST.as_secs()))),
        Err(_) => Err(Problem::new(Code::BadQuery, "wait: must be a duration such as `30s`.")),
    }
}

/// Reads a job or a task until it is settled, the time is over or the service stops. Returns the last result.
pub(in crate::http) async fn until_settled<T, R>(
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
    let end = Instant::now() + wait;
    let time_is_over = tokio::time::sleep_until(end);
    tokio::pin!(time_is_over);
    loop {
        let woken = place.woken();
        let found = read_until(end, &read).await?;
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

/// Reads, and tries again until `end` if all readers are taken. Many clients can wake at the same moment, and each of
/// them has time to wait.
async fn read_until<T, R>(end: Instant, read: impl Fn() -> R) -> Result<T, ReadError>
where
    R: Future<Output = Result<T, ReadError>>,
{
    loop {
        match read().await {
            Err(error) if error.is_busy() && Instant::now() < end => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Fails `tries` times before it reads. Returns whether the read succeeded, and the number of calls.
    async fn read_after(tries: u32, error: fn() -> sqlx::Error, end: Instant) -> (bool, u32) {
        let asked = Cell::new(0);
        let read = async || {
            asked.set(asked.get() + 1);
            if asked.get() > tries { Ok(()) } else { Err(ReadError::from(error())) }
        };
        let is_read = read_until(end, read).await.is_ok();
        (is_read, asked.get())
    }

    #[tokio::test]
    async fn a_waiting_client_is_not_refused_while_all_readers_are_taken() {
        let (now, later) = (Instant::now(), Instant::now() + MOST);
        let busy = || sqlx::Error::PoolTimedOut;
        assert_eq!(read_after(2, busy, later).await, (true, 3));
        assert_eq!(read_after(2, busy, now).await, (false, 1), "its time is over");
        assert_eq!(
            read_after(2, || sqlx::Error::PoolClosed, later).await,
            (false, 1),
            "there is nothing to wait for"
        );
    }
}
