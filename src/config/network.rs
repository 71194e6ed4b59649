//! Networks whose word on a client's address is taken.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::Deserialize;

/// Addresses and networks, in TOML as a list, in the environment comma-separated.
#[derive(Clone, Debug, Default)]
pub struct Networks(Vec<IpNet>);

impl Networks {
    /// Whether the address is in one of them. An IPv4 address counts as such also in an IPv6 one.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// A network of IPv4 addresses in IPv6 ones is one of IPv4 addresses.
fn canonical(network: IpNet) -> IpNet {
    let bits = network.prefix_len().checked_sub(96);
    let inner = bits.and_then(|bits| match network.addr().to_canonical() {
        address @ IpAddr::V4(_) if network.addr().is_ipv6() => IpNet::new(address, bits).ok(),
        _ => None,
    });
    inner.unwrap_or(network)
}

impl<'de> Deserialize<'de> for Networks {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Text(String),
            List(Vec<String>),
        }
        let list = match Form::deserialize(deserializer)? {
            Form::Text(text) => text.split(',').map(str::to_owned).collect(),
            Form::List(list) => list,
        };
        let networks = list.iter().map(|text| text.trim()).filter(|text| !text.is_empty()).map(|text| {
            let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
            network.map(canonical).map_err(|_| {
                serde::de::Error::custom(format!(
                    "server.trusted_proxies: `{text}` is no address and no network such as 10.0.0.0/8"
                ))
            })
        });
        networks.collect::<Result<_, _>>().map(Self)
    }
}
