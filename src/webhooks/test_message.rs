//! The message that tries out a subscriber. It is about no event, and no list shows it.

use serde_json::json;

use crate::domain::event::EventKind;
use crate::domain::time::Timestamp;
use crate::domain::webhook::body::Rendered;
use crate::domain::webhook::chat;
use crate::domain::webhook::format::Format;
use crate::domain::webhook::subscriber::{Subscriber, SubscriberSettings};
use crate::domain::webhook::template::TooLong;

/// The `type` of a test message. No event has this kind.
const KIND: &str = "subscriber.test";

/// Makes a test message in the format of a subscriber.
///
/// # Errors
/// [`TooLong`] if the filled template is.
pub fn test_message(
    settings: &SubscriberSettings,
    shown: &Subscriber,
    now: Timestamp,
) -> Result<Rendered, TooLong> {
    let name = shown.name.clone().unwrap_or_else(|| shown.id.to_string());
    let text = format!("Test message from scrapehook to the subscriber {name}.");
    let data = json!({ "subscriber": { "id": shown.id, "name": shown.name } });
    let body = json!({ "type": KIND, "timestamp": now, "data": data });
    Ok(match (settings.format, &settings.template) {
        (Format::Slack, _) => chat::slack(&text),
        (Format::Discord, _) => chat::discord(&text),
        (Format::Ntfy, _) => chat::ntfy(&text, EventKind::JobSettled),
        // A status that upstream never sends, so that no client takes it for news.
        (Format::Upstream, _) => {
            Rendered::json(json!({ "message": text, "taskId": "test", "status": "TEST" }).to_string())
        }
        (Format::Template, Some(template)) => {
            let values = json!({ "type": KIND, "timestamp": now, "data": data, "text": text });
            Rendered::json(template.fill(&values)?)
        }
        (Format::Standard | Format::Template, _) => Rendered::json(body.to_string()),
    })
}
