//! Hosts: which names and addresses mean this machine.

use std::net::IpAddr;

/// Whether this is the host of a URL or a `Host` header (without port) that means this machine.
pub fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
