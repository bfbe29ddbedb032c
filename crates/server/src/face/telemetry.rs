//! What is measured about requests, and the text Prometheus reads.
//!
//! Invariant: labels are route patterns, methods and statuses, never paths or ids, so their number is bounded.
//! A request costs one read lock and two atomic updates.
//! Not here: what other rooms measure; they use the same recorder.

use http::Method;
use metrics::{Counter, Histogram, Label};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use parking_lot::RwLock;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Bounds of the latency histogram, seconds.
const BUCKETS: [f64; 13] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];
/// The label of requests that matched no route.
pub(crate) const NO_ROUTE: &str = "none";

static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();

/// The process's recorder, installed on first use.
pub fn recorder() -> &'static PrometheusHandle {
    RECORDER.get_or_init(|| {
        let matcher = Matcher::Suffix("_seconds".to_owned());
        let builder = PrometheusBuilder::new();
        let builder = match builder.set_buckets_for_metric(matcher, &BUCKETS) {
            Ok(builder) => builder,
            // Only an empty list of bounds is refused.
            Err(_) => PrometheusBuilder::new(),
        };
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        // Somebody else's recorder is as good: then ours stays empty.
        let _ = metrics::set_global_recorder(recorder);
        describe();
        handle
    })
}

fn describe() {
    metrics::describe_counter!(
        "openevent_http_requests_total",
        "Requests answered, by route, method and status"
    );
    metrics::describe_histogram!(
        "openevent_http_request_duration_seconds",
        "Time to answer, by route and method"
    );
    metrics::describe_counter!("openevent_http_rate_limited_total", "Requests refused with 429");
}

type Series = HashMap<(Method, u16), (Counter, Histogram)>;

/// The series of every route seen so far.
#[derive(Debug, Default)]
pub struct RequestMeters {
    routes: RwLock<HashMap<Arc<str>, Arc<RwLock<SeriesBox>>>>,
    limited: OnceLock<Counter>,
}

#[derive(Default)]
struct SeriesBox(Series);

impl std::fmt::Debug for SeriesBox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} series", self.0.len())
    }
}

impl RequestMeters {
    /// Counts an answered request.
    pub fn answered(&self, route: &str, method: &Method, status: u16, took: Duration) {
        let series = self.route(route);
        let key = (known_method(method), status);
        if let Some((count, time)) = series.read().0.get(&key) {
            count.increment(1);
            time.record(took.as_secs_f64());
            return;
        }
        let (count, time) = make(route, &key.0, status);
        count.increment(1);
        time.record(took.as_secs_f64());
        series.write().0.insert(key, (count, time));
    }

    /// Counts a request refused with 429.
    pub fn limited(&self) {
        self.limited.get_or_init(|| metrics::counter!("openevent_http_rate_limited_total")).increment(1);
    }

    fn route(&self, route: &str) -> Arc<RwLock<SeriesBox>> {
        if let Some(series) = self.routes.read().get(route) {
            return Arc::clone(series);
        }
        Arc::clone(self.routes.write().entry(Arc::from(route)).or_default())
    }
}

/// Methods people make up share one label.
fn known_method(method: &Method) -> Method {
    let known = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::HEAD,
        Method::OPTIONS,
    ];
    if known.contains(method) { method.clone() } else { Method::TRACE }
}

fn make(route: &str, method: &Method, status: u16) -> (Counter, Histogram) {
    let labels = || vec![Label::new("route", route.to_owned()), Label::new("method", method.to_string())];
    let mut counted = labels();
    counted.push(Label::new("status", status.to_string()));
    let count = metrics::counter!("openevent_http_requests_total", counted);
    (count, metrics::histogram!("openevent_http_request_duration_seconds", labels()))
}
