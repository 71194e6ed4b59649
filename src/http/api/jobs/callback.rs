//! The callback URL of a job, as its body or its query gives it.

use serde_json::{Map, Value};

use crate::domain::webhook::callback::JobCallback;
use crate::domain::webhook::format::Format;
use crate::domain::webhook::pattern::Pattern;
use crate::domain::webhook::subscriber::MOST_EVENTS;
use crate::domain::webhook::target::{Allowed, Target};
use crate::http::edge::problem::Faults;

/// Reads `callback_url`, its alias `callback`, and `callback_events`, and takes them out of the fields.
pub(in crate::http) fn read(
    fields: &mut Map<String, Value>,
    allowed: Allowed,
    faults: &mut Faults,
) -> Option<JobCallback> {
    let mut given = |name: &str| fields.remove(name).filter(|value| !value.is_null());
    let (url, alias, events) = (given("callback_url"), given("callback"), given("callback_events"));
    if url.is_some() && alias.is_some() {
        faults.push("/callback", "is another name for callback_url, so give only one of them");
        return None;
    }
    let pointer = if alias.is_some() { "/callback" } else { "/callback_url" };
    let events = events.map(|events| read_events(&events, "/callback_events", faults));
    let Some(url) = url.or(alias) else {
        if events.is_some() {
            faults.push("/callback_events", "needs a callback_url");
        }
        return None;
    };
    let Some(text) = url.as_str() else {
        faults.push(pointer, "a string is expected");
        return None;
    };
    match Target::parse(text.trim(), allowed) {
        Ok(target) => {
            let events = events.unwrap_or_else(JobCallback::default_events);
            Some(JobCallback { target, events, format: Format::Standard })
        }
        Err(error) => {
            faults.push(pointer, error);
            None
        }
    }
}

/// Reads patterns of event kinds. Leaves out invalid ones.
pub(in crate::http) fn read_events(given: &Value, pointer: &str, faults: &mut Faults) -> Vec<Pattern> {
    let Some(list) = given.as_array() else {
        faults.push(pointer, "a list of event kinds is expected");
        return Vec::new();
    };
    if list.is_empty() || list.len() > MOST_EVENTS {
        faults.push(pointer, format_args!("must have from 1 to {MOST_EVENTS} entries"));
        return Vec::new();
    }
    let mut patterns = Vec::new();
    for (place, entry) in list.iter().enumerate() {
        match entry.as_str().map(str::parse) {
            Some(Ok(pattern)) => patterns.push(pattern),
            Some(Err(error)) => faults.push(format_args!("{pointer}/{place}"), error),
            None => faults.push(format_args!("{pointer}/{place}"), "a string is expected"),
        }
    }
    patterns
}
