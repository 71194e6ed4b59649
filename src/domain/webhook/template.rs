//! Templates of webhooks: JSON text with placeholders such as `{{data.job.id}}`.
//!
//! A value must never end the string that it stands in, and is never searched for placeholders. So a filled template is
//! JSON, whatever the values are.

use serde_json::Value;
use thiserror::Error;

use super::wording::cut;
use crate::domain::nearest::unknown;

#[cfg(test)]
mod rule;

/// Most bytes of a template.
const MOST_BYTES: usize = 16 * 1024;
/// Most placeholders of a template.
const MOST_PLACEHOLDERS: usize = 100;
/// Most bytes of a filled template.
const MOST_FILLED: usize = 1024 * 1024;
/// Most characters of a placeholder in an error.
const SHOWN_CHARS: usize = 60;
/// The words that a path can begin with.
const ROOTS: [&str; 4] = ["type", "timestamp", "text", "data"];
const OPEN: &str = "{{";
const CLOSE: &str = "}}";

/// A template whose filled text is JSON.
///
/// A placeholder in a JSON string becomes the text of its value. Elsewhere it becomes the value as JSON. A path has
/// segments with dots between them, and a number is the index of an element of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    pieces: Vec<Piece>,
}

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    /// Text that stays as it is.
    Literal(String),
    /// A placeholder in a string, with the segments of its path.
    InString(Vec<String>),
    /// A placeholder outside of strings, with the segments of its path.
    Alone(Vec<String>),
}

/// Why a text is not a template.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InvalidTemplate {
    /// It is too long.
    #[error("the template has more than 16 KiB")]
    TooLong,
    /// It has too many placeholders.
    #[error("the template has more than {MOST_PLACEHOLDERS} placeholders")]
    TooManyPlaceholders,
    /// A placeholder has no end. Contains its beginning.
    #[error("the placeholder `{0}` must end with `}}}}`, and its path has no braces, quotes or backslashes")]
    Unclosed(String),
    /// A placeholder has no path.
    #[error("a placeholder has no path, write for example `{{{{text}}}}`")]
    EmptyPath,
    /// A segment of a path is empty. Contains the placeholder.
    #[error("the path of the placeholder `{0}` has an empty segment")]
    EmptySegment(String),
    /// A path begins with an unknown word. Contains the fault, and the word that was probably meant.
    #[error("{0}")]
    UnknownRoot(String),
    /// The text around the placeholders is not JSON. Contains the fault and its place.
    #[error("the template with a value for each placeholder is not JSON: {0}")]
    NotJson(String),
}

/// A filled template is too long to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the filled template has more than 1 MiB")]
pub struct TooLong;

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// [`InvalidTemplate`] says what is wrong.
    pub fn parse(text: &str) -> Result<Self, InvalidTemplate> {
        if text.len() > MOST_BYTES {
            return Err(InvalidTemplate::TooLong);
        }
        let mut pieces = Vec::new();
        // The text with a sample for each placeholder, of the same length so that places in errors are right.
        let mut sample = String::with_capacity(text.len());
        let mut place = Place::Outside;
        let (mut rest, mut placeholders) = (text, 0);
        while !rest.is_empty() {
            let (literal, next) = place.pass(rest);
            if !literal.is_empty() {
                sample.push_str(literal);
                pieces.push(Piece::Literal(literal.to_owned()));
            }
            rest = next;
            if rest.is_empty() {
                break;
            }
            placeholders += 1;
            if placeholders > MOST_PLACEHOLDERS {
                return Err(InvalidTemplate::TooManyPlaceholders);
            }
            let (placeholder, next) = split_placeholder(rest)?;
            let path = path(placeholder)?;
            let length = placeholder.len();
            if place == Place::Outside {
                sample.push_str(&format!("{:length$}", "null"));
                pieces.push(Piece::Alone(path));
            } else {
                // Unlike no text at all, it is refused in the middle of an escape.
                sample.push_str(&"-".repeat(length));
                pieces.push(Piece::InString(path));
            }
            rest = next;
        }
        let read: Result<Value, _> = serde_json::from_str(&sample);
        read.map_err(|error| InvalidTemplate::NotJson(error.to_string()))?;
        Ok(Self { text: text.to_owned(), pieces })
    }

    /// The text of the template.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The template with these values, which is JSON. A value that is missing counts as null, and null is nothing in
    /// a string.
    ///
    /// # Errors
    /// [`TooLong`] if it has more than 1 MiB.
    pub fn fill(&self, values: &Value) -> Result<String, TooLong> {
        let mut filled = String::with_capacity(self.text.len());
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => filled.push_str(text),
                Piece::InString(path) => filled.push_str(&in_string(find(values, path))),
                Piece::Alone(path) => filled.push_str(&find(values, path).to_string()),
            }
            if filled.len() > MOST_FILLED {
                return Err(TooLong);
            }
        }
        Ok(filled)
    }
}

/// The place of the next character in JSON.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Outside of strings.
    Outside,
    /// In a string.
    InString,
    /// In a string, after a backslash.
    Escaped,
}

impl Place {
    /// Passes the text up to the next placeholder, and gives that text and the rest. A brace after a backslash begins
    /// no placeholder.
    fn pass<'a>(&mut self, text: &'a str) -> (&'a str, &'a str) {
        for (index, letter) in text.char_indices() {
            *self = match (*self, letter) {
                (Self::Outside | Self::InString, '{') if text[index..].starts_with(OPEN) => {
                    return text.split_at(index);
                }
                (Self::Outside, '"') => Self::InString,
                (Self::InString, '"') => Self::Outside,
                (Self::InString, '\\') => Self::Escaped,
                (Self::Escaped, _) => Self::InString,
                (place, _) => place,
            };
        }
        (text, "")
    }
}

/// Splits text that begins with a placeholder after it.
fn split_placeholder(text: &str) -> Result<(&str, &str), InvalidTemplate> {
    let ends = |letter: char| matches!(letter, '{' | '}' | '"' | '\\') || letter.is_control();
    let path = text.get(OPEN.len()..).unwrap_or_default();
    let end = OPEN.len() + path.find(ends).unwrap_or(path.len());
    match text.get(end..) {
        Some(after) if after.starts_with(CLOSE) => Ok(text.split_at(end + CLOSE.len())),
        _ => Err(InvalidTemplate::Unclosed(cut(&text[..end], SHOWN_CHARS))),
    }
}

/// The segments of a placeholder's path.
fn path(placeholder: &str) -> Result<Vec<String>, InvalidTemplate> {
    let path = placeholder.trim_start_matches(OPEN).trim_end_matches(CLOSE).trim();
    if path.is_empty() {
        return Err(InvalidTemplate::EmptyPath);
    }
    let segments: Vec<String> = path.split('.').map(str::to_owned).collect();
    let shown = cut(placeholder, SHOWN_CHARS);
    if segments.iter().any(String::is_empty) {
        return Err(InvalidTemplate::EmptySegment(shown));
    }
    match segments.first() {
        Some(root) if !ROOTS.contains(&root.as_str()) => {
            let fault =
                format!("the path of `{shown}` must begin with `type`, `timestamp`, `text` or `data`");
            Err(InvalidTemplate::UnknownRoot(unknown(&fault, root, ROOTS)))
        }
        _ => Ok(segments),
    }
}

/// The value at a path, or null.
fn find<'a>(values: &'a Value, path: &[String]) -> &'a Value {
    let step = |value: &'a Value, segment: &String| match value {
        Value::Object(fields) => fields.get(segment),
        Value::Array(elements) if segment.bytes().all(|byte| byte.is_ascii_digit()) => {
            segment.parse().ok().and_then(|index: usize| elements.get(index))
        }
        _ => None,
    };
    path.iter().try_fold(values, step).unwrap_or(&Value::Null)
}

/// A value as a part of a JSON string.
fn in_string(value: &Value) -> String {
    let json = match value {
        Value::Null => return String::new(),
        Value::String(_) => value.to_string(),
        _ => Value::from(value.to_string()).to_string(),
    };
    let inside = json.strip_prefix('"').and_then(|json| json.strip_suffix('"'));
    inside.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn filled(template: &str, values: &Value) -> String {
        let template = Template::parse(template).unwrap_or_else(|error| panic!("{template}: {error}"));
        template.fill(values).unwrap()
    }

    fn refused(template: &str) -> String {
        Template::parse(template).expect_err(template).to_string()
    }

    #[test]
    fn placeholders_become_values() {
        let template = r#"{"msg": "{{text}}", "job": {{data.job}}, "state": "is {{ data.job.state }}!",
            "first": "{{data.urls.0.url}}", "second": {{ data.urls.1 }}, "{{type}}": [{{data.count}}]}"#;
        let values = json!({
            "type": "job.settled",
            "text": "say \"é\"\n",
            "data": { "job": { "state": "done" }, "urls": [{ "url": "https://a.example" }], "count": 3 },
        });
        let read: Value = serde_json::from_str(&filled(template, &values)).unwrap();
        let expected = json!({
            "msg": "say \"é\"\n", "job": { "state": "done" }, "state": "is done!",
            "first": "https://a.example", "second": null, "job.settled": [3],
        });
        assert_eq!(read, expected);
        assert_eq!(Template::parse(template).unwrap().as_str(), template);
    }

    #[test]
    fn a_value_in_a_string_is_its_text() {
        for (value, expected) in [
            (json!(null), r#""<>""#),
            (json!(""), r#""<>""#),
            (json!("a\"\\\u{7}é"), r#""<a\"\\\u0007é>""#),
            (json!(1.5), r#""<1.5>""#),
            (json!(true), r#""<true>""#),
            (json!(["a", 1]), r#""<[\"a\",1]>""#),
            (json!({ "a": "\"" }), r#""<{\"a\":\"\\\"\"}>""#),
        ] {
            assert_eq!(filled(r#""<{{data}}>""#, &json!({ "data": value })), expected);
        }
        assert_eq!(filled(r#""<{{data}}>""#, &json!(7)), r#""<>""#);
    }

    #[test]
    fn only_plain_digits_are_an_index() {
        let values = json!({ "data": { "list": ["a"], "fields": { "0": "b", "my label": "c" } } });
        let at = |path: &str| filled(&format!("{{{{data.{path}}}}}"), &values);
        assert_eq!((at("list.0"), at("list.00")), (r#""a""#.to_owned(), r#""a""#.to_owned()));
        assert_eq!((at("fields.0"), at("fields.my label")), (r#""b""#.to_owned(), r#""c""#.to_owned()));
        for path in ["list.1", "list.+0", "list.-1", "list.a", "list.99999999999999999999", "list.0.x"] {
            assert_eq!(at(path), "null", "{path}");
        }
    }

    #[test]
    fn a_value_is_not_searched_for_placeholders() {
        let values = json!({ "text": "{{type}}", "type": "secret", "data": ["{{type}}", "}}"] });
        assert_eq!(filled(r#"["{{text}}", {{data}}]"#, &values), r#"["{{type}}", ["{{type}}","}}"]]"#);
    }

    #[test]
    fn braces_that_are_no_placeholder_stay() {
        assert_eq!(filled(r#"{"a":{"b":{{text}}}}"#, &json!({})), r#"{"a":{"b":null}}"#);
        assert_eq!(
            filled(r#"["{{text}}}", "}}", "{ {", "{\u007b"]"#, &json!({})),
            r#"["}", "}}", "{ {", "{\u007b"]"#
        );
        assert_eq!(filled(r#"["\\{{text}}", "\"{{text}}"]"#, &json!({ "text": "a" })), r#"["\\a", "\"a"]"#);
        assert_eq!(filled("7", &json!({})), "7");
    }

    #[test]
    fn what_is_not_json_with_any_value_is_refused() {
        let alone = r#"text|{{text}} {{text}}|[1{{text}}]|[{{text}}1]|[-{{text}}]|[nul{{text}}]|[{{text}},]"#;
        let keys = r#"{{{text}}: 1}|{ {{text}}: 1}|{"a": 1, {{text}}}"#;
        let strings = r#""{{text}}|{{text}}"|["{{text}}"{{text}}]|["{{text}}"1]"#;
        let escapes = r#""\{{text}}"|"\{{{text}}"|"\\\{{text}}"|"\u{{text}}"|"\u00{{text}}41""#;
        let surrogates = r#""\ud83d{{text}}\ude00"|"{{text}}\ude00""#;
        let lists = [alone, keys, strings, escapes, surrogates, "", "\"\n{{text}}\""];
        for template in lists.iter().flat_map(|list| list.split('|')) {
            let fault = Template::parse(template).expect_err(template);
            let is_json_fault = matches!(fault, InvalidTemplate::NotJson(_) | InvalidTemplate::Unclosed(_));
            assert!(is_json_fault, "{template}: {fault}");
        }
    }

    #[test]
    fn each_fault_has_its_own_message() {
        for (template, message) in [
            (r#"{"a": "{{text", "b": "}}"}"#, "the placeholder `{{text` must end with `}}`"),
            ("[{{text}]", "the placeholder `{{text` must end with `}}`"),
            ("[{{", "the placeholder `{{` must end with `}}`"),
            ("[{{te{xt}}]", "the placeholder `{{te` must end with `}}`"),
            ("[{{data\n}}]", "the placeholder `{{data` must end with `}}`"),
            ("[{{ }}]", "a placeholder has no path, write for example `{{text}}`"),
            ("[{{data..a}}]", "the path of the placeholder `{{data..a}}` has an empty segment"),
            ("[{{.data}}]", "the path of the placeholder `{{.data}}` has an empty segment"),
            ("[{{data.}}]", "the path of the placeholder `{{data.}}` has an empty segment"),
            (
                "[{{job.id}}]",
                "the path of `{{job.id}}` must begin with `type`, `timestamp`, `text` or `data`",
            ),
            (
                r#"["{{timestmap}}"]"#,
                "the path of `{{timestmap}}` must begin with `type`, `timestamp`, `text` or `data`, \
                 did you mean `timestamp`?",
            ),
        ] {
            assert!(refused(template).starts_with(message), "{template}: {}", refused(template));
        }
        let long = refused(&format!("[{{{{{}}}}}]", "é".repeat(4_000)));
        assert!(long.chars().count() < 200 && long.contains('…'), "{long}");
    }

    #[test]
    fn the_place_of_a_fault_is_that_in_the_template() {
        let message = refused("{\n  \"a\": \"{{text}}\", \"b\": {{data.job}} !}");
        let expected = "the template with a value for each placeholder is not JSON: \
                        expected `,` or `}` at line 2 column 38";
        assert_eq!(message, expected);
    }

    #[test]
    fn templates_have_limits() {
        let of_bytes = |bytes: usize| format!("\"{}\"", "a".repeat(bytes - 2));
        assert!(Template::parse(&of_bytes(MOST_BYTES)).is_ok());
        assert_eq!(Template::parse(&of_bytes(MOST_BYTES + 1)), Err(InvalidTemplate::TooLong));
        let with = |placeholders: usize| format!("\"{}\"", "{{text}}".repeat(placeholders));
        assert!(Template::parse(&with(MOST_PLACEHOLDERS)).is_ok());
        let fault = Template::parse(&with(MOST_PLACEHOLDERS + 1)).unwrap_err();
        assert_eq!(fault.to_string(), "the template has more than 100 placeholders");
    }

    #[test]
    fn a_filled_template_has_a_limit() {
        let template = Template::parse(r#""{{text}}""#).unwrap();
        let fill = |bytes: usize| template.fill(&json!({ "text": "a".repeat(bytes) }));
        assert_eq!(fill(MOST_FILLED - 2).map(|filled| filled.len()), Ok(MOST_FILLED));
        assert_eq!(fill(MOST_FILLED - 1), Err(TooLong));
        assert_eq!(TooLong.to_string(), "the filled template has more than 1 MiB");
    }
}
