//! The configuration in force, as `doctor --json` shows it.
//!
//! Invariant: a secret shows as `(set)`, or as `***` inside an address, never as itself.
//! Not here: reading it.

use super::{BenchCalls, Config, LogFormat, Temporal};
use openevent_engine::Lifecycle;
use std::collections::BTreeMap;
use std::path::PathBuf;

const SECRET: &str = "(set)";

impl Config {
    /// Every setting that has a value, by its key.
    pub(crate) fn shown(&self) -> BTreeMap<&'static str, String> {
        let always = [
            ("listen", self.listen.to_string()),
            ("data_dir", self.data_dir.display().to_string()),
            ("key_file", self.key_file.display().to_string()),
            ("workflows", self.workflows.display().to_string()),
            ("run_shell", self.processes.shell.to_string()),
            ("run_script", self.processes.script.to_string()),
            ("webhook_retry_schedule", list(self.webhooks.retry_ms.iter().map(|ms| format!("{ms}ms")))),
            ("webhook_timeout", format!("{}ms", self.webhooks.timeout_ms)),
            ("egress_allow", list(self.egress.allow.iter().map(ToString::to_string))),
            ("egress_no_proxy", self.egress.no_proxy.to_string()),
            ("listen_lookback", format!("{}ms", self.listen_lookback_ms)),
            (
                "lifecycle_events",
                match self.lifecycle {
                    Lifecycle::Listened => "listened",
                    Lifecycle::All => "all",
                    Lifecycle::Off => "off",
                }
                .to_owned(),
            ),
            ("retention", self.retention_ms.map_or_else(|| "off".to_owned(), |ms| format!("{ms}ms"))),
            ("session_idle", format!("{}ms", self.session_idle_ms)),
            ("session_lifetime", format!("{}ms", self.session_lifetime_ms)),
            ("drain_timeout", format!("{}ms", self.drain_ms)),
            ("log_format", if self.log_format == LogFormat::Json { "json" } else { "text" }.to_owned()),
            ("bench", self.bench.routes.to_string()),
            (
                "bench_calls",
                if self.bench.calls == BenchCalls::Instant { "instant" } else { "real" }.to_owned(),
            ),
        ];
        let sometimes = [
            ("database_url", self.database_url.as_ref().map(|_| SECRET.to_owned())),
            ("api_token", self.api_token.as_ref().map(|_| SECRET.to_owned())),
            (
                "static_token_rate_per_minute",
                self.static_token_rate_per_minute.map(|calls| calls.to_string()),
            ),
            ("import_bytes_max", self.import_bytes_max.map(|bytes| bytes.to_string())),
            ("address_rate_per_hour", self.address_rate_per_hour.map(|calls| calls.to_string())),
            ("public_intake_per_hour", self.public_intake_per_hour.map(|calls| calls.to_string())),
            ("client_address_header", self.client_address_header.as_ref().map(ToString::to_string)),
            ("public_url", self.public_url.clone()),
            ("egress_proxy", self.egress.proxy.as_ref().map(ToString::to_string)),
            (
                "egress_ca_file",
                self.egress.authorities.as_ref().map(|given| given.path.display().to_string()),
            ),
            ("log", self.log_filter.clone()),
            ("bench_group_max", self.bench.group_max.map(|sets| sets.to_string())),
        ];
        let set = sometimes
            .into_iter()
            .chain(shown_temporal(self.temporal.as_ref()))
            .filter_map(|(key, value)| Some((key, value?)));
        always.into_iter().chain(set).collect()
    }
}

/// What is set of a cluster.
fn shown_temporal(temporal: Option<&Temporal>) -> [(&'static str, Option<String>); 11] {
    let certificate = temporal.and_then(|temporal| temporal.certificate.as_ref());
    [
        ("temporal_address", temporal.map(|temporal| temporal.address.clone())),
        ("temporal_namespace", temporal.map(|temporal| temporal.namespace.clone())),
        ("temporal_task_queue", temporal.map(|temporal| temporal.task_queue.clone())),
        ("temporal_tls", temporal.map(|temporal| temporal.tls.to_string())),
        ("temporal_tls_ca_file", shown(temporal.and_then(|temporal| temporal.authority.as_ref()))),
        ("temporal_tls_server_name", temporal.and_then(|temporal| temporal.server_name.clone())),
        (
            "temporal_tls_cert_file",
            shown(
                temporal
                    .and_then(|temporal| temporal.certificate.as_ref())
                    .map(|(certificate, _)| certificate),
            ),
        ),
        ("temporal_tls_key_file", shown(certificate.map(|(_, key)| key))),
        (
            "temporal_api_key",
            temporal.and_then(|temporal| temporal.api_key.as_ref()).map(|_| SECRET.to_owned()),
        ),
        (
            "temporal_dispatch",
            temporal
                .map(|temporal| if temporal.shards.is_some() { "dispatcher" } else { "direct" }.to_owned()),
        ),
        ("temporal_shards", temporal.and_then(|temporal| temporal.shards).map(|shards| shards.to_string())),
    ]
}

fn shown(path: Option<&PathBuf>) -> Option<String> {
    path.map(|path| path.display().to_string())
}

fn list(values: impl Iterator<Item = String>) -> String {
    values.collect::<Vec<_>>().join(",")
}
