//! Platforms: their hosts, the hosts that show the same pages, and the parameters that never name a post.

use super::shape::Shape;

/// A platform whose URLs upstream takes together in one request.
#[derive(Debug)]
pub(super) struct KnownPlatform {
    /// The name that clients see.
    pub(super) name: &'static str,
    /// The platform has these hosts and all hosts below them.
    pub(super) domains: &'static [&'static str],
    /// Hosts that show the same pages, such as `www.` and mobile ones. The first one of a line represents the others.
    pub(super) hosts: &'static [&'static str],
    /// Parameters that never name a post on this platform, in addition to those of all platforms.
    pub(super) ignores: &'static str,
    pub(super) shapes: &'static [Shape],
}

impl KnownPlatform {
    /// The host that represents this one.
    pub(super) fn first_host<'h>(&self, host: &'h str) -> &'h str {
        let mut same = self.hosts.iter().filter(|hosts| hosts.split(' ').any(|name| name == host));
        same.next().and_then(|hosts| hosts.split(' ').next()).unwrap_or(host)
    }

    /// Whether a parameter of this name never names a post.
    pub(super) fn ignores(&self, parameter: &str) -> bool {
        self.ignores.split(' ').any(|name| name == parameter)
    }
}

/// Whether `host` is `domain` or lies below it. `notyoutube.com` does not lie below `youtube.com`.
pub(super) fn is_under(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use crate::domain::url::known::{KNOWN, platform_of};

    #[test]
    fn a_host_belongs_to_the_domain_that_it_lies_below() {
        for host in ["youtube.com", "www.youtube.com", "studio.youtube.com", "youtu.be"] {
            assert_eq!(platform_of(host).map(|platform| platform.name), Some("youtube"), "{host}");
        }
        for host in ["notyoutube.com", "youtube.com.evil.example", "com", "", "netflix.com", "youtube"] {
            assert!(platform_of(host).is_none(), "{host}");
        }
    }

    #[test]
    fn one_host_stands_for_its_mobile_ones() {
        let youtube = platform_of("youtube.com").unwrap();
        for host in ["www.youtube.com", "youtube.com", "m.youtube.com"] {
            assert_eq!(youtube.first_host(host), "www.youtube.com");
        }
        assert_eq!(youtube.first_host("www.youtu.be"), "youtu.be");
        assert_eq!(youtube.first_host("studio.youtube.com"), "studio.youtube.com");
        assert!(youtube.ignores("feature") && youtube.ignores("pp") && !youtube.ignores("list"));
        assert!(!platform_of("vimeo.com").unwrap().ignores("feature"));
    }

    #[test]
    fn the_table_contradicts_itself_nowhere() {
        let mut seen = std::collections::BTreeSet::new();
        for platform in KNOWN {
            assert!(seen.insert(platform.name), "{} is there twice", platform.name);
            for host in platform.hosts.iter().flat_map(|hosts| hosts.split(' ')) {
                assert!(seen.insert(host), "{host} is there twice");
                assert_eq!(platform_of(host).map(|platform| platform.name), Some(platform.name), "{host}");
            }
            for spelling in platform.shapes.iter().flat_map(|shape| shape.spellings.split_whitespace()) {
                let host = spelling.split('/').next().unwrap();
                assert_eq!(platform.first_host(host), host, "{spelling} is never looked at");
                assert_eq!(platform_of(host).map(|platform| platform.name), Some(platform.name), "{host}");
            }
        }
    }
}
