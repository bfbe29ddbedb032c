//! Every limit of the client by name, with its unit and its default.
//!
//! Invariant: nothing a peer sends can make the client hold more than these numbers say.
//! Not here: the deadline, which belongs to each request.

/// What one [`crate::Client`] allows itself. All of it is per client, not per request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Milliseconds for name lookup, TCP connect and TLS handshake together. Default 10 000.
    pub connect_ms_max: u64,
    /// Bytes of an answer's body; a request may ask for less, never for more. Default 16 MiB.
    pub response_bytes_max: usize,
    /// Bytes of an answer's head (status line and headers together), at least 8 KiB. Default 64 KiB.
    /// The number of headers is limited to 100, which hyper parses without allocating.
    pub response_header_bytes_max: usize,
    /// Redirects followed by one request. Default 10.
    pub redirects_max: usize,
    /// Idle connections kept for one scheme, host and port. Default 128.
    pub idle_connections_per_host_max: usize,
    /// Milliseconds an idle connection is kept. Default 30 000.
    pub idle_ms_max: u64,
    /// Name lookups under way at once; more of them wait. Default 64.
    pub lookups_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect_ms_max: 10_000,
            response_bytes_max: 16 * 1024 * 1024,
            response_header_bytes_max: 64 * 1024,
            redirects_max: 10,
            idle_connections_per_host_max: 128,
            idle_ms_max: 30_000,
            lookups_max: 64,
        }
    }
}
