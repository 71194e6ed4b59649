//! Query parameters and pages. Unknown parameters are errors. Cursors name a place and do not count items.

use std::error::Error;
use std::str::FromStr;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::Words;
use crate::domain::nearest::nearest;
use crate::domain::url::PostUrl;
use crate::http::edge::problem::{Code, Problem};

/// The most characters of a query that an error quotes. A query can have a hundred thousand.
const WORDS: usize = 256;

/// The most words of a list that an error shows.
const FEW: usize = 12;

/// The query, read into `T`, which denies unknown fields.
pub(in crate::http) struct Params<T>(pub(in crate::http) T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        check_text(parts.uri.query().unwrap_or_default())?;
        let Query(params) = Query::try_from_uri(&parts.uri).map_err(|error| {
            let mut cause: &dyn Error = &error;
            while let Some(deeper) = cause.source() {
                cause = deeper;
            }
            let cause = cause.to_string();
            // The library names the parameter twice.
            let start = cause.find("unknown field `").unwrap_or_default();
            let cause: String = cause[start..].chars().take(WORDS).collect();
            Problem::new(Code::BadQuery, of_parameters(&cause))
        })?;
        Ok(Self(params))
    }
}

/// The library says "field", and clients know parameters. A mistyped one is answered with the nearest.
fn of_parameters(cause: &str) -> String {
    let cause = cause.replacen(" field `", " parameter `", 1);
    let cause = cause.replace("there are no fields", "this request takes none");
    let mut names = cause.split('`').skip(1).step_by(2);
    let unknown = names.next().filter(|_| cause.starts_with("unknown parameter"));
    match unknown.and_then(|unknown| nearest(unknown, names)) {
        Some(known) => format!("{cause}. Did you mean `{known}`?"),
        None => format!("{cause}."),
    }
}

/// Refuses escapes that are not UTF-8. Otherwise their replacement would be stored, or would find nothing.
pub(in crate::http) fn check_text(query: &str) -> Result<(), Problem> {
    // The parser replaces such bytes with this character.
    const REPLACED: char = char::REPLACEMENT_CHARACTER;
    let replaced = |text: &str| text.chars().filter(|character| *character == REPLACED).count();
    let found: usize = url::form_urlencoded::parse(query.as_bytes())
        .map(|(name, value)| replaced(&name) + replaced(&value))
        .sum();
    // A client may send the character itself.
    let sent = query.to_ascii_uppercase().matches("%EF%BF%BD").count() + replaced(query);
    if found == sent {
        return Ok(());
    }
    Err(Problem::new(Code::BadQuery, "The query contains an escape that is not UTF-8."))
}

/// For routes without parameters.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct NoParams {}

/// Reads a filter's value as one of the contract's words.
pub(in crate::http) fn word<T: Words>(name: &str, value: Option<&str>) -> Result<Option<T>, Problem> {
    let parse = |text: &str| {
        text.parse().map_err(|_| {
            let said = format!("{name}: `{}` is not a valid value", shortened(text));
            let words: Vec<String> = T::words().map(|word| format!("`{word}`")).collect();
            let detail = match nearest(text, T::words()) {
                Some(word) => format!("{said}, did you mean `{word}`?"),
                None if words.len() <= FEW => format!("{said}. Use one of {}.", words.join(", ")),
                None => format!("{said}. GET /openapi.json lists the valid ones."),
            };
            Problem::new(Code::BadQuery, detail)
        })
    };
    value.map(parse).transpose()
}

/// Reads a filter's value as an id.
pub(in crate::http) fn id<T: FromStr>(name: &str, value: Option<&str>) -> Result<Option<T>, Problem> {
    let parse = |text: &str| {
        let detail = || format!("{name}: `{}` is not an id.", shortened(text));
        text.parse().map_err(|_| Problem::new(Code::BadQuery, detail()))
    };
    value.map(parse).transpose()
}

fn shortened(text: &str) -> String {
    text.chars().take(WORDS).collect()
}

/// The most characters of a text to search for, as many as a URL has.
const SEARCHED: usize = 2_048;

/// Reads the text to search for.
pub(in crate::http) fn text(name: &str, value: Option<&str>) -> Result<Option<String>, Problem> {
    let parse = |text: &str| {
        let text = text.trim();
        // SQLite compares texts up to the first NUL.
        if text.is_empty() || text.chars().count() > SEARCHED || text.contains('\0') {
            return Err(Problem::new(
                Code::BadQuery,
                format!("{name}: must have 1 to {SEARCHED} characters, and no NUL."),
            ));
        }
        Ok(text.to_owned())
    };
    value.map(parse).transpose()
}

/// The canonical form of a `url` filter, whatever its spelling.
pub(in crate::http) fn canonical(url: Option<&str>) -> Result<Option<String>, Problem> {
    let parse = |text| {
        let url =
            PostUrl::parse(text).map_err(|error| Problem::new(Code::BadQuery, format!("url: {error}.")))?;
        Ok(url.canonical)
    };
    url.map(parse).transpose()
}

/// The query parameters of a list: its own filters, and those that all lists of newest items share.
macro_rules! list_params {
    ($name:ident { $($filters:tt)* }) => {
        #[derive(Debug, serde::Deserialize, utoipa::IntoParams)]
        #[into_params(parameter_in = Query)]
        #[serde(deny_unknown_fields)]
        pub(in crate::http) struct $name {
            $($filters)*
            /// Items per page. Default: 50. At most 500.
            #[param(value_type = Option<i64>, minimum = 1, maximum = 500)]
            pub(in crate::http) limit: Option<String>,
            /// The `next` of the previous page.
            #[param(value_type = Option<String>)]
            pub(in crate::http) after: Option<String>,
        }
    };
}
pub(in crate::http) use list_params;

list_params! { PageParams {} }

const LIMIT: i64 = 50;
const MOST: i64 = 500;

/// Reads the number of items of a page.
pub(in crate::http) fn limit(asked: Option<&str>) -> Result<i64, Problem> {
    let Some(asked) = asked else { return Ok(LIMIT) };
    match asked.parse() {
        Ok(limit) if (1..=MOST).contains(&limit) => Ok(limit),
        _ => Err(Problem::new(Code::BadQuery, format!("limit: must be a number from 1 to {MOST}."))),
    }
}

/// A cursor: a place in a list, as clients get it. The list's name in it makes cursors of other lists invalid.
pub(in crate::http) fn cursor(list: &str, place: impl ToString) -> String {
    URL_SAFE_NO_PAD.encode(format!("{list} {}", place.to_string()))
}

/// Reads a cursor of this list.
pub(in crate::http) fn place<T: FromStr>(list: &str, cursor: Option<&str>) -> Result<Option<T>, Problem> {
    let Some(cursor) = cursor else { return Ok(None) };
    let text = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let place = text.as_deref().and_then(|text| text.strip_prefix(list)?.strip_prefix(' ')?.parse().ok());
    match place {
        Some(place) => Ok(Some(place)),
        None => {
            Err(Problem::new(Code::BadCursor, "after: must be the `next` of an earlier page of this list."))
        }
    }
}

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Page<T> {
    items: Vec<T>,
    #[schema(required)]
    next: Option<String>,
}

impl<T> Page<T> {
    /// Cuts the page from `found`, which was read with one item more than `limit`.
    pub(in crate::http) fn cut(mut found: Vec<T>, limit: i64, cursor: impl Fn(&T) -> String) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(cursor);
        Self { items: found, next }
    }

    /// The page, with a `next` from this cursor if it has none, because older items were not looked at.
    pub(in crate::http) fn or_next(self, cursor: Option<String>) -> Self {
        Self { next: self.next.or(cursor), ..self }
    }

    /// The page with other items, made from its own.
    pub(in crate::http) fn map<U>(self, turn: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(turn).collect(), next: self.next }
    }

    /// A page that always has a `next`.
    pub(in crate::http) fn feed(items: Vec<T>, next: String) -> Self {
        Self { items, next: Some(next) }
    }
}
