//! The networks of proxies whose `X-Forwarded-For` scrapehook believes. Must never contain a network that was not
//! configured.

use std::net::IpAddr;

use ipnet::IpNet;

use super::error::ConfigError;
use super::setting::Setting;

/// Addresses and networks.
#[derive(Clone, Debug, Default)]
pub struct Networks(Vec<IpNet>);

impl Networks {
    /// Parses networks such as `10.0.0.0/8`, and single addresses.
    ///
    /// # Errors
    /// The text quotes an entry that is neither.
    pub fn parse(entries: &[&str]) -> Result<Self, String> {
        let network = |text: &&str| {
            let text = text.trim();
            let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
            let network = network.map(canonical);
            network.map_err(|_| format!("`{text}` is neither an address nor a network such as 10.0.0.0/8"))
        };
        entries.iter().map(network).collect::<Result<_, _>>().map(Self)
    }

    pub(super) fn read(setting: Setting<'_>) -> Result<Self, ConfigError> {
        Self::parse(&setting.entries()?).map_err(|error| setting.error(error))
    }

    /// Whether the address is in one of them. An IPv4 address within an IPv6 one counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// Converts a network of IPv4 addresses within IPv6 ones to one of IPv4 addresses.
fn canonical(network: IpNet) -> IpNet {
    let bits = network.prefix_len().checked_sub(96);
    // Only a network of IPv6 addresses has this many bits.
    let inner = bits.and_then(|bits| match network.addr().to_canonical() {
        address @ IpAddr::V4(_) => IpNet::new(address, bits).ok(),
        IpAddr::V6(_) => None,
    });
    inner.unwrap_or(network)
}

#[cfg(test)]
mod tests {
    use super::super::setting::Origin;
    use super::super::value::Value;
    use super::*;

    fn of(value: &Value) -> Result<Networks, String> {
        let setting = Setting { key: "server.trusted_proxies", origin: &Origin::Default, value };
        Networks::read(setting).map_err(|error| error.to_string())
    }

    fn contains(networks: &Networks, address: &str) -> bool {
        networks.contains(address.parse().unwrap())
    }

    #[test]
    fn networks_and_addresses_are_read_from_every_layer() {
        let entries = ["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"];
        let array = entries.map(|entry| Value::String(format!(" {entry} "))).into();
        for value in [
            Value::Variable(entries.join(", ")),
            Value::String(entries.join(",")),
            Value::File(entries.join("\n")),
            Value::Array(array),
        ] {
            let networks = of(&value).unwrap();
            for address in ["10.1.2.3", "192.0.2.7", "2001:db8::1", "::ffff:10.1.2.3"] {
                assert!(contains(&networks, address), "{address}");
            }
            for address in ["11.1.2.3", "192.0.2.8", "2001:db9::1", "::10.1.2.3", "::1"] {
                assert!(!contains(&networks, address), "{address}");
            }
        }
        assert!(!contains(&of(&Value::Variable(String::new())).unwrap(), "127.0.0.1"));
    }

    #[test]
    fn a_network_of_ipv4_addresses_may_be_written_as_ipv6() {
        let networks = Networks::parse(&["::ffff:192.168.0.0/112", "::ffff:0:0/64"]).unwrap();
        assert!(contains(&networks, "192.168.7.7") && contains(&networks, "::ffff:192.168.7.7"));
        assert!(!contains(&networks, "192.169.7.7"), "the other one is of IPv6 addresses");
        assert!(contains(&networks, "::1"));
        let whole = Networks::parse(&["::ffff:0.0.0.0/96"]).unwrap();
        assert!(contains(&whole, "203.0.113.7") && !contains(&whole, "2001:db8::1"));
        let narrow = Networks::parse(&["2001:db8::/112"]).unwrap();
        assert!(contains(&narrow, "2001:db8::1") && !contains(&narrow, "0.0.0.1"));
    }

    #[test]
    fn an_entry_that_is_neither_is_quoted() {
        let said = of(&Value::Variable("10.0.0.0/8, proxy".to_owned())).unwrap_err();
        assert_eq!(
            said,
            "server.trusted_proxies: `proxy` is neither an address nor a network such as 10.0.0.0/8"
        );
        assert!(of(&Value::File("10.0.0.0/8,::1".to_owned())).is_err(), "in a file lines separate");
        assert!(of(&Value::Integer(1)).unwrap_err().contains("a list of strings is expected"));
        assert!(Networks::parse(&["10.0.0.0/33"]).is_err());
    }
}
