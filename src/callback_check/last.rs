//! The result of the last callback check of the running service, and the loop that keeps it up to date. Must never
//! hold up the service.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use super::{CheckState, Checker, Obstacle};
use crate::clock;
use crate::domain::time::Timestamp;

/// The wait after the start, so that a proxy can find out that this service is healthy.
const FIRST: Duration = Duration::from_secs(2);
/// The wait after a check that did not prove that callbacks arrive. It doubles up to the wait after a successful
/// check.
const SOON: Duration = Duration::from_secs(5);
/// The wait after a successful check.
const LATER: Duration = Duration::from_secs(3_600);

/// Result of the last callback check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct CallbackCheck {
    /// The result.
    pub state: CheckState,
    /// Time of the last check. Null if there was none.
    #[schema(required)]
    pub at: Option<Timestamp>,
    /// Details of the result.
    pub detail: String,
    /// Time of the first check with this result.
    #[serde(skip)]
    pub since: Option<Timestamp>,
    /// The action to take.
    #[serde(skip)]
    pub action: &'static str,
}

/// Holds the last result. Clones share it.
#[derive(Clone, Debug)]
pub struct LastCheck(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    last: Mutex<CallbackCheck>,
    heard: Notify,
}

impl LastCheck {
    /// The state before the first check, which never comes if there is no public URL.
    pub fn new(has_public_url: bool) -> Self {
        let detail =
            if has_public_url { "the first check is still running" } else { "server.public_url is not set" };
        let last = CallbackCheck {
            state: CheckState::NotChecked,
            at: None,
            detail: detail.to_owned(),
            since: None,
            action: "",
        };
        Self(Arc::new(Shared { last: Mutex::new(last), heard: Notify::new() }))
    }

    /// The last result.
    pub fn last(&self) -> CallbackCheck {
        self.lock().clone()
    }

    /// Records that a challenge has arrived. If the last check failed, somebody may have fixed the problem.
    pub fn heard(&self) {
        self.0.heard.notify_waiters();
    }

    /// Stores the result of a check, and logs it if it has changed. Returns whether the check proves that callbacks
    /// arrive.
    fn note(&self, public_url: &str, result: Result<usize, Obstacle>, at: Timestamp) -> bool {
        let (state, detail, action) = match result {
            Ok(size) => (
                CheckState::Ok,
                format!("{public_url} leads to this service, even with a body of {size} bytes"),
                "",
            ),
            Err(obstacle) => (obstacle.state(), format!("{public_url}: {obstacle}"), obstacle.action()),
        };
        let mut last = self.lock();
        let is_news = last.state != state || last.detail != detail;
        let since = if last.state == state { last.since } else { Some(at) };
        *last = CallbackCheck { state, at: Some(at), detail: detail.clone(), since, action };
        drop(last);
        if is_news {
            match state {
                CheckState::Failed => tracing::warn!(detail, action, "callbacks will not arrive"),
                CheckState::NotProven => {
                    tracing::info!(detail, action, "could not prove that callbacks will arrive");
                }
                CheckState::Ok | CheckState::NotChecked => tracing::info!(detail, "callbacks will arrive"),
            }
        }
        state == CheckState::Ok
    }

    // The value is only ever replaced as a whole.
    fn lock(&self) -> std::sync::MutexGuard<'_, CallbackCheck> {
        self.0.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Checks soon after the start, then every hour, and more often while the result is not good, until `stop`.
pub async fn keep_checking(checker: Option<Checker>, last: LastCheck, stop: CancellationToken) {
    let Some(checker) = checker else { return stop.cancelled().await };
    let checks = async {
        tokio::time::sleep(FIRST).await;
        let mut wait = SOON;
        loop {
            let result = checker.check().await;
            if last.note(checker.public_url(), result, clock::now()) {
                wait = SOON;
                tokio::time::sleep(LATER).await;
                continue;
            }
            // The check is over, so a challenge that arrives from now on is most likely that of `doctor`. A late one
            // of this service only causes one more check, not before `SOON`.
            let heard = last.0.heard.notified();
            tokio::pin!(heard);
            heard.as_mut().enable();
            tokio::time::sleep(SOON).await;
            tokio::select! {
                () = tokio::time::sleep(wait - SOON) => {}
                () = heard => {}
            }
            wait = (wait * 2).min(LATER);
        }
    };
    // A running check changes nothing and need not finish.
    stop.run_until_cancelled(checks).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::NoAnswer;

    #[test]
    fn what_failed_first_says_since_when() {
        let check = LastCheck::new(true);
        let time = Timestamp::from_millis;
        assert_eq!(check.last().state, CheckState::NotChecked);
        let refused = || Err(Obstacle::NoAnswer(NoAnswer::Connection("refused".to_owned())));
        assert!(!check.note("http://x", refused(), time(1)));
        assert_eq!(check.last().state, CheckState::NotProven);
        assert!(!check.note("http://x", Err(Obstacle::NoRoute(404)), time(2)));
        assert!(!check.note("http://x", Err(Obstacle::Gateway(502)), time(3)));
        let told = check.last();
        assert_eq!((told.state, told.since, told.at), (CheckState::Failed, Some(time(2)), Some(time(3))));
        assert!(told.detail.starts_with("http://x: "), "{}", told.detail);
        assert!(check.note("http://x", Ok(7), time(4)));
        assert_eq!(check.last().state, CheckState::Ok);
    }
}
