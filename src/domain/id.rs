//! scrapehook's ids. They are opaque to clients, ordered by creation, and different types, so nobody can mix them up.
//!
//! Must never hold an id from upstream. Those stay plain strings.

use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize, Serializer, de};
use thiserror::Error;
use uuid::{ContextV7, Uuid};

use super::time::Timestamp;

/// The text is not an id of this kind.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("not a {0} id")]
pub struct InvalidId(&'static str);

/// A version 7 UUID that is greater than the one before, even if the clock was set back.
fn ordered(at: Timestamp) -> Uuid {
    static ORDER: Mutex<Option<ContextV7>> = Mutex::new(None);
    let mut order = ORDER.lock().unwrap_or_else(PoisonError::into_inner);
    let millis = u64::try_from(at.as_millis()).unwrap_or_default();
    let nanos = u32::try_from(millis % 1_000 * 1_000_000).unwrap_or_default();
    let order = order.get_or_insert_with(ContextV7::new);
    Uuid::new_v7(uuid::Timestamp::from_unix(&*order, millis / 1_000, nanos))
}

macro_rules! id {
    ($name:ident, $prefix:literal, $noun:literal) => {
        #[doc = concat!("Names one ", $noun, ": `", $prefix, "` and the 32 hex digits of a version 7 UUID.")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id of this time. It is greater than all earlier ids of this process.
            pub fn new(at: Timestamp) -> Self {
                Self(ordered(at))
            }

            /// Time of its creation, to the millisecond.
            pub fn made_at(&self) -> Timestamp {
                let (seconds, nanos) = self.0.get_timestamp().map_or((0, 0), |time| time.to_unix());
                let millis = i64::try_from(seconds).unwrap_or_default().saturating_mul(1_000);
                Timestamp::from_millis(millis.saturating_add(i64::from(nanos / 1_000_000)))
            }

            /// The 16 bytes of the id.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// The id with these 16 bytes.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0.simple())
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let parsed = text
                    .strip_prefix($prefix)
                    .filter(|hex| hex.len() == 32)
                    .and_then(|hex| Uuid::try_parse(hex).ok())
                    .map(Self);
                // Only the issued spelling. The store would not find "JOB_…" or upper-case hex.
                parsed.filter(|id| id.to_string() == text).ok_or(InvalidId($noun))
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .pattern(Some(concat!("^", $prefix, "[0-9a-f]{32}$")))
                    .into()
            }
        }

        impl utoipa::ToSchema for $name {}

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    };
}

id!(JobId, "job_", "job");
id!(TaskId, "task_", "task");
id!(SubscriberId, "sub_", "subscriber");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_its_text() {
        let id = TaskId::new(Timestamp::from_millis(7));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(TaskId::from_bytes(*id.as_bytes()), id);
        assert_eq!(
            TaskId::new(Timestamp::from_millis(1_758_634_237_659)).made_at().as_millis(),
            1_758_634_237_659
        );
    }

    #[test]
    fn ids_grow_also_where_the_clock_goes_back() {
        let times = (0..500).chain((0..500).rev()).map(|n| Timestamp::from_millis(1_700_000_000_000 + n / 5));
        let ids: Vec<_> = times.map(JobId::new).collect();
        assert!(ids.is_sorted());
    }

    #[test]
    fn only_the_issued_spelling_is_an_id() {
        let id = JobId::new(Timestamp::from_millis(7)).to_string();
        let upper = format!("job_{}", id["job_".len()..].to_uppercase());
        for text in ["", "job_", "job_1", &id[1..], &id.replace("job_", "task_"), &upper] {
            assert_eq!(text.parse::<JobId>(), Err(InvalidId("job")), "{text}");
        }
    }
}
