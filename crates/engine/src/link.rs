//! Linking: what a definition needs from elsewhere is fetched when it is put, and stays with it.
//!
//! Invariant: bounded in documents, bytes, rounds and time; what cannot be had is told with the place that needs it,
//! and changes nothing of what can.
//! Not here: which documents are needed (the interpreter's reader says), storing them.

use crate::actions::veil::Veil;
use crate::actions::{Calls, Outside};
use openevent_domain::tenant::Tenant;
use openevent_flow::{DEFAULT_CATALOG, Definition, Documents, Issue, IssueKind, Missing, Parsed, Resource};
use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

/// Documents of one definition.
const DOCUMENTS_MAX: usize = 64;
/// Bytes of all of them.
const BYTES_MAX: usize = 4 * 1024 * 1024;
/// How often what was fetched may need more.
const ROUNDS_MAX: usize = 8;
/// Time for all of it.
const TIME_MAX: Duration = Duration::from_secs(20);
/// Where a catalog has its functions.
const FUNCTIONS: &str = "/functions/";
/// A function's file below its name and version.
const FUNCTION: &str = "function.yaml";

/// A definition with everything it needs.
#[derive(Debug)]
pub struct Linked {
    /// The definition.
    pub definition: Definition,
    /// What it was linked with.
    pub documents: Documents,
    /// Whether everything it needs from elsewhere is there.
    pub is_complete: bool,
    /// What this server does not offer, or could not get: such a task faults when it is reached.
    pub unsupported: Vec<Issue>,
}

/// What is left to fetch.
struct Budget {
    documents: usize,
    bytes: usize,
}

impl Outside {
    /// Reads a definition and fetches what it needs, again and again until all of it is there.
    /// `known` is what it was linked with before; functions of the folder are read anew.
    pub(crate) async fn link(
        &self,
        tenant: &Tenant,
        source: &str,
        known: Documents,
    ) -> Result<Linked, Vec<Issue>> {
        let mut documents = known;
        documents.retain(|address, _| !address.starts_with(DEFAULT_CATALOG));
        let mut refused: Vec<Issue> = Vec::new();
        let mut parsed = Definition::parse_with(source, &documents)?;
        if !parsed.missing.is_empty() {
            let fetching = self.fetch_all(tenant, source, &mut parsed, &mut documents, &mut refused);
            // What there is by then is kept; the rest is told as missing below.
            let ended = tokio::time::timeout(TIME_MAX, fetching).await;
            if let Ok(Err(issues)) = ended {
                return Err(issues);
            }
            if ended.is_err() {
                parsed = Definition::parse_with(source, &documents)?;
            }
        }
        let Parsed { definition, warnings, missing } = parsed;
        let told: HashSet<String> = refused.iter().map(|issue| issue.path.clone()).collect();
        let late = missing.iter().filter(|one| !told.contains(&one.path));
        let late: Vec<Issue> = late.map(|one| issue(one, "it did not come in time")).collect();
        let processes =
            definition.processes().iter().filter(|issue| !self.settings.processes.offers(issue)).cloned();
        let is_complete = refused.is_empty() && late.is_empty();
        let unsupported = warnings.into_iter().chain(refused).chain(late).chain(processes).collect();
        Ok(Linked { definition, documents, is_complete, unsupported })
    }

    async fn fetch_all(
        &self,
        tenant: &Tenant,
        source: &str,
        parsed: &mut Parsed,
        documents: &mut Documents,
        refused: &mut Vec<Issue>,
    ) -> Result<(), Vec<Issue>> {
        let mut budget = Budget { documents: DOCUMENTS_MAX, bytes: BYTES_MAX };
        let mut tried: HashSet<String> = HashSet::new();
        let secrets = secrets(parsed);
        for _ in 0..ROUNDS_MAX {
            let wanted: Vec<Missing> = std::mem::take(&mut parsed.missing);
            let fresh: Vec<&Missing> =
                wanted.iter().filter(|one| tried.insert(one.resource.uri.clone())).collect();
            let is_done = fresh.is_empty();
            for one in fresh {
                match self.fetch_one(tenant, one, &secrets, &mut budget).await {
                    Ok(text) => drop(documents.insert(one.resource.uri.clone(), text)),
                    Err(reason) => refused.push(issue(one, &reason)),
                }
            }
            if is_done {
                parsed.missing = wanted;
                return Ok(());
            }
            *parsed = Definition::parse_with(source, documents)?;
        }
        Ok(())
    }

    async fn fetch_one(
        &self,
        tenant: &Tenant,
        missing: &Missing,
        secrets: &[String],
        budget: &mut Budget,
    ) -> Result<String, String> {
        if budget.documents == 0 {
            return Err(format!("a definition can have {DOCUMENTS_MAX} documents at most"));
        }
        budget.documents -= 1;
        let text = match in_folder(&missing.resource.uri) {
            Some(function) => self.function(function).await?,
            None => self.elsewhere(tenant, &missing.resource, secrets).await?,
        };
        budget.bytes = budget
            .bytes
            .checked_sub(text.len())
            .ok_or_else(|| format!("a definition's documents can have {BYTES_MAX} bytes at most"))?;
        Ok(text)
    }

    /// A document of another host. The real secrets are put in for what stands for them.
    async fn elsewhere(
        &self,
        tenant: &Tenant,
        resource: &Resource,
        secrets: &[String],
    ) -> Result<String, String> {
        let Calls::Real(client) = &self.calls else { return Err("this server calls nobody".to_owned()) };
        let veil = Veil::of_policy(&self.vault, tenant, resource, secrets).await;
        let mut veil = veil.map_err(|_| "the server cannot read its secrets now".to_owned())?;
        let fetched = self.text(client, tenant, resource, &mut veil).await;
        let concealer = veil.conceal();
        fetched.map_err(|fault| concealer.text(fault.detail.unwrap_or(fault.r#type)))
    }

    /// A function of the folder: `name/version`.
    async fn function(&self, function: &str) -> Result<String, String> {
        let folder = self.settings.functions.as_deref().ok_or("this server has no folder of functions")?;
        let path = below(folder, function).ok_or("this is no name and version of a function")?;
        let read = tokio::fs::read_to_string(&path).await;
        read.map_err(|cause| match cause.kind() {
            std::io::ErrorKind::NotFound => format!("the folder of functions has no {function}/{FUNCTION}"),
            kind => format!("{function}/{FUNCTION} cannot be read: {kind}"),
        })
    }
}

/// Name and version of a function of the catalog `default`.
fn in_folder(address: &str) -> Option<&str> {
    let path = address.strip_prefix(DEFAULT_CATALOG)?.strip_prefix(FUNCTIONS)?;
    path.strip_suffix(FUNCTION)?.strip_suffix('/')
}

/// The names of `use.secrets`.
fn secrets(parsed: &Parsed) -> Vec<String> {
    let names = parsed.definition.document()["use"]["secrets"].as_array();
    names.into_iter().flatten().filter_map(|name| name.as_str().map(str::to_owned)).collect()
}

/// The file of a function, which is never outside the folder.
fn below(folder: &Path, function: &str) -> Option<PathBuf> {
    let relative = Path::new(function);
    let is_plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
    (is_plain && relative.components().count() == 2).then(|| folder.join(relative).join(FUNCTION))
}

fn issue(missing: &Missing, reason: &str) -> Issue {
    Issue {
        line: missing.line,
        column: 1,
        path: missing.path.clone(),
        reason: format!("{} cannot be had: {reason}", missing.resource.uri),
        kind: IssueKind::Unsupported,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_catalogs_addresses_are_of_the_folder() {
        assert_eq!(in_folder("openevent:catalog/functions/log/1.0.0/function.yaml"), Some("log/1.0.0"));
        assert_eq!(in_folder("https://example.com/functions/log/1.0.0/function.yaml"), None);
    }

    #[test]
    fn functions_are_found_in_their_folder_only() {
        let folder = Path::new("/f");
        assert_eq!(below(folder, "log/1.0.0"), Some(PathBuf::from("/f/log/1.0.0/function.yaml")));
        for function in ["../x", "log", "/etc/passwd", "a/../b", "a/b/c", ""] {
            assert_eq!(below(folder, function), None, "{function}");
        }
    }
}
