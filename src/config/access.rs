//! Access to the API: the rule for operation without API keys, and the other conditions for serving.
//!
//! Without keys, only requests with a loopback `Host` are answered. This needs no setting if only loopback addresses
//! are configured, and must be set explicitly otherwise. A key must never be shown.

use std::fmt;
use std::net::SocketAddr;

use secrecy::ExposeSecret;
use url::Url;

use super::Config;
use super::error::ConfigError;
use super::sections::Auth;
use crate::domain::host::is_loopback;

impl Config {
    /// Checks the conditions for `serve` beyond a readable configuration.
    ///
    /// # Errors
    /// [`ConfigError`] names the missing setting.
    pub fn check_for_serving(&self) -> Result<(), ConfigError> {
        if self.upstream.api_key.expose_secret().is_empty() {
            return Err(ConfigError(
                "upstream.api_key: missing. Set MEMORIES_API_KEY or SCRAPEHOOK_UPSTREAM__API_KEY".to_owned(),
            ));
        }
        self.check_addresses()?;
        match self.beyond_loopback() {
            Some(setting) if self.auth.is_keyless() && !self.auth.keyless => Err(ConfigError(format!(
                "auth.api_keys: an API key is needed because {setting} is not loopback. Set \
                 SCRAPEHOOK_AUTH__API_KEYS=name:write:key. If every request with a loopback Host may do everything, \
                 set auth.keyless = true (SCRAPEHOOK_AUTH__KEYLESS=true) instead"
            ))),
            _ => Ok(()),
        }
    }

    /// Two listeners can't have one address.
    fn check_addresses(&self) -> Result<(), ConfigError> {
        let addresses = [
            ("server.listen", Some(self.server.listen)),
            ("callback.listen", self.callback.listen),
            ("metrics.listen", self.metrics.listen),
        ];
        let addresses = addresses.iter().filter_map(|(name, address)| Some((name, (*address)?)));
        for (place, (name, address)) in addresses.clone().enumerate() {
            // With port 0, the system gives each listener another port.
            let is_same = |(_, other): &(_, SocketAddr)| *other == address && address.port() != 0;
            if let Some((other, _)) = addresses.clone().take(place).find(is_same) {
                return Err(ConfigError(format!(
                    "{name}: {address} is already the address of {other}. Give them different addresses"
                )));
            }
        }
        Ok(())
    }

    /// The first setting through which more than this machine could reach the part of the API that API keys protect.
    fn beyond_loopback(&self) -> Option<&'static str> {
        let public = self.server.public_url.as_deref();
        if !self.server.listen.ip().is_loopback() {
            Some("server.listen")
        } else if self.metrics.listen.is_some_and(|address| !address.ip().is_loopback()) {
            Some("metrics.listen")
        } else if public.is_some_and(|url| !is_loopback_url(url)) {
            Some("server.public_url")
        } else {
            None
        }
    }
}

fn is_loopback_url(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| url.host_str().is_some_and(is_loopback))
}

impl Auth {
    /// Whether there are no API keys.
    pub fn is_keyless(&self) -> bool {
        self.api_keys.0.is_empty()
    }
}

/// Shows the names of the keys and their roles, or the limits of operation without keys.
impl fmt::Display for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_keyless() {
            return f.write_str("keyless: only requests with a loopback Host are answered");
        }
        for (place, key) in self.api_keys.0.iter().enumerate() {
            let separator = if place == 0 { "" } else { ", " };
            write!(f, "{separator}{} ({})", key.name, key.role)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: (&str, &str) = ("AUTH__API_KEYS", "a:read:secret-1,b:write:secret-2");
    const KEYLESS: (&str, &str) = ("AUTH__KEYLESS", "true");

    fn config(settings: &[(&str, &str)]) -> Config {
        let settings = [("UPSTREAM__API_KEY", "sk-1")].iter().chain(settings);
        let variables = settings.map(|(key, value)| (format!("SCRAPEHOOK_{key}"), (*value).to_owned()));
        Config::load_with(None, variables.collect()).unwrap()
    }

    fn checked(settings: &[(&str, &str)]) -> Result<(), String> {
        config(settings).check_for_serving().map_err(|error| error.to_string())
    }

    #[test]
    fn loopback_alone_may_be_keyless_without_asking() {
        for settings in [
            &[][..],
            &[("SERVER__LISTEN", "127.9.9.9:1")][..],
            &[("SERVER__LISTEN", "[::1]:1"), ("SERVER__PUBLIC_URL", "http://localhost:1/in")][..],
            &[("SERVER__PUBLIC_URL", "http://127.0.0.1:1"), ("METRICS__LISTEN", "[::1]:2")][..],
            &[("SERVER__PUBLIC_URL", "http://[::1]:1"), ("CALLBACK__LISTEN", "0.0.0.0:2")][..],
        ] {
            assert_eq!(checked(settings), Ok(()), "{settings:?}");
        }
    }

    #[test]
    fn anywhere_else_keyless_operation_is_asked_for() {
        for (setting, settings) in [
            ("server.listen", &[("SERVER__LISTEN", "0.0.0.0:1")][..]),
            ("server.listen", &[("SERVER__LISTEN", "[::]:1"), ("CALLBACK__LISTEN", "127.0.0.1:2")][..]),
            ("metrics.listen", &[("METRICS__LISTEN", "192.0.2.1:1")][..]),
            ("server.public_url", &[("SERVER__PUBLIC_URL", "https://hooks.example.com")][..]),
            (
                "server.public_url",
                &[("SERVER__PUBLIC_URL", "https://localhost.example.com"), ("CALLBACK__LISTEN", "0.0.0.0:2")]
                    [..],
            ),
        ] {
            let said = checked(settings).unwrap_err();
            let expected =
                format!("auth.api_keys: an API key is needed because {setting} is not loopback. Set ");
            assert!(said.starts_with(&expected) && said.contains("auth.keyless = true"), "{said}");
            for asked in [KEYS, KEYLESS] {
                assert_eq!(checked(&[settings, &[asked]].concat()), Ok(()), "{settings:?} {asked:?}");
            }
            let refused = ("AUTH__KEYLESS", "false");
            assert!(checked(&[settings, &[refused]].concat()).is_err());
        }
    }

    #[test]
    fn two_listeners_have_two_addresses() {
        let at = |key, address| (key, address);
        for (settings, names) in [
            ([at("CALLBACK__LISTEN", "127.0.0.1:8080"), KEYS], ["callback.listen", "server.listen"]),
            ([at("METRICS__LISTEN", "127.0.0.1:8080"), KEYS], ["metrics.listen", "server.listen"]),
            (
                [at("METRICS__LISTEN", "[::1]:7"), at("CALLBACK__LISTEN", "[::1]:7")],
                ["metrics.listen", "callback.listen"],
            ),
        ] {
            let said = checked(&settings).unwrap_err();
            assert!(names.iter().all(|name| said.contains(name)), "{said}");
        }
        let any_port =
            ["SERVER__LISTEN", "CALLBACK__LISTEN", "METRICS__LISTEN"].map(|key| (key, "127.0.0.1:0"));
        assert_eq!(checked(&any_port), Ok(()));
    }

    #[test]
    fn the_upstreams_key_is_needed() {
        let config = Config::load_with(None, Vec::new()).unwrap();
        let said = config.check_for_serving().unwrap_err().to_string();
        assert!(said.starts_with("upstream.api_key: missing. Set MEMORIES_API_KEY or "), "{said}");
    }

    #[test]
    fn access_is_described_in_words() {
        let keyless = config(&[KEYLESS]).auth;
        assert!(keyless.is_keyless());
        assert_eq!(keyless.to_string(), "keyless: only requests with a loopback Host are answered");
        let auth = config(&[KEYS, KEYLESS]).auth;
        assert!(!auth.is_keyless());
        assert_eq!(auth.to_string(), "a (read), b (write)");
    }
}
