//! The URL that receives webhooks, and the form of it that may be shown.
//!
//! `Display`, `Debug` and errors must never show a secret: no user, password or query, and no path that grants access.
//! Must never resolve a name. The sender checks the addresses that a name leads to.

use std::fmt;

use thiserror::Error;
use url::{Host, Url};

use crate::domain::address::is_public;

/// Most characters of a URL, as given.
const MOST_CHARS: usize = 2_048;
/// The replacement of a secret.
const MASK: &str = "…";
/// Domains at which everything after the first segment of the path is a secret, subdomains included.
const SECRET_PATHS: [&str; 6] = [
    "hooks.slack.com",
    "hooks.slack-gov.com",
    "discord.com",
    "discordapp.com",
    "hooks.zapier.com",
    "webhook.office.com",
];
/// The host whose paths are topics, which are shown however long they are.
const TOPICS: &str = "ntfy.sh";
/// Characters from which on a segment of a path may be a token.
const TOKEN_CHARS: usize = 20;

/// What the operator allows beyond https and public addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// Addresses of this machine and of the networks around it.
    pub private: bool,
    /// Connections without TLS.
    pub http: bool,
}

/// A URL that can receive webhooks.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    url: Url,
}

/// Why a URL can't receive webhooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidTarget {
    /// It is too long.
    #[error("the URL has more than 2,048 characters")]
    TooLong,
    /// It is not a URL, or not one that a request can be sent to.
    #[error("this is not a URL such as https://example.com/webhook")]
    NotAUrl,
    /// It has another scheme.
    #[error("the URL must begin with https://")]
    Scheme,
    /// It is http, and only https is allowed.
    #[error("the URL must begin with https:// unless forward.allow_http is set")]
    Http,
    /// Its host is a private address, and only public ones are allowed.
    #[error("the host is a private address, and forward.allow_private is not set")]
    Private,
}

impl Target {
    /// Reads a URL and checks it as far as that is possible without resolving its name.
    ///
    /// # Errors
    /// [`InvalidTarget`] says what is wrong and shows none of it.
    pub fn parse(text: &str, allowed: Allowed) -> Result<Self, InvalidTarget> {
        let target = Self::from_stored(text)?;
        target.check(allowed)?;
        Ok(target)
    }

    /// Reads a URL that was checked under other rules. The sender checks it again before each attempt.
    ///
    /// # Errors
    /// [`InvalidTarget`] if no rules could allow it.
    pub fn from_stored(text: &str) -> Result<Self, InvalidTarget> {
        if text.chars().count() > MOST_CHARS {
            return Err(InvalidTarget::TooLong);
        }
        let url = Url::parse(text).map_err(|_| InvalidTarget::NotAUrl)?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(InvalidTarget::Scheme);
        }
        // The HTTP library takes fewer hosts than the URL library.
        if !url.has_host() || url.as_str().parse::<hyper::Uri>().is_err() {
            return Err(InvalidTarget::NotAUrl);
        }
        Ok(Self { url })
    }

    /// Whether the scheme and the host, as they are written, are allowed.
    ///
    /// # Errors
    /// [`InvalidTarget::Http`] or [`InvalidTarget::Private`].
    pub fn check(&self, allowed: Allowed) -> Result<(), InvalidTarget> {
        if self.url.scheme() != "https" && !allowed.http {
            return Err(InvalidTarget::Http);
        }
        if !allowed.private && !self.may_be_public() {
            return Err(InvalidTarget::Private);
        }
        Ok(())
    }

    /// The URL with its secrets, for requests and for the store.
    pub const fn expose(&self) -> &Url {
        &self.url
    }

    /// The host: a name in lower case, an IPv4 address, or an IPv6 address in brackets.
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// The URL without its secrets, for logs, lists and errors.
    pub fn masked(&self) -> String {
        self.to_string()
    }

    /// Whether the host is a public address or a name that may lead to one.
    fn may_be_public(&self) -> bool {
        match self.url.host() {
            Some(Host::Ipv4(address)) => is_public(address.into()),
            Some(Host::Ipv6(address)) => is_public(address.into()),
            Some(Host::Domain(name)) => !is_in_domain(name, "localhost"),
            None => false,
        }
    }
}

/// Whether a name is this domain or below it. A dot may end the name.
fn is_in_domain(name: &str, domain: &str) -> bool {
    let name = name.trim_end_matches('.');
    name.strip_suffix(domain).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

/// Whether a segment of a path looks like a token and not like words.
fn may_be_token(segment: &str) -> bool {
    let has = |is: fn(&u8) -> bool| segment.bytes().any(|byte| is(&byte));
    let is_mixed = has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase);
    segment.len() >= TOKEN_CHARS && (is_mixed || has(u8::is_ascii_digit))
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.host();
        write!(f, "{}://{host}", self.url.scheme())?;
        if let Some(port) = self.url.port() {
            write!(f, ":{port}")?;
        }
        let has_secret_path = SECRET_PATHS.iter().any(|domain| is_in_domain(host, domain));
        let has_topics = is_in_domain(host, TOPICS);
        for (place, segment) in self.url.path().split('/').skip(1).enumerate() {
            if has_secret_path && place > 0 {
                return write!(f, "/{MASK}");
            }
            let is_hidden = !has_topics && may_be_token(segment);
            write!(f, "/{}", if is_hidden { MASK } else { segment })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HTTP: Allowed = Allowed { private: false, http: true };
    const PRIVATE: Allowed = Allowed { private: true, http: false };
    const ALL: Allowed = Allowed { private: true, http: true };

    fn fault(text: &str, allowed: Allowed) -> Option<InvalidTarget> {
        Target::parse(text, allowed).err()
    }

    fn masked(text: &str) -> String {
        Target::parse(text, ALL).expect(text).masked()
    }

    #[test]
    fn https_to_a_public_host_is_allowed() {
        for text in [
            "https://example.com",
            "https://example.com./webhook?token=1#part",
            "HTTPS://Example.com:8443/webhook",
            "https://user:password@example.com/",
            "https://1.1.1.1/",
            "https://134744072/",
            "https://[2606:4700:4700::1111]:8443/",
            "https://bücher.example/",
            "https://localhost.example/",
            "https://notlocalhost/",
        ] {
            assert_eq!(fault(text, Allowed::default()), None, "{text}");
        }
    }

    #[test]
    fn http_is_allowed_by_a_setting_alone() {
        assert_eq!(fault("http://example.com/", Allowed::default()), Some(InvalidTarget::Http));
        assert_eq!(fault("http://example.com/", PRIVATE), Some(InvalidTarget::Http));
        assert_eq!(fault("http://example.com/", HTTP), None);
    }

    #[test]
    fn nothing_else_is_a_target() {
        for (text, error) in [
            ("", InvalidTarget::NotAUrl),
            ("example.com/webhook", InvalidTarget::NotAUrl),
            ("/webhook", InvalidTarget::NotAUrl),
            ("https://", InvalidTarget::NotAUrl),
            ("https://:443/", InvalidTarget::NotAUrl),
            ("https://user@/", InvalidTarget::NotAUrl),
            ("https://example.com:65536/", InvalidTarget::NotAUrl),
            ("https://exa mple.com/", InvalidTarget::NotAUrl),
            ("https://1.2.3.4.5/", InvalidTarget::NotAUrl),
            ("https://[fe80::1%25eth0]/", InvalidTarget::NotAUrl),
            ("ftp://example.com/", InvalidTarget::Scheme),
            ("file:///etc/passwd", InvalidTarget::Scheme),
            ("gopher://127.0.0.1/", InvalidTarget::Scheme),
            ("unix:/run/socket", InvalidTarget::Scheme),
            ("data:text/plain,1", InvalidTarget::Scheme),
        ] {
            assert_eq!(fault(text, ALL), Some(error), "{text}");
        }
    }

    #[test]
    fn the_length_is_limited() {
        let url = |length: usize| format!("https://example.com/{}", "é".repeat(length - 20));
        assert_eq!(fault(&url(MOST_CHARS), ALL), None);
        assert_eq!(fault(&url(MOST_CHARS + 1), ALL), Some(InvalidTarget::TooLong));
    }

    #[test]
    fn every_spelling_of_a_private_host_is_refused() {
        for host in [
            "127.0.0.1",
            "127.0.0.1.",
            "127.1",
            "2130706433",
            "0177.0.0.1",
            "017700000001",
            "0x7f000001",
            "0x7F.0.0.1",
            "%31%32%37.0.0.1",
            "１２７.0.0.1",
            "0",
            "10.1.2.3",
            "169.254.169.254",
            "2852039166",
            "192.168.1.1",
            "[::]",
            "[::1]",
            "[::127.0.0.1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:a9fe:a9fe]",
            "[64:ff9b::10.0.0.1]",
            "[2002:7f00:1::]",
            "[fe80::1]",
            "[fd00::1]",
            "localhost",
            "LocalHost",
            "localhost.",
            "localhost..",
            "api.localhost",
            "api.localhost.",
            "user:password@localhost",
            "example.com@127.0.0.1",
        ] {
            let text = format!("https://{host}:8443/webhook");
            // Some of them no library takes at all.
            let is_refused = match Target::from_stored(&text) {
                Ok(target) => target.check(HTTP) == Err(InvalidTarget::Private),
                Err(error) => host == "localhost.." && error == InvalidTarget::NotAUrl,
            };
            assert!(is_refused, "{text}");
        }
        assert_eq!(fault("https://127.0.0.1/", PRIVATE), None);
        assert_eq!(fault("http://localhost:5678/", ALL), None);
    }

    #[test]
    fn numbers_are_read_as_the_addresses_that_they_are() {
        for host in ["2130706433", "0177.0.0.1", "0x7f000001", "127.1", "127.0.0.1."] {
            assert_eq!(masked(&format!("https://{host}/")), "https://127.0.0.1/");
        }
    }

    #[test]
    fn stored_urls_are_read_under_any_rules() {
        let target = Target::from_stored("http://10.0.0.1/webhook").unwrap();
        assert_eq!(target.check(ALL), Ok(()));
        assert_eq!(target.check(HTTP), Err(InvalidTarget::Private));
        assert_eq!(target.check(PRIVATE), Err(InvalidTarget::Http));
        assert_eq!(target.expose().as_str(), "http://10.0.0.1/webhook");
    }

    #[test]
    fn secrets_are_not_shown() {
        for (text, shown) in [
            ("https://user:password@example.com/a?token=1#part", "https://example.com/a"),
            ("https://token@example.com:8443/a/b/", "https://example.com:8443/a/b/"),
            ("http://[::1]:80/", "http://[::1]/"),
            ("https://hooks.slack.com/services/T0/B0/xyz", "https://hooks.slack.com/services/…"),
            ("https://hooks.slack.com./services/T0/B0/xyz", "https://hooks.slack.com./services/…"),
            ("https://discord.com/api/webhooks/1/xyz?wait=true", "https://discord.com/api/…"),
            ("https://ptb.discord.com/api/webhooks/1/xyz", "https://ptb.discord.com/api/…"),
            ("https://notdiscord.com/api/webhooks/1/xyz", "https://notdiscord.com/api/webhooks/1/xyz"),
            ("https://ntfy.sh/scrapes", "https://ntfy.sh/scrapes"),
            ("https://ntfy.sh/our-scrapes-of-2026-9f3k2", "https://ntfy.sh/our-scrapes-of-2026-9f3k2"),
            (
                "https://n8n.example/webhook/8f14e45f-ceea-467f-a9d1-0a1b2c3d4e5f/done",
                "https://n8n.example/webhook/…/done",
            ),
            (
                "https://api.telegram.org/bot123456:AAxyz-0123456/sendMessage",
                "https://api.telegram.org/…/sendMessage",
            ),
            (
                "https://example.com/notifications-of-the-video-team/AbcdefghijklmnopqrsT",
                "https://example.com/notifications-of-the-video-team/…",
            ),
        ] {
            assert_eq!(masked(text), shown);
            let target = Target::parse(text, ALL).unwrap();
            assert_eq!(format!("{target:?}"), format!("Target({shown})"));
            assert_eq!(target.expose(), &Url::parse(text).unwrap());
        }
    }
}
