//! API keys, from TOML or as `name:role:key`.
//!
//! It must never quote an entry, because any part of an invalid one can be the key.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

use super::error::ConfigError;
use super::secrets::fits_header;
use super::setting::Setting;
use super::text::is_in_quotes;
use super::value::{Table, Value};

/// The least bytes of a key. A shorter one can be guessed.
const LEAST_KEY: usize = 8;

const FORM: &str = "must have the form `name:role:key`, with the role `read` or `write`";
const TABLE: &str = "a list of { name, key, role = \"read\" or \"write\" } is expected";

/// The keys of all clients.
#[derive(Clone, Debug, Default)]
pub struct ApiKeys(pub Vec<ApiKey>);

/// One key of a client.
#[derive(Clone, Debug)]
pub struct ApiKey {
    /// The name, which is shown in events and logs.
    pub name: String,
    /// The secret, in printable ASCII.
    pub key: SecretString,
    /// The role of the key.
    pub role: Role,
}

/// The role of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The key may only read.
    Read,
    /// The key may also submit and decide.
    Write,
}

impl Role {
    fn parse(word: &str) -> Option<Self> {
        match word {
            "read" => Some(Self::Read),
            "write" => Some(Self::Write),
            _ => None,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Write => "write",
        })
    }
}

impl ApiKeys {
    /// Reads the keys of a setting.
    ///
    /// # Errors
    /// [`ConfigError`] names the entry by its place, from 1, if it has another form or no request could carry its
    /// key. A text without an entry is also an error. Only an empty list in TOML says that there are no keys.
    pub(super) fn read(setting: Setting<'_>) -> Result<Self, ConfigError> {
        let keys: Vec<Result<ApiKey, &str>> = match setting.value {
            Value::Array(items) => items.iter().map(from_item).collect(),
            Value::Variable(_) | Value::File(_) | Value::String(_) => {
                let entries = setting.entries()?;
                if entries.is_empty() {
                    return Err(setting.error("it is set but holds no key. Add one or unset it"));
                }
                entries.into_iter().map(from_entry).collect()
            }
            _ => return Err(setting.error(TABLE)),
        };
        let mut read: Vec<ApiKey> = Vec::with_capacity(keys.len());
        for (key, place) in keys.into_iter().zip(1..) {
            let wrong = |what: &str| setting.error(format_args!("entry {place} {what}"));
            let key = key.map_err(wrong)?;
            check(&key).map_err(wrong)?;
            if let Some(what) = read.iter().find_map(|other| shared(&key, other)) {
                return Err(wrong(what));
            }
            read.push(key);
        }
        Ok(Self(read))
    }
}

/// Reads `name:role:key`. Blanks before the name belong to the separator.
fn from_entry(entry: &str) -> Result<ApiKey, &'static str> {
    let mut parts = entry.trim_start().splitn(3, ':');
    let (Some(name), Some(role), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(FORM);
    };
    let role = Role::parse(role).ok_or(FORM)?;
    Ok(ApiKey { name: name.to_owned(), key: SecretString::from(key), role })
}

fn from_item(item: &Value) -> Result<ApiKey, &'static str> {
    const FIELDS: [&str; 3] = ["name", "key", "role"];
    let Value::Table(table) = item else { return Err("is not a table with name, key and role") };
    if table.keys().any(|field| !FIELDS.contains(&field.as_str())) {
        return Err("has an unknown field. The fields are name, key and role");
    }
    let name = text(table, "name")?.ok_or("has no name")?;
    let key = text(table, "key")?.ok_or("has no key")?;
    let role = text(table, "role")?.map_or(Some(Role::Read), Role::parse);
    let role = role.ok_or("must have the role `read` or `write`")?;
    Ok(ApiKey { name: name.to_owned(), key: SecretString::from(key), role })
}

fn text<'a>(table: &'a Table, field: &str) -> Result<Option<&'a str>, &'static str> {
    match table.get(field) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err("has a field that is not a string"),
    }
}

fn check(key: &ApiKey) -> Result<(), &'static str> {
    let (name, secret) = (key.name.as_str(), key.key.expose_secret());
    let is_trimmed = |text: &str| text.trim().len() == text.len();
    if name.trim().is_empty() {
        return Err("has no name");
    }
    if !is_trimmed(name) || name.contains(char::is_control) || name.starts_with(['"', '\'']) {
        return Err(
            "has a name with a blank at its start or end, a quote at its start, or a control character",
        );
    }
    if is_in_quotes(secret) {
        return Err("has a key in quotes. Remove them");
    }
    if !is_trimmed(secret) {
        return Err(
            "has a key with a blank at its start or end, which no request can carry. Remove the blank",
        );
    }
    if !fits_header(secret) {
        return Err("has a key with a character that is not printable ASCII, which no request can carry");
    }
    if secret.len() < LEAST_KEY {
        return Err("has a key of fewer than 8 characters");
    }
    Ok(())
}

/// The property that two keys share, but must not.
fn shared(key: &ApiKey, other: &ApiKey) -> Option<&'static str> {
    if key.name == other.name {
        Some("has the name of an earlier entry")
    } else if key.key.expose_secret() == other.key.expose_secret() {
        Some("has the key of an earlier entry")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::setting::Origin;
    use super::super::value;
    use super::*;

    fn of(value: &Value) -> Result<Vec<(String, Role, String)>, String> {
        let setting = Setting { key: "auth.api_keys", origin: &Origin::Default, value };
        let keys = ApiKeys::read(setting).map_err(|error| error.to_string())?;
        let plain = |key: ApiKey| (key.name, key.role, key.key.expose_secret().to_owned());
        Ok(keys.0.into_iter().map(plain).collect())
    }

    fn variable(text: &str) -> Result<Vec<(String, Role, String)>, String> {
        of(&Value::Variable(text.to_owned()))
    }

    fn file(text: &str) -> Result<Vec<(String, Role, String)>, String> {
        of(&Value::File(text.to_owned()))
    }

    fn toml(text: &str) -> Result<Vec<(String, Role, String)>, String> {
        of(&value::parse(&format!("a = {text}")).unwrap()["a"])
    }

    fn key(name: &str, role: Role, key: &str) -> (String, Role, String) {
        (name.to_owned(), role, key.to_owned())
    }

    #[test]
    fn commas_separate_in_a_variable_and_lines_in_a_file() {
        let two = [key("a", Role::Write, "secret-1"), key("b", Role::Read, "s:e:c-2!")];
        assert_eq!(variable("a:write:secret-1, b:read:s:e:c-2!\n").unwrap(), two);
        assert_eq!(variable("a:write:secret-1\nb:read:s:e:c-2!").unwrap(), two);
        assert_eq!(file("a:write:secret-1\r\n\r\n  b:read:s:e:c-2!\r\n").unwrap(), two);
        assert_eq!(file("me:write:secret,1234\n").unwrap(), [key("me", Role::Write, "secret,1234")]);
        assert!(variable("me:write:secret12,1234").is_err());
    }

    #[test]
    fn toml_has_a_table_for_each_key() {
        let two = [key("a", Role::Write, "secret-1"), key("b", Role::Read, "sec,et 2")];
        let text = r#"[{ name = "a", key = "secret-1", role = "write" }, { name = "b", key = "sec,et 2" }]"#;
        assert_eq!(toml(text).unwrap(), two);
        assert_eq!(toml("\"a:write:secret-1\"").unwrap(), two[..1]);
        assert_eq!(toml("[]").unwrap(), []);
    }

    #[test]
    fn a_source_that_is_set_holds_a_key() {
        for said in [variable(","), variable(" ,\n"), toml("\"\""), toml("\" , \""), file("\n \n")] {
            let expected = "auth.api_keys: it is set but holds no key. Add one or unset it";
            assert_eq!(said, Err(expected.to_owned()));
        }
        for text in ["1", "true", "1.5", "{ name = \"a\", key = \"secret-1\" }"] {
            assert_eq!(toml(text), Err(format!("auth.api_keys: {TABLE}")));
        }
    }

    #[test]
    fn an_entry_has_three_parts() {
        for entry in ["secret-that-is-long", "a:secret-that-is-long", "a:owner:secret-1", "a: write:secret-1"]
        {
            let expected = format!("auth.api_keys: entry 2 {FORM}");
            assert_eq!(variable(&format!("x:read:secret-0,{entry}")), Err(expected.clone()));
            assert_eq!(file(&format!("x:read:secret-0\n{entry}")), Err(expected));
        }
    }

    #[test]
    fn a_table_has_these_fields_and_no_other() {
        for (table, expected) in [
            (r#"{ key = "secret-1" }"#, "has no name"),
            (r#"{ name = "a" }"#, "has no key"),
            (r#"{ name = "a", key = 12345678 }"#, "has a field that is not a string"),
            (r#"{ name = 1, key = "secret-1" }"#, "has a field that is not a string"),
            (r#"{ name = "a", key = "secret-1", role = true }"#, "has a field that is not a string"),
            (r#"{ name = "a", key = "secret-1", role = "owner" }"#, "must have the role `read` or `write`"),
            (
                r#"{ name = "a", key = "secret-1", x = 1 }"#,
                "has an unknown field. The fields are name, key and role",
            ),
            ("\"a:read:secret-1\"", "is not a table with name, key and role"),
        ] {
            assert_eq!(toml(&format!("[{table}]")), Err(format!("auth.api_keys: entry 1 {expected}")));
        }
    }

    #[test]
    fn a_key_that_no_request_can_carry_is_refused_from_every_layer() {
        let blank =
            "has a key with a blank at its start or end, which no request can carry. Remove the blank";
        let ascii = "has a key with a character that is not printable ASCII, which no request can carry";
        for (secret, expected) in [
            (" secret-1", blank),
            ("secret-1 ", blank),
            ("secret-1\t", blank),
            ("\u{a0}secret-1", blank),
            ("sécret-1", ascii),
            ("secret-1\u{feff}", ascii),
            ("secret\t-1", ascii),
            ("secret\u{7f}-1", ascii),
            ("\"secret-1\"", "has a key in quotes. Remove them"),
            ("'secret-1'", "has a key in quotes. Remove them"),
        ] {
            let expected = Err(format!("auth.api_keys: entry 1 {expected}"));
            assert_eq!(variable(&format!("a:write:{secret}")), expected, "{secret}");
            assert_eq!(variable(&format!("a:write:{secret},b:read:secret-2")), expected, "{secret}");
            assert_eq!(file(&format!("a:write:{secret}\n")), expected, "{secret}");
            let item = [("name", "a"), ("key", secret)];
            let item = item.map(|(name, text)| (name.to_owned(), Value::String(text.to_owned())));
            assert_eq!(of(&Value::Array(vec![Value::Table(item.into())])), expected, "{secret}");
        }
        assert!(variable("a:write:secret with blanks ~!").is_ok());
    }

    #[test]
    fn a_key_has_eight_characters_at_least() {
        assert!(variable("a:read:12345678").is_ok());
        let short = Err("auth.api_keys: entry 1 has a key of fewer than 8 characters".to_owned());
        assert_eq!(variable("a:read:1234567"), short);
        assert_eq!(variable("a:read:"), short);
    }

    #[test]
    fn a_name_is_plain() {
        for name in ["", " "] {
            assert_eq!(
                file(&format!("{name}:read:secret-1")),
                Err("auth.api_keys: entry 1 has no name".to_owned())
            );
        }
        for name in ["\"me", "'me", "m\u{1}e", "me ", "m\u{7f}e"] {
            let said = file(&format!("{name}:read:secret-1")).unwrap_err();
            assert!(said.starts_with("auth.api_keys: entry 1 has a name with "), "{name}: {said}");
        }
        assert!(toml(r#"[{ name = " me", key = "secret-1" }]"#).is_err());
        assert!(file("Jürgen's key:read:secret-1").is_ok());
    }

    #[test]
    fn no_two_entries_share_a_name_or_a_key() {
        assert_eq!(
            variable("a:read:secret-1,b:read:secret-2,a:write:secret-3"),
            Err("auth.api_keys: entry 3 has the name of an earlier entry".to_owned())
        );
        assert_eq!(
            variable("a:read:secret-1,b:read:secret-1"),
            Err("auth.api_keys: entry 2 has the key of an earlier entry".to_owned())
        );
    }

    #[test]
    fn a_role_is_shown_as_it_is_written() {
        assert_eq!([Role::Read, Role::Write].map(|role| role.to_string()), ["read", "write"]);
    }
}
