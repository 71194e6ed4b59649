//! The layers: the embedded example, the file, the environment. Later wins.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use config::{FileFormat, Format};

use super::{Config, ConfigError};

const DEFAULTS: &str = include_str!("../../config.example.toml");

impl Config {
    /// Reads all layers: the defaults, the file if one is named, the process's environment.
    ///
    /// # Errors
    /// [`ConfigError`] names the setting.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        Self::load_with(file, environment()?)
    }

    /// Like [`load`](Self::load), with this environment.
    ///
    /// # Errors
    /// [`ConfigError`] names the setting.
    pub fn load_with(file: Option<&Path>, environment: Vec<(String, String)>) -> Result<Self, ConfigError> {
        let Some(path) = file else { return Self::read(None, environment) };
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError(format!("--config {}: {error}", path.display())))?;
        Self::read(Some((&path.display().to_string(), &text)), environment)
    }

    /// Like [`load_with`](Self::load_with), with the file's name and text.
    ///
    /// # Errors
    /// [`ConfigError`] names the setting.
    pub fn read(file: Option<(&str, &str)>, environment: Vec<(String, String)>) -> Result<Self, ConfigError> {
        let known = keys(DEFAULTS)?;
        let mut builder =
            config::Config::builder().add_source(config::File::from_str(DEFAULTS, FileFormat::Toml));
        if let Some((name, text)) = file {
            let in_file = |error: &dyn fmt::Display| ConfigError(format!("--config {name}: {error}"));
            let keys = keys(text).map_err(|error| in_file(&error))?;
            if let Some(key) = keys.iter().find(|key| !known.contains(*key)) {
                return Err(in_file(&format_args!("{key}: unknown setting")));
            }
            builder = builder.add_source(config::File::from_str(text, FileFormat::Toml));
        }
        for Setting { name, key, value } in from_environment(environment)? {
            if !known.contains(&key) {
                return Err(ConfigError(format!("{name}: unknown setting {key}")));
            }
            builder = builder
                .set_override(&key, value)
                .map_err(|_| ConfigError(format!("{name}: not a setting")))?;
        }
        let layers = builder.build().map_err(|error| ConfigError(without_excerpt(&error.to_string())))?;
        let config: Self =
            layers.try_deserialize().map_err(|error| ConfigError(without_excerpt(&error.to_string())))?;
        config.check()?;
        Ok(config)
    }
}

/// The settings that a text names, as `section.key`.
///
/// Parsed by itself: a builder of layers takes a name for a path, and makes a list that long of `"a[999999999]"`.
fn keys(text: &str) -> Result<BTreeSet<String>, ConfigError> {
    let sections = FileFormat::Toml
        .parse(None, text)
        .map_err(|error| ConfigError(without_excerpt(&error.to_string())))?;
    let mut keys = BTreeSet::new();
    for (section, value) in sections {
        match value.into_table() {
            Ok(table) => keys.extend(table.into_keys().map(|key| format!("{section}.{key}"))),
            Err(_) => {
                keys.insert(section);
            }
        }
    }
    Ok(keys)
}

/// A parser's message without its excerpt of the file: that spans lines, and can hold a secret.
fn without_excerpt(message: &str) -> String {
    let is_excerpt =
        |line: &str| line.trim_start_matches(|c: char| c == ' ' || c.is_ascii_digit()).starts_with('|');
    let lines = message.lines().map(str::trim).filter(|line| !line.is_empty() && !is_excerpt(line));
    lines.collect::<Vec<_>>().join(": ")
}

const PREFIX: &str = "SCRAPEHOOK_";
/// The upstream's own name for its key.
const UPSTREAM_KEY: &str = "MEMORIES_API_KEY";

/// The process's environment. A variable of somebody else need not be text; one of ours must be.
fn environment() -> Result<Vec<(String, String)>, ConfigError> {
    let mut variables = Vec::new();
    for (name, value) in std::env::vars_os() {
        let Ok(name) = name.into_string() else { continue };
        match value.into_string() {
            Ok(value) => variables.push((name, value)),
            Err(_) if name == UPSTREAM_KEY || (name.starts_with(PREFIX) && name.contains("__")) => {
                return Err(ConfigError(format!("{name}: the value is not UTF-8")));
            }
            Err(_) => {}
        }
    }
    Ok(variables)
}

/// A setting in the environment.
struct Setting {
    /// The variable.
    name: String,
    /// `section.key`
    key: String,
    value: String,
}

/// The settings in the environment: `SCRAPEHOOK_<SECTION>__<KEY>`, `…_FILE` for one in a file, and the
/// upstream's own name for its key, which those overrule.
fn from_environment(environment: Vec<(String, String)>) -> Result<Vec<Setting>, ConfigError> {
    let mut settings = Vec::new();
    let key = environment.iter().find(|(name, value)| name == UPSTREAM_KEY && !value.trim().is_empty());
    if let Some((name, value)) = key {
        let key = "upstream.api_key".to_owned();
        settings.push(Setting { name: name.clone(), key, value: value.clone() });
    }
    let names: BTreeSet<String> = environment.iter().map(|(name, _)| name.clone()).collect();
    for (name, value) in environment {
        if let Some(direct) = name.strip_suffix("_FILE").filter(|direct| names.contains(*direct)) {
            return Err(ConfigError(format!("{name}: {direct} is set as well; one of them has to go")));
        }
        let Some(path) = name.strip_prefix(PREFIX).filter(|path| path.contains("__")) else { continue };
        let key = path.to_ascii_lowercase().replace("__", ".");
        match key.strip_suffix("_file").map(str::to_owned) {
            Some(key) => {
                let text = std::fs::read_to_string(&value)
                    .map_err(|error| ConfigError(format!("{name}: {value}: {error}")))?;
                settings.push(Setting { name, key, value: text.trim().to_owned() });
            }
            None => settings.push(Setting { name, key, value }),
        }
    }
    Ok(settings)
}
