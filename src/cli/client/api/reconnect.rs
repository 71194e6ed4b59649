//! Repeats requests while the service cannot be reached, with growing pauses and one message. Must never repeat a
//! request that another try cannot help.

use std::time::Duration;

use tokio::time::Instant;

use super::failure::ClientError;

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(5);

/// A connection that outlives restarts of the service.
pub(in crate::cli) struct Reconnect<'a> {
    /// The longest time for which the service may be away. None means forever.
    at_most: Option<Duration>,
    say: &'a dyn Fn(&str),
    /// The time of the first failed request, and the next pause.
    away: Option<(Instant, Duration)>,
}

impl<'a> Reconnect<'a> {
    /// Creates it for a service that has answered before.
    pub(in crate::cli) fn new(at_most: Option<Duration>, say: &'a dyn Fn(&str)) -> Self {
        Self { at_most, say, away: None }
    }

    /// Waits before the next attempt. Returns the error if another attempt cannot help, or if the service has been
    /// away for too long.
    pub(in crate::cli) async fn wait_or(&mut self, error: ClientError) -> Result<(), ClientError> {
        if !error.may_pass() {
            return Err(error);
        }
        let (since, pause) = match self.away {
            Some(away) => away,
            None => {
                let why = match &error {
                    ClientError::Busy(said) => said,
                    _ => "The connection was lost.",
                };
                let why = why.trim_end_matches('.');
                (self.say)(&format!("{why}. Trying again. Press Ctrl-C to stop."));
                (Instant::now(), FIRST)
            }
        };
        if self.at_most.is_some_and(|most| since.elapsed() >= most) {
            return Err(error);
        }
        self.away = Some((since, (pause * 2).min(LONGEST)));
        tokio::time::sleep(pause).await;
        Ok(())
    }

    /// Records that the service has answered.
    pub(in crate::cli) fn heard(&mut self) {
        if self.away.take().is_some() {
            (self.say)("Connected again.");
        }
    }

    /// Repeats a request until there is an answer.
    pub(in crate::cli) async fn ask<T>(
        &mut self,
        question: impl AsyncFn() -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        loop {
            match question().await {
                Ok(answer) => {
                    self.heard();
                    return Ok(answer);
                }
                Err(error) => self.wait_or(error).await?,
            }
        }
    }
}
