//! This server as its own workflows reach it: the same router, without a socket.
//!
//! Invariant: a workflow acts for its run's tenant as a manager of the project does: it reads and writes everything,
//! but makes no keys. It is neither the operator nor counted by rate limits; everything else of a request is as if it
//! had come over the network.
//! Not here: finding operations (the engine reads our own document).

use crate::face::caller::{Credential, Identity};
use crate::face::gate::Insider;
use crate::{api, face};
use axum::Router;
use axum::body::Body;
use http::header::CONTENT_TYPE;
use http_body_util::{BodyExt as _, Limited};
use openevent_domain::id::ProjectId;
use openevent_domain::role::Role;
use openevent_engine::{LocalAnswer, LocalApi, LocalRequest};
use serde_json::Value;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tower::ServiceExt as _;

/// The kind of an answer without an end.
const STREAM: &[u8] = b"text/event-stream";
/// Requests of workflows that are answered at one time.
const REQUESTS_MAX: usize = 256;

/// The router, for those within.
#[derive(Debug)]
pub(crate) struct Local {
    router: Router,
    document: Arc<Value>,
    permits: Semaphore,
}

impl Local {
    pub(crate) fn new(router: Router) -> Self {
        let (_, document) = api::routes().split_for_parts();
        let document = Arc::new(face::openapi::finish(&document));
        Self { router, document, permits: Semaphore::new(REQUESTS_MAX) }
    }

    async fn answer(&self, request: LocalRequest, body_bytes_max: usize) -> Option<LocalAnswer> {
        let _permit = self.permits.acquire().await.ok()?;
        let request = translated(request)?;
        let Ok(response) = self.router.clone().oneshot(request).await;
        let (head, body) = response.into_parts();
        if head.headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(STREAM)) {
            return None;
        }
        let body = Limited::new(body, body_bytes_max).collect().await.ok()?.to_bytes();
        let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value)));
        Some(LocalAnswer { status: head.status.as_u16(), headers: headers.collect(), body: body.to_vec() })
    }
}

/// `None`: the workflow's headers are none.
fn translated(given: LocalRequest) -> Option<http::Request<Body>> {
    let project =
        given.tenant.as_str().rsplit_once('.').map_or(given.tenant.as_str(), |(project, _)| project);
    let identity = Identity {
        project_id: ProjectId::trusted(project.to_owned()),
        tenant: given.tenant,
        scopes: Role::Manager.scopes(),
        is_instance: false,
        credential: Credential::Workflow(given.run),
        name: None,
    };
    let mut request = http::Request::builder().method(given.method.as_str()).uri(given.target);
    for (name, value) in given.headers {
        request = request.header(name, value);
    }
    let mut request = request.body(Body::from(given.body)).ok()?;
    request.extensions_mut().insert(Insider(Arc::new(identity)));
    Some(request)
}

impl LocalApi for Local {
    fn document(&self) -> Arc<Value> {
        Arc::clone(&self.document)
    }

    fn call(
        &self,
        request: LocalRequest,
        body_bytes_max: usize,
    ) -> Pin<Box<dyn Future<Output = Option<LocalAnswer>> + Send + '_>> {
        Box::pin(self.answer(request, body_bytes_max))
    }
}
