//! Sends webhooks, one attempt at a time, and says in plain words what came of each.
//!
//! Must never retry, store anything, or show a secret of a target. Without a proxy, the address that is checked is the
//! one that is connected to. With a proxy from the environment, the proxy resolves the name, so only the host as it is
//! written can be checked.

mod answer;
mod attempt;
mod reason;
mod resolver;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, ClientBuilder};
use thiserror::Error;

pub use attempt::{Attempt, Message};
use resolver::{Lookup, Resolver};

use crate::domain::address::is_public;
use crate::domain::host::is_loopback;
use crate::domain::webhook::signature::{seconds, sign};
use crate::domain::webhook::target::{Allowed, Target};
use crate::network::last_words;

/// The header with the id of a delivery.
const ID: &str = "webhook-id";
/// The header with the time of an attempt, in seconds.
const TIMESTAMP: &str = "webhook-timestamp";
/// The header with the signatures.
const SIGNATURE: &str = "webhook-signature";
/// Idle connections that are kept for each receiver.
const IDLE_CONNECTIONS: usize = 4;

/// What may be sent to, and how long an attempt may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Whether private addresses are allowed.
    pub allow_private: bool,
    /// Whether connections without TLS are allowed.
    pub allow_http: bool,
    /// Longest time of an attempt, from the lookup of the name to the end of the answer.
    pub timeout: Duration,
}

/// No client for webhooks can be made.
#[derive(Debug, Error)]
#[error("the client for webhooks cannot be created: {}", last_words(.0))]
pub struct ClientError(reqwest::Error);

/// Sends webhooks and keeps their connections. A clone shares them.
#[derive(Clone, Debug)]
pub struct Sender {
    direct: Client,
    proxied: Client,
    proxies: Arc<Matcher>,
    settings: Settings,
}

/// How a sender reaches its receivers.
struct Route {
    lookup: Lookup,
    is_allowed: fn(IpAddr) -> bool,
    proxies: Matcher,
    /// A client that uses these proxies.
    proxied: ClientBuilder,
}

impl Sender {
    /// A sender that uses the proxies of the environment.
    ///
    /// # Errors
    /// [`ClientError`] if TLS can't be set up.
    pub fn new(settings: Settings) -> Result<Self, ClientError> {
        let is_allowed = if settings.allow_private { |_| true } else { is_public };
        let proxied = crate::tls::client();
        Self::by(
            Route { lookup: resolver::system(), is_allowed, proxies: Matcher::from_system(), proxied },
            settings,
        )
    }

    fn by(route: Route, settings: Settings) -> Result<Self, ClientError> {
        let resolver = Resolver { lookup: route.lookup, is_allowed: route.is_allowed };
        let direct = crate::tls::client().no_proxy().dns_resolver(Arc::new(resolver));
        let build = |builder| configure(builder, settings.timeout).build().map_err(ClientError);
        Ok(Self {
            direct: build(direct)?,
            proxied: build(route.proxied)?,
            proxies: Arc::new(route.proxies),
            settings,
        })
    }

    /// Makes one attempt.
    pub async fn send(&self, message: Message<'_>) -> Attempt {
        let Settings { allow_private, allow_http, timeout } = self.settings;
        // Before each attempt: the rules may have changed, and no resolver is asked about addresses.
        if let Err(refused) = message.target.check(Allowed { private: allow_private, http: allow_http }) {
            return Attempt::unanswered(refused.to_string());
        }
        let signature = sign(message.id, message.attempted_at, &message.body, message.secrets);
        let mut request = self
            .client(message.target)
            .post(message.target.expose().clone())
            .header(CONTENT_TYPE, message.content_type)
            .header(ID, message.id)
            .header(TIMESTAMP, seconds(message.attempted_at));
        for (name, value) in message.headers {
            request = request.header(*name, *value);
        }
        if !signature.is_empty() {
            request = request.header(SIGNATURE, signature);
        }
        match request.body(message.body.clone()).send().await {
            Ok(response) => answer::judge(response, &message, timeout).await,
            Err(error) => Attempt::unanswered(reason::of_request(error, timeout)),
        }
    }

    /// The client for a target: through a proxy if the environment has one for it. This machine is reached directly.
    fn client(&self, target: &Target) -> &Client {
        let uri = target.expose().as_str().parse();
        let is_proxied = uri.is_ok_and(|uri| self.proxies.intercept(&uri).is_some());
        if is_proxied && !is_loopback(target.host()) { &self.proxied } else { &self.direct }
    }
}

fn configure(builder: ClientBuilder, timeout: Duration) -> ClientBuilder {
    builder
        .user_agent(concat!("scrapehook/", env!("CARGO_PKG_VERSION")))
        // From the beginning of an attempt to the end of the answer's body.
        .timeout(timeout)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        // The limit of an answer counts the bytes that arrive.
        .no_gzip()
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
}
