//! The settings in the environment: `SCRAPEHOOK_<SECTION>__<KEY>`, `…_FILE` for a value in a file, upstream's own
//! name for its key, and `RUST_LOG`. A blank variable counts as unset.
//!
//! It must never quote a value, because it can be a secret.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use super::error::ConfigError;
use super::setting::{Origin, Setting};
use super::text;
use super::value::Value;
use crate::domain::nearest::unknown;

const PREFIX: &str = "SCRAPEHOOK_";
/// Upstream's own name for its key.
const UPSTREAM_KEY: &str = "MEMORIES_API_KEY";
const UPSTREAM_KEY_SETTING: &str = "upstream.api_key";
/// The log's usual variable, which overrides `log.level`.
pub(super) const RUST_LOG: &str = "RUST_LOG";

/// A value from a variable.
pub(super) struct Found {
    pub(super) origin: Origin,
    pub(super) value: Value,
}

/// The settings in the environment.
pub(super) struct Environment {
    /// The values of settings, by `section.key`.
    pub(super) settings: BTreeMap<String, Found>,
    /// `RUST_LOG`, if it is not blank.
    pub(super) rust_log: Option<Found>,
}

/// Returns the process's environment as text.
///
/// # Errors
/// [`ConfigError`] names a variable of scrapehook that is not UTF-8. Other variables can have any value.
pub(super) fn process() -> Result<Vec<(String, String)>, ConfigError> {
    texts(std::env::vars_os())
}

fn texts(
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Vec<(String, String)>, ConfigError> {
    let mut texts = Vec::new();
    for (name, value) in variables {
        let Ok(name) = name.into_string() else { continue };
        match value.into_string() {
            Ok(value) => texts.push((name, value)),
            Err(_) if name == UPSTREAM_KEY || name == RUST_LOG || path(&name).is_some() => {
                return Err(ConfigError(format!("{name}: the value is not UTF-8")));
            }
            Err(_) => {}
        }
    }
    Ok(texts)
}

/// Returns the `section.key` that a variable of scrapehook names, with `_file` at its end if the variable has it.
fn path(name: &str) -> Option<String> {
    let path = name.strip_prefix(PREFIX).filter(|path| path.contains("__"))?;
    Some(path.to_ascii_lowercase().replace("__", "."))
}

/// Returns the variable of a setting whose section and key are separated by only one underscore in this name. Other
/// names without two underscores belong to other programs. For example, an orchestrator sets `SCRAPEHOOK_PORT` for a
/// service named scrapehook.
fn with_two_underscores(name: &str, known: &[&str]) -> Option<String> {
    let words = name.strip_prefix(PREFIX)?.to_ascii_lowercase();
    let (words, file) = words.strip_suffix("_file").map_or((&*words, ""), |words| (words, "_FILE"));
    let key = known.iter().find(|key| key.replace('.', "_") == words)?;
    Some(format!("{PREFIX}{}{file}", key.replace('.', "__").to_ascii_uppercase()))
}

impl Environment {
    /// Finds the settings among the variables. If two variables have one name, the later one counts.
    ///
    /// # Errors
    /// [`ConfigError`] names the variable if it is unknown, if another one sets the same setting, or if its file
    /// can't be read.
    pub(super) fn read(variables: Vec<(String, String)>, known: &[&str]) -> Result<Self, ConfigError> {
        let mut variables: BTreeMap<String, String> = variables.into_iter().collect();
        variables.retain(|_, value| !value.trim().is_empty());
        let upstream_key = variables.remove(UPSTREAM_KEY);
        let rust_log = variables.remove(RUST_LOG);
        let mut settings: BTreeMap<String, Found> = BTreeMap::new();
        for (name, value) in variables {
            let Some(path) = path(&name) else {
                if let Some(meant) = with_two_underscores(&name, known) {
                    return Err(ConfigError(format!("{name}: unknown variable, did you mean `{meant}`?")));
                }
                continue;
            };
            let (key, is_file) = match path.strip_suffix("_file") {
                Some(key) => (key, true),
                None => (path.as_str(), false),
            };
            if !known.contains(&key) {
                let said = unknown(&format!("unknown setting {key}"), key, known.iter().copied());
                return Err(ConfigError(format!("{name}: {said}")));
            }
            if let Some(Found { origin: Origin::Variable(other), .. }) = settings.get(key) {
                return Err(ConfigError(format!("{name}: {other} is set as well. Remove one of them")));
            }
            let origin = Origin::Variable(name);
            let value = Value::Variable(value);
            let value =
                if is_file { contents(Setting { key, origin: &origin, value: &value })? } else { value };
            settings.insert(key.to_owned(), Found { origin, value });
        }
        let found = |name: &str, value| Found {
            origin: Origin::Variable(name.to_owned()),
            value: Value::Variable(value),
        };
        if let Some(value) = upstream_key {
            let key = UPSTREAM_KEY_SETTING.to_owned();
            settings.entry(key).or_insert_with(|| found(UPSTREAM_KEY, value));
        }
        Ok(Self { settings, rust_log: rust_log.map(|value| found(RUST_LOG, value)) })
    }
}

/// Reads the file that a variable names.
fn contents(variable: Setting<'_>) -> Result<Value, ConfigError> {
    let path = variable.written()?;
    let text =
        text::read(Path::new(path)).map_err(|error| variable.error(format_args!("{path}: {error}")))?;
    if text.trim().is_empty() {
        return Err(variable.error(format_args!("{path}: the file holds nothing but white space")));
    }
    Ok(Value::File(text))
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    const KNOWN: [&str; 3] = ["a.b", "a.c", "upstream.api_key"];

    fn read(variables: &[(&str, &str)]) -> Result<Environment, ConfigError> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Environment::read(variables.collect(), &KNOWN)
    }

    fn said(variables: &[(&str, &str)]) -> String {
        read(variables).err().map(|error| error.to_string()).expect("an error")
    }

    /// Returns the value of a setting, with the name of its variable.
    fn value_of(variables: &[(&str, &str)], key: &str) -> Option<(String, String)> {
        read(variables).unwrap().settings.remove(key).map(plain)
    }

    fn plain(found: Found) -> (String, String) {
        let Origin::Variable(name) = found.origin else { panic!("no variable") };
        match found.value {
            Value::Variable(text) => (name, text),
            Value::File(text) => (name, format!("file:{text}")),
            _ => panic!("no text"),
        }
    }

    #[test]
    fn one_underscore_between_section_and_key_is_an_error_and_other_names_are_not_ours() {
        for (name, meant) in [
            ("SCRAPEHOOK_UPSTREAM_API_KEY", "SCRAPEHOOK_UPSTREAM__API_KEY"),
            ("SCRAPEHOOK_a_b", "SCRAPEHOOK_A__B"),
            ("SCRAPEHOOK_A_B_FILE", "SCRAPEHOOK_A__B_FILE"),
        ] {
            let error = read(&[(name, "x")]).map(|_| ()).unwrap_err();
            assert_eq!(error.to_string(), format!("{name}: unknown variable, did you mean `{meant}`?"));
        }
        for name in ["SCRAPEHOOK_PORT", "SCRAPEHOOK_API_KEY", "SCRAPEHOOK_A", "A_B"] {
            assert!(read(&[(name, "x")]).is_ok(), "{name}");
        }
    }

    #[test]
    fn a_variable_of_ours_names_its_setting() {
        assert_eq!(
            value_of(&[("SCRAPEHOOK_A__B", " x ")], "a.b"),
            Some(("SCRAPEHOOK_A__B".into(), " x ".into()))
        );
        assert_eq!(
            value_of(&[("SCRAPEHOOK_a__B", "x")], "a.b"),
            Some(("SCRAPEHOOK_a__B".into(), "x".into()))
        );
        for name in ["SCRAPEHOOK_URL", "SCRAPEHOOK_AB", "A__B", "scrapehook_A__B", "X_SCRAPEHOOK_A__B"] {
            assert!(read(&[(name, "x")]).unwrap().settings.is_empty(), "{name}");
        }
        assert_eq!(said(&[("SCRAPEHOOK_A__D", "x")]), "SCRAPEHOOK_A__D: unknown setting a.d");
        assert_eq!(said(&[("SCRAPEHOOK_A__B__C", "x")]), "SCRAPEHOOK_A__B__C: unknown setting a.b.c");
        let unknown = said(&[("SCRAPEHOOK_A__D_FILE", "/nowhere")]);
        assert_eq!(unknown, "SCRAPEHOOK_A__D_FILE: unknown setting a.d");
    }

    #[test]
    fn a_blank_variable_counts_as_unset() {
        for blank in ["", " ", "\t\n", "\u{a0}"] {
            let environment = read(&[
                ("SCRAPEHOOK_A__B", blank),
                ("SCRAPEHOOK_A__B_FILE", blank),
                ("SCRAPEHOOK_A__D", blank),
                ("MEMORIES_API_KEY", blank),
                ("RUST_LOG", blank),
            ]);
            let environment = environment.unwrap();
            assert!(environment.settings.is_empty() && environment.rust_log.is_none(), "{blank:?}");
        }
        let repeated = [("SCRAPEHOOK_A__B", "x"), ("SCRAPEHOOK_A__B", " ")];
        assert_eq!(value_of(&repeated, "a.b"), None, "the later one counts");
    }

    #[test]
    fn the_upstreams_key_gives_way_to_ours() {
        let (theirs, ours) = (("MEMORIES_API_KEY", "theirs"), ("SCRAPEHOOK_UPSTREAM__API_KEY", "ours"));
        let key = |variables: &[(&str, &str)]| value_of(variables, "upstream.api_key");
        assert_eq!(key(&[theirs]), Some(("MEMORIES_API_KEY".into(), "theirs".into())));
        assert_eq!(key(&[theirs, ours]), Some(("SCRAPEHOOK_UPSTREAM__API_KEY".into(), "ours".into())));
        let blank = ("SCRAPEHOOK_UPSTREAM__API_KEY", "");
        assert_eq!(key(&[theirs, blank]), Some(("MEMORIES_API_KEY".into(), "theirs".into())));
        assert_eq!(key(&[]), None);
    }

    #[test]
    fn the_logs_usual_variable_is_no_setting() {
        let environment = read(&[("RUST_LOG", "debug")]).unwrap();
        assert!(environment.settings.is_empty());
        assert_eq!(environment.rust_log.map(plain), Some(("RUST_LOG".into(), "debug".into())));
    }

    #[test]
    fn one_setting_has_one_variable() {
        let both = [("SCRAPEHOOK_A__B", "x"), ("SCRAPEHOOK_A__B_FILE", "/nowhere")];
        assert_eq!(said(&both), "SCRAPEHOOK_A__B_FILE: SCRAPEHOOK_A__B is set as well. Remove one of them");
        let cases = [("SCRAPEHOOK_A__B", "x"), ("SCRAPEHOOK_a__b", "x")];
        assert_eq!(said(&cases), "SCRAPEHOOK_a__b: SCRAPEHOOK_A__B is set as well. Remove one of them");
        let blank = [("SCRAPEHOOK_A__B", " "), ("SCRAPEHOOK_a__b", "x")];
        assert!(value_of(&blank, "a.b").is_some());
    }

    #[test]
    fn a_file_is_read_without_its_mark_and_must_hold_something() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let path = path.to_str().unwrap();
        std::fs::write(path, "\u{feff}a,b\n").unwrap();
        let found = value_of(&[("SCRAPEHOOK_A__B_FILE", path)], "a.b");
        assert_eq!(found, Some(("SCRAPEHOOK_A__B_FILE".into(), "file:a,b\n".into())));
        for blank in ["", " \r\n\t", "\u{feff}", "\u{feff}\n"] {
            std::fs::write(path, blank).unwrap();
            let said = said(&[("SCRAPEHOOK_A__B_FILE", path)]);
            let expected =
                format!("a.b (SCRAPEHOOK_A__B_FILE): {path}: the file holds nothing but white space");
            assert_eq!(said, expected, "{blank:?}");
        }
        let missing = said(&[("SCRAPEHOOK_A__B_FILE", "/nowhere/key")]);
        assert!(missing.starts_with("a.b (SCRAPEHOOK_A__B_FILE): /nowhere/key: No such file"), "{missing}");
        let quoted = said(&[("SCRAPEHOOK_A__B_FILE", &format!("\"{path}\""))]);
        assert!(quoted.starts_with("a.b (SCRAPEHOOK_A__B_FILE): the value is in quotes"), "{quoted}");
    }

    #[test]
    fn only_a_variable_of_ours_has_to_be_text() {
        let broken = || OsString::from_vec(vec![0xff]);
        let of = |name: &str| texts([(OsString::from(name), broken())].into_iter());
        for name in ["SCRAPEHOOK_A__B", "MEMORIES_API_KEY", "RUST_LOG"] {
            let said = of(name).unwrap_err().to_string();
            assert_eq!(said, format!("{name}: the value is not UTF-8"));
        }
        for name in ["SCRAPEHOOK_URL", "ELSEWHERE__X"] {
            assert!(of(name).unwrap().is_empty(), "{name}");
        }
        let pairs = [(broken(), OsString::from("x")), ("A".into(), "b".into())];
        assert_eq!(texts(pairs.into_iter()).unwrap(), [("A".to_owned(), "b".to_owned())]);
        assert!(process().unwrap().iter().any(|(name, value)| name == "PATH" && !value.is_empty()));
    }
}
