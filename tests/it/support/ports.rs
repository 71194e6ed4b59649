//! Free ports. Must never hand one out twice, even to two processes of tests.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::ops::Range;
use std::sync::Mutex;

/// Ports for tests: below those that the system hands out automatically.
const PORTS: Range<u16> = 10_000..32_000;
const BLOCK: u16 = 50;

/// Ports that only this process of tests hands out, each once.
struct Ports {
    left: Range<u16>,
    /// On the block's first port, so that other processes see that it is taken. It ends with this process.
    _taken: UdpSocket,
}

impl Ports {
    fn take() -> Self {
        // Each process begins at another block: a service that has just been ended may not have closed its port yet.
        let blocks = PORTS.len() / usize::from(BLOCK);
        let first = std::process::id() as usize;
        let free = (first..first + blocks).find_map(|block| {
            let start = PORTS.start + BLOCK * u16::try_from(block % blocks).unwrap();
            let taken = UdpSocket::bind((Ipv4Addr::LOCALHOST, start)).ok()?;
            Some(Self { left: start..start + BLOCK, _taken: taken })
        });
        free.expect("a block of ports that no other process of tests has")
    }
}

/// An address that stays free until it is bound, also if other processes run tests at the same time.
pub fn free_address() -> SocketAddr {
    static TAKEN: Mutex<Vec<Ports>> = Mutex::new(Vec::new());
    let mut taken = TAKEN.lock().unwrap();
    loop {
        let Some(port) = taken.last_mut().and_then(|ports| ports.left.next()) else {
            taken.push(Ports::take());
            continue;
        };
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        // Another program may listen there.
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

// The sockets tell two takers of one process apart as they do two processes.
#[test]
fn no_port_is_handed_out_twice() {
    let [one, two] = [Ports::take(), Ports::take()];
    assert!(
        one.left.end <= two.left.start || two.left.end <= one.left.start,
        "{:?} {:?}",
        one.left,
        two.left
    );
    let (first, second) = (free_address(), free_address());
    assert!(first != second && !one.left.contains(&first.port()) && !two.left.contains(&first.port()));
}
