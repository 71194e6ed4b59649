//! One setting: its key, the source of its value, and the conversion of the value into a type.
//!
//! Every rule about the form of a value is here once, whatever layer the value is from. It must never quote a value,
//! because any setting can be given a secret by mistake.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::error::ConfigError;
use super::text::is_in_quotes;
use super::value::Value;

/// The largest integer of a setting, which is that of SQLite and TOML.
const MOST_INTEGER: u64 = i64::MAX.unsigned_abs();
/// A thousand years. A longer time can't be added to a date.
const MOST_DURATION: Duration = Duration::from_secs(1_000 * 31_557_600);

const IN_QUOTES: &str = "the value is in quotes. Remove them (`docker run --env-file` keeps quotes)";
const NO_STRING: &str = "a string is expected";
const NO_LIST: &str = "a list of strings is expected";

/// The source of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The embedded defaults.
    Default,
    /// The file of `--config`, by its name.
    File(String),
    /// A variable, by its name.
    Variable(String),
}

/// A setting with its value.
#[derive(Clone, Copy)]
pub(super) struct Setting<'a> {
    /// `section.key`
    pub(super) key: &'a str,
    pub(super) origin: &'a Origin,
    pub(super) value: &'a Value,
}

impl<'a> Setting<'a> {
    /// Creates an error that names the setting and the source of its value.
    pub(super) fn error(self, what: impl fmt::Display) -> ConfigError {
        let key = self.key;
        ConfigError(match self.origin {
            Origin::Default => format!("{key}: {what}"),
            Origin::File(name) => format!("{key} (--config {name}): {what}"),
            Origin::Variable(name) => format!("{key} ({name}): {what}"),
        })
    }

    /// Returns the text as written. Only the text of a file loses the blanks around it, which editors leave there.
    pub(super) fn written(self) -> Result<&'a str, ConfigError> {
        let text = self.whole()?;
        Ok(if matches!(self.value, Value::File(_)) { text.trim() } else { text })
    }

    fn whole(self) -> Result<&'a str, ConfigError> {
        match self.value {
            Value::Variable(text) | Value::File(text) | Value::String(text) if is_in_quotes(text) => {
                Err(self.error(IN_QUOTES))
            }
            Value::Variable(text) | Value::File(text) | Value::String(text) => Ok(text),
            _ => Err(self.error(NO_STRING)),
        }
    }

    /// Returns the text without the blanks around it.
    pub(super) fn text(self) -> Result<&'a str, ConfigError> {
        self.written().map(str::trim)
    }

    /// Returns the text without the blanks around it. None if nothing is left.
    pub(super) fn optional_text(self) -> Result<Option<&'a str>, ConfigError> {
        Ok(Some(self.text()?).filter(|text| !text.is_empty()))
    }

    /// Returns the text as a type, or an error that says what is expected.
    pub(super) fn parsed<T: FromStr>(self, expected: &str) -> Result<T, ConfigError> {
        self.text()?.parse().map_err(|_| self.error(expected))
    }

    /// Like [`parsed`](Self::parsed). None if the text is blank.
    pub(super) fn optional<T: FromStr>(self, expected: &str) -> Result<Option<T>, ConfigError> {
        self.optional_text()?.map(|_| self.parsed(expected)).transpose()
    }

    /// Returns an integer of at least this much.
    pub(super) fn integer(self, least: u64) -> Result<u64, ConfigError> {
        let error = || self.error(format_args!("an integer is expected, from {least} to {MOST_INTEGER}"));
        let number = match self.value {
            Value::Integer(number) => *number,
            Value::Variable(_) | Value::File(_) => self.text()?.parse().map_err(|_| error())?,
            _ => return Err(error()),
        };
        let number = u64::try_from(number).map_err(|_| error())?;
        if (least..=MOST_INTEGER).contains(&number) { Ok(number) } else { Err(error()) }
    }

    /// Returns a number of at least one.
    pub(super) fn count(self) -> Result<usize, ConfigError> {
        usize::try_from(self.integer(1)?).map_err(|_| self.error("the number is too large for this machine"))
    }

    /// Returns `true` or `false`.
    pub(super) fn boolean(self) -> Result<bool, ConfigError> {
        let text = match self.value {
            Value::Boolean(boolean) => return Ok(*boolean),
            Value::Variable(_) | Value::File(_) => self.text()?.to_ascii_lowercase(),
            _ => String::new(),
        };
        text.parse().map_err(|_| self.error("`true` or `false` is expected"))
    }

    /// Returns a time from zero to a thousand years, with its units.
    pub(super) fn duration(self) -> Result<Duration, ConfigError> {
        let duration = humantime::parse_duration(self.text()?)
            .map_err(|_| self.error("a duration is expected, such as 90s, 2m, 24h or 1ms"))?;
        if duration <= MOST_DURATION {
            Ok(duration)
        } else {
            Err(self.error("the duration must be at most 1000 years"))
        }
    }

    /// Returns a time above zero, with its units.
    pub(super) fn positive_duration(self) -> Result<Duration, ConfigError> {
        match self.duration()? {
            Duration::ZERO => Err(self.error("the duration must be longer than 0s")),
            duration => Ok(duration),
        }
    }

    /// Returns the entries of a list, without blank ones. They are the strings of a TOML array, or the parts of a
    /// text. Only line ends separate entries in a file that a variable names. Elsewhere, commas do so as well. Blanks
    /// around an entry stay.
    pub(super) fn entries(self) -> Result<Vec<&'a str>, ConfigError> {
        let mut entries = match self.value {
            Value::Array(items) => {
                let entry = |item: &'a Value| match item {
                    Value::String(text) => Ok(text.as_str()),
                    _ => Err(self.error(NO_LIST)),
                };
                items.iter().map(entry).collect::<Result<Vec<_>, _>>()?
            }
            Value::File(_) => self.whole()?.split(['\n', '\r']).collect(),
            Value::Variable(_) | Value::String(_) => self.whole()?.split([',', '\n', '\r']).collect(),
            _ => return Err(self.error(NO_LIST)),
        };
        entries.retain(|entry| !entry.trim().is_empty());
        if entries.iter().any(|entry| is_in_quotes(entry)) {
            return Err(self.error(IN_QUOTES));
        }
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(text: &str) -> Value {
        Value::Variable(text.to_owned())
    }

    fn file(text: &str) -> Value {
        Value::File(text.to_owned())
    }

    fn string(text: &str) -> Value {
        Value::String(text.to_owned())
    }

    fn setting(value: &Value) -> Setting<'_> {
        Setting { key: "section.key", origin: &Origin::Default, value }
    }

    fn said<T>(result: Result<T, ConfigError>) -> String {
        result.err().map(|error| error.to_string()).expect("an error")
    }

    /// One value of every kind that is not a text.
    fn no_texts() -> [Value; 5] {
        let table = Value::Table([("a".to_owned(), string("x"))].into());
        [Value::Integer(7), Value::Boolean(true), Value::Other, Value::Array(vec![string("x")]), table]
    }

    #[test]
    fn an_error_names_the_setting_and_its_origin() {
        let value = string("x");
        for (origin, expected) in [
            (Origin::Default, "section.key: wrong"),
            (Origin::File("a.toml".to_owned()), "section.key (--config a.toml): wrong"),
            (Origin::Variable("A__B".to_owned()), "section.key (A__B): wrong"),
        ] {
            let setting = Setting { key: "section.key", origin: &origin, value: &value };
            assert_eq!(setting.error("wrong").to_string(), expected);
        }
    }

    #[test]
    fn a_text_is_trimmed_unless_it_is_wanted_as_written() {
        for value in [variable(" a b\n"), file(" a b\n"), string(" a b\n")] {
            let written = if matches!(value, Value::File(_)) { "a b" } else { " a b\n" };
            assert_eq!(setting(&value).written().unwrap(), written);
            assert_eq!(setting(&value).text().unwrap(), "a b");
            assert_eq!(setting(&value).optional_text().unwrap(), Some("a b"));
        }
        for value in [variable(""), file(" \n"), string(" ")] {
            assert_eq!(setting(&value).text().unwrap(), "");
            assert_eq!(setting(&value).optional_text().unwrap(), None);
            assert_eq!(setting(&value).optional::<u8>("a number is expected").unwrap(), None);
        }
        for value in no_texts() {
            assert_eq!(said(setting(&value).written()), "section.key: a string is expected");
            assert_eq!(said(setting(&value).text()), "section.key: a string is expected");
            assert_eq!(said(setting(&value).optional_text()), "section.key: a string is expected");
        }
    }

    #[test]
    fn a_text_in_quotes_is_refused_from_every_layer_and_in_every_type() {
        for value in [variable("\"7\""), file("'7'\n"), string("\"7\"")] {
            let setting = setting(&value);
            for said in [
                said(setting.written()),
                said(setting.text()),
                said(setting.optional_text()),
                said(setting.parsed::<u8>("a number is expected")),
                said(setting.duration()),
                said(setting.entries()),
            ] {
                assert!(said.starts_with("section.key: the value is in quotes"), "{said}");
            }
        }
        for value in [variable("\"true\""), file("\"7\"")] {
            assert!(said(setting(&value).integer(0)).contains("in quotes"));
            assert!(said(setting(&value).boolean()).contains("in quotes"));
        }
    }

    #[test]
    fn a_text_is_parsed_or_the_error_says_what_is_expected() {
        let value = variable(" 7 ");
        assert_eq!(setting(&value).parsed::<u8>("a number is expected").unwrap(), 7);
        assert_eq!(setting(&value).optional::<u8>("a number is expected").unwrap(), Some(7));
        let value = variable("x");
        let expected = "section.key: a number is expected";
        assert_eq!(said(setting(&value).parsed::<u8>("a number is expected")), expected);
        assert_eq!(said(setting(&value).optional::<u8>("a number is expected")), expected);
    }

    #[test]
    fn an_integer_is_an_integer_in_every_layer() {
        for value in [variable("7"), file("7\n"), Value::Integer(7)] {
            assert_eq!(setting(&value).integer(0).unwrap(), 7);
            assert_eq!(setting(&value).integer(7).unwrap(), 7);
            assert!(setting(&value).integer(8).is_err());
            assert_eq!(setting(&value).count().unwrap(), 7);
        }
        let [_, others @ ..] = no_texts();
        let texts = ["true", "yes", "off", "1.0", "1e3", "", "0x10", "1_000", "-1", "9223372036854775808"];
        let texts = texts.into_iter().flat_map(|text| [variable(text), file(text)]);
        let integers = [-1, i128::from(i64::MAX) + 1, i128::MAX, i128::MIN].map(Value::Integer);
        for value in others.into_iter().chain(texts).chain(integers).chain([string("7")]) {
            let said = said(setting(&value).integer(0));
            assert_eq!(said, "section.key: an integer is expected, from 0 to 9223372036854775807");
        }
        let most = Value::Integer(i64::MAX.into());
        assert_eq!(setting(&most).integer(0).unwrap(), 9_223_372_036_854_775_807);
    }

    #[test]
    fn a_count_is_at_least_one() {
        assert_eq!(setting(&Value::Integer(0)).integer(0).unwrap(), 0);
        for value in [Value::Integer(0), variable("0")] {
            assert!(said(setting(&value).count()).contains("an integer is expected, from 1 to "));
        }
        assert_eq!(setting(&Value::Integer(1)).count().unwrap(), 1);
    }

    #[test]
    fn a_boolean_is_true_or_false_and_nothing_else() {
        for value in [variable("true"), variable(" TRUE "), file("True\n"), Value::Boolean(true)] {
            assert!(setting(&value).boolean().unwrap());
        }
        for value in [variable("false"), file("False"), Value::Boolean(false)] {
            assert!(!setting(&value).boolean().unwrap());
        }
        let texts = [variable("1"), variable("yes"), file("on"), string("true")];
        for value in texts.into_iter().chain([Value::Integer(1), Value::Other]) {
            assert_eq!(said(setting(&value).boolean()), "section.key: `true` or `false` is expected");
        }
    }

    #[test]
    fn a_duration_has_a_unit_and_an_end() {
        for (text, seconds) in [("90s", 90), ("2m", 120), (" 1h 30m ", 5_400), ("1000y", 31_557_600_000)] {
            for value in [variable(text), file(text), string(text)] {
                assert_eq!(setting(&value).duration().unwrap(), Duration::from_secs(seconds));
                assert_eq!(setting(&value).positive_duration().unwrap(), Duration::from_secs(seconds));
            }
        }
        assert_eq!(setting(&string("1ms")).duration().unwrap(), Duration::from_millis(1));
        assert_eq!(setting(&string("0s")).duration().unwrap(), Duration::ZERO);
        let zero = said(setting(&string("0s")).positive_duration());
        assert_eq!(zero, "section.key: the duration must be longer than 0s");
        for text in ["10", "", "soon", "-1s", "99999999999999999999y"] {
            let said = said(setting(&string(text)).duration());
            assert_eq!(said, "section.key: a duration is expected, such as 90s, 2m, 24h or 1ms");
        }
        let long = said(setting(&string("1000y 1s")).duration());
        assert_eq!(long, "section.key: the duration must be at most 1000 years");
        assert_eq!(said(setting(&Value::Integer(10)).duration()), "section.key: a string is expected");
    }

    #[test]
    fn entries_are_separated_as_their_layer_has_it() {
        let entries = |value: &Value| -> Vec<String> {
            setting(value).entries().unwrap().into_iter().map(str::to_owned).collect()
        };
        assert_eq!(entries(&variable("a,b, c\nd\r\n,,")), ["a", "b", " c", "d"]);
        assert_eq!(entries(&string("a,b")), ["a", "b"]);
        assert_eq!(entries(&file("a,b\n\nc \r\nd\re ")), ["a,b", "c ", "d", "e "]);
        assert_eq!(entries(&Value::Array(vec![string("a,b"), string(" "), string("c\nd")])), ["a,b", "c\nd"]);
        assert!(entries(&variable(" , ")).is_empty());
        assert!(entries(&Value::Array(Vec::new())).is_empty());
    }

    #[test]
    fn entries_are_strings_without_quotes() {
        let mixed = Value::Array(vec![string("a"), Value::Integer(1)]);
        let [integer, boolean, other, _, table] = no_texts();
        for value in [mixed, integer, boolean, other, table] {
            assert_eq!(said(setting(&value).entries()), "section.key: a list of strings is expected");
        }
        for value in [variable("a,\"b\""), file("'a'\nb"), Value::Array(vec![string("a"), string("'b'")])] {
            assert!(said(setting(&value).entries()).contains("in quotes"));
        }
    }
}
