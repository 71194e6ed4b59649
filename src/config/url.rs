//! URLs to which paths are appended: the public URL, upstream's and the collector's.
//!
//! It must never quote a URL, because it can hold a password.

use percent_encoding::percent_decode_str;
use url::Url;

use super::error::ConfigError;
use super::setting::Setting;
use crate::domain::host::is_name;

/// The longest public URL, which leaves room for `/callback/` and a token in the 299 characters that upstream
/// accepts.
const MOST_PUBLIC_URL: usize = 240;

/// Returns a URL as written, without the blanks around it.
///
/// # Errors
/// [`ConfigError`] unless it is an http or https URL that every parser reads the same way.
pub(super) fn plain(setting: Setting<'_>) -> Result<String, ConfigError> {
    let text = setting.text()?;
    parse(text).map(|_| text.to_owned()).map_err(|error| setting.error(error))
}

/// Returns a URL in its final form, with its host in ASCII and without a slash at its end. None if the text is blank.
///
/// # Errors
/// As for [`plain`].
pub(super) fn normal(setting: Setting<'_>) -> Result<Option<String>, ConfigError> {
    let Some(text) = setting.optional_text()? else { return Ok(None) };
    let url = parse(text).map_err(|error| setting.error(error))?;
    Ok(Some(url.as_str().trim_end_matches('/').to_owned()))
}

/// Returns the public URL, like [`normal`].
///
/// # Errors
/// [`ConfigError`] if a callback URL below it would be wrong.
pub(super) fn public(setting: Setting<'_>) -> Result<Option<String>, ConfigError> {
    let Some(handed_out) = normal(setting)? else { return Ok(None) };
    if has_callback_path(&handed_out) {
        return Err(setting.error(
            "leave out /callback and everything after it. scrapehook appends /callback/ and a token itself",
        ));
    }
    if handed_out.len() > MOST_PUBLIC_URL {
        return Err(setting.error(format_args!(
            "must have at most {MOST_PUBLIC_URL} characters, because memories.ai takes callback URLs of at most 299"
        )));
    }
    Ok(Some(handed_out))
}

/// Whether the path of a URL without a slash at its end ends in `/callback` or in `/callback` and a token.
fn has_callback_path(url: &str) -> bool {
    let decoded = percent_decode_str(url).decode_utf8_lossy();
    // The scheme, an empty part and the host come first.
    let path: Vec<&str> = decoded.trim_end_matches('/').split('/').skip(3).collect();
    path.iter().rev().take(2).any(|segment| segment.eq_ignore_ascii_case("callback"))
}

/// Parses an http or https URL without user, password, query or fragment. Refuses URLs that the parser would repair,
/// because other parsers repair them differently, or not at all.
fn parse(text: &str) -> Result<Url, &'static str> {
    const EXPECTED: &str = "an http or https URL is expected, such as https://hooks.example.com";
    let has_scheme =
        |scheme: &str| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    let Some(scheme) = ["http://", "https://"].into_iter().find(|scheme| has_scheme(scheme)) else {
        return Err(EXPECTED);
    };
    let rest = text.get(scheme.len()..).unwrap_or_default();
    if rest.contains(['?', '#']) {
        return Err("the URL must have no query and no fragment");
    }
    if rest.contains('\\') {
        return Err("the URL must have no backslash");
    }
    if rest.contains(|c: char| c.is_whitespace() || c.is_control() || is_invisible(c)) {
        return Err("the URL must have no white space and no invisible character");
    }
    let authority = rest.split('/').next().unwrap_or_default();
    if authority.is_empty() {
        return Err("the host must follow `://`");
    }
    if authority.contains('@') {
        return Err("the URL must have no user and no password");
    }
    let url = Url::parse(text).map_err(|_| WRONG_HOST)?;
    let is_host = |host: &str| host.starts_with('[') || is_name(host);
    if !url.host_str().is_some_and(is_host) || url.port() == Some(0) {
        return Err(WRONG_HOST);
    }
    Ok(url)
}

const WRONG_HOST: &str = "the host or the port of the URL is invalid";

/// Whether a character has no width. The parser drops such characters from a host.
const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::super::setting::Origin;
    use super::super::value::Value;
    use super::*;

    type Reader<T> = fn(Setting<'_>) -> Result<T, ConfigError>;

    fn of<T>(text: &str, read: Reader<T>) -> Result<T, String> {
        let value = Value::Variable(text.to_owned());
        let setting = Setting { key: "server.public_url", origin: &Origin::Default, value: &value };
        read(setting).map_err(|error| error.to_string())
    }

    fn handed_out(text: &str) -> Option<String> {
        of(text, public).unwrap()
    }

    #[test]
    fn a_public_url_is_handed_out_in_ascii_and_without_a_slash_at_its_end() {
        for (text, expected) in [
            ("https://hooks.example.com", "https://hooks.example.com"),
            (" https://hooks.example.com/ ", "https://hooks.example.com"),
            ("HTTPS://Hooks.Example.COM:443/in//", "https://hooks.example.com/in"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://[::1]:8080/", "http://[::1]:8080"),
            ("https://bücher.example/ü", "https://xn--bcher-kva.example/%C3%BC"),
            ("https://例え.テスト", "https://xn--r8jz45g.xn--zckzah"),
            ("http://127.1/", "http://127.0.0.1"),
        ] {
            assert_eq!(handed_out(text).as_deref(), Some(expected));
            assert_eq!(of(text, normal).unwrap().as_deref(), Some(expected));
        }
        assert_eq!(handed_out(" "), None);
        assert_eq!(of(" ", normal).unwrap(), None);
    }

    #[test]
    fn the_upstreams_url_stays_as_it_is_written() {
        for text in ["https://api.example.com/", "HTTPS://API.example.com:443", "https://bücher.example"] {
            assert_eq!(of(&format!(" {text}\n"), plain).as_deref(), Ok(text));
        }
        assert!(of("", plain).is_err());
        assert!(of("x", plain).is_err());
    }

    #[test]
    fn what_a_parser_would_repair_is_refused() {
        let all: [Reader<()>; 3] = [|s| public(s).map(drop), |s| plain(s).map(drop), |s| normal(s).map(drop)];
        for (text, expected) in [
            ("https:/hooks.example.com", "an http or https URL is expected"),
            ("https:hooks.example.com", "an http or https URL is expected"),
            ("https:\\\\hooks.example.com", "an http or https URL is expected"),
            ("hooks.example.com", "an http or https URL is expected"),
            ("ftp://hooks.example.com", "an http or https URL is expected"),
            ("://hooks.example.com", "an http or https URL is expected"),
            ("ü", "an http or https URL is expected"),
            ("https:///hooks.example.com", "the host must follow"),
            ("https://", "the host must follow"),
            ("https://\\hooks.example.com", "no backslash"),
            ("https://hooks.example.com\\in", "no backslash"),
            ("https://hooks.exa\tmple.com", "no white space"),
            ("https://hooks.example.com/a b", "no white space"),
            ("https://hooks.example.com/\u{7f}", "no white space"),
            ("https://hooks\u{ad}.example.com", "invisible"),
            ("https://hooks\u{200b}.example.com", "invisible"),
            ("https://hooks.example.com/\u{feff}", "invisible"),
            ("https://hooks\u{2060}.example.com", "invisible"),
            ("https://me:pass@hooks.example.com", "no user and no password"),
            ("https://me@hooks.example.com", "no user and no password"),
            ("https://@hooks.example.com", "no user and no password"),
            ("https://hooks.example.com/?a=b", "no query and no fragment"),
            ("https://hooks.example.com?", "no query and no fragment"),
            ("https://hooks.example.com/#", "no query and no fragment"),
            ("https://hooks.example.com:99999", "host or the port"),
            ("https://:8080", "host or the port"),
            ("https://hooks.example.com,", "host or the port"),
            ("https://hooks..example.com", "host or the port"),
            ("https://hook's.example.com", "host or the port"),
            ("https://hooks.example.com:0", "host or the port"),
            ("https://hooks..example.com:x", "host or the port"),
            ("\"https://hooks.example.com\"", "in quotes"),
        ] {
            for read in all {
                let said = of(text, read).err().unwrap_or_else(|| panic!("{text} is taken"));
                assert!(said.starts_with("server.public_url: ") && said.contains(expected), "{text}: {said}");
                assert!(!said.contains("pass@"), "{said}");
            }
        }
        assert!(of("https://hooks.example.com/a@b", public).is_ok(), "the path may have one");
    }

    #[test]
    fn a_public_url_with_the_path_of_callbacks_is_refused() {
        let plain_paths =
            ["/callback", "/callback/", "/callback//", "/in/callback", "/callback/x-1", "/Callback/x/"];
        let escaped = ["/%63allback", "/%43ALLBAC%4b/x", "/in%2Fcallback", "/callback%2f", "/%63allback/%78"];
        for path in plain_paths.into_iter().chain(escaped) {
            let said = of(&format!("https://hooks.example.com{path}"), public).unwrap_err();
            assert!(said.contains("leave out /callback"), "{path}: {said}");
        }
        for path in ["/callbacks", "/callback/in/x", "/in/callback/x/y", "/my-callback", "/%2563allback", ""]
        {
            let url = format!("https://hooks.example.com{path}");
            assert_eq!(handed_out(&url), Some(url));
        }
        assert!(of("https://callback/in", public).is_ok(), "a host may have the name");
        assert!(of("https://hooks.example.com/callback", plain).is_ok(), "only the public URL");
    }

    #[test]
    fn a_public_url_leaves_room_for_a_token() {
        let url = |length: usize| format!("https://h.example/{}", "x".repeat(length - 18));
        assert_eq!(handed_out(&url(240)).unwrap().len(), 240);
        assert_eq!(handed_out(&format!("{}/", url(240))).unwrap().len(), 240, "the slash goes");
        assert!(of(&url(241), public).unwrap_err().contains("at most 240 characters"));
        assert!(of(&url(241), plain).is_ok());
    }
}
