//! Asking again if a service is away for a while: with growing pauses, and one message.

use std::time::Duration;

use tokio::time::Instant;

use super::failure::ClientError;

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(5);

/// How a connection fares that is wanted for longer.
pub(super) struct Reconnect<'a> {
    /// None: forever.
    at_most: Option<Duration>,
    say: &'a dyn Fn(&str),
    /// Since when nothing is heard, and the next pause.
    away: Option<(Instant, Duration)>,
}

impl<'a> Reconnect<'a> {
    /// With a service that was heard of before.
    pub(super) fn new(at_most: Option<Duration>, say: &'a dyn Fn(&str)) -> Self {
        Self { at_most, say, away: None }
    }

    /// Waits before the next attempt. Gives the error back if asking again does not help, or has not helped for too
    /// long.
    pub(super) async fn wait_or(&mut self, error: ClientError) -> Result<(), ClientError> {
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

    /// The service was heard.
    pub(super) fn heard(&mut self) {
        if self.away.take().is_some() {
            (self.say)("Connected again.");
        }
    }

    /// Asks until there is an answer.
    pub(super) async fn ask<T>(
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
