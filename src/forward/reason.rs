//! Why an attempt got no answer, in words for the operator.
//!
//! Must never show any part of the target. The log has the errors of the libraries, without the URL.

use std::error::Error;
use std::iter::successors;
use std::time::Duration;

use super::resolver::PrivateAddress;
use crate::network::{NoAnswer, TlsFault};

/// The reason for a request without an answer.
pub fn of_request(error: reqwest::Error, timeout: Duration) -> String {
    let error = error.without_url();
    tracing::debug!(error = ?error, "a webhook got no answer");
    let causes = successors(error.source(), |&error| error.source());
    if let Some(refused) = causes.filter_map(|error| error.downcast_ref::<PrivateAddress>()).next() {
        return refused.to_string();
    }
    if error.is_timeout() {
        return format!("no answer within {timeout:?}");
    }
    if error.is_builder() {
        return "the request could not be made".to_owned();
    }
    match NoAnswer::of(&error) {
        NoAnswer::Tls(TlsFault::UnknownIssuer | TlsFault::SelfSigned) => {
            "the certificate is not trusted".to_owned()
        }
        NoAnswer::Tls(fault) => fault.to_string(),
        other => other.to_string(),
    }
}

/// The reason for an answer that was not read to its end.
pub fn of_body(error: reqwest::Error, timeout: Duration) -> String {
    let error = error.without_url();
    tracing::debug!(error = ?error, "the answer to a webhook was not complete");
    if error.is_timeout() {
        format!("the answer was not complete within {timeout:?}")
    } else {
        "the connection was cut before the end of the answer".to_owned()
    }
}
