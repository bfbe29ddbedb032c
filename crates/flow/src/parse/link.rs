//! Parts of a definition that are elsewhere: functions of catalogs or by URL, schemas.
//!
//! Invariant: a document is read once, however often it is named, and what is wrong in it is told where it is named
//! first. Its own names are its own: it does not see the components of the definition. Not here: fetching it.

use std::sync::Arc;

use super::Reader;
use super::walk::At;
use crate::jq::Val;
use crate::link::{self, DEFAULT_CATALOG, Unlinked};
use crate::model::{Endpoint, Kind, Located, TaskId};
use crate::resolve::Place;
use crate::yaml::Node;
use crate::{Issue, Missing, Resource};

/// A document that is elsewhere.
pub(super) enum Linked<'n> {
    Here(&'n Node),
    /// It was not given; so says this.
    Missing(String),
}

impl<'n> Reader<'n> {
    /// A task that calls a function of a catalog, or one named by its URL.
    pub(super) fn linked_function(&mut self, at: &At<'n>, name: &str) -> Option<FunctionOr> {
        let resource = self.function_resource(at, name)?;
        if let Some(id) = self.linked.get(&resource.uri) {
            return Some(FunctionOr::Function(*id));
        }
        let address = resource.uri.clone();
        match self.document_at(at, resource)? {
            Linked::Missing(reason) => Some(FunctionOr::Kind(Kind::Missing(reason))),
            Linked::Here(node) => {
                let id = self.reserve(1);
                self.linked.insert(address.clone(), id);
                self.foreign_task(at, name, &address, node, id);
                Some(FunctionOr::Function(id))
            }
        }
    }

    fn function_resource(&mut self, at: &At<'n>, name: &str) -> Option<Resource> {
        if name.contains("://") {
            return Some(Resource { uri: link::function_at(name), authentication: None });
        }
        let parts = name.rsplit_once('@').and_then(|(function, catalog)| {
            let (name, version) = function.rsplit_once(':')?;
            Some((name, version, catalog))
        });
        let Some((name, version, catalog)) = parts else {
            self.findings.invalid(at, format!("'{name}' is not a function such as log:1.0.0@catalog"));
            return None;
        };
        let plain = |part: &str| {
            !part.is_empty()
                && !part.starts_with('.')
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        };
        if !plain(name) || !plain(version) {
            self.findings.invalid(at, format!("'{name}:{version}' cannot be the name of a function"));
            return None;
        }
        let root = match self.catalogs.get(catalog) {
            Some(located) => located.clone(),
            None if catalog == "default" => {
                let uri = link::function(DEFAULT_CATALOG, name, version);
                return Some(Resource { uri, authentication: None });
            }
            None => {
                self.findings.invalid(at, format!("there is no catalog '{catalog}' in use.catalogs"));
                return None;
            }
        };
        let root = self.fixed_resource(at, &root)?;
        Some(Resource { uri: link::function(&root.uri, name, version), ..root })
    }

    /// The place of a document that is part of the definition: nothing about it may depend on a run.
    fn fixed_resource(&mut self, at: &At<'n>, located: &Located) -> Option<Resource> {
        let is_fixed = matches!(&located.uri, Endpoint::Uri(text) if !text.contains('{'));
        if !is_fixed {
            self.findings.invalid(at, "the address of what is part of the definition may not be computed");
            return None;
        }
        let scope = Unlinked { secrets: &self.secrets };
        match (Place { input: &Val::Null, scope: &scope }).resource(located) {
            Ok(resource) => Some(resource),
            Err(fault) => {
                let reason = fault.detail.unwrap_or_default();
                self.findings.invalid(at, format!("cannot be fetched: {reason}"));
                None
            }
        }
    }

    /// A schema or another document that stands at a fixed place.
    pub(super) fn linked_resource(&mut self, at: &At<'n>) -> Option<Linked<'n>> {
        let located = self.resource(at)?;
        let resource = self.fixed_resource(at, &located)?;
        self.document_at(at, resource)
    }

    fn document_at(&mut self, at: &At<'n>, resource: Resource) -> Option<Linked<'n>> {
        match self.documents.and_then(|documents| documents.get(&resource.uri)) {
            Some(Ok(node)) => {
                self.used.insert(resource.uri);
                Some(Linked::Here(node))
            }
            Some(Err(issue)) => {
                self.findings
                    .invalid(at, format!("the document at '{}' cannot be read: {issue}", resource.uri));
                None
            }
            None => {
                let reason = format!("the document at '{}' could not be had", resource.uri);
                if !self.missing.iter().any(|missing| missing.resource.uri == resource.uri) {
                    let (path, line) = (at.path.clone(), at.place.line);
                    self.missing.push(Missing { resource, path, line });
                }
                Some(Linked::Missing(reason))
            }
        }
    }

    /// Reads a task of another document.
    fn foreign_task(&mut self, at: &At<'n>, name: &str, address: &str, node: &'n Node, id: TaskId) {
        let (missing, processes) = (self.missing.len(), self.processes.len());
        let uses = std::mem::take(&mut self.uses);
        let locals = std::mem::take(&mut self.locals);
        let findings = std::mem::take(&mut self.findings);
        let escaped = name.replace('~', "~0").replace('/', "~1");
        let inside = At { node, place: node.place, path: format!("/use/functions/{escaped}") };
        let task = self.task(name, &inside, &Vec::new());
        self.tasks[id as usize] = task;
        (self.uses, self.locals) = (uses, locals);
        let inner = std::mem::replace(&mut self.findings, findings);
        for issue in inner.issues {
            let reason = format!("in the function at '{address}', {issue}");
            self.findings.issues.push(Issue {
                reason,
                kind: issue.kind,
                line: at.place.line,
                column: at.place.column,
                path: at.path.clone(),
            });
        }
        for missing in &mut self.missing[missing..] {
            (missing.line, missing.path) = (at.place.line, at.path.clone());
        }
        for process in &mut self.processes[processes..] {
            (process.line, process.column) = (at.place.line, at.place.column);
            process.path.clone_from(&at.path);
        }
    }

    pub(super) fn catalogs(&mut self, entries: Vec<(String, At<'n>)>) {
        for (name, at) in entries {
            let Some(fields) = at.map(&mut self.findings) else { continue };
            fields.only(&[&["endpoint"]], &mut self.findings);
            let endpoint = fields.required("endpoint", &mut self.findings).and_then(|at| self.endpoint(&at));
            if let Some(located) = endpoint {
                self.catalogs.insert(name, Arc::new(located));
            }
        }
    }
}

/// A function that is there, or a task in its place.
pub(super) enum FunctionOr {
    Function(TaskId),
    Kind(Kind),
}
