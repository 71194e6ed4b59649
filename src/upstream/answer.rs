//! What an answer means: the code decides, HTTP where there is none, and doubt is an answer of its own.
//!
//! Source of the codes: the upstream's public documentation.

use std::time::Duration;

use super::LONGEST_WAIT;
use super::wire::{Envelope, Listing, is_infrastructure_error};
use crate::domain::redact::without;

/// Why upstream did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Upstream's code, `http_<status>` where there is none, or a word of ours.
    pub code: String,
    /// Words for people.
    pub message: String,
}

/// Most characters that are kept of upstream's codes and words.
const WORDS: usize = 300;

impl Refusal {
    pub(super) fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        let cut = |text: String| text.chars().filter(|c| !c.is_control()).take(WORDS).collect();
        Self { code: cut(code.into()), message: cut(message.into()) }
    }

    /// Whether there were too many requests.
    pub fn is_too_fast(&self) -> bool {
        matches!(self.code.as_str(), "0429" | "http_429")
    }

    /// Upstream may quote what it was sent.
    pub(super) fn without(mut self, secret: &str) -> Self {
        for text in [&mut self.code, &mut self.message] {
            *text = without(text, secret, "[secret]");
        }
        self
    }
}

/// What became of a submit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubmitAnswer {
    /// Taken, under this `taskId`.
    Accepted(String),
    /// Refused for good.
    Final(Refusal),
    /// Certainly not taken; it may be sent again, after this long where upstream says so.
    Retry(Refusal, Option<Duration>),
    /// Certainly not taken, and nothing will be until somebody mends the account.
    Account(Refusal),
    /// Nobody knows whether it arrived: it may have been charged.
    Unknown(Refusal),
}

/// What became of a poll.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PollAnswer {
    /// The task's videos so far.
    Listed(Listing),
    /// Upstream says that it can't say.
    Refused(Refusal),
    /// Too many requests; wait this long where upstream says so.
    Limited(Option<Duration>),
    /// No answer of use.
    Unanswered(Refusal),
}

impl SubmitAnswer {
    /// What became of it in one word.
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

    /// What was said instead, where upstream itself said nothing of use.
    pub(super) fn unanswered(&self) -> Option<&Refusal> {
        match self {
            Self::Unknown(refusal) => Some(refusal),
            Self::Retry(refusal, _) if !refusal.is_too_fast() => Some(refusal),
            Self::Accepted(_) | Self::Final(_) | Self::Retry(..) | Self::Account(_) => None,
        }
    }

    /// What an answer to a submit means. `retry_after` is the header of that name, as it came.
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
    /// What became of it in one word.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Listed(_) => "listed",
            Self::Refused(_) => "refused",
            Self::Limited(_) => "limited",
            Self::Unanswered(_) => "unanswered",
        }
    }

    /// What was said instead, where upstream itself said nothing of use.
    pub(super) fn unanswered(&self) -> Option<&Refusal> {
        match self {
            Self::Unanswered(refusal) => Some(refusal),
            Self::Listed(_) | Self::Refused(_) | Self::Limited(_) => None,
        }
    }

    /// What an answer to a poll means. `retry_after` is the header of that name, as it came.
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
            Refusal::new(format!("http_{status}"), format!("HTTP {status} without a code that can be read"));
        return (class_of_status(status, body), None, refusal);
    };
    let class = match class_of_code(&envelope.code) {
        // A server that broke down may have charged before, whatever code it could still say.
        Class::Final if status >= 500 => Class::Doubt,
        // A code that nobody knows says less than HTTP does.
        Class::Doubt => class_of_status(status, body),
        class => class,
    };
    let refusal = Refusal::new(envelope.code.clone(), envelope.msg.clone());
    (class, Some(envelope), refusal)
}

/// The form with a date is not read: it would need a clock.
fn wait(retry_after: Option<&str>) -> Option<Duration> {
    retry_after?.parse().ok().map(|seconds| Duration::from_secs(seconds).min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GATEWAY: &str = r#"{"timestamp":"t","path":"/","status":0,"error":"e","requestId":"r"}"#;

    fn submit(status: u16, body: &str) -> &'static str {
        match SubmitAnswer::read(status, None, body.as_bytes()) {
            SubmitAnswer::Accepted(_) => "accepted",
            SubmitAnswer::Final(_) => "final",
            SubmitAnswer::Retry(..) => "retry",
            SubmitAnswer::Account(_) => "account",
            SubmitAnswer::Unknown(_) => "unknown",
        }
    }

    #[test]
    fn words_are_cut_and_hold_no_secret() {
        let refusal = Refusal::new("0401", format!("bad key sk-1 {}", "x".repeat(1_000_000))).without("sk-1");
        assert!(refusal.message.starts_with("bad key [secret] x") && refusal.message.len() < 400);
        let cut_within = format!("{}sk-0123456789", "x".repeat(WORDS - 8));
        let refusal = Refusal::new("0401", cut_within).without("sk-0123456789");
        assert!(refusal.message.ends_with("xx[secret]"), "{}", refusal.message);
    }

    #[test]
    fn the_documented_success_is_accepted() {
        let body = concat!(
            r#"{"code":"0000","msg":"success","data":{"taskId":"31b0fccb-d6f9-4135-922d-1e8828499812"},"#,
            r#""success":true,"failed":false}"#
        );
        let id = "31b0fccb-d6f9-4135-922d-1e8828499812".to_owned();
        assert_eq!(SubmitAnswer::read(200, None, body.as_bytes()), SubmitAnswer::Accepted(id));
    }

    #[test]
    fn a_byte_order_mark_before_an_answer_changes_nothing() {
        let marked = |body: &str| [b"\xef\xbb\xbf", body.as_bytes()].concat();
        let taken = marked(r#"{"code":"0000","data":{"taskId":"t"}}"#);
        assert_eq!(SubmitAnswer::read(200, None, &taken), SubmitAnswer::Accepted("t".to_owned()));
        let cut = marked("{\"code\":\"0000\",\"msg\":\"\\ud83d\",\"data\":{\"taskId\":\"t\"}}");
        assert_eq!(SubmitAnswer::read(200, None, &cut), SubmitAnswer::Accepted("t".to_owned()));
        assert!(matches!(SubmitAnswer::read(503, None, &marked(GATEWAY)), SubmitAnswer::Retry(..)));
        let listed = marked(r#"{"code":"0000","data":{"videos":[]}}"#);
        assert!(matches!(PollAnswer::read(200, None, &listed), PollAnswer::Listed(_)));
    }

    #[test]
    fn a_wait_is_read_in_seconds_and_has_a_bound() {
        for (header, expected) in [
            (None, None),
            (Some("7"), Some(Duration::from_secs(7))),
            (Some("99999999"), Some(LONGEST_WAIT)),
            (Some("-1"), None),
            (Some("Wed, 21 Oct 2026 07:28:00 GMT"), None),
        ] {
            let SubmitAnswer::Retry(_, wait) = SubmitAnswer::read(429, header, b"") else {
                panic!("no retry")
            };
            assert_eq!(wait, expected, "{header:?}");
            assert_eq!(PollAnswer::read(429, header, b""), PollAnswer::Limited(expected), "{header:?}");
        }
    }

    /// The id and URL of each entry that a poll lists, with whether the list is whole; None if there is no answer.
    fn listed(data: &str) -> Option<(Vec<String>, bool)> {
        let body = format!(r#"{{"code":"0000","data":{data}}}"#);
        let name = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        match PollAnswer::read(200, None, body.as_bytes()) {
            PollAnswer::Listed(Listing { entries, is_whole }) => {
                let entries =
                    entries.into_iter().map(|entry| format!("{} {}", name(entry.id), name(entry.url)));
                Some((entries.collect(), is_whole))
            }
            PollAnswer::Unanswered(refusal) => {
                assert_eq!(refusal, Refusal::new("0000", "a list that can't be read"));
                None
            }
            answer => panic!("{answer:?}"),
        }
    }

    #[test]
    fn an_absent_list_is_an_empty_one_on_a_success() {
        for data in [
            "null",
            r#""null""#,
            "{}",
            r#"{"videos":null}"#,
            r#"{"videos":"null"}"#,
            r#"{"videos":[]}"#,
            r#"{"taskId":"t","video_ids":[]}"#,
            r#"{"taskId":"t","video_ids":null}"#,
            r#"{"taskId":"t"}"#,
        ] {
            assert_eq!(listed(data), Some((vec![], true)), "{data}");
        }
        let bare = PollAnswer::read(200, None, br#"{"code":0}"#);
        assert_eq!(bare, PollAnswer::Listed(Listing { entries: vec![], is_whole: true }));
        let refused = PollAnswer::read(200, None, br#"{"code":"0001","data":null}"#);
        assert!(matches!(refused, PollAnswer::Refused(_)));
    }

    #[test]
    fn something_else_in_place_of_a_list_is_no_answer() {
        for data in [
            "7",
            r#""success""#,
            "[]",
            r#"[{"videos":[]}]"#,
            r#"{"videos":"text"}"#,
            r#"{"videos":7}"#,
            r#"{"videos":false}"#,
            r#"{"videos":{"0":{"video_no":"VI1"}}}"#,
            r#"{"video_ids":"PI-1"}"#,
            r#"{"videos":null,"video_ids":7}"#,
            r#"{"videos":[7,null,[],{},{"video_no":null,"video_url":"null","status":"PARSE"}]}"#,
            r#"{"video_ids":[null,{}]}"#,
        ] {
            assert_eq!(listed(data), None, "{data}");
        }
    }

    #[test]
    fn every_entry_with_an_id_or_a_url_is_kept() {
        let url = "https://vimeo.com/1";
        for (entry, expected) in [
            (format!(r#"{{"video_no":"VI1","video_url":"{url}"}}"#), "VI1 https://vimeo.com/1"),
            (r#"{"videoNo":7,"video_url":null}"#.to_owned(), "7 -"),
            (r#"{"video_no":"VI1","video_url":{}}"#.to_owned(), "VI1 -"),
            (format!(r#"{{"videoUrl":"{url}","status":"FAIL"}}"#), "- https://vimeo.com/1"),
            (format!(r#"{{"video_no":"null","video_url":"{url}"}}"#), "- https://vimeo.com/1"),
            (format!(r#"{{"video_no":[],"video_url":"{url}"}}"#), "- https://vimeo.com/1"),
        ] {
            let whole = listed(&format!(r#"{{"videos":[{entry}]}}"#));
            assert_eq!(whole, Some((vec![expected.to_owned()], true)), "{entry}");
            for unreadable in ["7", "null", "{}", r#"{"status":"PARSE"}"#, r#"{"video_no":" "}"#] {
                let half = listed(&format!(r#"{{"videos":[{unreadable},{entry}]}}"#));
                assert_eq!(half, Some((vec![expected.to_owned()], false)), "{unreadable}, {entry}");
            }
        }
        let older = r#"{"videos":[],"video_ids":["PI-1",2,null]}"#;
        assert_eq!(listed(older), Some((vec!["PI-1 -".to_owned(), "2 -".to_owned()], false)));
    }

    #[test]
    fn every_row_of_the_table_of_outcomes_holds() {
        for (status, body, expected) in [
            (200, r#"{"code":0,"data":{"taskId":"t"}}"#, "accepted"),
            (200, r#"{"code":"0000","data":{}}"#, "unknown"),
            (200, r#"{"code":"0000","data":null}"#, "unknown"),
            (200, r#"{"code":"0001"}"#, "final"),
            (400, r#"{"code":3}"#, "final"),
            (200, r#"{"code":409}"#, "final"),
            (500, r#"{"code":"0001"}"#, "unknown"),
            (200, r#"{"code":429}"#, "retry"),
            (429, "", "retry"),
            (429, r#"{"code":"RATE_LIMIT"}"#, "retry"),
            (401, r#"{"code":"UNAUTHORIZED"}"#, "account"),
            (503, GATEWAY, "retry"),
            (503, "<html>", "unknown"),
            (200, r#"{"code":"0401"}"#, "account"),
            (200, r#"{"code":402}"#, "account"),
            (200, r#"{"code":"0403"}"#, "account"),
            (200, r#"{"code":9009}"#, "account"),
            (401, "", "account"),
            (402, "", "account"),
            (403, "<html>", "account"),
            (404, GATEWAY, "account"),
            (200, "<html>", "unknown"),
            (200, r#"{"code":"0000","data":{"taskId":"t"#, "unknown"),
            (200, r#"{"code":"1234"}"#, "unknown"),
            (302, "", "unknown"),
            (500, GATEWAY, "unknown"),
            (502, "<html>", "unknown"),
            (504, "", "unknown"),
        ] {
            assert_eq!(submit(status, body), expected, "{status} {body}");
        }
    }
}
