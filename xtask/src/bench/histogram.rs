//! Latencies in log-linear buckets: 64 per power of two, so a quantile is right within 1.6 %.
//!
//! Invariant: recording allocates nothing and never fails; anything above 2^40 ns counts as that.

use std::time::Duration;

const SUB_BITS: u32 = 6;
const SUB: usize = 1 << SUB_BITS;
const OCTAVES: usize = 35;
const TOP_NS: u64 = 1 << 40;

/// Counts per latency bucket.
#[derive(Debug, Clone)]
pub(crate) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self { buckets: vec![0; SUB * (OCTAVES + 1)], count: 0 }
    }

    pub(crate) fn record(&mut self, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(TOP_NS).min(TOP_NS - 1);
        self.buckets[index(nanos)] += 1;
        self.count += 1;
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The latency below which `share` (0..=1) of the records are, in milliseconds; 0 when empty.
    pub(crate) fn quantile_ms(&self, share: f64) -> f64 {
        let wanted = (self.count as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (at, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return middle(at) / 1e6;
            }
        }
        0.0
    }
}

/// Below 64 ns one bucket per nanosecond; above, the top 7 bits of the value choose the bucket.
fn index(nanos: u64) -> usize {
    if nanos < SUB as u64 {
        return nanos as usize;
    }
    let octave = nanos.ilog2() - SUB_BITS;
    let within = (nanos >> octave) as usize - SUB;
    SUB * (octave as usize + 1) + within
}

fn middle(at: usize) -> f64 {
    if at < SUB {
        return at as f64;
    }
    let octave = at / SUB - 1;
    let width = (1_u64 << octave) as f64;
    (SUB + at % SUB) as f64 * width + width / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bucket_holds_what_it_stands_for() {
        for nanos in [0, 1, 63, 64, 65, 127, 128, 1_000, 999_999, 123_456_789, TOP_NS - 1] {
            let stands_for = middle(index(nanos));
            assert!((stands_for - nanos as f64).abs() <= nanos as f64 * 0.016 + 0.5, "{nanos}: {stands_for}");
        }
    }

    #[test]
    fn quantiles_of_a_ramp() {
        let mut histogram = Histogram::new();
        for micros in 1..=1_000 {
            histogram.record(Duration::from_micros(micros));
        }
        assert_eq!(histogram.count(), 1_000);
        assert!((histogram.quantile_ms(0.5) - 0.5).abs() < 0.01);
        assert!((histogram.quantile_ms(0.99) - 0.99).abs() < 0.02);
    }

    #[test]
    fn absurd_latencies_are_kept_at_the_top() {
        let mut histogram = Histogram::new();
        histogram.record(Duration::from_secs(1_000_000));
        assert!(histogram.quantile_ms(1.0) > 1_000_000.0);
    }
}
