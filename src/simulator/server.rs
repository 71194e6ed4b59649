//! The accept loop, with one future per connection, which a handler can end without an answer.
//!
//! It is a separate loop because no ordinary server lets a handler close its connection. Must never outlive the stop
//! signal.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::account::Account;
use super::shared::Shared;

/// The pause after a failed accept. Without file descriptors, the next one would fail at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Lets a handler close the connection of its request.
#[derive(Clone, Debug)]
pub(super) struct HangUp(CancellationToken);

impl HangUp {
    /// Closes the connection, whatever happens on it.
    pub(super) fn now(&self) {
        self.0.cancel();
    }
}

/// Accepts connections until the stop signal.
pub(super) async fn serve(listener: TcpListener, router: Router, shared: Arc<Shared>) {
    while let Some(accepted) = shared.stop.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, _)) => {
                if !shared.change(Account::connect) {
                    let hang_up = shared.stop.child_token();
                    shared.tracker.spawn(serve_connection(stream, router.clone(), hang_up));
                }
            }
            Err(_) => sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn serve_connection(stream: TcpStream, router: Router, hang_up: CancellationToken) {
    let service = service_fn(|mut request: Request<Incoming>| {
        request.extensions_mut().insert(HangUp(hang_up.clone()));
        router.clone().oneshot(request)
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // A broken connection concerns only the client.
    let _ = hang_up.run_until_cancelled(connection).await;
}
