//! The check of upstream and its key: one poll of a task that nobody has, which costs nothing.
//!
//! Must never send anything that could be charged.

use reqwest::Method;
use reqwest::header::DATE;

use super::answer::Refusal;
use super::wire::{self, Envelope};
use super::{Received, Upstream};
use crate::domain::time::Timestamp;
use crate::network::NoAnswer;

/// The result of a check that upstream answered.
#[derive(Clone, Debug)]
pub struct Checked {
    /// Upstream's clock, if the answer had its time.
    pub date: Option<Timestamp>,
    /// Upstream's answer to the key.
    pub key: KeyAnswer,
}

/// Upstream's answer to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyAnswer {
    /// The answer is one that only good keys get.
    Accepted(Refusal),
    /// Upstream refuses the key or its account.
    Refused(Refusal),
    /// The answer shows nothing about the key.
    Unclear(Refusal),
    /// The API does not exist there.
    NoSuchRoute(Refusal),
}

impl Upstream {
    /// Polls a task that nobody has.
    ///
    /// # Errors
    /// [`NoAnswer`] if there was none.
    pub async fn check(&self) -> Result<Checked, NoAnswer> {
        let nobodys = uuid::Uuid::now_v7().to_string();
        let request = self.request(Method::GET, wire::POLL).query(&[("task_id", nobodys)]);
        let response = request.send().await.map_err(|error| NoAnswer::of(&error))?;
        let date = response.headers().get(DATE).and_then(|date| date.to_str().ok());
        let date = date.and_then(Timestamp::from_http_date);
        let key = match Received::read(response).await {
            Ok(answer) => KeyAnswer::read(answer.status, &answer.body),
            Err(reason) => KeyAnswer::Unclear(Refusal::new("no_answer", reason)),
        };
        Ok(Checked { date, key: key.without(self.key.to_str().unwrap_or_default()) })
    }
}

impl KeyAnswer {
    /// Derives the state of the key from the answer to the poll of an unknown task.
    pub fn read(status: u16, body: &[u8]) -> Self {
        let Some(envelope) = Envelope::parse(body) else {
            let words = format!("HTTP {status} without a readable code");
            let refusal = Refusal::new(format!("http_{status}"), words);
            return match status {
                401 | 403 => Self::Refused(refusal),
                404 | 405 => Self::NoSuchRoute(refusal),
                _ => Self::Unclear(refusal),
            };
        };
        let refusal = Refusal::new(envelope.code.clone(), envelope.msg);
        match envelope.code.as_str() {
            "0401" | "0403" | "9009" => Self::Refused(refusal),
            // A server that failed may not have checked the key.
            _ if status >= 500 => Self::Unclear(refusal),
            "0000" | "0001" | "0003" | "0402" | "0409" => Self::Accepted(refusal),
            _ if matches!(status, 401 | 403) => Self::Refused(refusal),
            _ => Self::Unclear(refusal),
        }
    }

    fn without(self, secret: &str) -> Self {
        match self {
            Self::Accepted(refusal) => Self::Accepted(refusal.without(secret)),
            Self::Refused(refusal) => Self::Refused(refusal.without(secret)),
            Self::Unclear(refusal) => Self::Unclear(refusal.without(secret)),
            Self::NoSuchRoute(refusal) => Self::NoSuchRoute(refusal.without(secret)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needed_the_key_proves_it_and_what_nobody_knows_proves_nothing() {
        for (status, body, expected) in [
            (200, r#"{"code":"0000","data":{"videos":[]}}"#, "accepted"),
            (200, r#"{"code":"0001","msg":"task not found"}"#, "accepted"),
            (400, r#"{"code":3}"#, "accepted"),
            (200, r#"{"code":402}"#, "accepted"),
            (200, r#"{"code":"0401"}"#, "refused"),
            (200, r#"{"code":403}"#, "refused"),
            (200, r#"{"code":9009}"#, "refused"),
            (401, r#"{"code":"UNAUTHORIZED"}"#, "refused"),
            (401, "", "refused"),
            (403, "<html>", "refused"),
            (200, r#"{"code":"0429"}"#, "unclear"),
            (429, "", "unclear"),
            (200, r#"{"code":"1234"}"#, "unclear"),
            (500, r#"{"code":"0001"}"#, "unclear"),
            (200, "<html>", "unclear"),
            (302, "", "unclear"),
            (502, "<html>", "unclear"),
            (404, "<html>", "no such route"),
        ] {
            let found = match KeyAnswer::read(status, body.as_bytes()) {
                KeyAnswer::Accepted(_) => "accepted",
                KeyAnswer::Refused(_) => "refused",
                KeyAnswer::Unclear(_) => "unclear",
                KeyAnswer::NoSuchRoute(_) => "no such route",
            };
            assert_eq!(found, expected, "{status} {body}");
        }
    }
}
