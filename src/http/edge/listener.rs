//! The accept loop, with a deadline for the head of each request, a cap on connections, and a clean stop.
//!
//! At the cap, a new connection replaces the one that has been idle longest. So strangers who hold connections open
//! can't keep senders out.

use std::collections::HashMap;
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::http::{Request, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::failpoint::FailPoint;
use crate::http::edge::lingering::{Leftover, Lingering};
use crate::http::edge::peer::Peer;
use crate::http::edge::problem;
use crate::telemetry::Metrics;

/// Time for connections to end after the stop. It is shorter than the time that container runtimes wait.
const GRACE: Duration = Duration::from_secs(5);
/// The most bytes that a connection holds of a head, and of an answer that its client does not read.
const BUFFER: usize = 96 * 1024;

/// Limits on the resources that a stranger can hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Time for the head of a request, and between two requests.
    pub header_timeout: Duration,
    /// Most connections at a time.
    pub connections: usize,
}

/// Serves until `stop`. Then ends idle connections at once, and others after their answer or the grace time.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    let open = Arc::new(Open { metrics, ..Open::default() });
    let tasks = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let _ = stream.set_nodelay(true);
                let client = Client { stream, peer: Peer(peer), place: open.enter(limits.connections) };
                tasks.spawn(serve_connection(client, router.clone(), limits, stop.clone()));
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                // File descriptors have run out. Ending the connection that has been idle longest frees one.
                tracing::warn!(%error, "a connection could not be accepted");
                open.evict();
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    tasks.close();
    // A client that neither sends nor reads must not hold up the stop.
    if tokio::time::timeout(GRACE, tasks.wait()).await.is_err() {
        open.evict_all();
        tasks.wait().await;
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// A client with an open connection.
struct Client {
    stream: TcpStream,
    peer: Peer,
    place: Place,
}

async fn serve_connection(client: Client, router: Router, limits: Limits, stop: CancellationToken) {
    let Client { stream, peer, place } = client;
    let leftover = Leftover::default();
    let io = TokioIo::new(Watched {
        stream,
        seen: place.connection.clone(),
        instead: None,
        is_partial: false,
        lingering: Lingering::new(leftover.clone(), limits.header_timeout, stop.clone()),
    });
    let mut builder = http1::Builder::new();
    // A client may close its sending side and still wait for the answer.
    builder.timer(TokioTimer::new()).header_read_timeout(limits.header_timeout).half_close(true);
    builder.max_buf_size(BUFFER);
    let router = router.map_request(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        request.map(|body| leftover.watch(body))
    });
    let mut connection = pin!(builder.serve_connection(io, TowerToHyperService::new(router)));
    let mut is_stopping = false;
    loop {
        tokio::select! {
            // The client causes the errors here: a cut connection, a slow request, bytes that are not HTTP.
            _ = connection.as_mut() => return,
            () = place.connection.evicted.cancelled() => return,
            () = stop.cancelled(), if !is_stopping => {
                is_stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

/// The open connections.
#[derive(Debug, Default)]
struct Open {
    metrics: Arc<Metrics>,
    next: AtomicU64,
    connections: Mutex<HashMap<u64, Arc<Connection>>>,
}

#[derive(Debug)]
struct Connection {
    start: Instant,
    /// Microseconds from `start` to the last byte. In whole milliseconds, a connection that has just sent a byte could
    /// look older than one that never did.
    idle_since: AtomicU64,
    evicted: CancellationToken,
}

impl Connection {
    fn touch(&self) {
        let micros = u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.idle_since.store(micros, Ordering::Relaxed);
    }

    fn last_byte(&self) -> Instant {
        self.start + Duration::from_micros(self.idle_since.load(Ordering::Relaxed))
    }
}

impl Open {
    fn enter(self: &Arc<Self>, cap: usize) -> Place {
        if self.lock().len() >= cap {
            self.evict();
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let connection = Arc::new(Connection {
            start: Instant::now(),
            idle_since: AtomicU64::new(0),
            evicted: CancellationToken::new(),
        });
        self.lock().insert(number, connection.clone());
        self.metrics.connection(true);
        Place { open: self.clone(), number, connection }
    }

    fn evict(&self) {
        let mut connections = self.lock();
        let idle = connections.iter().min_by_key(|(_, connection)| connection.last_byte());
        if let Some(number) = idle.map(|(number, _)| *number)
            && let Some(connection) = connections.remove(&number)
        {
            self.metrics.connection_evicted();
            connection.evicted.cancel();
        }
    }

    fn evict_all(&self) {
        for (_, connection) in self.lock().drain() {
            connection.evicted.cancel();
        }
    }

    // Only complete inserts and removes happen under the lock.
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Arc<Connection>>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Place {
    open: Arc<Open>,
    number: u64,
    connection: Arc<Connection>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.open.lock().remove(&self.number);
        self.open.metrics.connection(false);
    }
}

/// A stream that notes the time of the last byte, and gives hyper's own error answers a body.
struct Watched {
    stream: TcpStream,
    seen: Arc<Connection>,
    /// Bytes to write instead of hyper's.
    instead: Option<Vec<u8>>,
    /// The last write was incomplete, so the next one is its rest and not the head of an answer.
    is_partial: bool,
    /// Discards bytes that the client still sends after the last answer.
    lingering: Lingering,
}

/// The problem to answer instead of hyper's bare error, because every answer carries a request id.
fn instead_of(bytes: &[u8]) -> Option<Vec<u8>> {
    let head = bytes.strip_prefix(b"HTTP/1.1 ").filter(|rest| rest.first() == Some(&b'4'))?;
    let head = std::str::from_utf8(head).ok()?;
    if head.contains("x-request-id") {
        return None;
    }
    let status = head.get(..3)?.parse::<u16>().ok().and_then(|status| StatusCode::from_u16(status).ok())?;
    Some(problem::raw(status, &uuid::Uuid::now_v7().simple().to_string()))
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if read.is_ready() {
            self.seen.touch();
        }
        read
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        FailPoint::AnswerBegun.pass();
        if self.instead.is_none() && !self.is_partial {
            self.instead = instead_of(bytes);
        }
        let Some(mut instead) = self.instead.take() else {
            let written = Pin::new(&mut self.stream).poll_write(context, bytes);
            if let Poll::Ready(result) = &written {
                FailPoint::AnswerWritten.pass();
                self.seen.touch();
                self.is_partial = matches!(result, Ok(count) if *count < bytes.len());
            }
            return written;
        };
        while !instead.is_empty() {
            match Pin::new(&mut self.stream).poll_write(context, &instead) {
                Poll::Ready(Ok(count)) if count > 0 => drop(instead.drain(..count)),
                Poll::Ready(result) => return Poll::Ready(result),
                Poll::Pending => {
                    self.instead = Some(instead);
                    return Poll::Pending;
                }
            }
        }
        self.seen.touch();
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { stream, lingering, .. } = &mut *self;
        ready!(Pin::new(&mut *stream).poll_shutdown(context))?;
        lingering.poll_discard(stream, context)
    }
}
