//! The limit of failed sign-ins: ten a minute from one address. Must never read a clock.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const MINUTE: Duration = Duration::from_secs(60);
/// Failures within a minute after which an address must wait.
const MOST_FAILURES: u32 = 10;
/// Addresses that are remembered, for at most a minute each.
const MOST_ADDRESSES: usize = 10_000;

/// Failures of one address.
#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    /// The time of the first one of this minute.
    since: Instant,
}

/// The failed sign-ins of the last minute.
#[derive(Debug, Default)]
pub(in crate::http) struct SignInLimit(Mutex<HashMap<IpAddr, Failures>>);

impl SignInLimit {
    /// Counts a sign-in as failed, until it succeeds. Two at once must not both count as the last one that is allowed.
    ///
    /// # Errors
    /// The time to wait if there were too many failures.
    pub(in crate::http) fn begin(&self, client: IpAddr, now: Instant) -> Result<(), Duration> {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = |failures: &Failures| now.saturating_duration_since(failures.since) >= MINUTE;
        if failures.len() >= MOST_ADDRESSES {
            failures.retain(|_, failures| !is_over(failures));
        }
        if failures.len() >= MOST_ADDRESSES {
            // So many addresses at once are an attack, which ends soonest if nobody can go on.
            return Err(MINUTE);
        }
        let of = failures.entry(whole(client)).or_insert(Failures { count: 0, since: now });
        if is_over(of) {
            *of = Failures { count: 0, since: now };
        }
        if of.count >= MOST_FAILURES {
            return Err(MINUTE.saturating_sub(now.saturating_duration_since(of.since)));
        }
        of.count += 1;
        Ok(())
    }

    /// Takes back the failure that [`begin`](Self::begin) has counted.
    pub(in crate::http) fn succeeded(&self, client: IpAddr) {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(of) = failures.get_mut(&whole(client)) {
            of.count = of.count.saturating_sub(1);
        }
    }
}

/// The address that counts. One IPv6 client usually has a whole network of 64 bits.
fn whole(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        IpAddr::V4(_) => client,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_eleventh_failure_of_a_minute_waits_for_its_end() {
        let (limit, start) = (SignInLimit::default(), Instant::now());
        let client = address("192.0.2.1");
        let at = |seconds| start + Duration::from_secs(seconds);
        for second in 0..10 {
            limit.begin(client, at(second)).unwrap();
        }
        assert_eq!(limit.begin(client, at(15)), Err(Duration::from_secs(45)));
        limit.begin(address("192.0.2.2"), at(15)).unwrap();
        limit.begin(client, at(60)).unwrap();
    }

    #[test]
    fn a_success_is_no_failure() {
        let (limit, now) = (SignInLimit::default(), Instant::now());
        let client = address("192.0.2.1");
        for _ in 0..50 {
            limit.begin(client, now).unwrap();
            limit.succeeded(client);
        }
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_client() {
        let (limit, now) = (SignInLimit::default(), Instant::now());
        for n in 0..10 {
            limit.begin(address(&format!("2001:db8:1:2::{n}")), now).unwrap();
        }
        assert!(limit.begin(address("2001:db8:1:2:3::9"), now).is_err());
        limit.begin(address("2001:db8:1:3::9"), now).unwrap();
    }

    #[test]
    fn the_addresses_of_a_flood_do_not_fill_the_memory() {
        let (limit, start) = (SignInLimit::default(), Instant::now());
        for n in 0..MOST_ADDRESSES as u32 {
            limit.begin(IpAddr::V4(n.into()), start).unwrap();
        }
        assert_eq!(limit.begin(address("192.0.2.1"), start), Err(MINUTE));
        assert_eq!(limit.0.lock().unwrap().len(), MOST_ADDRESSES);
        limit.begin(address("192.0.2.1"), start + MINUTE).unwrap();
        assert_eq!(limit.0.lock().unwrap().len(), 1);
    }
}
