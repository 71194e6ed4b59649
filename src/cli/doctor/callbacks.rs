//! The check of callbacks. It is that of the running service, and this file decides what its result means if no
//! service runs.

use std::sync::Arc;

use secrecy::ExposeSecret;

use super::report::Check;
use crate::callback_check::{CheckState, Checker};
use crate::config::Config;
use crate::config::Live;
use crate::domain::token::TokenKeys;
use crate::store::Inspected;

const CALLBACKS: &str = "callbacks";
const START: &str = "Start the service, then run this again.";

/// Checks whether the public URL leads to the service that runs on this database.
pub(super) async fn check(config: &Config, database: Option<Inspected>) -> Check {
    let Some(public_url) = &config.server.public_url else {
        return Check::skipped(CALLBACKS, "server.public_url is not set, so scrapehook polls every task");
    };
    let is_running = database.as_ref().is_some_and(|database| database.is_in_use);
    let stored = database.and_then(|database| database.callback_secret);
    let secrets: Vec<_> =
        config.callback.secret.0.iter().chain(&stored).map(ExposeSecret::expose_secret).collect();
    let has_secret = !secrets.is_empty();
    let checker =
        Checker::new(public_url, Arc::new(Live::new(TokenKeys::new(secrets))), config.callback.max_body);
    let checked =
        if has_secret { checker.check().await.map(Some) } else { checker.knock().await.map(|()| None) };
    let obstacle = match checked {
        Ok(Some(size)) => {
            let seen = format!("{public_url} leads to this service, even with a body of {size} bytes");
            return Check::ok(CALLBACKS, seen);
        }
        Ok(None) => {
            let seen = format!(
                "{public_url} answers, but there is no callback secret yet to prove that it is this service"
            );
            return Check::not_proven(CALLBACKS, seen, START);
        }
        Err(obstacle) => obstacle,
    };
    let seen = format!("{public_url}: {obstacle}");
    if !is_running && !obstacle.is_before_the_service() {
        return Check::not_proven(CALLBACKS, format!("no service runs on this database. {seen}"), START);
    }
    match obstacle.state() {
        CheckState::NotProven => Check::not_proven(CALLBACKS, seen, obstacle.action()),
        _ => Check::failed(CALLBACKS, seen, obstacle.action()),
    }
}
