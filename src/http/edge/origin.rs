//! Where a request comes from, by the headers that browsers and proxies set.

use axum::http::{HeaderMap, HeaderValue, Uri, header};

use crate::domain::host::is_loopback;
use crate::http::edge::problem::{Code, Problem};

/// Headers that proxies and tunnels add. A client behind one is not on this machine.
const FORWARDING: [&str; 2] = ["via", "cdn-loop"];
/// Beginnings of the names of more such headers.
const FORWARDING_PREFIXES: [&str; 4] = ["cf-", "fly-", "x-azure-", "x-vercel-"];
/// Words in the names of more such headers. Each product has different names for the same few things.
const FORWARDING_WORDS: [&str; 7] =
    ["forwarded", "client-ip", "clientip", "connecting-ip", "real-ip", "original-host", "external-address"];

/// A page in the user's browser can reach loopback, but its requests have a foreign `Host` or `Origin`. A proxy can
/// reach loopback as well and may name this machine as the `Host`, but it adds headers.
pub(super) fn check_same_machine(target: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
    let foreign = |detail: String| Err(Problem::new(Code::CrossSite, detail));
    // An absolute target also names the host, and wins over the header.
    if target.host().is_some_and(|host| !is_loopback(host)) {
        return foreign(
            "The request's target must name this machine: localhost or a loopback address.".to_owned(),
        );
    }
    let mut hosts = headers.get_all(header::HOST).iter().map(|host| host.to_str().unwrap_or_default());
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) if is_loopback(without_port(host)) => host,
        _ => {
            return foreign(
                "The Host header must name this machine: localhost or a loopback address.".to_owned(),
            );
        }
    };
    if let Some(name) = headers.keys().find(|name| is_forwarding(name.as_str())) {
        return foreign(format!(
            "The header `{name}` shows that a proxy passed this request on. Set auth.api_keys, and send a key."
        ));
    }
    let is_own = |origin: &HeaderValue| {
        origin.to_str().is_ok_and(|origin| origin.strip_prefix("http://") == Some(host))
    };
    if headers.get_all(header::ORIGIN).iter().all(is_own) {
        Ok(())
    } else {
        foreign("The Origin header names another site. Without API keys, it must name this one.".to_owned())
    }
}

/// Checks that a page of this service sent the request, as far as browsers say it. A browser sends the cookie of a
/// session whatever page asks for it, so a cookie alone proves nothing.
pub(super) fn check_same_site(headers: &HeaderMap) -> Result<(), Problem> {
    let is_same = match (headers.get("sec-fetch-site"), headers.get(header::ORIGIN)) {
        (Some(site), _) => site == "same-origin",
        // Browsers leave the first one out if the page came over plain HTTP. The scheme says nothing behind a proxy.
        (None, Some(origin)) => {
            let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
            let origin = origin.to_str().ok().and_then(|origin| Some(origin.split_once("://")?.1));
            origin.is_some() && origin == host
        }
        (None, None) => false,
    };
    if is_same {
        Ok(())
    } else {
        let detail =
            "With a session, only pages of this service may change anything. Programs send an API key.";
        Err(Problem::new(Code::CrossSite, detail))
    }
}

/// Whether proxies add this header. The name is in lower case.
fn is_forwarding(name: &str) -> bool {
    let name = name.replace('_', "-");
    FORWARDING.contains(&name.as_str())
        || FORWARDING_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || FORWARDING_WORDS.iter().any(|word| name.contains(word))
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;

    use super::*;

    fn is_let_in(headers: &[(&str, &str)]) -> bool {
        is_let_in_at("/v1/status", headers)
    }

    fn is_let_in_at(target: &str, headers: &[(&str, &str)]) -> bool {
        let header = |(name, value): &(&str, &str)| {
            (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
        };
        let mut map = HeaderMap::new();
        for (name, value) in headers.iter().map(header) {
            map.append(name, value);
        }
        check_same_machine(&target.parse().unwrap(), &map).is_ok()
    }

    #[test]
    fn only_a_loopback_host_is_let_in() {
        for host in ["localhost", "LOCALHOST:8080", "127.0.0.1", "127.9.9.9:1", "[::1]", "[::1]:8080"] {
            assert!(is_let_in(&[("host", host)]), "{host}");
        }
        for host in ["", "example.com", "localhost.example.com", "10.0.0.1:8080", "::1:x", "127.0.0.1:8080x"]
        {
            assert!(!is_let_in(&[("host", host)]), "{host}");
        }
        assert!(!is_let_in(&[]));
        assert!(!is_let_in(&[("host", "localhost"), ("host", "localhost")]));
        assert!(!is_let_in(&[("host", "localhost"), ("host", "example.com")]));
    }

    #[test]
    fn a_target_that_names_another_host_is_not_let_in() {
        let host = ("host", "localhost");
        for target in ["http://localhost/v1/status", "http://127.0.0.1:8080/v1/status", "http://[::1]:1/"] {
            assert!(is_let_in_at(target, &[host]), "{target}");
            assert!(!is_let_in_at(target, &[("host", "evil.example")]), "{target}");
        }
        for target in ["http://evil.example/v1/status", "http://localhost@evil.example/", "evil.example:80"] {
            assert!(!is_let_in_at(target, &[host]), "{target}");
        }
    }

    #[test]
    fn only_the_own_origin_is_let_in() {
        let host = ("host", "localhost:8080");
        assert!(is_let_in(&[host, ("origin", "http://localhost:8080")]));
        for origin in ["null", "", "https://localhost:8080", "http://localhost", "http://evil.example"] {
            assert!(!is_let_in(&[host, ("origin", origin)]), "{origin}");
        }
        let twice = [host, ("origin", "http://localhost:8080"), ("origin", "http://evil.example")];
        assert!(!is_let_in(&twice));
    }

    #[test]
    fn a_request_that_was_passed_on_is_not_let_in() {
        for name in [
            "Forwarded",
            "Via",
            "X-Real-IP",
            "X-Forwarded-For",
            "X-Forwarded-Host",
            "X-Forwarded-Proto",
            "X-Forwarded-Port",
            "X-Forwarded-Anything",
            "CF-Connecting-IP",
            "CF-Ray",
            "True-Client-IP",
            "CDN-Loop",
            "X-Original-Forwarded-For",
            "X-Client-IP",
            "Fastly-Client-IP",
            "X-Cluster-Client-IP",
            "X-Envoy-External-Address",
            "Fly-Client-IP",
            "Fly-Region",
            "X-Vercel-Forwarded-For",
            "X-Azure-ClientIP",
            "Client-IP",
            "Proxy-Client-IP",
            "WL-Proxy-Client-IP",
            "Do-Connecting-IP",
            "X-Original-Host",
            "X_Forwarded_For",
        ] {
            for value in ["127.0.0.1", ""] {
                assert!(!is_let_in(&[("host", "localhost"), (name, value)]), "{name}: {value}");
            }
        }
        for name in ["X-Requested-With", "User-Agent", "X-Forward", "Cookie"] {
            assert!(is_let_in(&[("host", "localhost"), (name, "x")]), "{name}");
        }
    }

    #[test]
    fn only_own_pages_change_anything_with_a_session() {
        let is_own = |headers: &[(&str, &str)]| {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
            }
            check_same_site(&map).is_ok()
        };
        let host = ("host", "scrapes.example:8443");
        assert!(is_own(&[
            host,
            ("sec-fetch-site", "same-origin"),
            ("origin", "https://scrapes.example:8443")
        ]));
        for origin in ["https://scrapes.example:8443", "http://scrapes.example:8443"] {
            assert!(is_own(&[host, ("origin", origin)]), "{origin}");
        }
        for site in ["cross-site", "same-site", "none", ""] {
            let own = ("origin", "https://scrapes.example:8443");
            assert!(!is_own(&[host, ("sec-fetch-site", site), own]), "{site}");
        }
        for origin in ["null", "", "https://scrapes.example", "https://evil.example", "scrapes.example:8443"]
        {
            assert!(!is_own(&[host, ("origin", origin)]), "{origin}");
        }
        assert!(!is_own(&[host]));
        assert!(!is_own(&[("origin", "https://scrapes.example:8443")]));
    }
}
