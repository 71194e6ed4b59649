//! Resolves the names of receivers and passes on the allowed addresses alone, so the connection goes to an address that
//! was checked.
//!
//! Must never see the name of a proxy. The HTTP client does not ask it about hosts that are addresses.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use thiserror::Error;

/// The result of a lookup that is under way.
pub type Looking = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;
/// Finds the addresses of a name.
pub type Lookup = Arc<dyn Fn(String) -> Looking + Send + Sync>;

/// All addresses of the name are private.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the name leads to a private address")]
pub struct PrivateAddress;

/// A resolver that knows allowed addresses alone.
pub struct Resolver {
    /// Finds all addresses.
    pub lookup: Lookup,
    /// Whether an address is allowed.
    pub is_allowed: fn(IpAddr) -> bool,
}

/// Looks a name up as the system does.
pub fn system() -> Lookup {
    Arc::new(|name| Box::pin(async move { Ok(tokio::net::lookup_host((name.as_str(), 0)).await?.collect()) }))
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let looking = (self.lookup)(name.as_str().to_owned());
        let is_allowed = self.is_allowed;
        Box::pin(async move {
            let mut found = looking.await?;
            if found.is_empty() {
                return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address").into());
            }
            found.retain(|address| is_allowed(address.ip()));
            if found.is_empty() {
                return Err(PrivateAddress.into());
            }
            let allowed: Addrs = Box::new(found.into_iter());
            Ok(allowed)
        })
    }
}
