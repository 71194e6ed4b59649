//! Stored columns: parses text into ids, words, JSON and other types. A value that can't be read is an error that
//! names table, column and row. It must never be a shorter list.

use std::error::Error;
use std::str::FromStr;

use serde::de::DeserializeOwned;
use sqlx::sqlite::{Sqlite, SqliteRow};
use sqlx::{Column, Decode, Row, Type};
use thiserror::Error;

use crate::domain::destination::Destination;
use crate::domain::job::Progress;
use crate::domain::outcome::Failure;
use crate::domain::time::Timestamp;

/// Defines a struct whose fields are read from the columns of their names. The type of `..field` reads its own
/// columns from the same row. The derive macro of sqlx does the same, but would compile SQLite and sqlx a second
/// time.
macro_rules! row {
    (
        $(#[$about:meta])*
        $vis:vis struct $name:ident {
            $($(#[$about_field:meta])* $field_vis:vis $field:ident: $of:ty,)*
            $(..$inner:ident: $inner_of:ty,)*
        }
    ) => {
        $(#[$about])*
        $vis struct $name {
            $($(#[$about_field])* $field_vis $field: $of,)*
            $($inner: $inner_of,)*
        }

        impl<'r> sqlx::FromRow<'r, sqlx::sqlite::SqliteRow> for $name {
            fn from_row(row: &'r sqlx::sqlite::SqliteRow) -> Result<Self, sqlx::Error> {
                Ok(Self {
                    $($field: $crate::store::column::get(row, stringify!($field))?,)*
                    $($inner: sqlx::FromRow::from_row(row)?,)*
                })
            }
        }
    };
}
pub(crate) use row;

row! {
    /// The number of a job's URLs in each state: the columns of `jobs` behind [`Progress`].
    pub(crate) struct Counts {
        urls: i64,
        waiting: i64,
        sent: i64,
        downloaded: i64,
        indexed: i64,
        failed: i64,
        known: i64,
        canceled: i64,
    }
}

impl Counts {
    pub(crate) const fn progress(&self) -> Progress {
        Progress {
            urls: self.urls,
            waiting: self.waiting,
            sent: self.sent,
            downloaded: self.downloaded,
            indexed: self.indexed,
            failed: self.failed,
            known: self.known,
            canceled: self.canceled,
        }
    }
}

/// The place of a value: table, column, and the id of its row.
pub(crate) type Place<'a> = (&'static str, &'static str, &'a str);

/// A stored value that can't be read. It goes to the log, and clients never see it.
#[derive(Debug, Error)]
#[error("{table}.{column} of {id} can't be read: {source}")]
struct Unreadable {
    table: &'static str,
    column: &'static str,
    id: String,
    source: Box<dyn Error + Send + Sync>,
}

/// Whether an error is about a stored value that can't be read.
pub(crate) fn is_unreadable(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. })
}

/// The error for a value that can't be read.
pub(crate) fn unreadable(place: Place<'_>, source: impl Into<Box<dyn Error + Send + Sync>>) -> sqlx::Error {
    let (table, column, id) = place;
    sqlx::Error::Decode(Box::new(Unreadable { table, column, id: id.to_owned(), source: source.into() }))
}

/// The columns that identify a row, in the order in which they are looked for.
const IDS: [&str; 5] = ["id", "task_id", "job_id", "number", "round"];

/// A value of a row.
///
/// # Errors
/// A value of another type, by its table, its column and the id of its row, as far as the statement tells them.
pub(crate) fn get<'r, T: Decode<'r, Sqlite> + Type<Sqlite>>(
    row: &'r SqliteRow,
    name: &str,
) -> Result<T, sqlx::Error> {
    row.try_get(name).map_err(|error| {
        let column = row.try_column(name).ok().map(Column::origin);
        let origin = column.as_ref().and_then(|origin| origin.table_column());
        let text = |id: &&str| row.try_get::<String, _>(*id).ok();
        let number = |id: &&str| row.try_get::<i64, _>(*id).ok().map(|number| number.to_string());
        let id = IDS.iter().find_map(text).or_else(|| IDS.iter().find_map(number));
        sqlx::Error::Decode(Box::new(Mistyped {
            table: origin.map_or("an expression", |origin| &*origin.table).to_owned(),
            column: origin.map_or(name, |origin| &*origin.name).to_owned(),
            id: id.unwrap_or_else(|| "a row without an id".to_owned()),
            source: error,
        }))
    })
}

/// A stored value of another type than its column has.
#[derive(Debug, Error)]
#[error("{table}.{column} of {id} can't be read: {source}")]
struct Mistyped {
    table: String,
    column: String,
    id: String,
    source: sqlx::Error,
}

/// Parses an id or a word.
pub(crate) fn parsed<T: FromStr<Err: Error + Send + Sync + 'static>>(
    place: Place<'_>,
    text: &str,
) -> Result<T, sqlx::Error> {
    text.parse().map_err(|error| unreadable(place, error))
}

/// Parses an id or a word, if there is one.
pub(crate) fn parsed_option<T: FromStr<Err: Error + Send + Sync + 'static>>(
    place: Place<'_>,
    text: Option<&str>,
) -> Result<Option<T>, sqlx::Error> {
    text.map(|text| parsed(place, text)).transpose()
}

/// Parses JSON.
pub(crate) fn json<T: DeserializeOwned>(place: Place<'_>, text: &str) -> Result<T, sqlx::Error> {
    serde_json::from_str(text).map_err(|error| unreadable(place, error))
}

/// Reads a time that can be shown.
pub(crate) fn time(place: Place<'_>, millis: i64) -> Result<Timestamp, sqlx::Error> {
    let time = Timestamp::from_millis(millis);
    if time.is_in_range() { Ok(time) } else { Err(unreadable(place, "a time beyond the year 9999")) }
}

/// Reads a time that can be shown, if there is one.
pub(crate) fn time_option(place: Place<'_>, millis: Option<i64>) -> Result<Option<Timestamp>, sqlx::Error> {
    millis.map(|millis| time(place, millis)).transpose()
}

/// The reason for a failure, if there is one.
pub(crate) fn failure(code: Option<String>, message: Option<String>) -> Option<Failure> {
    code.map(|code| Failure { code, message: message.unwrap_or_default() })
}

/// Reads a small integer that stands for a value.
pub(crate) fn numbered<T>(
    place: Place<'_>,
    number: i64,
    read: impl Fn(i64) -> Option<T>,
) -> Result<T, sqlx::Error> {
    read(number).ok_or_else(|| unreadable(place, format!("unknown number: {number}")))
}

/// Reads a small integer that stands for a value, if there is one.
pub(crate) fn numbered_option<T>(
    place: Place<'_>,
    number: Option<i64>,
    read: impl Fn(i64) -> Option<T>,
) -> Result<Option<T>, sqlx::Error> {
    number.map(|number| numbered(place, number, read)).transpose()
}

/// Reads a destination from its columns. None if its spelling is not known.
pub(crate) fn destination(
    kind: Option<i64>,
    name: Option<String>,
    folder: Option<i64>,
) -> Option<Destination> {
    match (kind?, name, folder) {
        (0, ..) => Some(Destination::Public),
        (1, ..) => Some(Destination::Default),
        (2, Some(name), _) => Some(Destination::Name(name)),
        (3, _, Some(number)) => Some(Destination::Number(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
