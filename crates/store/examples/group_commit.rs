//! How many one-signal sets a second the store takes, by callers in flight: for profiling the writer alone.
//! Usage: `cargo run --release -p openevent-store --example group_commit [file or postgres URL] [seconds]`.
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a small tool that reports to a terminal"
)]

use openevent_domain::ambient::Chance;
use openevent_domain::id::SignalId;
use openevent_domain::signal::Attributes;
use openevent_domain::tenant::Tenant;
use openevent_store::{Location, NewSignal, Options, Owner, Store, WriteSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

#[derive(Debug)]
struct Counter(AtomicU64);

impl Chance for Counter {
    fn fill(&self, bytes: &mut [u8]) {
        let count = self.0.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        bytes.fill(0);
        bytes[..8].copy_from_slice(&count);
    }
}

#[tokio::main]
async fn main() -> Result<(), openevent_store::Error> {
    let mut args = std::env::args().skip(1);
    let place = args.next().unwrap_or_else(|| "group-commit.db".to_owned());
    let seconds = args.next().and_then(|text| text.parse().ok()).unwrap_or(3);
    let location =
        if place.starts_with("postgres") { Location::Server(place) } else { Location::File(place.into()) };
    let store = Arc::new(Store::open(Options { location, group_max: None }, 0, &Owner::default()).await?);
    let chance = Arc::new(Counter(AtomicU64::new(std::process::id().into())));
    for callers in [1, 64, 256] {
        let done = Arc::new(AtomicU64::new(0));
        let until = Instant::now() + Duration::from_secs(seconds);
        let tasks: Vec<_> = (0..callers)
            .map(|_| tokio::spawn(submit(Arc::clone(&store), Arc::clone(&chance), Arc::clone(&done), until)))
            .collect();
        for task in tasks {
            let _ = task.await;
        }
        println!("{callers:>4} callers: {:>7} sets/s", done.load(Ordering::Relaxed) / seconds);
    }
    Ok(())
}

async fn submit(store: Arc<Store>, chance: Arc<Counter>, done: Arc<AtomicU64>, until: Instant) {
    let tenant = Tenant::trusted("prj_0.live".to_owned());
    while Instant::now() < until {
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |at| at.as_millis() as i64);
        let signal = NewSignal {
            id: SignalId::mint(now, chance.as_ref()),
            tenant: tenant.clone(),
            name: "order.created".to_owned(),
            payload: r#"{"orderId":"order_456","customerId":"customer_789","totalAmount":50.0}"#.to_owned(),
            attributes: Attributes::default(),
            received_at: now,
            replay_of: None,
            triggers: Vec::new(),
        };
        let mut set = WriteSet::new();
        set.add_signal(Arc::new(signal));
        if store.submit(set).await.is_ok() {
            done.fetch_add(1, Ordering::Relaxed);
        }
    }
}
