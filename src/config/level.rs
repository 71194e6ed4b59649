//! The directives of the log: `log.level` and `RUST_LOG`. Must never pass on a directive that the log would misread.

use tracing_subscriber::filter::LevelFilter;

use super::environment::{self, Environment, RUST_LOG};
use super::error::ConfigError;
use super::setting::{Origin, Setting};

/// Returns the directives without blanks, which the log's own parser would take for part of a name.
///
/// # Errors
/// A word is not a level. The log would take it for a part of the program, and log nothing else.
pub(super) fn directives(setting: Setting<'_>) -> Result<String, ConfigError> {
    let words: Vec<&str> =
        setting.text()?.split(',').map(str::trim).filter(|word| !word.is_empty()).collect();
    for word in &words {
        let (module, level) = word.split_once('=').unwrap_or(("scrapehook", word));
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '-');
        if level.is_empty()
            || level.parse::<LevelFilter>().is_err()
            || module.is_empty()
            || !module.chars().all(is_name)
        {
            return Err(setting.error(format_args!(
                "`{word}` is not a level. Use error, warn, info, debug, trace or off, or `module=level`"
            )));
        }
    }
    if words.is_empty() {
        return Err(setting.error("a level is expected: error, warn, info, debug, trace or off"));
    }
    Ok(words.join(","))
}

/// Returns the directives of `RUST_LOG` for a command without a configuration, or these if it is not set.
///
/// # Errors
/// [`ConfigError`] if `RUST_LOG` is wrong.
pub fn log_level_or(usual: &str) -> Result<String, ConfigError> {
    log_level_in(environment::process()?, usual)
}

fn log_level_in(variables: Vec<(String, String)>, usual: &str) -> Result<String, ConfigError> {
    let variables = variables.into_iter().filter(|(name, _)| name == RUST_LOG).collect();
    match Environment::read(variables, &[])?.rust_log {
        Some(found) => directives(Setting { key: RUST_LOG, origin: &Origin::Default, value: &found.value }),
        None => Ok(usual.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::value::Value;
    use super::*;

    fn of(text: &str) -> Result<String, String> {
        let value = Value::Variable(text.to_owned());
        let setting = Setting { key: "log.level", origin: &Origin::Default, value: &value };
        directives(setting).map_err(|error| error.to_string())
    }

    #[test]
    fn a_level_and_levels_of_parts_are_taken() {
        for (text, expected) in [
            ("info", "info"),
            ("WARN", "WARN"),
            ("off", "off"),
            (" error , scrapehook::store=debug ", "error,scrapehook::store=debug"),
            ("info,,debug,", "info,debug"),
            ("scrapehook=trace", "scrapehook=trace"),
            ("info,tower-http=off", "info,tower-http=off"),
        ] {
            assert_eq!(of(text).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn a_word_that_is_no_level_is_named() {
        for (text, word) in [
            ("verbose", "verbose"),
            ("warning", "warning"),
            ("info,verbose", "verbose"),
            ("info, scrapehook", "scrapehook"),
            ("[request]", "[request]"),
            ("info debug", "info debug"),
            ("info,[request]=debug", "[request]=debug"),
            ("scrapehook=loud", "scrapehook=loud"),
            ("=info", "=info"),
            ("debug=", "debug="),
            ("info,a=b=c", "a=b=c"),
        ] {
            let expected = format!("log.level: `{word}` is not a level. Use error, ");
            assert!(of(text).is_err_and(|said| said.starts_with(&expected)), "{text}");
        }
    }

    #[test]
    fn a_level_is_expected() {
        for text in [",", " , "] {
            assert_eq!(
                of(text),
                Err("log.level: a level is expected: error, warn, info, debug, trace or off".to_owned())
            );
        }
        assert!(of("\"info\"").is_err_and(|said| said.contains("in quotes")));
    }

    #[test]
    fn a_command_without_a_configuration_has_its_usual_level() {
        let with = |value: &str| {
            let variables = [("RUST_LOG", value), ("SCRAPEHOOK_NOPE__X", "1")];
            let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
            log_level_in(variables.into(), "error").map_err(|error| error.to_string())
        };
        assert_eq!(with("debug").as_deref(), Ok("debug"));
        assert_eq!(with(" ").as_deref(), Ok("error"));
        assert_eq!(log_level_in(Vec::new(), "error").unwrap(), "error");
        assert!(with("verbose").is_err_and(|said| said.starts_with("RUST_LOG: `verbose` is not a level")));
        let here = log_level_in(environment::process().unwrap(), "error");
        assert_eq!(log_level_or("error").ok(), here.ok(), "it reads the process's environment");
    }
}
