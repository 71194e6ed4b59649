//! Patterns of event kinds: a kind, all kinds that begin alike, or every kind.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use thiserror::Error;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::domain::event::EventKind;

/// A pattern of event kinds: `job.settled`, `job.*` or `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Every kind, also those of later versions.
    Every,
    /// The kinds of a noun, such as `job` for `job.*`.
    Of(String),
    /// One kind.
    Kind(EventKind),
}

/// The text is no pattern: no kind has this name, or begins like this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a kind of event, `*`, or a pattern such as `job.*`")]
pub struct UnknownPattern;

impl Pattern {
    /// Whether the pattern matches this kind.
    pub fn admits(&self, kind: EventKind) -> bool {
        match self {
            Self::Every => true,
            Self::Of(noun) => kind.as_str().split_once('.').is_some_and(|(of, _)| of == noun),
            Self::Kind(this) => *this == kind,
        }
    }
}

impl FromStr for Pattern {
    type Err = UnknownPattern;

    fn from_str(text: &str) -> Result<Self, UnknownPattern> {
        if text == "*" {
            return Ok(Self::Every);
        }
        let Some(noun) = text.strip_suffix(".*") else {
            return text.parse().map(Self::Kind).map_err(|_| UnknownPattern);
        };
        let pattern = Self::Of(noun.to_owned());
        let is_known = EventKind::ALL.iter().any(|kind| pattern.admits(*kind));
        if is_known { Ok(pattern) } else { Err(UnknownPattern) }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every => f.write_str("*"),
            Self::Of(noun) => write!(f, "{noun}.*"),
            Self::Kind(kind) => kind.fmt(f),
        }
    }
}

impl PartialSchema for Pattern {
    fn schema() -> RefOr<Schema> {
        let mut nouns: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (noun, verb) in EventKind::ALL.iter().filter_map(|kind| kind.as_str().split_once('.')) {
            nouns.entry(noun).or_default().push(verb);
        }
        // The same as a list of values makes tools that combine them very slow.
        let kinds: String =
            nouns.iter().map(|(noun, verbs)| format!(r"|{noun}\.(\*|{})", verbs.join("|"))).collect();
        let description = "A kind of event, all kinds of a noun such as `job.*`, or all kinds: `*`.";
        let schema = ObjectBuilder::new().schema_type(Type::String).pattern(Some(format!(r"^(\*{kinds})$")));
        schema.description(Some(description)).into()
    }
}

impl ToSchema for Pattern {
    fn name() -> std::borrow::Cow<'static, str> {
        "EventPattern".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_names_all_kinds_and_nouns() {
        let schema = serde_json::to_value(Pattern::schema()).unwrap();
        let pattern = schema["pattern"].as_str().unwrap();
        assert!(pattern.starts_with(r"^(\*|callback\.(\*|unrecognized|hint)|job\.(\*|created|"), "{pattern}");
        assert!(pattern.ends_with(r"|video\.(\*|indexing|indexed|failed))$"), "{pattern}");
    }

    #[test]
    fn a_pattern_admits_the_kinds_that_it_names() {
        let admitted = |text: &str| {
            let pattern: Pattern = text.parse().unwrap();
            assert_eq!(pattern.to_string(), text);
            EventKind::ALL.iter().filter(|kind| pattern.admits(**kind)).count()
        };
        assert_eq!(admitted("*"), EventKind::ALL.len());
        assert_eq!(admitted("job.settled"), 1);
        let of_jobs = EventKind::ALL.iter().filter(|kind| kind.as_str().starts_with("job."));
        assert_eq!(admitted("job.*"), of_jobs.count());
    }

    #[test]
    fn a_mistyped_pattern_is_refused() {
        for text in ["", "job", "jobs.*", ".*", "job.", "job.setled", "JOB.*", "**", "*.settled", " *"] {
            assert_eq!(text.parse::<Pattern>(), Err(UnknownPattern), "{text}");
        }
    }
}
