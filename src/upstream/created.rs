//! The creation time of a video, in any form that upstream may use. Must never guess a time zone.

use serde_json::Value;

use crate::domain::time::Timestamp;

/// The creation time of a video.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreatedAt {
    /// The answer has no time.
    Unnamed,
    /// The answer has this time.
    At(Timestamp),
    /// The answer has a value that is no time. It may stand for any time.
    Unreadable,
}

impl CreatedAt {
    /// Reads one value.
    pub(super) fn of(value: &Value) -> Self {
        let text = match value {
            Value::Null => return Self::Unnamed,
            Value::String(text) => text.trim().to_owned(),
            Value::Number(number) => number.to_string(),
            _ => return Self::Unreadable,
        };
        if text.is_empty() || text == "null" {
            return Self::Unnamed;
        }
        let time = match text.parse() {
            Ok(number) => since_epoch(number),
            Err(_) => Timestamp::from_rfc3339(&text),
        };
        time.map_or(Self::Unreadable, Self::At)
    }
}

/// Reads a time since the Unix epoch. The size of the number shows whether it is in seconds, milliseconds,
/// microseconds or nanoseconds, for every time from 1973 to 5138.
fn since_epoch(number: f64) -> Option<Timestamp> {
    let millis = match number {
        _ if !number.is_finite() || number <= 0.0 => return None,
        _ if number < 1e11 => number * 1e3,
        _ if number < 1e14 => number,
        _ if number < 1e17 => number / 1e3,
        _ => number / 1e6,
    };
    let time = Timestamp::from_millis(millis as i64);
    time.is_in_range().then_some(time)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_time_is_read_in_every_form_or_known_as_unreadable() {
        let at = |millis| CreatedAt::At(Timestamp::from_millis(millis));
        for (value, expected) in [
            (json!(1_700_000_000), at(1_700_000_000_000)),
            (json!("1700000000123"), at(1_700_000_000_123)),
            (json!(1_700_000_000.5), at(1_700_000_000_500)),
            (json!("1700000000.25"), at(1_700_000_000_250)),
            (json!(1.7e12), at(1_700_000_000_000)),
            (json!(1_700_000_000_123_456_i64), at(1_700_000_000_123)),
            (json!("2023-11-14T22:13:20Z"), at(1_700_000_000_000)),
            (json!("2023-11-15T06:13:20.5+08:00"), at(1_700_000_000_500)),
            (json!("2023-11-14 22:13:20+00:00"), at(1_700_000_000_000)),
            (json!(null), CreatedAt::Unnamed),
            (json!(" "), CreatedAt::Unnamed),
            // The time zone is unknown.
            (json!("2023-11-14 22:13:20"), CreatedAt::Unreadable),
            (json!("yesterday"), CreatedAt::Unreadable),
            (json!(0), CreatedAt::Unreadable),
            (json!(-5), CreatedAt::Unreadable),
            (json!("inf"), CreatedAt::Unreadable),
            (json!(1e300), CreatedAt::Unreadable),
            (json!([1_700_000_000]), CreatedAt::Unreadable),
        ] {
            assert_eq!(CreatedAt::of(&value), expected, "{value}");
        }
    }
}
