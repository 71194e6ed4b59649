//! The layers: the embedded defaults, the file, the environment. The later one wins. Must never accept an unknown
//! setting.

use std::collections::BTreeMap;

use super::environment::{Environment, Found, RUST_LOG};
use super::error::ConfigError;
use super::setting::{Origin, Setting};
use super::value::{self, Table, Value};
use crate::domain::nearest::unknown;

/// Every setting with its default.
pub(super) const DEFAULTS: &str = include_str!("../../config.example.toml");

/// A blank level in a file counts as unset, as in a variable.
const LEVEL: &str = "log.level";

/// The only setting outside of a section: a list of tables. No variable can hold it.
pub(super) const SUBSCRIBERS: &str = "subscribers";

/// Every setting with its value.
pub(super) struct Layers {
    values: BTreeMap<String, Found>,
    rust_log: Option<Found>,
}

impl Layers {
    /// Reads the file, given by its name and text, and the environment.
    ///
    /// # Errors
    /// [`ConfigError`] names the unknown setting, or the file or variable that can't be read.
    pub(super) fn read(
        file: Option<(&str, &str)>,
        environment: Vec<(String, String)>,
    ) -> Result<Self, ConfigError> {
        let defaults = value::parse(DEFAULTS).map_err(ConfigError)?;
        let mut values: BTreeMap<String, Found> = flatten(&defaults)
            .map(|(key, value)| (key, Found { origin: Origin::Default, value: value.clone() }))
            .collect();
        let mut subscribers = Found { origin: Origin::Default, value: Value::Array(Vec::new()) };
        if let Some((name, text)) = file {
            let in_file = |what: String| ConfigError(format!("--config {name}: {what}"));
            let document = value::parse(text).map_err(in_file)?;
            check_sections(&document, &defaults).map_err(in_file)?;
            if let Some(value) = document.get(SUBSCRIBERS) {
                subscribers = Found { origin: Origin::File(name.to_owned()), value: value.clone() };
            }
            for (key, value) in flatten(&document) {
                let is_unset = key == LEVEL && is_blank(value);
                if !values.contains_key(&key) {
                    let known = values.keys().map(String::as_str);
                    return Err(in_file(format!("{key}: {}", unknown("unknown setting", &key, known))));
                }
                match values.get_mut(&key) {
                    None => {}
                    Some(_) if is_unset => {}
                    Some(found) => {
                        *found = Found { origin: Origin::File(name.to_owned()), value: value.clone() };
                    }
                }
            }
        }
        let known: Vec<&str> = values.keys().map(String::as_str).collect();
        let environment = Environment::read(environment, &known)?;
        values.extend(environment.settings);
        values.insert(SUBSCRIBERS.to_owned(), subscribers);
        Ok(Self { values, rust_log: environment.rust_log })
    }

    /// Returns a setting by its `section.key`. If the defaults lack it, its value has no type.
    pub(super) fn setting<'a>(&'a self, key: &'a str) -> Setting<'a> {
        match self.values.get(key) {
            Some(Found { origin, value }) => Setting { key, origin, value },
            None => Setting { key, origin: &Origin::Default, value: &Value::Other },
        }
    }

    /// `RUST_LOG`, if it is not blank.
    pub(super) fn rust_log(&self) -> Option<Setting<'_>> {
        let found = self.rust_log.as_ref()?;
        Some(Setting { key: RUST_LOG, origin: &Origin::Default, value: &found.value })
    }
}

/// The settings of a document, as `section.key`.
fn flatten(document: &Table) -> impl Iterator<Item = (String, &Value)> {
    let sections = document.iter().filter_map(|(section, value)| match value {
        Value::Table(table) => Some((section, table)),
        _ => None,
    });
    sections.flat_map(|(section, table)| {
        table.iter().map(move |(key, value)| (format!("{section}.{key}"), value))
    })
}

/// Refuses unknown sections, and settings outside of a section.
fn check_sections(document: &Table, known: &Table) -> Result<(), String> {
    for (section, value) in document {
        match value {
            Value::Array(_) if section == SUBSCRIBERS => {}
            _ if section == SUBSCRIBERS => {
                return Err(format!("{section}: a list of tables is expected, each as `[[{section}]]`"));
            }
            Value::Table(_) if known.contains_key(section) => {}
            Value::Table(table) if !table.is_empty() => {}
            Value::Table(_) => {
                let sections = known.keys().map(String::as_str);
                return Err(format!("{section}: {}", unknown("unknown section", section, sections)));
            }
            _ if known.contains_key(section) => {
                return Err(format!("{section}: a table is expected, as `[{section}]`"));
            }
            _ => return Err(format!("{section}: unknown setting")),
        }
    }
    Ok(())
}

fn is_blank(value: &Value) -> bool {
    matches!(value, Value::String(text) if text.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(file: Option<&str>, variables: &[(&str, &str)]) -> Result<Layers, ConfigError> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Layers::read(file.map(|text| ("a.toml", text)), variables.collect())
    }

    fn said(file: &str) -> String {
        read(Some(file), &[]).err().map(|error| error.to_string()).expect("an error")
    }

    #[test]
    fn the_later_layer_wins() {
        let file = "[backup]\nevery = \"2h\"\n";
        let variable = ("SCRAPEHOOK_BACKUP__EVERY", "3h");
        for (file, variables, expected, origin) in [
            (None, &[][..], "24h", Origin::Default),
            (Some(file), &[][..], "2h", Origin::File("a.toml".to_owned())),
            (Some(file), &[variable][..], "3h", Origin::Variable(variable.0.to_owned())),
            (None, &[variable][..], "3h", Origin::Variable(variable.0.to_owned())),
        ] {
            let layers = read(file, variables).unwrap();
            let setting = layers.setting("backup.every");
            assert_eq!((setting.key, setting.text().unwrap()), ("backup.every", expected));
            assert_eq!(*setting.origin, origin);
            assert_eq!(layers.setting("backup.keep").integer(0).unwrap(), 7, "others stay as they are");
        }
    }

    #[test]
    fn a_setting_that_the_defaults_lack_has_no_type() {
        let layers = read(None, &[]).unwrap();
        assert!(layers.setting("nope.nope").text().is_err());
        assert!(layers.setting("nope.nope").integer(0).is_err());
    }

    #[test]
    fn a_setting_that_is_unknown_is_named_with_its_place() {
        for (file, expected) in [
            ("[backup]\nnope = 1", "--config a.toml: backup.nope: unknown setting"),
            ("[nope]\nx = 1", "--config a.toml: nope.x: unknown setting"),
            ("[nope]", "--config a.toml: nope: unknown section"),
            ("nope = 1", "--config a.toml: nope: unknown setting"),
            ("\"backup.keep\" = 1", "--config a.toml: backup.keep: unknown setting"),
            ("backup = 1", "--config a.toml: backup: a table is expected, as `[backup]`"),
            ("[[backup]]\nkeep = 1", "--config a.toml: backup: a table is expected, as `[backup]`"),
            (
                "[Backup]\nkeep = 1",
                "--config a.toml: Backup.keep: unknown setting, did you mean `backup.keep`?",
            ),
            ("x = ", "--config a.toml: line 1: "),
        ] {
            assert!(said(file).starts_with(expected), "{}", said(file));
        }
        let unknown = read(None, &[("SCRAPEHOOK_BACKUP__NOPE", "1")]).err().unwrap().to_string();
        assert_eq!(unknown, "SCRAPEHOOK_BACKUP__NOPE: unknown setting backup.nope");
        assert!(read(Some("[backup]"), &[]).is_ok(), "a known section may be empty");
        assert!(read(Some(DEFAULTS), &[]).is_ok(), "the example is a file");
    }

    #[test]
    fn a_blank_level_in_a_file_counts_as_unset() {
        for (level, expected) in [("", "info"), (" ", "info"), ("warn", "warn")] {
            let layers = read(Some(&format!("[log]\nlevel = \"{level}\"")), &[]).unwrap();
            assert_eq!(layers.setting("log.level").text().unwrap(), expected);
        }
        let layers = read(Some("[log]\nlevel = 1"), &[]).unwrap();
        assert!(layers.setting("log.level").text().is_err());
        let layers = read(Some("[store]\npath = \"\""), &[]).unwrap();
        assert_eq!(layers.setting("store.path").text().unwrap(), "", "only the level");
    }

    #[test]
    fn the_logs_usual_variable_stands_beside_the_layers() {
        let layers = read(None, &[("RUST_LOG", "debug")]).unwrap();
        assert_eq!(layers.setting("log.level").text().unwrap(), "info");
        let setting = layers.rust_log().unwrap();
        assert_eq!(setting.text().unwrap(), "debug");
        assert_eq!(setting.error("wrong").to_string(), "RUST_LOG: wrong");
        assert!(read(None, &[]).unwrap().rust_log().is_none());
    }
}
