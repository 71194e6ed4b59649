//! Settings that a job has from the beginning, and that a patch can change.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::domain::queue::Priority;
use crate::http::edge::body::escape;
use crate::http::edge::problem::Faults;

/// The most labels of a job.
pub(in crate::http) const LABELS: usize = 32;
/// The most characters of a label's key or value, and of `unique_id`.
pub(in crate::http) const TEXT_CHARS: usize = 256;

/// Reads a priority. Returns none if the value is not one.
pub(in crate::http) fn read_priority(value: &Value, faults: &mut Faults) -> Option<Priority> {
    let priority = value.as_str().and_then(|text| text.parse().ok());
    if priority.is_none() {
        faults.push("/priority", "`high`, `normal` or `low` is expected");
    }
    priority
}

/// Reads labels. Leaves out invalid ones.
pub(in crate::http) fn read_labels(given: Value, faults: &mut Faults) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    let Value::Object(given) = given else {
        faults.push("/labels", "an object of strings is expected");
        return labels;
    };
    if given.len() > LABELS {
        faults.push("/labels", format_args!("a job has at most {LABELS} labels"));
        return labels;
    }
    for (key, value) in given {
        let pointer = format!("/labels/{}", escape(&key));
        let fits = |text: &str| text.chars().count() <= TEXT_CHARS && !text.contains('\0');
        match value {
            Value::String(_) if key.contains(':') => faults.push(
                pointer,
                "a key must not contain a colon, because the filter `label=key:value` could not find it",
            ),
            Value::String(value) if !key.is_empty() && fits(&key) && fits(&value) => {
                labels.insert(key, value);
            }
            Value::String(_) => faults.push(
                pointer,
                format_args!(
                    "key and value must be text of at most {TEXT_CHARS} characters, and the key not empty"
                ),
            ),
            _ => faults.push(pointer, "a string is expected"),
        }
    }
    labels
}
