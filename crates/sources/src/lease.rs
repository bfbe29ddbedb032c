//! Who reads a source, of many nodes that could.
//!
//! Invariant: a lease that is not renewed ends after [`LEASE_MS`], and then another node reads.
//! Not here: where leases are kept.

use std::fmt::Debug;
use std::pin::Pin;
use std::time::Duration;

/// How long a lease lasts, milliseconds: another node takes over within ten seconds.
pub const LEASE_MS: i64 = 8_000;
/// The same.
pub(crate) const LEASE: Duration = Duration::from_millis(LEASE_MS as u64);
/// How often it is renewed, and asked for by those who do not have it.
pub(crate) const RENEWAL: Duration = Duration::from_secs(2);

/// An answer of a [`Lease`], while it is worked out.
pub type Leased<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Who may read.
pub trait Lease: Send + Sync + Debug {
    /// Takes or renews the lease of a source for [`LEASE_MS`]. `false` when another has it, or nobody can tell.
    fn take<'a>(&'a self, source: &'a str) -> Leased<'a, bool>;

    /// Gives it back, so that nobody waits for it to expire.
    fn give_back<'a>(&'a self, source: &'a str) -> Leased<'a, ()>;
}
