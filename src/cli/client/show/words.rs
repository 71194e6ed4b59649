//! The counts of an answer, in words.

use serde_json::Value;

/// A count in an answer. 0 if it is missing.
pub(in crate::cli) fn number(object: &Value, name: &str) -> u64 {
    object[name].as_u64().unwrap_or_default()
}

/// "1 URL", "2 URLs".
pub(in crate::cli) fn urls(count: u64) -> String {
    if count == 1 { "1 URL".to_owned() } else { format!("{count} URLs") }
}

/// "1 request", "2 requests".
pub(in crate::cli) fn requests(count: u64) -> String {
    if count == 1 { "1 request".to_owned() } else { format!("{count} requests") }
}
