//! Hosts: the names and addresses of this machine, and the form of host names.

use std::net::IpAddr;

/// Whether this is the host of a URL or a `Host` header (without port) that means this machine.
pub fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Longest name and longest label, in characters (RFC 1035).
const NAME: usize = 253;
const LABEL: usize = 63;

/// Whether this can be the name of a host, in ASCII: labels of letters, digits, hyphens and underscores. A dot may end
/// it.
pub fn is_name(host: &str) -> bool {
    let is_of_a_label = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let is_label = |label: &str| {
        (1..=LABEL).contains(&label.len())
            && label.chars().all(is_of_a_label)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    host.len() <= NAME && host.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_labels_of_plain_characters() {
        for host in ["e.com", "e.com.", "a_b.e-f.com", "127.0.0.1", "localhost", "xn--bcher-kva.example"] {
            assert!(is_name(host), "{host}");
        }
        let long = "a".repeat(LABEL);
        assert!(is_name(&long) && !is_name(&format!("{long}a")));
        let most = format!("{long}.{long}.{long}.{}", &long[..61]);
        assert!(most.len() == NAME && is_name(&most) && !is_name(&format!("{most}a")));
        for host in [
            "", ".", "e..com", "e.com..", ".e.com", "e.com,", "e'.com", "*.e.com", "-e.com", "e-.com",
            "$.com",
        ] {
            assert!(!is_name(host), "{host}");
        }
    }

    #[test]
    fn this_machine_has_several_names() {
        for host in ["localhost", "LOCALHOST", "127.0.0.1", "127.1.2.3", "::1", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["localhost.example", "128.0.0.1", "[::2]", "", "127.1"] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
