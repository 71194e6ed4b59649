//! The obstacles between a sender and this service: how each is recognized, and what to do about it. Must never show
//! a secret.

use std::fmt;

use serde::Serialize;
use utoipa::ToSchema;

use crate::network::{NoAnswer, TlsFault};

/// Whether callbacks can reach this service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckState {
    /// The public URL leads here.
    Ok,
    /// It leads elsewhere, or nowhere.
    Failed,
    /// The check from inside could not tell.
    NotProven,
    /// There was no check.
    NotChecked,
}

/// An obstacle to callbacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// There was no answer to a small body.
    NoAnswer(NoAnswer),
    /// A small body arrives, but one of this size does not.
    LargeLost {
        /// The size in bytes.
        size: usize,
        /// The status with which another server answered. None if there was no answer.
        status: Option<u16>,
    },
    /// A server refuses a body of this size.
    TooLarge {
        /// The size in bytes.
        size: usize,
        /// Whether the service itself refuses it.
        is_service: bool,
    },
    /// A redirect with this status, to this host.
    Redirect(u16, String),
    /// Another server does not know the path.
    NoRoute(u16),
    /// A scrapehook answers, but the path was changed on the way.
    OtherPath(u16),
    /// Another server asks for credentials, or denies access.
    Forbidden(u16),
    /// Another server limits the requests.
    Limited,
    /// A proxy does not reach its server.
    Gateway(u16),
    /// The service itself fails.
    ServiceFailing(u16),
    /// A scrapehook with another secret answers.
    OtherSecret,
    /// The service answers, but received another body.
    Altered(usize),
    /// Another server answers.
    Stranger(u16),
    /// The check could not be made here.
    Ours(String),
}

impl Obstacle {
    /// The state that follows from it. A connection that can't be made from inside proves nothing.
    pub const fn state(&self) -> CheckState {
        match self {
            Self::NoAnswer(NoAnswer::Connection(_)) | Self::Ours(_) => CheckState::NotProven,
            _ => CheckState::Failed,
        }
    }

    /// Whether the obstacle is in front of the service, whatever server is behind it.
    pub const fn is_before_the_service(&self) -> bool {
        matches!(self, Self::NoAnswer(NoAnswer::Name(_) | NoAnswer::Tls(_)) | Self::Redirect(..))
    }

    /// The obstacle if a small body has just arrived and one of this size met this. Not every proxy answers 413.
    pub(super) fn met_by_large(self, size: usize) -> Self {
        let status = match self {
            Self::NoAnswer(NoAnswer::Cut | NoAnswer::Late) => None,
            Self::NoRoute(status)
            | Self::Forbidden(status)
            | Self::Gateway(status)
            | Self::Stranger(status) => Some(status),
            other => return other,
        };
        Self::LargeLost { size, status }
    }

    /// The action to take.
    pub const fn action(&self) -> &'static str {
        match self {
            Self::NoAnswer(reason) => after_no_answer(reason),
            Self::LargeLost { status: None, .. } => {
                "Check the proxy's limits on the size and duration of a body, and the MTU of tunnels."
            }
            Self::LargeLost { .. } | Self::TooLarge { is_service: false, .. } => {
                "Raise the proxy's body limit to at least callback.max_body (`client_max_body_size` in nginx, \
                 `request_body` in Caddy)."
            }
            Self::TooLarge { is_service: true, .. } => {
                "The service runs with a smaller callback.max_body. Restart it with this configuration."
            }
            Self::Redirect(..) => {
                "Set server.public_url to the target of the redirect, or remove the redirect for /callback/. Senders \
                 need not follow it."
            }
            Self::NoRoute(_) | Self::Stranger(200..=299) => {
                "Have the proxy pass everything under /callback/ of server.public_url on to server.listen."
            }
            Self::OtherPath(_) => {
                "The proxy changes the path. A POST to /callback/… below server.public_url must arrive as /callback/…."
            }
            Self::Forbidden(_) => {
                "Have the proxy or firewall let /callback/ through without a login. The token in the URL is the proof."
            }
            Self::Limited => "Exempt /callback/ from the proxy's rate limit. Callbacks come in bursts.",
            Self::Gateway(_) => {
                "Check the address that the proxy passes /callback/ on to. It must be server.listen."
            }
            Self::ServiceFailing(_) => "Find the reason in `scrapehook status` and in the service's log.",
            Self::OtherSecret => {
                "Check that server.public_url leads to this service, not to another one, and that it was started with \
                 this callback.secret and store.path."
            }
            Self::Altered(_) => "Have the proxy pass bodies on unchanged.",
            Self::Stranger(_) => {
                "Check the host, scheme and port of server.public_url. This service does not answer like that."
            }
            Self::Ours(_) => "The check could not run on this machine. This says nothing about callbacks.",
        }
    }
}

/// The action after a request without an answer.
const fn after_no_answer(reason: &NoAnswer) -> &'static str {
    match reason {
        NoAnswer::Name(_) => "Check server.public_url, and the DNS record of its host.",
        NoAnswer::Connection(_) => {
            "Many networks don't let a machine reach its own public address. Check it from outside: `curl -i` \
             on server.public_url followed by `/callback` must answer 405 with a `request_id`."
        }
        NoAnswer::Tls(fault) => match fault {
            TlsFault::WrongName(_) => {
                "Give the proxy a certificate for the host of server.public_url. If that leads to another \
                 machine inside your network, such as a router, check it from outside."
            }
            TlsFault::Expired => "Renew the proxy's certificate. If it is new, set this machine's clock.",
            TlsFault::NotYetValid => "Set this machine's clock, or wait until the certificate is valid.",
            TlsFault::UnknownIssuer | TlsFault::SelfSigned => {
                "Have the proxy send its certificate with the whole chain, from a publicly trusted issuer. \
                 Senders trust no other."
            }
            TlsFault::Refused(_) => "Give the proxy a certificate for the host of server.public_url.",
            TlsFault::NotTls => {
                "Check the scheme and port of server.public_url. That server does not speak TLS."
            }
            TlsFault::Other(_) => "Check the proxy's certificate and its TLS settings.",
        },
        NoAnswer::Late | NoAnswer::Cut => {
            "Check that the proxy or tunnel reaches the service at server.listen."
        }
        NoAnswer::NotHttp => {
            "Check the scheme and port of server.public_url. That server does not speak HTTP."
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAnswer(reason) => reason.fmt(f),
            Self::LargeLost { size, status: None } => {
                write!(f, "a body of {size} bytes gets no answer, but a small one comes through")
            }
            Self::LargeLost { size, status: Some(status) } => {
                write!(
                    f,
                    "a proxy refuses a body of {size} bytes, but a small one comes through (HTTP {status})"
                )
            }
            Self::TooLarge { size, is_service: false } => {
                write!(f, "a proxy refuses a body of {size} bytes (HTTP 413)")
            }
            Self::TooLarge { size, is_service: true } => {
                write!(f, "the service refuses a body of {size} bytes (HTTP 413)")
            }
            Self::Redirect(status, to) => write!(f, "a redirect to {to} (HTTP {status})"),
            Self::NoRoute(status) => {
                write!(f, "something else answers and does not know the path (HTTP {status})")
            }
            Self::OtherPath(status) => {
                write!(f, "a scrapehook answers, but received another path (HTTP {status})")
            }
            Self::Forbidden(status) => {
                write!(f, "something else asks for a login or forbids access (HTTP {status})")
            }
            Self::Limited => f.write_str("something else limits the rate (HTTP 429)"),
            Self::Gateway(status) => {
                write!(f, "a proxy answers, but does not reach the service (HTTP {status})")
            }
            Self::ServiceFailing(status) => write!(f, "the service itself has a problem (HTTP {status})"),
            Self::OtherSecret => f.write_str("a scrapehook with another callback secret answers"),
            Self::Altered(size) => {
                write!(f, "the service answers, but a body of {size} bytes was changed on its way")
            }
            Self::Stranger(status @ 200..=299) => {
                write!(
                    f,
                    "something else answers, and senders would mistake it for this service (HTTP {status})"
                )
            }
            Self::Stranger(status) => write!(f, "something else answers (HTTP {status})"),
            Self::Ours(words) => f.write_str(words),
        }
    }
}
