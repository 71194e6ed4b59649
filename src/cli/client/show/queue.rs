//! The queue, for people: its groups, and the expected time of a job.

use serde_json::Value;

use super::output::{Output, Row, age, text, time};
use super::words::{number, requests, urls};
use crate::clock;

pub(in crate::cli) fn show_queue(output: &mut Output, queue: &Value) -> std::io::Result<()> {
    let now = clock::now();
    let groups = queue["groups"].as_array().map(Vec::as_slice).unwrap_or_default();
    if groups.is_empty() {
        return output.line("No URLs are waiting.");
    }
    let needed = requests(number(queue, "requests"));
    let sent_by = match time(queue, "sent_by") {
        at if at.is_empty() => "unknown while something is paused".to_owned(),
        at => at,
    };
    output.fields(&[
        ("waiting", format!("{}, {needed} needed", urls(number(queue, "waiting")))),
        ("sent by", sent_by),
        ("interval", format!("{} ms between two submits", text(queue, "interval_ms"))),
    ])?;
    output.line("")?;
    let row = |group: &Value| {
        let is_paused = group["paused"] == true;
        let cells = vec![
            text(group, "urls"),
            text(group, "priority"),
            age(group, "oldest_at", now),
            text(group, "quality"),
            text(group, "platform"),
            if is_paused { "yes".to_owned() } else { String::new() },
            destination(&group["destination"]),
        ];
        Row::new("", cells)
    };
    let header = ["urls", "priority", "oldest", "quality", "platform", "paused", "destination"];
    output.table(&header, groups.iter().map(row).collect())?;
    let total = number(queue, "groups_total");
    let further = total.saturating_sub(groups.len() as u64);
    if further > 0 { output.line(&format!("and {further} smaller groups")) } else { Ok(()) }
}

fn destination(destination: &Value) -> String {
    let folder = match text(destination, "unique_id") {
        name if name.is_empty() => text(destination, "folder_id"),
        name => name,
    };
    let library = text(destination, "library");
    if folder.is_empty() { library } else { format!("{library}, folder {folder}") }
}

/// The expected time at which the waiting URLs of a job are sent, in a few words. Empty if it is unknown.
pub(in crate::cli) fn expected(job: &Value) -> String {
    let queue = &job["queue"];
    match text(queue, "sent_by").parse::<jiff::Timestamp>() {
        Ok(at) => {
            let today = clock::now().start_of_day().to_string();
            let is_today = today.starts_with(&at.strftime("%F").to_string());
            // The time is rounded up to a whole minute, so that it does not pass before the estimate.
            let at = at.checked_add(jiff::SignedDuration::from_secs(59)).unwrap_or(at);
            let at = at.strftime(if is_today { "%H:%M" } else { "%F %H:%M" });
            format!("sent by {at} UTC ({})", requests(number(queue, "requests_left")))
        }
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_estimate_is_a_few_words_or_none() {
        let job = |sent_by: Value, left| {
            let queue = json!({ "requests_ahead": 0, "requests_left": left, "sent_by": sent_by });
            json!({ "queue": queue })
        };
        let later = job(json!("2125-09-23T13:30:37.000Z"), 12);
        assert_eq!(expected(&later), "sent by 2125-09-23 13:31 UTC (12 requests)");
        let today = job(json!(clock::now().to_string()), 1);
        let said = expected(&today);
        assert!(
            said.ends_with(" UTC (1 request)") && said.len() == "sent by 14:05 UTC (1 request)".len(),
            "{said}"
        );
        for nothing in [job(Value::Null, 1), json!({ "queue": null }), json!({})] {
            assert_eq!(expected(&nothing), "");
        }
    }

    #[test]
    fn a_destination_is_a_library_and_a_folder() {
        let shown = |library, name: Value, number: Value| {
            destination(&json!({ "library": library, "unique_id": name, "folder_id": number }))
        };
        assert_eq!(shown("private", json!("mine"), Value::Null), "private, folder mine");
        assert_eq!(shown("private", Value::Null, json!(7)), "private, folder 7");
        assert_eq!(shown("public", Value::Null, Value::Null), "public");
    }
}
