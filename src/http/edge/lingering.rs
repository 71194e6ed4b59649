//! Lingering close: discards the rest of a body after an early answer.
//!
//! The system resets a connection that is closed with unread bytes. A reset takes the answer with it, so the client
//! sees a lost connection instead of the reason. Must never keep a byte, nor wait without a limit.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};
use tokio_util::sync::CancellationToken;

/// The most bytes to discard, the size of the largest body that is accepted.
const MOST: usize = crate::domain::job::MAX_BODY;

/// Whether a part of a connection's last body is unread.
#[derive(Clone, Debug, Default)]
pub(in crate::http) struct Leftover(Arc<AtomicBool>);

impl Leftover {
    /// Watches the next body of the connection.
    pub(in crate::http) fn watch(&self, body: Incoming) -> WatchedBody {
        self.0.store(false, Ordering::Relaxed);
        WatchedBody { body, has_ended: false, leftover: self.clone() }
    }
}

/// A body that notes when it is dropped before its end.
pub(in crate::http) struct WatchedBody {
    body: Incoming,
    has_ended: bool,
    leftover: Leftover,
}

impl Body for WatchedBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        self.has_ended |= frame.is_none();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for WatchedBody {
    fn drop(&mut self) {
        if !self.has_ended && !self.body.is_end_stream() {
            self.leftover.0.store(true, Ordering::Relaxed);
        }
    }
}

/// Discards bytes that a client still sends to a connection that is shut down.
#[derive(Debug)]
pub(in crate::http) struct Lingering {
    leftover: Leftover,
    /// Most time for it.
    within: Duration,
    over: Option<Pin<Box<Sleep>>>,
    left: usize,
    stop: CancellationToken,
}

impl Lingering {
    pub(in crate::http) fn new(leftover: Leftover, within: Duration, stop: CancellationToken) -> Self {
        Self { leftover, within, over: None, left: MOST, stop }
    }

    /// Ready once the client has closed, has sent too much, or takes too long. Ready at once if nothing is unread or
    /// the service is stopping. The connection is polled again when the stop begins.
    pub(in crate::http) fn poll_discard(
        &mut self,
        stream: &mut TcpStream,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.leftover.0.load(Ordering::Relaxed) || self.stop.is_cancelled() {
            return Poll::Ready(Ok(()));
        }
        let over = self.over.get_or_insert_with(|| Box::pin(sleep(self.within)));
        if over.as_mut().poll(context).is_ready() {
            return Poll::Ready(Ok(()));
        }
        let mut space = [0; 8 * 1024];
        while self.left > 0 {
            let mut buffer = ReadBuf::new(&mut space);
            // An error means that the client has ended the connection.
            if ready!(Pin::new(&mut *stream).poll_read(context, &mut buffer)).is_err() {
                break;
            }
            match buffer.filled().len() {
                0 => break,
                count => self.left = self.left.saturating_sub(count),
            }
        }
        Poll::Ready(Ok(()))
    }
}
