//! From a host name to addresses.
//!
//! Invariant: one lookup per connection; its answer is what gets checked and connected to.
//! Not here: caching (connections are reused instead) and the policy.

use std::{
    io,
    net::{IpAddr, ToSocketAddrs},
    pin::Pin,
    sync::Arc,
};

use tokio::sync::Semaphore;

/// The answer to a lookup, in the order to be tried.
pub type Addresses = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Looks names up. Tests bring their own, to play a name server that lies.
pub trait Resolve: Send + Sync + 'static {
    /// The addresses of `host`, which is a name and never an address literal.
    fn resolve(&self, host: &str) -> Addresses;
}

/// The system's resolver (`getaddrinfo`: hosts file, search domains, name servers).
///
/// A lookup cannot be interrupted, so its place among `lookups_max` is given back when it ends, not when the
/// request that wanted it gives up: names that never answer cannot fill the thread pool.
#[derive(Debug, Clone)]
pub struct SystemResolver {
    slots: Arc<Semaphore>,
}

impl SystemResolver {
    /// At most `lookups_max` lookups at once, at least one.
    pub fn new(lookups_max: usize) -> Self {
        Self { slots: Arc::new(Semaphore::new(lookups_max.clamp(1, Semaphore::MAX_PERMITS))) }
    }
}

impl Resolve for SystemResolver {
    fn resolve(&self, host: &str) -> Addresses {
        let slots = Arc::clone(&self.slots);
        let host = host.to_owned();
        Box::pin(async move {
            let slot = slots.acquire_owned().await.map_err(io::Error::other)?;
            let lookup = move || {
                let _until_done = slot;
                (host.as_str(), 0).to_socket_addrs().map(|found| found.map(|address| address.ip()).collect())
            };
            tokio::task::spawn_blocking(lookup).await.map_err(io::Error::other)?
        })
    }
}
