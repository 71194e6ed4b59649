//! The meaning of upstream's answers. The code decides, or the HTTP status if there is no code. Must never take a
//! doubtful answer for a refusal.
//!
//! The codes are from upstream's public documentation.

use std::time::Duration;

use super::wire::{Envelope, Listing, is_infrastructure_error};
use crate::domain::redact::without;

/// The longest `Retry-After` that is honoured, because one wrong header must not stop the service for a year.
pub const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);

/// The reason why upstream did not carry out a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Upstream's code, `http_<status>` if there is none, or one of scrapehook's.
    pub code: String,
    /// The message for people.
    pub message: String,
}

/// The most characters that are kept of upstream's codes and words.
const WORDS: usize = 300;

impl Refusal {
    pub(super) fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        let cut = |text: String| text.chars().filter(|c| !c.is_control()).take(WORDS).collect();
        Self { code: cut(code.into()), message: cut(message.into()) }
    }

    /// Whether upstream refused because of too many requests.
    pub fn is_too_fast(&self) -> bool {
        matches!(self.code.as_str(), "0429" | "http_429")
    }

    /// Removes a secret from the words, because upstream may quote the request.
    pub(super) fn without(mut self, secret: &str) -> Self {
        for text in [&mut self.code, &mut self.message] {
            *text = without(text, secret, "[secret]");
        }
        self
    }
}

/// The result of a submit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubmitAnswer {
    /// Upstream has taken it, under this `taskId`.
    Accepted(String),
    /// Upstream has refused it for good.
    Final(Refusal),
    /// Upstream has certainly not taken it. It may be sent again, after this long if upstream says so.
    Retry(Refusal, Option<Duration>),
    /// Upstream has certainly not taken it, and will take nothing until somebody fixes the account.
    Account(Refusal),
    /// Nobody knows whether it arrived, so it may have been charged.
    Unknown(Refusal),
}

/// The result of a poll.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PollAnswer {
    /// The task's videos so far.
    Listed(Listing),
    /// Upstream refused to answer.
    Refused(Refusal),
    /// There were too many requests. The next one waits this long if upstream says so.
    Limited(Option<Duration>),
    /// There was no usable answer.
    Unanswered(Refusal),
}

impl SubmitAnswer {
    /// The result in one word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Accepted(_) => "accepted",
            Self::Final(_) => "rejected",
            Self::Retry(refusal, _) if refusal.is_too_fast() => "limited",
            Self::Retry(..) => "deferred",
            Self::Account(_) => "account",
            Self::Unknown(_) => "unknown",
        }
    }

    /// The reason if upstream gave no usable answer.
    pub(super) fn unanswered(&self) -> Option<&Refusal> {
        match self {
            Self::Unknown(refusal) => Some(refusal),
            Self::Retry(refusal, _) if !refusal.is_too_fast() => Some(refusal),
            Self::Accepted(_) | Self::Final(_) | Self::Retry(..) | Self::Account(_) => None,
        }
    }

    /// Reads an answer to a submit. `retry_after` is the header of that name, as received.
    pub fn read(status: u16, retry_after: Option<&str>, body: &[u8]) -> Self {
        let (class, envelope, refusal) = classify(status, body);
        match class {
            Class::Success => match envelope.and_then(|envelope| envelope.task_id()) {
                Some(task_id) => Self::Accepted(task_id),
                None => Self::Unknown(Refusal::new(refusal.code, "accepted without a taskId")),
            },
            Class::Final => Self::Final(refusal),
            Class::Limited => Self::Retry(refusal, wait(retry_after)),
            Class::Account => Self::Account(refusal),
            Class::Doubt => Self::Unknown(refusal),
        }
    }

    pub(super) fn without(self, secret: &str) -> Self {
        match self {
            Self::Accepted(id) => Self::Accepted(id),
            Self::Final(refusal) => Self::Final(refusal.without(secret)),
            Self::Retry(refusal, after) => Self::Retry(refusal.without(secret), after),
            Self::Account(refusal) => Self::Account(refusal.without(secret)),
            Self::Unknown(refusal) => Self::Unknown(refusal.without(secret)),
        }
    }
}

impl PollAnswer {
    /// The result in one word.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Listed(_) => "listed",
            Self::Refused(_) => "refused",
            Self::Limited(_) => "limited",
            Self::Unanswered(_) => "unanswered",
        }
    }

    /// The reason if upstream gave no usable answer.
    pub(super) fn unanswered(&self) -> Option<&Refusal> {
        match self {
            Self::Unanswered(refusal) => Some(refusal),
            Self::Listed(_) | Self::Refused(_) | Self::Limited(_) => None,
        }
    }

    /// Reads an answer to a poll. `retry_after` is the header of that name, as received.
    pub fn read(status: u16, retry_after: Option<&str>, body: &[u8]) -> Self {
        let (class, envelope, refusal) = classify(status, body);
        match class {
            Class::Success => match envelope.and_then(|envelope| Listing::parse(&envelope.data)) {
                Some(listing) => Self::Listed(listing),
                None => Self::Unanswered(Refusal::new(refusal.code, "a list that can't be read")),
            },
            Class::Final => Self::Refused(refusal),
            Class::Limited if status != 503 => Self::Limited(wait(retry_after)),
            Class::Limited | Class::Account | Class::Doubt => Self::Unanswered(refusal),
        }
    }

    pub(super) fn without(self, secret: &str) -> Self {
        match self {
            Self::Refused(refusal) => Self::Refused(refusal.without(secret)),
            Self::Unanswered(refusal) => Self::Unanswered(refusal.without(secret)),
            answer @ (Self::Listed(_) | Self::Limited(_)) => answer,
        }
    }
}

enum Class {
    Success,
    Final,
    Limited,
    Account,
    Doubt,
}

fn class_of_code(code: &str) -> Class {
    match code {
        "0000" => Class::Success,
        "0001" | "0003" | "0409" => Class::Final,
        "0429" => Class::Limited,
        "0401" | "0402" | "0403" | "9009" => Class::Account,
        _ => Class::Doubt,
    }
}

fn class_of_status(status: u16, body: &[u8]) -> Class {
    match status {
        429 => Class::Limited,
        503 if is_infrastructure_error(body) => Class::Limited,
        401..=404 => Class::Account,
        _ => Class::Doubt,
    }
}

fn classify(status: u16, body: &[u8]) -> (Class, Option<Envelope>, Refusal) {
    let Some(envelope) = Envelope::parse(body) else {
        let refusal =
            Refusal::new(format!("http_{status}"), format!("HTTP {status} without a readable code"));
        return (class_of_status(status, body), None, refusal);
    };
    let class = match class_of_code(&envelope.code) {
        // A server that failed may have charged before, whatever code it still returned.
        Class::Final if status >= 500 => Class::Doubt,
        // An unknown code says less than the HTTP status.
        Class::Doubt => class_of_status(status, body),
        class => class,
    };
    let refusal = Refusal::new(envelope.code.clone(), envelope.msg.clone());
    (class, Some(envelope), refusal)
}

/// Reads `Retry-After`. The form with a date is not supported, because it would need a clock.
fn wait(retry_after: Option<&str>) -> Option<Duration> {
    retry_after?.parse().ok().map(|seconds| Duration::from_secs(seconds).min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests;
