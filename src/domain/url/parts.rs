//! The parts of a URL as they are written, and the form that keeps all parts that could name a post.
//!
//! Must never decode or reorder, because two spellings that differ in one escape can be two posts.

use percent_encoding::percent_decode_str;
use url::Url;

use super::characters::starts_with_ignoring_case;
use super::invalid::InvalidUrl;
use crate::domain::host::is_name;

/// A URL of `http` or `https`, split. Only the host is brought into one form.
#[derive(Debug)]
pub(super) struct Parts<'a> {
    pub(super) is_https: bool,
    /// In lower case, and in ASCII (IDNA).
    pub(super) host: String,
    /// None for the scheme's default.
    pub(super) port: Option<u16>,
    pub(super) path: &'a str,
    pub(super) query: Option<&'a str>,
    /// None if it is only a place or a time within a post.
    pub(super) fragment: Option<&'a str>,
}

impl<'a> Parts<'a> {
    /// Splits the part after the scheme.
    pub(super) fn split(is_https: bool, rest: &'a str) -> Result<Self, InvalidUrl> {
        let (rest, fragment) = cut(rest, '#');
        let (rest, query) = cut(rest, '?');
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (host, port) = read_authority(is_https, authority)?;
        let fragment = fragment.filter(|fragment| names_a_post(fragment));
        Ok(Self { is_https, host, port, path, query, fragment })
    }

    /// The host without a dot at its end.
    pub(super) fn dotless_host(&self) -> &str {
        self.host.strip_suffix('.').unwrap_or(&self.host)
    }

    /// The path without a slash at its end. Keeps several slashes.
    pub(super) fn slashless_path(&self) -> &'a str {
        match self.path.strip_suffix('/') {
            Some(rest) if !rest.ends_with('/') => rest,
            _ => self.path,
        }
    }

    /// All parts that could name a post, under this host. `ignores` is true for parameters that never do.
    pub(super) fn keep_all(&self, host: &str, ignores: impl Fn(&str) -> bool) -> String {
        let (scheme, port) = match self.port {
            // On another port, one of the two may be another server, or none.
            Some(port) if !self.is_https => ("http", format!(":{port}")),
            Some(port) => ("https", format!(":{port}")),
            None => ("https", String::new()),
        };
        let path = match self.slashless_path() {
            "" => "/",
            path => path,
        };
        let mut kept = format!("{scheme}://{host}{port}{path}");
        if let Some(query) = self.kept_query(ignores) {
            kept.push('?');
            kept.push_str(&query);
        }
        if let Some(fragment) = self.fragment {
            kept.push('#');
            kept.push_str(fragment);
        }
        kept
    }

    fn kept_query(&self, ignores: impl Fn(&str) -> bool) -> Option<String> {
        let query = self.query?;
        // If nothing is before it, a part that looks like a share may be the only name of the post.
        let is_named = !self.slashless_path().is_empty();
        let is_ignored = |name: &str| is_campaign(name) || (is_named && (is_share(name) || ignores(name)));
        let kept: Vec<_> =
            query.split('&').filter(|pair| !is_ignored(pair.split('=').next().unwrap_or_default())).collect();
        (!kept.is_empty()).then(|| kept.join("&"))
    }
}

/// A text before the first of these characters, and after it if it is there.
fn cut(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at).map_or((text, None), |(before, after)| (before, Some(after)))
}

/// The host in its one form, and the port unless it is the scheme's default.
///
/// Refuses a host that other programs could read as another one, such as one with an escape, a full-width letter, or
/// the address `0x7f.1`.
fn read_authority(is_https: bool, authority: &str) -> Result<(String, Option<u16>), InvalidUrl> {
    if authority.contains('@') {
        return Err(InvalidUrl::Credentials);
    }
    let unusual = || InvalidUrl::Host(authority.to_owned());
    let scheme = if is_https { "https" } else { "http" };
    let url = Url::parse(&format!("{scheme}://{authority}/")).map_err(|_| unusual())?;
    let host = url.host_str().ok_or_else(unusual)?;
    let (name, port) = match authority.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (authority, None),
    };
    let is_port = |text: &str| text.parse::<u16>().is_ok_and(|port| port != 0 && port.to_string() == text);
    let is_address = host.starts_with('[') && name.eq_ignore_ascii_case(host);
    if !(is_address || (is_name(host) && is_read_alike(name, host))) || !port.is_none_or(is_port) {
        return Err(unusual());
    }
    let dotless = host.strip_suffix('.').unwrap_or(host);
    // A bare name is a typing error, and could be taken for the name of a platform.
    if !dotless.contains(['.', ':']) {
        return Err(InvalidUrl::BareHost(host.to_owned()));
    }
    Ok((host.to_owned(), url.port()))
}

/// Whether everybody reads this name as that host: each label is the same, or is written in another script.
fn is_read_alike(name: &str, host: &str) -> bool {
    let is_same = |(written, read): (&str, &str)| match written.is_ascii() {
        true => written.eq_ignore_ascii_case(read),
        false => read.starts_with("xn--"),
    };
    name.split('.').count() == host.split('.').count() && name.split('.').zip(host.split('.')).all(is_same)
}

/// Whether a fragment can name a post, as it does on pages that route by it. A plain anchor is a word.
fn names_a_post(fragment: &str) -> bool {
    let is_of_a_time = |c: char| c.is_ascii_digit() || matches!(c, 'h' | 'm' | 's' | ':' | '.' | ',');
    let is_time = fragment.strip_prefix("t=").is_some_and(|time| time.chars().all(is_of_a_time));
    // A text that was escaped twice is still escaped.
    let decoded = percent_decode_str(fragment).decode_utf8_lossy();
    let is_number = !decoded.is_empty() && decoded.chars().all(|c| c.is_ascii_digit() || c == '-');
    !is_time && (is_number || decoded.starts_with(['!', '@']) || decoded.contains(['/', '=', '%']))
}

/// Parameters that name a campaign, on any site.
fn is_campaign(name: &str) -> bool {
    starts_with_ignoring_case(name, "utm_") || name.eq_ignore_ascii_case("fbclid")
}

/// Parameters that tell how somebody came to a post, on any site.
fn is_share(name: &str) -> bool {
    matches!(name, "si" | "igsh" | "mibextid" | "share" | "spm_id_from" | "vd_source")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(rest: &str) -> Parts<'_> {
        Parts::split(true, rest).expect(rest)
    }

    fn kept(is_https: bool, rest: &str) -> String {
        let parts = Parts::split(is_https, rest).expect(rest);
        parts.keep_all(&parts.host, |name| name == "mine")
    }

    #[test]
    fn the_parts_are_as_they_are_written() {
        let parts = split("E.com:8443/A%2f/b?c=%FF&d#/e?f");
        assert_eq!((&*parts.host, parts.port), ("e.com", Some(8443)));
        assert_eq!(parts.path, "/A%2f/b");
        assert_eq!((parts.query, parts.fragment), (Some("c=%FF&d"), Some("/e?f")));
        let parts = split("e.com?a/b");
        assert_eq!((parts.path, parts.query), ("", Some("a/b")));
        assert_eq!(split("e.com#/a?b").query, None);
        assert_eq!((split("e.com:443/").port, split("e.com:80/").port), (None, Some(80)));
        assert_eq!(Parts::split(false, "e.com:80/").unwrap().port, None);
    }

    #[test]
    fn a_host_has_one_form() {
        for (rest, host) in [
            ("WWW.E.com", "www.e.com"),
            ("e.com./a", "e.com."),
            ("bücher.example", "xn--bcher-kva.example"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("127.0.0.1:80/a", "127.0.0.1"),
            ("[::1]/a", "[::1]"),
            ("[::1]:8443/a", "[::1]"),
        ] {
            assert_eq!(split(rest).host, host, "{rest}");
        }
        assert_eq!(split("e.com.").dotless_host(), "e.com");
        assert_eq!(split("e.com").dotless_host(), "e.com");
    }

    #[test]
    fn a_host_that_others_could_read_differently_is_refused() {
        for (rest, host) in [
            ("0x7f.1/a", "0x7f.1"),
            ("127.1", "127.1"),
            ("%65.com/a", "%65.com"),
            ("ｅ.com", "ｅ.com"),
            ("e。com", "e。com"),
            ("ｅ.bücher.example", "ｅ.bücher.example"),
            ("bücher。example", "bücher。example"),
            ("e.com,", "e.com,"),
            ("e.com&a", "e.com&a"),
            ("*.e.com", "*.e.com"),
            ("-e.com", "-e.com"),
            ("e.com:0", "e.com:0"),
            ("e.com:/a", "e.com:"),
            ("e.com:0443", "e.com:0443"),
            ("e.com:99999", "e.com:99999"),
            ("e.com:x", "e.com:x"),
            ("", ""),
            ("/a", ""),
            (":80/a", ":80"),
            ("..", ".."),
            ("e..com", "e..com"),
            ("e.com../a", "e.com.."),
            (".e.com", ".e.com"),
            ("[::1", "[::1"),
            ("[0:0:0:0:0:0:0:1]", "[0:0:0:0:0:0:0:1]"),
        ] {
            assert_eq!(Parts::split(true, rest).unwrap_err(), InvalidUrl::Host(host.to_owned()), "{rest}");
        }
        for (rest, host) in [("localhost/a", "localhost"), ("localhost:80", "localhost"), ("com.", "com.")] {
            assert_eq!(Parts::split(true, rest).unwrap_err(), InvalidUrl::BareHost(host.to_owned()));
        }
        for rest in ["user:secret@e.com/", "user@e.com", "@e.com"] {
            assert_eq!(Parts::split(true, rest).unwrap_err(), InvalidUrl::Credentials);
        }
        assert_eq!(split("e.com/@user").path, "/@user");
    }

    #[test]
    fn a_fragment_that_may_name_a_post_is_kept() {
        for fragment in ["/watch?v=a", "!v=a", "!", "a=b", "a/b", "t=", "t=x", "t=30&v=a", "xt=30", "t=1/2"] {
            let expected = Some(fragment).filter(|fragment| *fragment != "t=");
            assert_eq!(split(&format!("e.com/#{fragment}")).fragment, expected, "{fragment}");
        }
        for fragment in [
            "%2Fa", "%2fa", "id%3D1", "id%3d1", "%21v", "%252Fa", "@ann", "%40ann", "76979871", "%37",
            "-1001", "t%3D30",
        ] {
            assert_eq!(split(&format!("e.com/#{fragment}")).fragment, Some(fragment));
        }
        for fragment in
            ["", "%C3%A9t%C3%A9", "a@b", "part-1", "1a", "top", "t=30", "t=1h2m3s", "t=1:02.5,7", "a!"]
        {
            assert_eq!(split(&format!("e.com/#{fragment}")).fragment, None, "{fragment}");
        }
    }

    #[test]
    fn one_slash_at_the_end_is_no_matter() {
        for (rest, path) in [
            ("e.com", ""),
            ("e.com/", ""),
            ("e.com/a", "/a"),
            ("e.com/a/", "/a"),
            ("e.com/a//", "/a//"),
            ("e.com//", "//"),
        ] {
            assert_eq!(split(rest).slashless_path(), path, "{rest}");
        }
    }

    #[test]
    fn all_that_could_name_a_post_is_kept_as_it_is_written() {
        for (is_https, rest, expected) in [
            (true, "e.com", "https://e.com/"),
            (false, "e.com/a/", "https://e.com/a"),
            (false, "e.com:8080/a", "http://e.com:8080/a"),
            (true, "e.com:8080/a", "https://e.com:8080/a"),
            (true, "e.com/a?b=%ff&a=1#c", "https://e.com/a?b=%ff&a=1"),
            (true, "e.com/a?#/x", "https://e.com/a?#/x"),
            (true, "e.com/a?utm_source=x&fbclid=y", "https://e.com/a"),
            (true, "e.com/a?UTM_Source=x&Fbclid=y&SI=1&ut", "https://e.com/a?SI=1&ut"),
            (true, "e.com/a?x=1&utm_source=x&y", "https://e.com/a?x=1&y"),
            (true, "e.com/a?si=1&igsh=1&mibextid=1&share&spm_id_from=1&vd_source=1&mine", "https://e.com/a"),
            (true, "e.com/?share=1", "https://e.com/?share=1"),
            (true, "e.com?mine=1&utm_x", "https://e.com/?mine=1"),
            (true, "e.com/?utm_source=1", "https://e.com/"),
            (true, "e.com/a?xsi=1&xutm_=1", "https://e.com/a?xsi=1&xutm_=1"),
        ] {
            assert_eq!(kept(is_https, rest), expected, "{rest}");
        }
    }
}
