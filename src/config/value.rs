//! Values from TOML, variables and files.
//!
//! It must never show a value, so `Debug` is missing on purpose.

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

use super::text::without_mark;

/// A value before its setting requires a type.
#[derive(Clone)]
pub(super) enum Value {
    /// The text of a variable. Commas and line ends separate the entries of a list.
    Variable(String),
    /// The text of a file that a variable names. Only line ends separate the entries of a list.
    File(String),
    /// A string of TOML.
    String(String),
    /// An integer in TOML. If it is beyond 128 bits, it is the largest or the smallest value.
    Integer(i128),
    /// `true` or `false` in TOML.
    Boolean(bool),
    /// A fraction or a date in TOML. No setting accepts either.
    Other,
    /// An array of TOML.
    Array(Vec<Self>),
    /// A table of TOML.
    Table(Table),
}

/// A table of TOML, by key.
pub(super) type Table = BTreeMap<String, Value>;

/// Parses TOML.
///
/// # Errors
/// The text describes the error and its line, without quoting the document.
pub(super) fn parse(text: &str) -> Result<Table, String> {
    let text = without_mark(text);
    match DeTable::parse(text) {
        Ok(document) => Ok(table(document.into_inner())),
        Err(error) => {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            Err(format!("line {line}: {}", error.message()))
        }
    }
}

fn table(table: DeTable<'_>) -> Table {
    table.into_iter().map(|(key, found)| (key.into_inner().into_owned(), value(found.into_inner()))).collect()
}

fn value(found: DeValue<'_>) -> Value {
    match found {
        DeValue::String(text) => Value::String(text.into_owned()),
        DeValue::Integer(integer) => {
            let number = i128::from_str_radix(integer.as_str(), integer.radix());
            let beyond = if integer.as_str().starts_with('-') { i128::MIN } else { i128::MAX };
            Value::Integer(number.unwrap_or(beyond))
        }
        DeValue::Boolean(boolean) => Value::Boolean(boolean),
        DeValue::Float(_) | DeValue::Datetime(_) => Value::Other,
        DeValue::Array(items) => {
            Value::Array(items.into_iter().map(|item| value(item.into_inner())).collect())
        }
        DeValue::Table(found) => Value::Table(table(found)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Value {
        parse(&format!("a = {text}")).ok().and_then(|mut table| table.remove("a")).unwrap()
    }

    #[test]
    fn each_kind_of_toml_is_told_apart() {
        assert!(matches!(of("\"x\""), Value::String(text) if text == "x"));
        assert!(matches!(of("true"), Value::Boolean(true)));
        assert!(matches!(of("false"), Value::Boolean(false)));
        assert!(matches!(of("1.0"), Value::Other));
        assert!(matches!(of("2026-11-29"), Value::Other));
        let Value::Array(items) = of("[1, \"x\"]") else { panic!("no array") };
        assert!(matches!(items[..], [Value::Integer(1), Value::String(_)]));
        let Value::Table(table) = of("{ b = 1 }") else { panic!("no table") };
        assert!(matches!(table["b"], Value::Integer(1)));
    }

    #[test]
    fn an_integer_has_any_radix_and_any_size() {
        for (text, expected) in [
            ("7", 7),
            ("-7", -7),
            ("1_000", 1_000),
            ("0x1F", 31),
            ("9223372036854775808", 9_223_372_036_854_775_808),
            (&"9".repeat(60), i128::MAX),
            (&format!("-{}", "9".repeat(60)), i128::MIN),
        ] {
            assert!(matches!(of(text), Value::Integer(found) if found == expected), "{text}");
        }
    }

    #[test]
    fn a_mark_before_the_document_is_ignored() {
        assert!(parse("\u{feff}a = 1").is_ok_and(|table| table.contains_key("a")));
    }

    #[test]
    fn a_document_that_is_wrong_is_not_quoted() {
        let said = |text| parse(text).err().unwrap();
        assert!(said("a = 1\nb = \"secret\n").starts_with("line 2: "), "{}", said("a = 1\nb = \"secret\n"));
        for text in ["a = \"secret", "secret", "[secret\n", "secret = 1\nsecret = 2", "a = secret"] {
            assert!(!said(text).contains("secret"), "{}", said(text));
            assert!(said(text).starts_with("line "), "{}", said(text));
        }
    }
}
