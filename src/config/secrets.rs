//! API keys and callback secrets, in the forms that TOML and the environment give them.
//!
//! Must never quote what it could not read: it may be a key.

use std::fmt;

use secrecy::SecretString;
use serde::Deserialize;

/// A list of keys, in TOML or as `name:role:key`, comma- or line-separated.
#[derive(Clone, Debug, Default)]
pub struct ApiKeys(pub Vec<ApiKey>);

/// One key of a client.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKey {
    /// Shown in events and logs.
    pub name: String,
    /// The secret.
    pub key: SecretString,
    /// What it may do.
    #[serde(default = "read_role")]
    pub role: Role,
}

/// What a key may do.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Only look.
    Read,
    /// Submit and decide, too.
    Write,
}

/// One secret or a list of them; in the environment comma-separated.
#[derive(Clone, Debug, Default)]
pub struct Secrets(pub Vec<SecretString>);

const fn read_role() -> Role {
    Role::Read
}

impl<'de> Deserialize<'de> for Secrets {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Text(String),
            List(Vec<String>),
        }
        let list = match Form::deserialize(deserializer)? {
            Form::Text(text) => text.split([',', '\n']).map(str::to_owned).collect(),
            Form::List(list) => list,
        };
        let secrets = list.iter().map(|secret| secret.trim()).filter(|secret| !secret.is_empty());
        Ok(Self(secrets.map(SecretString::from).collect()))
    }
}

impl<'de> Deserialize<'de> for ApiKeys {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Text(String),
            List(Vec<ApiKey>),
        }
        match Form::deserialize(deserializer) {
            Ok(Form::List(keys)) => Ok(Self(keys)),
            Ok(Form::Text(text)) => parse_keys(&text).map(Self).map_err(serde::de::Error::custom),
            // The untagged error would quote the input, and with it the key.
            Err(_) => Err(serde::de::Error::custom(
                "auth.api_keys: a list of { name, key, role = \"read\" or \"write\" } is expected",
            )),
        }
    }
}

fn parse_keys(text: &str) -> Result<Vec<ApiKey>, &'static str> {
    const FORM: &str =
        "auth.api_keys: `name:role:key` is expected, with role `read` or `write`, comma-separated";
    let entries = text.split([',', '\n']).map(str::trim).filter(|entry| !entry.is_empty());
    entries
        .map(|entry| {
            let mut parts = entry.splitn(3, ':');
            let (Some(name), Some(role), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
                return Err(FORM);
            };
            let role = match role {
                "read" => Role::Read,
                "write" => Role::Write,
                _ => return Err(FORM),
            };
            Ok(ApiKey { name: name.to_owned(), key: SecretString::from(key), role })
        })
        .collect()
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Write => "write",
        })
    }
}
