//! `call: openapi`: an operation of a described service, or of this server itself.
//!
//! Invariant: an operation of this server is answered in-process for the run's tenant; it never leaves by a socket.
//! Not here: reading documents (`documents`, `operation`), writing parameters (`parameters`).

use super::http::{IDEMPOTENCY_KEY, USER_AGENT, add_unless_there, answer};
use super::local::{DOCUMENT, LocalRequest};
use super::operation::{Operation, configuration};
use super::parameters::{Built, build};
use super::veil::Veil;
use super::{Order, Outside};
use openevent_egress::{Client, OverLimit, Redirects, Request, Response};
use openevent_flow::{Fault, FaultKind, OpenApiCall};
use serde_json::Value;

/// JSON where there is a choice.
const ACCEPT: &str = "application/json, */*;q=0.1";
/// Bytes of an answer of this server.
const LOCAL_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Where this server's own operations seem to be.
const LOCAL_HOME: &str = "http://openevent.internal";

impl Outside {
    /// Performs an operation.
    pub(super) async fn openapi(
        &self,
        client: &Client,
        order: &Order,
        call: OpenApiCall,
        veil: &mut Veil,
    ) -> Result<Value, Fault> {
        let OpenApiCall { document, operation_id, parameters, authentication, redirect, output, .. } = call;
        let parameters = match veil.reveal_json(Value::Object(parameters))? {
            Value::Object(parameters) => parameters,
            _ => serde_json::Map::new(),
        };
        if document.uri == DOCUMENT {
            let response = self.local(order, &operation_id, parameters).await?;
            return Ok(answer(output, &response, None, &veil.conceal()));
        }
        let mut resource = document;
        resource.uri = veil.reveal(&resource.uri)?;
        let document = self.document(client, &order.tenant, &resource, veil).await?;
        let operation = Operation::find(&document.content, &operation_id)?;
        let Built { target, headers, body } = build(&operation, parameters)?;
        let method = operation.method.to_ascii_uppercase().parse();
        let method = method.map_err(|_| configuration("the operation's method cannot be sent"))?;
        let mut request = Request::new(method, format!("{}{target}", operation.base(&document.address)?));
        request.headers = headers;
        if let Some((media, bytes)) = body {
            request.headers.push(("content-type".to_owned(), media));
            request.body = bytes.into();
        }
        add_unless_there(&mut request.headers, IDEMPOTENCY_KEY, || order.key());
        add_unless_there(&mut request.headers, "user-agent", || USER_AGENT.to_owned());
        add_unless_there(&mut request.headers, "accept", || ACCEPT.to_owned());
        request.deadline = self.settings.call_deadline;
        request.redirects = if redirect { Redirects::Follow } else { Redirects::Never };
        request.body_over_limit = OverLimit::Fail;
        let (response, authorization) =
            self.exchange(client, &order.tenant, request, authentication, veil).await?;
        Ok(answer(output, &response, authorization, &veil.conceal()))
    }

    /// An operation of this server, in its own process.
    async fn local(
        &self,
        order: &Order,
        id: &str,
        parameters: serde_json::Map<String, Value>,
    ) -> Result<Response, Fault> {
        let deadline = self.settings.call_deadline;
        let mut connected = self.local.subscribe();
        // A run that was taken up again may ask before the face is there.
        let local = tokio::time::timeout(deadline, connected.wait_for(Option::is_some)).await;
        let local = local.ok().and_then(Result::ok).and_then(|local| local.clone());
        let local = local.ok_or_else(|| configuration("this process has no API of its own"))?;
        let document = local.document();
        let operation = Operation::find(&document, id)?;
        let Built { target, mut headers, body } = build(&operation, parameters)?;
        add_unless_there(&mut headers, IDEMPOTENCY_KEY, || order.key());
        headers.push(("accept".to_owned(), "application/json".to_owned()));
        let (media, body) = body.unzip();
        headers.extend(media.map(|media| ("content-type".to_owned(), media)));
        let request = LocalRequest {
            tenant: order.tenant.clone(),
            run: order.run.clone(),
            method: operation.method.to_ascii_uppercase(),
            target: target.clone(),
            headers,
            body: body.unwrap_or_default().into_bytes(),
        };
        let answering = local.call(request, LOCAL_BYTES_MAX);
        let answered = tokio::time::timeout(deadline, answering).await;
        let answered = answered
            .map_err(|_| Fault::new(FaultKind::Timeout, "the operation did not answer in time"))?
            .ok_or_else(|| Fault::new(FaultKind::Communication, "the answer is too large, or has no end"))?;
        Ok(Response {
            status: answered.status,
            headers: answered.headers,
            body: answered.body.into(),
            truncated: false,
            url: format!("{LOCAL_HOME}{target}"),
        })
    }
}
