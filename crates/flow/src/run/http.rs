//! `call: http` and `call: openapi`: making the request, and reading the answer as the author asked.
//!
//! Invariant: the request is evaluated once and kept until it is answered, so a restart repeats exactly the same one.
//! Not here: sending it, policies and addresses (`resolve`).

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::data::{assemble, expression};
use super::machine::Machine;
use super::state::{Asked, Frame, FrameId, Pending, Request, State};
use crate::command::{Authentication, Call, HttpCall, HttpOutput, OpenApiCall, Resource};
use crate::definition::Definition;
use crate::jq::Val;
use crate::model::{HttpTask, Kind, Located, OpenApiTask, Policy};
use crate::resolve::Place;
use crate::template::Template;
use crate::{Command, Fault, FaultKind, uri};

/// What a frame waits for the answer of.
pub(super) fn command(def: &Definition, frame: &Frame, op: u64) -> Option<Command> {
    let task = &def.model.tasks[frame.task as usize];
    let call = match (&task.kind, &frame.state) {
        (Kind::Http(http), State::Call { request, body, authentication, .. }) => Call::Http(HttpCall {
            method: request.method.clone(),
            uri: request.uri.clone(),
            headers: request.headers.clone(),
            body: body.as_ref().map(Val::to_json),
            authentication: authentication.as_deref().cloned(),
            redirect: http.redirect,
            output: http.output,
            reference: task.reference.as_str().to_owned(),
        }),
        (_, State::Asked { asked, .. }) => match asked.as_ref() {
            Asked::OpenApi(call) => Call::OpenApi(call.clone()),
            Asked::Process(call) => Call::Process(call.clone()),
            Asked::Child(child) => return Some(Command::Child { op, child: child.clone() }),
        },
        _ => return None,
    };
    Some(Command::Call { op, call })
}

impl Machine<'_> {
    pub(super) fn call(&mut self, id: FrameId, http: &HttpTask) -> Result<(), Fault> {
        let Some(frame) = self.frame(id) else { return Ok(()) };
        let request = self.request(frame, http)?;
        let body = self.evaluated(frame, http.body.as_ref())?;
        let authentication = self.authentication(frame, http.endpoint.policy.as_deref())?.map(Box::new);
        let op = self.next_op();
        self.ask(id, op, State::Call { op, request, body, authentication });
        Ok(())
    }

    pub(super) fn call_described(&mut self, id: FrameId, call: &OpenApiTask) -> Result<(), Fault> {
        let Some(frame) = self.frame(id) else { return Ok(()) };
        let parameters = match self.evaluated(frame, call.parameters.as_ref())?.map(|val| val.to_json()) {
            None => serde_json::Map::new(),
            Some(Value::Object(parameters)) => parameters,
            Some(_) => return Err(Fault::new(FaultKind::Expression, "the parameters must be an object")),
        };
        let asked = OpenApiCall {
            document: self.resource(frame, &call.document)?,
            operation_id: self.text(frame, &call.operation)?,
            parameters,
            authentication: self.authentication(frame, call.policy.as_deref())?,
            redirect: call.redirect,
            output: call.output,
            reference: self.task_of(frame).reference.as_str().to_owned(),
        };
        self.ask_for(id, Asked::OpenApi(asked));
        Ok(())
    }

    pub(super) fn ask_for(&mut self, id: FrameId, asked: Asked) {
        let op = self.next_op();
        self.ask(id, op, State::Asked { op, asked: Box::new(asked) });
    }

    fn ask(&mut self, id: FrameId, op: u64, state: State) {
        self.body.open(op, Pending::Call { frame: id });
        self.set_state(id, state);
        if let Some(command) = self.frame(id).and_then(|frame| command(self.def, frame, op)) {
            self.command(command);
        }
    }

    pub(super) fn evaluated(&self, frame: &Frame, template: Option<&Template>) -> Result<Option<Val>, Fault> {
        template.map(|template| template.eval(&frame.input, &self.env(frame)).map_err(expression)).transpose()
    }

    /// The text a template gives; numbers and booleans are written out.
    pub(super) fn text(&self, frame: &Frame, template: &Template) -> Result<String, Fault> {
        Place { input: &frame.input, scope: &self.env(frame) }.text(template)
    }

    /// Something elsewhere, with its policy.
    pub(super) fn resource(&self, frame: &Frame, located: &Located) -> Result<Resource, Fault> {
        Place { input: &frame.input, scope: &self.env(frame) }.resource(located)
    }

    fn authentication(
        &self,
        frame: &Frame,
        policy: Option<&Policy>,
    ) -> Result<Option<Authentication>, Fault> {
        Place { input: &frame.input, scope: &self.env(frame) }.authentication(policy)
    }

    fn request(&self, frame: &Frame, http: &HttpTask) -> Result<Request, Fault> {
        let method = http.method.eval(&frame.input, &self.env(frame)).map_err(expression)?;
        let plain =
            |method: &&str| !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_alphabetic());
        let Some(method) = method.as_str().filter(plain) else {
            return Err(Fault::new(FaultKind::Expression, "the method is not an HTTP method"));
        };
        let place = Place { input: &frame.input, scope: &self.env(frame) };
        let mut address = place.address(&http.endpoint.uri)?;
        if let Some(query) = self.evaluated(frame, http.query.as_ref())? {
            let wrong = |reason| Fault::new(FaultKind::Expression, reason);
            address = uri::with_query(address, &query).map_err(wrong)?;
        }
        let headers = self.evaluated(frame, http.headers.as_ref())?;
        let headers = headers.map_or(Ok(Vec::new()), |headers| header_list(&headers))?;
        Ok(Request { method: method.to_ascii_uppercase(), uri: address, headers })
    }

    /// The answer to whatever a task asked for.
    pub(super) fn called(&mut self, id: FrameId, answer: &Val) {
        let read = match self.kind_of(id) {
            Some(Kind::Http(http)) => self.read_answer(id, http.redirect, http.output, answer),
            Some(Kind::OpenApi(call)) => self.read_answer(id, call.redirect, call.output, answer),
            Some(Kind::Process(process)) => self.read_process(id, process, answer),
            Some(Kind::Child(child)) => Ok(self.read_child(id, child, answer)),
            _ => return,
        };
        let is_call = matches!(self.kind_of(id), Some(Kind::Http(_) | Kind::OpenApi(_)));
        match read {
            Ok(output) => {
                if let Some(authorization) = answer.get("authorization").filter(|_| is_call) {
                    self.set_state(id, State::Answered { authorization: authorization.clone() });
                }
                self.done(id, output);
            }
            Err(fault) => self.fail(id, fault),
        }
    }

    /// Reads `{status, headers, body, uri}`.
    fn read_answer(
        &self,
        id: FrameId,
        redirect: bool,
        output: HttpOutput,
        answer: &Val,
    ) -> Result<Val, Fault> {
        let status = answer.get("status").and_then(Val::as_number).unwrap_or_default();
        let most = if redirect { 399.0 } else { 299.0 };
        if !(200.0..=most).contains(&status) {
            let code = if (100.0..=599.0).contains(&status) { status as u16 } else { 500 };
            let detail = format!("the endpoint answered with status {code}");
            return Err(Fault::new(FaultKind::Communication, detail).with_status(code));
        }
        let body = answer.get("body").cloned().unwrap_or_default();
        match output {
            HttpOutput::Content => Ok(body),
            HttpOutput::Raw => assemble(|| raw(answer, &body)),
            HttpOutput::Response => self.response(id, answer, status, body),
        }
    }

    fn response(&self, id: FrameId, answer: &Val, status: f64, body: Val) -> Result<Val, Fault> {
        let request = match self.frame(id).map(|frame| &frame.state) {
            Some(State::Call { request, .. }) => Some(request),
            _ => None, // an operation of a document: only the driver knows what it sent
        };
        let given = |name: &str| answer.get(name).cloned();
        assemble(|| {
            let sent = request.map(|request| {
                let header =
                    |(name, value): &(String, String)| (Arc::new(name.clone()), Val::str(value.as_str()));
                Val::obj(request.headers.iter().map(header).collect())
            });
            let method = request.map(|request| Val::str(request.method.to_ascii_lowercase()));
            let uri = given("uri").or_else(|| request.map(|request| Val::str(request.uri.as_str())));
            let asked = Val::record([
                ("method", method.or_else(|| given("method")).unwrap_or_default()),
                ("uri", uri.unwrap_or_default()),
                ("headers", sent.unwrap_or_else(|| Val::record([]))),
            ]);
            Val::record([
                ("request", asked),
                ("statusCode", Val::number(status)),
                ("headers", given("headers").unwrap_or_else(|| Val::record([]))),
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
    let header = |(name, val): (&Arc<String>, &Val)| {
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
