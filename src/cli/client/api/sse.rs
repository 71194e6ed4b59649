//! The stream of events: server-sent events as they arrive, in whatever pieces.

use std::collections::VecDeque;
use std::time::Duration;

use reqwest::Response;

use super::failure::ClientError;
use super::{Api, Query};
use crate::domain::byte_order_mark;

/// The service gives a sign of life more often than that.
const IDLE_TIMEOUT: Duration = Duration::from_secs(45);
/// Most bytes of one event: far more than one of the service's has.
const LONGEST: usize = 1024 * 1024;

/// One connection to the stream.
pub(in crate::cli) struct Stream<'a> {
    api: &'a Api,
    response: Response,
    reader: Reader,
    ready: VecDeque<Sent>,
}

impl<'a> Stream<'a> {
    /// Opens it after the event with this `seq`.
    pub(in crate::cli) async fn open(api: &'a Api, query: &Query, after: &str) -> Result<Self, ClientError> {
        let response = api.stream(query, after).await?;
        Ok(Self { api, response, reader: Reader::default(), ready: VecDeque::new() })
    }

    /// What comes next.
    ///
    /// # Errors
    /// The connection has ended, and another one can be opened, unless what came is no stream of the service's.
    pub(in crate::cli) async fn next(&mut self) -> Result<Sent, ClientError> {
        let api = self.api;
        loop {
            if let Some(sent) = self.ready.pop_front() {
                return Ok(sent);
            }
            let bytes = match tokio::time::timeout(IDLE_TIMEOUT, self.response.chunk()).await {
                Ok(bytes) => bytes.map_err(|error| api.lost(error))?,
                Err(_) => return Err(ClientError::Lost(format!("{} sends nothing", api.address()))),
            };
            let ended = || ClientError::Lost(format!("{} ended the stream", api.address()));
            self.ready.extend(self.reader.take(&bytes.ok_or_else(ended)?));
            // What is whole is given first.
            if self.ready.is_empty() && self.reader.is_endless() {
                return Err(api.stranger("with an endless event"));
            }
        }
    }
}

/// What one event brings.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::cli) struct Sent {
    /// Where to go on after it.
    pub(in crate::cli) id: Option<String>,
    /// None for a mere sign of life.
    pub(in crate::cli) data: Option<String>,
}

/// What has arrived so far of the next event.
#[derive(Debug, Default)]
struct Reader {
    /// Whether the first line was read, which a byte order mark may stand before.
    has_begun: bool,
    line: Vec<u8>,
    id: Option<String>,
    data: Option<String>,
}

impl Reader {
    /// Takes what arrived; gives the events that are whole now.
    fn take(&mut self, bytes: &[u8]) -> Vec<Sent> {
        let mut events = Vec::new();
        for &byte in bytes {
            if byte != b'\n' {
                self.line.push(byte);
                continue;
            }
            let line = std::mem::take(&mut self.line);
            let is_first = !std::mem::replace(&mut self.has_begun, true);
            let line = if is_first { byte_order_mark::strip(&line) } else { &line };
            let line = String::from_utf8_lossy(line);
            match line.trim_end_matches('\r') {
                "" if self.id.is_none() && self.data.is_none() => {}
                "" => events.push(Sent { id: self.id.take(), data: self.data.take() }),
                line => self.field(line),
            }
        }
        events
    }

    /// Whether more has come than an event holds, and still no end of it.
    fn is_endless(&self) -> bool {
        self.line.len() + self.data.as_ref().map_or(0, String::len) > LONGEST
    }

    fn field(&mut self, line: &str) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match (name, &mut self.data) {
            ("id", _) => self.id = Some(value.to_owned()),
            ("data", Some(data)) => {
                data.push('\n');
                data.push_str(value);
            }
            ("data", data) => *data = Some(value.to_owned()),
            // The kind stands in the data, too.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_whole_however_they_are_cut() {
        let text = ": alive\nid: 7\n\nid: 8\nevent: job.created\ndata: {\"é\":1}\n\r\n\n\ndata:a\ndata: b\n\nid: 9\n";
        let sent = |id: Option<&str>, data: Option<&str>| Sent {
            id: id.map(str::to_owned),
            data: data.map(str::to_owned),
        };
        let wanted = [sent(Some("7"), None), sent(Some("8"), Some("{\"é\":1}")), sent(None, Some("a\nb"))];
        for size in 1..text.len() {
            let mut reader = Reader::default();
            let events: Vec<_> = text.as_bytes().chunks(size).flat_map(|bytes| reader.take(bytes)).collect();
            assert_eq!(events, wanted, "in pieces of {size}");
        }
    }

    #[test]
    fn a_byte_order_mark_before_the_stream_hides_no_event() {
        let mut reader = Reader::default();
        let events = reader.take(b"\xef\xbb\xbfdata: 1\n\n\xef\xbb\xbfdata: 2\n\n");
        assert_eq!(events, [Sent { id: None, data: Some("1".to_owned()) }]);
    }

    #[test]
    fn an_event_without_end_is_noticed_in_one_line_or_in_many() {
        for line in [format!("data: {}\n", "x".repeat(999)), "x".repeat(1_000)] {
            let mut reader = Reader::default();
            let pieces =
                (0..).take_while(|_| reader.take(line.as_bytes()).is_empty() && !reader.is_endless());
            assert!(pieces.count() <= LONGEST / 900);
        }
    }
}
