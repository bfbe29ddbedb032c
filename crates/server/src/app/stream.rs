//! The live stream of signals: server-sent events that resume where they broke off.
//!
//! Invariant: read from the log in its order, from the place the last event id names, so nothing is skipped
//! or sent twice over reconnects; a commit only wakes the reader.
//! Not here: the log.

use crate::app::signals::summary;
use crate::face::problem::Problem;
use crate::state::App;
use bytes::Bytes;
use futures::Stream;
use openevent_domain::id::SignalId;
use openevent_domain::tenant::Tenant;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

/// Signals read at a time.
const PAGE: i64 = 200;
/// Silence after which a comment is sent, so that proxies keep the connection.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long a reader waits after a wake, so that a busy server reads pages and not single rows.
const GATHER: Duration = Duration::from_millis(10);

/// Where a stream begins: after the signal a client saw last, or now.
pub async fn place(app: &App, tenant: &Tenant, last_event_id: Option<&str>) -> Result<i64, Problem> {
    match last_event_id {
        None => Ok(app.store.signals_last().await?),
        Some(text) => {
            let id = SignalId::parse(text)
                .ok_or_else(|| Problem::field("Last-Event-ID", "must be an event id"))?;
            Ok(app.store.signal_place(tenant, &id).await?)
        }
    }
}

/// The stream from a place in the log; `names` cuts it down to a name or a `prefix.*`.
pub fn signals(
    app: Arc<App>,
    tenant: Tenant,
    names: Option<String>,
    from: i64,
) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
    async_stream::stream! {
        let (mut seq, mut stirred, stopping) = (from, app.store.wake().stirred(), app.stopping.clone());
        let _seat = names.as_deref().and_then(|names| app.engine.audience(&tenant, names));
        yield Ok(Bytes::from_static(b": open\nretry: 1000\n\n"));
        loop {
            stirred.mark_unchanged();
            let page = app.store.signals_after(&tenant, seq, PAGE).await.unwrap_or_default();
            let is_full = page.len() as i64 == PAGE;
            for record in page {
                seq = record.seq;
                if names.as_deref().is_none_or(|wanted| names_match(wanted, &record.name)) {
                    yield Ok(Bytes::from(format!("id: {}\nevent: signal\ndata: {}\n\n", record.id, summary(&record))));
                }
            }
            if is_full {
                continue;
            }
            tokio::select! {
                () = stopping.cancelled() => return,
                _ = stirred.changed() => tokio::time::sleep(GATHER).await,
                () = tokio::time::sleep(HEARTBEAT) => yield Ok(Bytes::from_static(b": still here\n\n")),
            }
        }
    }
}

fn names_match(wanted: &str, name: &str) -> bool {
    match wanted.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => wanted == name,
    }
}

#[cfg(test)]
mod tests {
    use super::names_match;

    #[test]
    fn a_star_stands_for_the_rest() {
        assert!(names_match("order.*", "order.created") && names_match("*", "x") && names_match("a", "a"));
        assert!(!names_match("order.*", "orders") && !names_match("a", "ab"));
    }
}
