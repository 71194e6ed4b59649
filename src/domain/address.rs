//! Which IP addresses belong to the public internet.
//!
//! Must never resolve a name. An IPv6 address that stands for an IPv4 address is as public as that one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A network as its first address and the length of its prefix.
type Network4 = (Ipv4Addr, u32);
/// The same for IPv6.
type Network6 = (Ipv6Addr, u32);

/// Networks of IPv4 that are not public, after IANA's registry of special-purpose addresses.
const SPECIAL_V4: [Network4; 15] = [
    // This network, with the unspecified address.
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    // Private networks.
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    // Networks of providers behind address translation.
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    // Loopback.
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    // Link-local, with the metadata services of clouds.
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    // Protocol assignments.
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    // Documentation.
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    // Relays of 6to4, which are no longer in use.
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    // Benchmarks.
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    // Multicast.
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    // Reserved, with broadcast.
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// The only part of IPv6 that is assigned to the public internet.
const GLOBAL_V6: Network6 = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// Networks in [`GLOBAL_V6`] that are not public.
const SPECIAL_V6: [Network6; 3] = [
    // Protocol assignments, with benchmarks.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    // Documentation.
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// The beginnings of IPv6 addresses that end with an IPv4 address.
const EMBEDDING: [Network6; 4] = [
    // IPv4-compatible, with the unspecified address and loopback.
    (Ipv6Addr::UNSPECIFIED, 96),
    // IPv4-mapped.
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96),
    // IPv4-translated.
    (Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, 0, 0), 96),
    // NAT64.
    (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96),
];

/// 6to4, where an IPv4 address follows these 16 bits.
const SIX_TO_FOUR: u16 = 0x2002;
/// Teredo, where the server's IPv4 address follows these 32 bits. The client's comes last and is inverted.
const TEREDO: [u16; 2] = [0x2001, 0];

/// Whether the address is one of the public internet, so no address of this machine or of a network around it.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    !SPECIAL_V4.iter().any(|(network, length)| {
        let different = address.to_bits() ^ network.to_bits();
        different.leading_zeros() >= *length
    })
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let is_in = |(network, length): &Network6| {
        let different = address.to_bits() ^ network.to_bits();
        different.leading_zeros() >= *length
    };
    let inside =
        |high: u16, low: u16| is_public_v4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    let [first, second, third, fourth, .., high, low] = address.segments();
    if EMBEDDING.iter().any(is_in) {
        inside(high, low)
    } else if first == SIX_TO_FOUR {
        inside(second, third)
    } else if [first, second] == TEREDO {
        inside(third, fourth) && inside(!high, !low)
    } else {
        is_in(&GLOBAL_V6) && !SPECIAL_V6.iter().any(is_in)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_public_text(text: &str) -> bool {
        is_public(text.parse().expect(text))
    }

    #[test]
    fn addresses_of_the_internet_are_public() {
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.0.3.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "198.51.99.255",
            "198.51.101.0",
            "203.0.112.255",
            "203.0.114.0",
            "223.255.255.255",
            "2001:200::1",
            "2001:4860:4860::8888",
            "2606:4700:4700::1111",
            "2a00:1450:4001:827::200e",
        ] {
            assert!(is_public_text(address), "{address}");
        }
    }

    #[test]
    fn special_addresses_of_ipv4_are_not_public() {
        for address in [
            "0.0.0.0",
            "0.255.255.255",
            "10.0.0.0",
            "10.255.255.255",
            "100.64.0.0",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.0.0",
            "169.254.169.254",
            "172.16.0.0",
            "172.31.255.255",
            "192.0.0.0",
            "192.0.0.255",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.0",
            "192.168.255.255",
            "198.18.0.0",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.0",
            "255.255.255.254",
            "255.255.255.255",
        ] {
            assert!(!is_public_text(address), "{address}");
        }
    }

    #[test]
    fn special_addresses_of_ipv6_are_not_public() {
        for address in [
            "::",
            "::1",
            "100::1",
            "64:ff9b:1::1",
            "1fff::1",
            "2001:2::1",
            "2001:10::1",
            "2001:1ff::1",
            "2001:db8::1",
            "3fff::1",
            "3fff:fff::1",
            "4000::1",
            "5f00::1",
            "fc00::1",
            "fd12:3456:789a::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        ] {
            assert!(!is_public_text(address), "{address}");
        }
    }

    #[test]
    fn an_ipv4_address_inside_decides() {
        for (private, public) in [
            ("::127.0.0.1", "::8.8.8.8"),
            ("::ffff:127.0.0.1", "::ffff:8.8.8.8"),
            ("::ffff:a9fe:a9fe", "::ffff:808:808"),
            ("::ffff:0:10.0.0.1", "::ffff:0:8.8.8.8"),
            ("64:ff9b::192.168.0.1", "64:ff9b::8.8.8.8"),
            // 6to4 of 10.0.0.1, 127.0.0.1, and 8.8.8.8.
            ("2002:a00:1::1", "2002:808:808::1"),
            ("2002:7f00:1::", "2002:808:808::7f00:1"),
            // Teredo of the client 10.0.0.1, then of the server 10.0.0.1, and of 8.8.8.8 for both.
            ("2001:0:808:808::f5ff:fffe", "2001:0:808:808::f7f7:f7f7"),
            ("2001:0:a00:1::f7f7:f7f7", "2001:0:808:808:8000:63bf:f7f7:f7f7"),
        ] {
            assert!(!is_public_text(private), "{private}");
            assert!(is_public_text(public), "{public}");
        }
    }
}
