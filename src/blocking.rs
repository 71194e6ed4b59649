//! Long work, such as parsing megabytes or waiting for a disk, on threads outside the runtime.
//!
//! The runtime's threads answer callbacks, so they must never do work that takes longer than a millisecond.

use thiserror::Error;

/// The work was not done, because the runtime is stopping.
#[derive(Clone, Copy, Debug, Error)]
#[error("the service is stopping")]
pub struct Stopping;

/// Runs `work` on a thread for blocking work and returns its result. A panic in it continues in the caller.
///
/// # Errors
/// [`Stopping`] means that the runtime shuts down, so the work may never have begun.
pub async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Stopping> {
    tokio::task::spawn_blocking(work).await.map_err(|error| match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(_) => Stopping,
    })
}

#[cfg(test)]
mod tests {
    use super::run;

    #[tokio::test]
    async fn work_is_done_on_another_thread() {
        let here = std::thread::current().id();
        assert_ne!(run(|| std::thread::current().id()).await.unwrap(), here);
    }

    #[tokio::test]
    #[should_panic(expected = "the reason")]
    async fn a_panic_continues_in_the_caller() {
        let _ = run(|| panic!("the reason")).await;
    }
}
