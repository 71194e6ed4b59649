//! Sends a task's callbacks, each when it is due. Must never send a callback again because it failed.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use reqwest::redirect::Policy;
use tokio::sync::oneshot;
use tokio::time::sleep_until;

use super::account::Parcel;
use super::plan::Callback;
use super::records::SentCallback;
use super::shared::Shared;
use super::transcript::{Line, origin};

const TIMEOUT: Duration = Duration::from_secs(10);

/// Creates the client for all callbacks. It uses no proxy, because receivers are mostly local.
pub(super) fn client() -> io::Result<Client> {
    crate::tls::client()
        .no_proxy()
        .redirect(Policy::none())
        .timeout(TIMEOUT)
        .build()
        .map_err(io::Error::other)
}

/// Starts the delivery of callbacks, and returns when the early ones have been answered.
///
/// All of this runs apart from the request, because a client that disconnects must not stop the callbacks.
pub(super) async fn dispatch(shared: &Arc<Shared>, parcel: Parcel) {
    let Parcel { callback_url, early, later } = parcel;
    let (early_are_answered, answered) = oneshot::channel::<()>();
    let delivery = {
        let shared = Arc::clone(shared);
        async move {
            for callback in early {
                send(&shared, &callback_url, callback).await;
            }
            drop(early_are_answered);
            for callback in later {
                sleep_until(callback.at).await;
                send(&shared, &callback_url, callback).await;
            }
        }
    };
    let stop = shared.stop.clone();
    shared.tracker.spawn(async move { stop.run_until_cancelled(delivery).await });
    // The sender is only ever dropped, so the error is the signal.
    let _ = answered.await;
}

async fn send(shared: &Shared, callback_url: &str, callback: Callback) {
    let answer = match shared.client.post(callback_url).json(&callback.body).send().await {
        Ok(response) => Ok(response.status().as_u16()),
        // The error's own words would show the URL and the token in it.
        Err(error) if error.is_timeout() => Err("timed out"),
        Err(error) if error.is_connect() => Err("no connection"),
        Err(error) if error.is_builder() => Err("the URL is not an HTTP URL"),
        Err(_) => Err("no answer"),
    };
    let body = callback.body;
    shared.change(|account| {
        account.tell(Line::Callback {
            task_id: body.task_id.clone(),
            status: body.status.clone(),
            video_id: body.video_id.clone(),
            origin: origin(callback_url),
            answer,
        });
        account.callbacks_sent.push(SentCallback {
            task_id: body.task_id.clone(),
            status: body.status.clone(),
            body,
            answer: answer.ok(),
        });
    });
}
