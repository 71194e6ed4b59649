//! Subscribers and their deliveries, for people.

use std::io;

use serde_json::Value;

use super::output::{Output, Row, age, text, time};
use crate::clock;

pub(in crate::cli) fn show_subscribers(output: &mut Output, subscribers: &[Value]) -> io::Result<()> {
    if subscribers.is_empty() {
        return output.line("There are no subscribers. `scrapehook subscribers add URL` adds one.");
    }
    let row = |subscriber: &Value| {
        let deliveries = &subscriber["deliveries"];
        let state = state(subscriber);
        // The colours of states that need a look.
        let colour = if state == "enabled" { "" } else { "failed" };
        let name = match text(subscriber, "name") {
            name if name.is_empty() => text(subscriber, "id"),
            name => name,
        };
        let cells = vec![
            name,
            state.to_owned(),
            text(subscriber, "format"),
            text(deliveries, "waiting"),
            text(deliveries, "dead"),
            words(&subscriber["events"]),
            text(subscriber, "url"),
        ];
        Row::new(colour, cells)
    };
    let header = ["subscriber", "state", "format", "waiting", "dead", "events", "url"];
    output.table(&header, subscribers.iter().map(row).collect())
}

fn state(subscriber: &Value) -> &'static str {
    match (subscriber["enabled"] == true, subscriber["failing_since"].is_null()) {
        (false, _) => "disabled",
        (true, false) => "failing",
        (true, true) => "enabled",
    }
}

/// The texts of a list, in one line.
fn words(list: &Value) -> String {
    let words = list.as_array().into_iter().flatten().filter_map(Value::as_str);
    words.collect::<Vec<_>>().join(" ")
}

pub(in crate::cli) fn show_subscriber(output: &mut Output, subscriber: &Value) -> io::Result<()> {
    let now = clock::now();
    let labels = subscriber["labels"].as_object().into_iter().flatten();
    let labels: Vec<String> =
        labels.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
    let deliveries = &subscriber["deliveries"];
    let counts = ["waiting", "delivered", "dead"].map(|state| format!("{} {state}", text(deliveries, state)));
    let since = |name: &str| match time(subscriber, name) {
        at if at.is_empty() => at,
        at => format!("{at} ({} ago)", age(subscriber, name, now)),
    };
    output.fields(&[
        ("id", text(subscriber, "id")),
        ("name", text(subscriber, "name")),
        ("state", state(subscriber).to_owned()),
        ("source", text(subscriber, "source")),
        ("url", text(subscriber, "url")),
        ("events", words(&subscriber["events"])),
        ("labels", labels.join(", ")),
        ("format", text(subscriber, "format")),
        ("template", text(subscriber, "template")),
        ("created", since("created_at")),
        ("failing since", since("failing_since")),
        ("disabled", since("disabled_at")),
        ("reason", text(subscriber, "disabled_reason")),
        ("missed from", text(subscriber, "disabled_seq")),
        ("replayed to", text(subscriber, "replayed_to")),
        ("deliveries", counts.join(", ")),
        ("old secret until", time(subscriber, "old_secret_until")),
        ("secret", text(subscriber, "secret")),
    ])
}

pub(in crate::cli) fn show_deliveries(output: &mut Output, deliveries: &[Value]) -> io::Result<()> {
    if deliveries.is_empty() {
        return output.line("There are no deliveries.");
    }
    let row = |delivery: &Value| {
        let answer = &delivery["last_answer"];
        let state = text(delivery, "state");
        let next = time(delivery, "next_attempt_at");
        let said = match (text(answer, "reason"), text(answer, "status")) {
            (reason, status) if reason.is_empty() && !status.is_empty() => format!("HTTP {status}"),
            (reason, _) => reason,
        };
        let colour = if state == "dead" { "failed" } else { "" };
        let cells = vec![
            text(delivery, "seq"),
            text(delivery, "kind"),
            state,
            text(delivery, "attempts"),
            next,
            said,
        ];
        Row::new(colour, cells)
    };
    let header = ["seq", "kind", "state", "attempts", "next attempt", "last answer"];
    output.table(&header, deliveries.iter().map(row).collect())
}
