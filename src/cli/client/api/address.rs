//! The address of a service, as people write it.
//!
//! Must never quote a refused address, because it could hold a password.

use reqwest::Url;

/// Reads the address of a service. The URL library repairs many URLs that nobody can have meant, and accepts hosts
/// that the HTTP library does not. Both are refused before anything is sent.
///
/// # Errors
/// The fault of the address, in words for people.
pub(in crate::cli) fn read(text: &str) -> Result<Url, &'static str> {
    const EXPECTED: &str = "an http or https URL is expected, such as http://127.0.0.1:8080";
    let text = text.trim();
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err("the URL must not contain spaces, line ends or control characters");
    }
    let has_scheme = ["http://", "https://"]
        .iter()
        .any(|scheme| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)));
    let url = Url::parse(text).ok().filter(|url| has_scheme && !text.contains('\\') && url.has_host());
    let url = url.filter(|url| url.as_str().parse::<hyper::Uri>().is_ok()).ok_or(EXPECTED)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            "the URL must not contain a user name or password. Put an API key into SCRAPEHOOK_API_KEY",
        );
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("the URL must not have a query or a fragment");
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_as_it_is_written_or_refused() {
        for (text, url) in [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080/"),
            (" HTTPS://Hooks.example.com/below/ ", "https://hooks.example.com/below/"),
            ("http://[::1]:8080", "http://[::1]:8080/"),
            ("http://b\u{fc}cher.example", "http://xn--bcher-kva.example/"),
        ] {
            assert_eq!(read(text).map(|url| url.to_string()), Ok(url.to_owned()), "{text}");
        }
        for text in [
            "",
            "nonsense",
            "127.0.0.1:8080",
            "ftp://x",
            "http://",
            "http:/127.0.0.1",
            "http:127.0.0.1",
            "http:\\\\127.0.0.1",
            "http://x\\y",
            "\"http://127.0.0.1\"",
            "http://127.0.0.1:80 80",
            "http://127.0.0.1:80\n80",
            "http://127.0.0.1/a b",
            "http://127.0.0.1\t/",
            "http://a{b}.example",
            "http://127.0.0.1:99999",
            "http://me@x",
            "http://x/?a",
            "http://x/#a",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
