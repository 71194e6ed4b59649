//! The subscribers of the configuration, `[[subscribers]]`.
//!
//! It must never quote a URL or a secret.

use std::collections::BTreeMap;
use std::fmt;

use super::error::ConfigError;
use super::setting::Setting;
use super::value::{Table, Value};
use crate::domain::nearest::unknown;
use crate::domain::webhook::format::Format;
use crate::domain::webhook::pattern::Pattern;
use crate::domain::webhook::secret::Secret;
use crate::domain::webhook::subscriber::{
    MOST_EVENTS, MOST_SUBSCRIBERS, SubscriberSettings, check, check_name,
};
use crate::domain::webhook::target::{Allowed, Target};
use crate::domain::webhook::template::Template;

const FIELDS: [&str; 7] = ["name", "url", "events", "labels", "format", "template", "secret"];
/// The first signs, and so does the second during a rotation.
const MOST_SECRETS: usize = 2;

/// A subscriber of the configuration.
#[derive(Clone, Debug)]
pub struct Subscriber {
    /// Its settings, with a name.
    pub settings: SubscriberSettings,
    /// At most two secrets, which both sign. Without any, `forward.secret` signs.
    pub secrets: Vec<Secret>,
}

/// Reads the subscribers.
///
/// # Errors
/// [`ConfigError`] names an entry by its place, from 1, and its field.
pub(super) fn read(setting: Setting<'_>, allowed: Allowed) -> Result<Vec<Subscriber>, ConfigError> {
    let Value::Array(items) = setting.value else {
        return Err(setting.error("a list of tables is expected, each as `[[subscribers]]`"));
    };
    if items.len() > MOST_SUBSCRIBERS {
        return Err(setting.error(format_args!("at most {MOST_SUBSCRIBERS} are allowed")));
    }
    let mut read: Vec<Subscriber> = Vec::with_capacity(items.len());
    for (item, place) in items.iter().zip(1..) {
        let wrong = |what: String| setting.error(format_args!("entry {place}: {what}"));
        let Value::Table(table) = item else { return Err(wrong("a table is expected".to_owned())) };
        let subscriber = entry(table, allowed).map_err(wrong)?;
        if read.iter().any(|other| other.settings.name == subscriber.settings.name) {
            return Err(wrong("name: an earlier entry has it".to_owned()));
        }
        read.push(subscriber);
    }
    Ok(read)
}

fn entry(table: &Table, allowed: Allowed) -> Result<Subscriber, String> {
    if let Some(field) = table.keys().find(|field| !FIELDS.contains(&field.as_str())) {
        return Err(format!("{field}: {}", unknown("unknown field", field, FIELDS)));
    }
    let name = text(table, "name")?.ok_or("name: is missing")?;
    check_name(name).map_err(|what| format!("name: {what}"))?;
    let url = text(table, "url")?.ok_or("url: is missing")?;
    let format = text(table, "format")?.map_or(Ok(Format::Standard), |word| {
        word.parse().map_err(|_| {
            let words: Vec<&str> = Format::ALL.iter().map(|format| format.as_str()).collect();
            format!("format: one of {} is expected", words.join(", "))
        })
    })?;
    let template = text(table, "template")?.map(Template::parse).transpose();
    let settings = SubscriberSettings {
        name: Some(name.to_owned()),
        target: Target::parse(url.trim(), allowed).map_err(|error| format!("url: {error}"))?,
        events: events(table)?.unwrap_or_else(|| format.default_events()),
        labels: labels(table)?,
        format,
        template: template.map_err(|error| format!("template: {error}"))?,
    };
    check(format, settings.template.as_ref(), &settings.events).map_err(|error| error.to_string())?;
    Ok(Subscriber { settings, secrets: secrets(table)? })
}

fn text<'a>(table: &'a Table, field: &str) -> Result<Option<&'a str>, String> {
    match table.get(field) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("{field}: a string is expected")),
    }
}

/// A list of strings.
fn texts<'a>(value: &'a Value, field: impl fmt::Display) -> Result<Vec<&'a str>, String> {
    let Value::Array(items) = value else { return Err(format!("{field}: a list of strings is expected")) };
    let text = |item: &'a Value| match item {
        Value::String(text) => Ok(text.as_str()),
        _ => Err(format!("{field}: a list of strings is expected")),
    };
    items.iter().map(text).collect()
}

fn events(table: &Table) -> Result<Option<Vec<Pattern>>, String> {
    let Some(value) = table.get("events") else { return Ok(None) };
    let given = texts(value, "events")?;
    if given.is_empty() || given.len() > MOST_EVENTS {
        return Err(format!("events: must have from 1 to {MOST_EVENTS} entries"));
    }
    let pattern = |text: &&str| text.parse().map_err(|error| format!("events: `{text}` is {error}"));
    given.iter().map(pattern).collect::<Result<_, _>>().map(Some)
}

fn labels(table: &Table) -> Result<BTreeMap<String, String>, String> {
    let expected = || "labels: a table of strings is expected".to_owned();
    match table.get("labels") {
        None => Ok(BTreeMap::new()),
        Some(Value::Table(labels)) => labels
            .iter()
            .map(|(key, value)| match value {
                Value::String(value) => Ok((key.clone(), value.clone())),
                _ => Err(expected()),
            })
            .collect(),
        Some(_) => Err(expected()),
    }
}

/// One secret, or a list of two.
fn secrets(table: &Table) -> Result<Vec<Secret>, String> {
    let given = match table.get("secret") {
        None => return Ok(Vec::new()),
        Some(Value::String(text)) => vec![text.as_str()],
        Some(value) => texts(value, "secret")?,
    };
    if given.is_empty() || given.len() > MOST_SECRETS {
        return Err("secret: one, or a list of the new one and the old one is expected".to_owned());
    }
    given.into_iter().map(|text| Secret::parse(text).map_err(|error| format!("secret: {error}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::setting::Origin;
    use super::super::value;
    use super::*;

    const SECRET: &str = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";

    fn of(text: &str) -> Result<Vec<Subscriber>, String> {
        let document = value::parse(text).unwrap();
        let setting =
            Setting { key: "subscribers", origin: &Origin::Default, value: &document["subscribers"] };
        read(setting, Allowed::default()).map_err(|error| error.to_string())
    }

    #[test]
    fn each_field_is_read_into_its_place() {
        let read = of(&format!(
            "[[subscribers]]\nname = \"a\"\nurl = \"https://example.com/a?token=1\"\n
             [[subscribers]]\nname = \"b\"\nurl = \"https://example.com/b\"\nevents = [\"job.*\"]\n
             labels = {{ team = \"x\" }}\nformat = \"template\"\ntemplate = '{{\"m\": \"{{{{text}}}}\"}}'\n
             secret = [\"{SECRET}\", \"{SECRET}\"]"
        ));
        let [a, b] = &read.unwrap()[..] else { panic!("two entries") };
        assert_eq!(a.settings.events, Format::Standard.default_events());
        assert!(a.secrets.is_empty() && a.settings.labels.is_empty());
        assert_eq!((b.settings.format, b.secrets.len()), (Format::Template, 2));
        assert_eq!(b.settings.labels["team"], "x");
        assert_eq!(b.settings.events.len(), 1);
    }

    #[test]
    fn each_fault_is_named_without_a_url_or_a_secret() {
        let url = "url = \"https://example.com/secret?secret\"";
        for (fields, expected) in [
            (url.to_owned(), "entry 1: name: is missing"),
            ("name = \"a\"".to_owned(), "entry 1: url: is missing"),
            (format!("name = \"sub_1\"\n{url}"), "entry 1: name: must not begin like an id"),
            (format!("name = \"a b\"\n{url}"), "entry 1: name: must have from 1 to 64 letters"),
            ("name = \"a\"\nurl = \"http://secret.example/\"".to_owned(), "entry 1: url: the URL must begin"),
            (
                "name = \"a\"\nurl = \"https://127.0.0.1/secret\"".to_owned(),
                "entry 1: url: the host is a private",
            ),
            (
                format!("name = \"a\"\n{url}\nevent = []"),
                "entry 1: event: unknown field, did you mean `events`?",
            ),
            (format!("name = \"a\"\n{url}\nevents = []"), "entry 1: events: must have from 1"),
            (
                format!("name = \"a\"\n{url}\nevents = [\"job.setled\"]"),
                "entry 1: events: `job.setled` is not",
            ),
            (format!("name = \"a\"\n{url}\nevents = \"*\""), "entry 1: events: a list of strings"),
            (format!("name = \"a\"\n{url}\nlabels = {{ a = 1 }}"), "entry 1: labels: a table of strings"),
            (format!("name = \"a\"\n{url}\nformat = \"teams\""), "entry 1: format: one of standard, "),
            (format!("name = \"a\"\n{url}\nformat = \"template\""), "entry 1: the format `template` needs"),
            (format!("name = \"a\"\n{url}\ntemplate = '{{}}'"), "entry 1: only the format `template`"),
            (
                format!("name = \"a\"\n{url}\nformat = \"upstream\"\nevents = [\"job.settled\"]"),
                "entry 1: the format `upstream` has no body for `job.settled`",
            ),
            (
                format!("name = \"a\"\n{url}\nsecret = \"whsec_c2VjcmV0\""),
                "entry 1: secret: the key has 6 bytes",
            ),
            (format!("name = \"a\"\n{url}\nsecret = []"), "entry 1: secret: one, or a list"),
            (
                format!("name = \"a\"\n{url}\n[[subscribers]]\nname = \"a\"\n{url}"),
                "entry 2: name: an earlier entry has it",
            ),
        ] {
            let said = of(&format!("[[subscribers]]\n{fields}")).unwrap_err();
            assert!(said.starts_with(&format!("subscribers: {expected}")), "{said}");
            assert!(
                !said.contains("secret?") && !said.contains("c2Vj") && !said.contains("secret.ex"),
                "{said}"
            );
        }
        assert!(of("subscribers = [1]").unwrap_err().contains("entry 1: a table is expected"));
        assert!(of("subscribers = 1").unwrap_err().contains("a list of tables is expected"));
        assert!(of("subscribers = []").unwrap().is_empty());
    }
}
