//! Documents from elsewhere that a call needs: fetched through `egress`, kept for a while, asked for again politely.
//!
//! Invariant: a document is held under its tenant, address and policy, so nobody sees what only another may fetch; no
//! document is larger than its cap.
//! Not here: documents that are part of a definition (`link`).

use super::Outside;
use super::http::USER_AGENT;
use super::veil::Veil;
use openevent_domain::ambient::Millis;
use openevent_domain::tenant::Tenant;
use openevent_egress::{Client, OverLimit, Redirects, Request, Response};
use openevent_flow::{Fault, FaultKind, Resource};
use parking_lot::Mutex;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::sync::Arc;

/// How long a document is used without asking whether it has changed.
const FRESH_MS: i64 = 5 * 60_000;
/// Documents kept at one time.
const KEPT_MAX: usize = 64;
/// Bytes of a document.
pub(crate) const BYTES_MAX: usize = 4 * 1024 * 1024;
/// Levels of a document that is read as JSON.
const DEPTH_MAX: usize = 100;

/// The documents there are.
#[derive(Debug, Default)]
pub(crate) struct Documents(Mutex<HashMap<[u8; 32], Arc<Slot>>>);

type Slot = tokio::sync::Mutex<Option<Document>>;

/// A document, read.
#[derive(Clone, Debug)]
pub(super) struct Document {
    /// What it says.
    pub(super) content: Arc<Value>,
    /// Where it was found in the end.
    pub(super) address: String,
    etag: Option<String>,
    modified: Option<String>,
    fetched_at: Millis,
}

impl Documents {
    fn slot(&self, tenant: &Tenant, resource: &Resource) -> Arc<Slot> {
        let text = json!([tenant.as_str(), resource]).to_string();
        let key: [u8; 32] = Sha256::digest(text.as_bytes()).into();
        let mut slots = self.0.lock();
        if slots.len() >= KEPT_MAX && !slots.contains_key(&key) {
            slots.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        Arc::clone(slots.entry(key).or_default())
    }
}

impl Outside {
    /// A JSON or YAML document.
    pub(super) async fn document(
        &self,
        client: &Client,
        tenant: &Tenant,
        resource: &Resource,
        veil: &mut Veil,
    ) -> Result<Document, Fault> {
        let slot = self.documents.slot(tenant, resource);
        let mut kept = slot.lock().await;
        let now = self.clock.now();
        if let Some(document) = kept.as_ref()
            && (0..FRESH_MS).contains(&(now - document.fetched_at))
        {
            return Ok(document.clone());
        }
        let mut asks = Vec::new();
        if let Some(document) = kept.as_ref() {
            asks.extend(document.etag.clone().map(|etag| ("if-none-match".to_owned(), etag)));
            asks.extend(document.modified.clone().map(|at| ("if-modified-since".to_owned(), at)));
        }
        let response = self.fetch(client, tenant, resource, asks, veil).await?;
        if let Some(document) = kept.as_mut().filter(|_| response.status == 304) {
            document.fetched_at = now;
            return Ok(document.clone());
        }
        if response.status != 200 {
            return Err(unavailable(&resource.uri, response.status));
        }
        let content = read(&response.body).map_err(|reason| {
            Fault::new(
                FaultKind::Configuration,
                format!("the document {} cannot be read: {reason}", resource.uri),
            )
        })?;
        let header = |name: &str| response.header(name).map(str::to_owned);
        let document = Document {
            content: Arc::new(content),
            address: response.url.clone(),
            etag: header("etag"),
            modified: header("last-modified"),
            fetched_at: now,
        };
        *kept = Some(document.clone());
        Ok(document)
    }

    /// The text of something elsewhere.
    pub(crate) async fn text(
        &self,
        client: &Client,
        tenant: &Tenant,
        resource: &Resource,
        veil: &mut Veil,
    ) -> Result<String, Fault> {
        let response = self.fetch(client, tenant, resource, Vec::new(), veil).await?;
        if response.status != 200 {
            return Err(unavailable(&resource.uri, response.status));
        }
        String::from_utf8(response.body.to_vec())
            .map_err(|_| Fault::new(FaultKind::Configuration, format!("{} is not UTF-8 text", resource.uri)))
    }

    async fn fetch(
        &self,
        client: &Client,
        tenant: &Tenant,
        resource: &Resource,
        headers: Vec<(String, String)>,
        veil: &mut Veil,
    ) -> Result<Response, Fault> {
        let mut request = Request::new(::http::Method::GET, resource.uri.clone());
        request.headers = headers;
        request.headers.push(("user-agent".to_owned(), USER_AGENT.to_owned()));
        request.deadline = self.settings.call_deadline;
        request.redirects = Redirects::Follow;
        request.body_over_limit = OverLimit::Fail;
        request.response_bytes_max = Some(BYTES_MAX);
        let sent = self.exchange(client, tenant, request, resource.authentication.clone(), veil).await;
        sent.map(|(response, _)| response)
    }
}

fn unavailable(address: &str, status: u16) -> Fault {
    let detail = format!("the document {address} cannot be had: its host answered with status {status}");
    Fault::new(FaultKind::Communication, detail).with_status(status)
}

/// Reads JSON, or YAML where it is none.
fn read(bytes: &[u8]) -> Result<Value, String> {
    let is_json = bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    if is_json {
        if openevent_domain::json::deeper_than(bytes, DEPTH_MAX) {
            return Err(format!("it nests deeper than {DEPTH_MAX} levels"));
        }
        return serde_json::from_slice(bytes).map_err(|cause| cause.to_string());
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())?;
    openevent_flow::yaml_to_json(text).map_err(|issue| issue.to_string())
}
