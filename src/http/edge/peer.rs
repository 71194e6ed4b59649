//! The client of a request: the peer, or the address that a trusted proxy names.

use std::net::{IpAddr, SocketAddr};

use axum::extract::Request;

use crate::config::Networks;

/// The other end of the connection.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) struct Peer(pub(in crate::http) SocketAddr);

/// The address of the client that sent a request.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) struct Client(pub(in crate::http) IpAddr);

/// The client's address, for the log and for limits.
///
/// Reads `X-Forwarded-For` from its end, as far as trusted proxies have written it. Anybody can have written the
/// addresses before that.
pub(in crate::http) fn client(request: &Request, proxies: &Networks) -> Option<Client> {
    let mut client = request.extensions().get::<Peer>()?.0.ip().to_canonical();
    let headers = request.headers().get_all("x-forwarded-for").iter();
    let named: Vec<&str> =
        headers.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).collect();
    for address in named.iter().rev() {
        let Some(address) = proxies.contains(client).then(|| address_in(address.trim())).flatten() else {
            break;
        };
        client = address.to_canonical();
    }
    Some(Client(client))
}

/// Some proxies add the port, and brackets if the address has colons.
fn address_in(text: &str) -> Option<IpAddr> {
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let in_brackets = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    text.parse().ok().or_else(with_port).or_else(in_brackets)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn seen(peer: &str, forwarded: &[&str]) -> String {
        let mut request = Request::builder();
        for value in forwarded {
            request = request.header("x-forwarded-for", *value);
        }
        let mut request = request.body(Body::empty()).unwrap();
        request.extensions_mut().insert(Peer(SocketAddr::new(peer.parse().unwrap(), 1)));
        let proxies = ["10.0.0.0/8", "::1", "127.0.0.1", "::ffff:192.168.0.0/112"];
        let proxies = Networks::parse(&proxies).unwrap();
        client(&request, &proxies).unwrap().0.to_string()
    }

    #[test]
    fn a_stranger_is_not_believed() {
        assert_eq!(seen("203.0.113.7", &["198.51.100.1"]), "203.0.113.7");
    }

    #[test]
    fn proxies_are_believed_up_to_the_first_that_is_none() {
        assert_eq!(seen("127.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(seen("::ffff:127.0.0.1", &["6.6.6.6, 198.51.100.1, 10.1.2.3"]), "198.51.100.1");
        assert_eq!(seen("::1", &["6.6.6.6, 198.51.100.1", "10.1.2.3"]), "198.51.100.1");
        assert_eq!(seen("10.0.0.1", &["10.0.0.2"]), "10.0.0.2");
        assert_eq!(seen("::1", &["[2001:db8::7]:443, [::1], 10.1.2.3:4567"]), "2001:db8::7");
        assert_eq!(
            seen("192.168.7.7", &["198.51.100.1"]),
            "198.51.100.1",
            "its network is written as IPv6 has it"
        );
    }

    #[test]
    fn what_is_no_address_is_nobody() {
        assert_eq!(seen("127.0.0.1", &["unknown"]), "127.0.0.1");
        assert_eq!(seen("127.0.0.1", &["1.2.3.4, nonsense"]), "127.0.0.1");
        assert_eq!(seen("127.0.0.1", &[]), "127.0.0.1");
    }
}
