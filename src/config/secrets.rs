//! Callback secrets and upstream's key.
//!
//! It must never quote a value.

use secrecy::SecretString;

use super::error::ConfigError;
use super::setting::Setting;

/// The least bytes of a secret. A shorter one can be guessed.
const LEAST_SECRET: usize = 16;

/// The secrets for callback tokens. The first signs, and all verify.
#[derive(Clone, Debug, Default)]
pub struct Secrets(pub Vec<SecretString>);

impl Secrets {
    /// Reads the secrets of a setting.
    ///
    /// # Errors
    /// [`ConfigError`] names a secret by its place, from 1.
    pub(super) fn read(setting: Setting<'_>) -> Result<Self, ConfigError> {
        let mut secrets = Vec::new();
        for (secret, place) in setting.entries()?.into_iter().map(str::trim).zip(1..) {
            if secret.len() < LEAST_SECRET {
                return Err(setting.error(format_args!("secret {place} must have at least 16 bytes")));
            }
            if secret.contains(|c: char| c.is_control() || c == '\u{feff}') {
                let what = "must not contain a control character or a byte order mark";
                return Err(setting.error(format_args!("secret {place} {what}")));
            }
            secrets.push(SecretString::from(secret));
        }
        Ok(Self(secrets))
    }
}

/// Reads upstream's key, without the blanks around it. An empty one is missing.
///
/// # Errors
/// [`ConfigError`] if no request could carry it.
pub(super) fn upstream_key(setting: Setting<'_>) -> Result<SecretString, ConfigError> {
    let key = setting.text()?;
    if fits_header(key) {
        Ok(SecretString::from(key))
    } else {
        Err(setting.error("the key has a character that is not printable ASCII, which no request can carry"))
    }
}

/// Whether the value of an HTTP header can hold the text.
pub(super) fn fits_header(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::super::setting::Origin;
    use super::super::value::Value;
    use super::*;

    const LONG: &str = "a-long-secret-16";
    const OTHER: &str = "another-secret-18x";

    fn with<T>(value: &Value, read: impl Fn(Setting<'_>) -> Result<T, ConfigError>) -> Result<T, String> {
        let setting = Setting { key: "callback.secret", origin: &Origin::Default, value };
        read(setting).map_err(|error| error.to_string())
    }

    fn secrets(value: &Value) -> Result<Vec<String>, String> {
        let plain = |secret: &SecretString| secret.expose_secret().to_owned();
        with(value, Secrets::read).map(|secrets| secrets.0.iter().map(plain).collect())
    }

    fn variable(text: &str) -> Value {
        Value::Variable(text.to_owned())
    }

    fn string(text: &str) -> Value {
        Value::String(text.to_owned())
    }

    #[test]
    fn commas_separate_secrets_except_in_a_file_and_in_a_list() {
        let joined = format!("{LONG},{OTHER}");
        assert_eq!(secrets(&variable(&format!(" {LONG} , {OTHER}\n"))).unwrap(), [LONG, OTHER]);
        assert_eq!(secrets(&string(&joined)).unwrap(), [LONG, OTHER]);
        assert_eq!(secrets(&Value::File(format!("{joined}\r\n{OTHER}\n"))).unwrap(), [&joined, OTHER]);
        assert_eq!(secrets(&Value::Array(vec![string(&joined), string(LONG)])).unwrap(), [&joined, LONG]);
        assert!(secrets(&string("")).unwrap().is_empty());
        assert!(secrets(&Value::Array(Vec::new())).unwrap().is_empty());
    }

    #[test]
    fn a_secret_is_long_and_plain() {
        assert_eq!(LONG.len(), 16);
        let short = format!("{LONG},{}", &LONG[1..]);
        let expected = "callback.secret: secret 2 must have at least 16 bytes";
        assert_eq!(secrets(&variable(&short)), Err(expected.to_owned()));
        for text in ["a-long\u{1}secret-with-more", "\u{feff}a-long-secret-with-more"] {
            let expected =
                "callback.secret: secret 1 must not contain a control character or a byte order mark";
            assert_eq!(secrets(&variable(text)), Err(expected.to_owned()));
        }
        assert!(secrets(&variable("ein Schlüssel mit Ümlaut")).is_ok(), "no header carries it");
        assert!(secrets(&variable(&format!("'{LONG}'"))).unwrap_err().contains("in quotes"));
        assert!(secrets(&Value::Boolean(true)).unwrap_err().contains("a list of strings is expected"));
    }

    #[test]
    fn the_upstreams_key_fits_a_header() {
        let key = |text: &str| with(&variable(text), upstream_key).map(|key| key.expose_secret().to_owned());
        assert_eq!(key(" sk-1 ~\n").as_deref(), Ok("sk-1 ~"));
        assert_eq!(key("").as_deref(), Ok(""));
        for text in ["sk-ä", "sk\t1", "sk\n1", "\u{feff}sk-1", "sk\u{7f}"] {
            let said = key(text).unwrap_err();
            assert!(said.starts_with("callback.secret: the key has a character"), "{said}");
        }
        assert!(key("\"sk-1\"").unwrap_err().contains("in quotes"));
        assert!(with(&Value::Integer(1), upstream_key).unwrap_err().contains("a string is expected"));
    }
}
