//! `call: http`: making the request, and reading the answer as the author asked.
//!
//! Invariant: the request is evaluated once and kept until it is answered, so a restart repeats exactly the same one.
//! Not here: sending it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::data::{assemble, expression};
use super::machine::Machine;
use super::state::{Frame, FrameId, Pending, Request, State};
use crate::command::{Call, HttpCall, HttpOutput};
use crate::definition::Definition;
use crate::jq::Val;
use crate::model::{Endpoint, HttpTask, Kind};
use crate::template::Template;
use crate::{Command, Fault, FaultKind, uri};

/// The call a frame waits for.
pub(super) fn call(def: &Definition, frame: &Frame) -> Option<Call> {
    let task = &def.model.tasks[frame.task as usize];
    let (Kind::Http(http), State::Call { request, body, .. }) = (&task.kind, &frame.state) else {
        return None;
    };
    Some(Call::Http(HttpCall {
        method: request.method.clone(),
        uri: request.uri.clone(),
        headers: request.headers.clone(),
        body: body.as_ref().map(Val::to_json),
        authentication: None,
        redirect: http.redirect,
        output: http.output,
        reference: task.reference.as_str().to_owned(),
    }))
}

impl Machine<'_> {
    pub(super) fn call(&mut self, id: FrameId, http: &HttpTask) -> Result<(), Fault> {
        let Some(frame) = self.frame(id) else { return Ok(()) };
        let request = self.request(frame, http)?;
        let body = self.evaluated(frame, http.body.as_ref())?;
        let op = self.next_op();
        self.body.pending.insert(op, Pending::Call { frame: id });
        self.set_state(id, State::Call { op, request, body });
        if let Some(call) = self.frame(id).and_then(|frame| call(self.def, frame)) {
            self.command(Command::Call { op, call });
        }
        Ok(())
    }

    fn evaluated(&self, frame: &Frame, template: Option<&Template>) -> Result<Option<Val>, Fault> {
        template.map(|template| template.eval(&frame.input, &self.env(frame)).map_err(expression)).transpose()
    }

    fn request(&self, frame: &Frame, http: &HttpTask) -> Result<Request, Fault> {
        let method = http.method.eval(&frame.input, &self.env(frame)).map_err(expression)?;
        let plain =
            |method: &&str| !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_alphabetic());
        let Some(method) = method.as_str().filter(plain) else {
            return Err(Fault::new(FaultKind::Expression, "the method is not an HTTP method"));
        };
        let mut address = self.address(frame, &http.endpoint)?;
        if let Some(query) = self.evaluated(frame, http.query.as_ref())? {
            let wrong = |reason| Fault::new(FaultKind::Expression, reason);
            address = uri::with_query(address, &query).map_err(wrong)?;
        }
        let headers = self.evaluated(frame, http.headers.as_ref())?;
        let headers = headers.map_or(Ok(Vec::new()), |headers| header_list(&headers))?;
        Ok(Request { method: method.to_ascii_uppercase(), uri: address, headers })
    }

    fn address(&self, frame: &Frame, endpoint: &Endpoint) -> Result<String, Fault> {
        let wrong = |reason: String| Fault::new(FaultKind::Expression, reason);
        let address = match endpoint {
            Endpoint::Uri(template) => uri::expand(template, &frame.input).map_err(wrong)?,
            Endpoint::Expr(template) => {
                let val = template.eval(&frame.input, &self.env(frame)).map_err(expression)?;
                let given = val.get("uri").cloned().unwrap_or(val);
                let text = given
                    .as_str()
                    .ok_or_else(|| wrong(format!("the endpoint must be a URI, not {}", given.kind())))?;
                text.to_owned()
            }
        };
        let scheme = address.split("://").next().unwrap_or_default();
        if !uri::is_absolute(&address)
            || !(scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https"))
        {
            let shown: String = address.chars().take(100).collect();
            return Err(Fault::new(
                FaultKind::Configuration,
                format!("'{shown}' is not an http or https address"),
            ));
        }
        Ok(address)
    }

    /// The answer to a call: `{status, headers, body, uri}`.
    pub(super) fn called(&mut self, id: FrameId, answer: &Val) {
        let Some(Kind::Http(http)) = self.kind_of(id) else { return };
        match self.read_answer(id, http, answer) {
            Ok(output) => self.done(id, output),
            Err(fault) => self.fail(id, fault),
        }
    }

    fn read_answer(&self, id: FrameId, http: &HttpTask, answer: &Val) -> Result<Val, Fault> {
        let status = answer.get("status").and_then(Val::as_number).unwrap_or_default();
        let most = if http.redirect { 399.0 } else { 299.0 };
        if !(200.0..=most).contains(&status) {
            let code = if (100.0..=599.0).contains(&status) { status as u16 } else { 500 };
            let detail = format!("the endpoint answered with status {code}");
            return Err(Fault::new(FaultKind::Communication, detail).with_status(code));
        }
        let body = answer.get("body").cloned().unwrap_or_default();
        match http.output {
            HttpOutput::Content => Ok(body),
            HttpOutput::Raw => assemble(|| raw(answer, &body)),
            HttpOutput::Response => self.response(id, answer, status, body),
        }
    }

    fn response(&self, id: FrameId, answer: &Val, status: f64, body: Val) -> Result<Val, Fault> {
        let Some(State::Call { request, .. }) = self.frame(id).map(|frame| &frame.state) else {
            return Ok(Val::Null);
        };
        assemble(|| {
            let sent = request
                .headers
                .iter()
                .map(|(name, value)| (std::sync::Arc::new(name.clone()), Val::str(value.as_str())));
            let asked = Val::record([
                ("method", Val::str(request.method.to_ascii_lowercase())),
                ("uri", answer.get("uri").cloned().unwrap_or_else(|| Val::str(request.uri.as_str()))),
                ("headers", Val::obj(sent.collect())),
            ]);
            Val::record([
                ("request", asked),
                ("statusCode", Val::number(status)),
                ("headers", answer.get("headers").cloned().unwrap_or_else(|| Val::record([]))),
                ("content", body),
            ])
        })
    }
}

/// Headers of an object; text, numbers and booleans.
fn header_list(headers: &Val) -> Result<Vec<(String, String)>, Fault> {
    let wrong = |what: String| Fault::new(FaultKind::Expression, what);
    let Val::Obj(headers) = headers else {
        return Err(wrong(format!("headers must be an object, not {}", headers.kind())));
    };
    let present = headers.members().iter().filter(|(_, val)| !matches!(val, Val::Null));
    let header = |(name, val): (&std::sync::Arc<String>, &Val)| {
        let value = uri::scalar(val)
            .ok_or_else(|| wrong(format!("the header '{name}' must be text, not {}", val.kind())))?;
        Ok((name.as_str().to_owned(), value))
    };
    present.map(header).collect()
}

/// The content in base64: as the driver gives it, or of the text or JSON it gives.
fn raw(answer: &Val, body: &Val) -> Val {
    if let Some(given) = answer.get("raw") {
        return given.clone();
    }
    match body {
        Val::Null => Val::str(""),
        Val::Str(text) => Val::str(STANDARD.encode(text.as_bytes())),
        other => Val::str(STANDARD.encode(other.to_string())),
    }
}
