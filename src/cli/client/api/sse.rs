//! The stream of events: parses server-sent events, whatever pieces they arrive in. Must never keep more than one
//! event of the longest size.

use std::collections::VecDeque;
use std::time::Duration;

use reqwest::Response;

use super::failure::ClientError;
use super::{Api, Query};
use crate::domain::byte_order_mark;

/// The longest silence of the stream. The service sends something more often than that.
const IDLE_TIMEOUT: Duration = Duration::from_secs(45);
/// The most bytes of one event, far more than those of the service have.
const LONGEST: usize = 1024 * 1024;

/// One connection to the stream.
pub(in crate::cli) struct Stream<'a> {
    api: &'a Api,
    response: Response,
    reader: Reader,
    ready: VecDeque<Sent>,
}

impl<'a> Stream<'a> {
    /// Opens the stream after the event with this `seq`.
    pub(in crate::cli) async fn open(api: &'a Api, query: &Query, after: &str) -> Result<Self, ClientError> {
        let response = api.stream(query, after).await?;
        Ok(Self { api, response, reader: Reader::default(), ready: VecDeque::new() })
    }

    /// Returns the next event.
    ///
    /// # Errors
    /// The connection has ended. Another one can be opened, unless the answer is not a stream of the service.
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
            // Complete events are returned first.
            if self.ready.is_empty() && self.reader.is_endless() {
                return Err(api.stranger("with an endless event"));
            }
        }
    }
}

/// The content of one event.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::cli) struct Sent {
    /// The id after which the stream can continue.
    pub(in crate::cli) id: Option<String>,
    /// None if the event only shows that the service is alive.
    pub(in crate::cli) data: Option<String>,
}

/// The part of the next event that has arrived.
#[derive(Debug, Default)]
struct Reader {
    /// Whether the first line was read. A byte order mark may precede it.
    has_begun: bool,
    line: Vec<u8>,
    id: Option<String>,
    data: Option<String>,
}

impl Reader {
    /// Adds received bytes, and returns the events that are now complete.
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

    /// Whether more bytes have arrived than an event can have, without its end.
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
            // The data has the kind as well.
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
