//! `/v1/events/stream`, as a browser reads it.

use std::collections::VecDeque;

use reqwest::{RequestBuilder, Response};
use serde_json::Value;

use super::DEADLINE;

/// One stream.
pub struct Stream {
    pub response: Response,
    buffer: String,
    ready: VecDeque<(i64, String, Value)>,
}

impl Stream {
    pub async fn open(mut request: RequestBuilder, last: Option<i64>) -> Self {
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, buffer: String::new(), ready: VecDeque::new() }
    }

    /// The next event; none once the stream has ended.
    pub async fn next(&mut self) -> Option<(i64, String, Value)> {
        while self.ready.is_empty() {
            let chunk = tokio::time::timeout(DEADLINE, self.response.chunk()).await.expect("news in time");
            self.buffer.push_str(std::str::from_utf8(&chunk.ok()??).unwrap());
            while let Some((block, rest)) = self.buffer.split_once("\n\n") {
                let field =
                    |name: &str| block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
                if let (Some(id), Some(kind), Some(data)) = (field("id"), field("event"), field("data")) {
                    let event = (id.parse().unwrap(), kind.to_owned(), serde_json::from_str(data).unwrap());
                    self.ready.push_back(event);
                }
                self.buffer = rest.to_owned();
            }
        }
        self.ready.pop_front()
    }

    /// Waits for at least one event, and skips all that came with it.
    pub async fn news(&mut self) {
        self.next().await.expect("the stream goes on");
        self.ready.clear();
    }
}
