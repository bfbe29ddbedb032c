//! Which workflows there are and which of them listen to a name: the store's rows, compiled, in memory.
//!
//! Invariant: a book is replaced as a whole and never changed, so a signal is matched against one state.
//! The current version of a workflow is the highest one put; only current versions listen.
//! Not here: changing definitions (the server's use cases do, and then call [`Registry::refresh`]).

use crate::lifecycle::is_lifecycle;
use crate::subscriptions::Subscriptions;
use openevent_domain::ambient::Millis;
use openevent_domain::tenant::Tenant;
use openevent_flow::{Definition, Documents};
use openevent_store::workflows::{Origin, WorkflowRecord};
use openevent_store::{Error, Path, Store};
use parking_lot::RwLock;
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering as AtomicOrdering};

/// Definitions kept although no current version uses them, for runs that began with them.
const RETIRED_MAX: usize = 1_000;

/// One version of one workflow, compiled.
#[derive(Debug)]
pub struct Workflow {
    /// `document.namespace`.
    pub namespace: String,
    /// `document.name`.
    pub name: String,
    /// `document.version`.
    pub version: String,
    /// Its definition's hash.
    pub hash: String,
    /// Where it came from.
    pub origin: Origin,
    /// When this version was first put.
    pub created_at: Millis,
    /// When it was last put.
    pub updated_at: Millis,
    /// The text as it was given.
    pub source: String,
    /// The definition, ready to run.
    pub definition: Arc<Definition>,
}

impl Workflow {
    /// Where it is kept.
    pub(crate) fn place(&self, tenant: &Tenant) -> Path {
        Path { tenant: tenant.clone(), namespace: self.namespace.clone(), name: self.name.clone() }
    }

    /// `namespace/name`.
    pub fn path(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}

/// One tenant's workflows.
#[derive(Debug, Default)]
struct Shelf {
    /// By namespace and name; versions from the oldest to the current one.
    workflows: BTreeMap<(String, String), Vec<Arc<Workflow>>>,
    /// Current versions by a name they listen to.
    by_name: HashMap<String, Vec<Arc<Workflow>>>,
    /// Current versions with a filter that names no type.
    by_any: Vec<Arc<Workflow>>,
}

type Book = HashMap<Tenant, Shelf>;

/// The workflows of all tenants. Cheap to ask, from any thread.
#[derive(Debug)]
pub struct Registry {
    store: Arc<Store>,
    webhooks: Subscriptions,
    book: RwLock<Arc<Book>>,
    definitions: RwLock<HashMap<String, Arc<Definition>>>,
    generation: AtomicU64,
    hears_lifecycle: AtomicBool,
    /// The store's stamp at the last refresh; held while one is under way.
    stamp: tokio::sync::Mutex<(i64, Millis)>,
}

impl Registry {
    /// Reads the store.
    pub async fn open(store: Arc<Store>) -> Result<Self, Error> {
        let webhooks = Subscriptions::open(Arc::clone(&store)).await?;
        let registry = Self {
            store,
            webhooks,
            book: RwLock::default(),
            definitions: RwLock::default(),
            generation: AtomicU64::default(),
            hears_lifecycle: AtomicBool::default(),
            stamp: tokio::sync::Mutex::default(),
        };
        registry.refresh().await?;
        Ok(registry)
    }

    /// Reads the store again; what was compiled before is kept.
    pub async fn refresh(&self) -> Result<(), Error> {
        let mut stamp = self.stamp.lock().await;
        self.read(&mut stamp).await
    }

    /// Reads the store again if another process put or removed a workflow. Input-free; call it now and then.
    pub async fn keep_up(&self) -> Result<(), Error> {
        let mut stamp = self.stamp.lock().await;
        if self.store.workflows_stamp().await? == *stamp { Ok(()) } else { self.read(&mut stamp).await }
    }

    async fn read(&self, stamp: &mut (i64, Millis)) -> Result<(), Error> {
        // Before the rows: what changes in between is seen as a change next time.
        let now = self.store.workflows_stamp().await?;
        let mut book = Book::new();
        for record in self.store.all_workflows().await? {
            let Some(definition) = self.compile(&record.definition_hash, &record.source, &record.documents)
            else {
                continue;
            };
            let tenant = record.tenant.clone();
            book.entry(tenant).or_default().add(workflow(record, definition));
        }
        book.values_mut().for_each(Shelf::index);
        let hears = book.values().any(Shelf::hears_lifecycle);
        *self.book.write() = Arc::new(book);
        self.hears_lifecycle.store(hears, AtomicOrdering::Release);
        self.generation.fetch_add(1, AtomicOrdering::Release);
        self.forget_retired();
        *stamp = now;
        Ok(())
    }

    /// Which webhooks want what.
    pub fn webhooks(&self) -> &Subscriptions {
        &self.webhooks
    }

    /// The current version of a workflow, or the one named.
    pub fn workflow(
        &self,
        tenant: &Tenant,
        namespace: &str,
        name: &str,
        version: Option<&str>,
    ) -> Option<Arc<Workflow>> {
        let versions = self.versions(tenant, namespace, name);
        match version {
            None => versions.last().cloned(),
            Some(wanted) => versions.into_iter().find(|workflow| workflow.version == wanted),
        }
    }

    /// All versions of a workflow, the current one last.
    pub fn versions(&self, tenant: &Tenant, namespace: &str, name: &str) -> Vec<Arc<Workflow>> {
        let book = self.book();
        let shelf = book.get(tenant);
        let key = (namespace.to_owned(), name.to_owned());
        shelf.and_then(|shelf| shelf.workflows.get(&key)).cloned().unwrap_or_default()
    }

    /// A number that grows whenever workflows were put or removed.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(AtomicOrdering::Acquire)
    }

    /// The current versions that the clock starts, of every tenant.
    pub(crate) fn scheduled(&self) -> Vec<(Path, Arc<Workflow>)> {
        let book = self.book();
        let current = |(tenant, shelf): (&Tenant, &Shelf)| {
            let newest = shelf.workflows.values().filter_map(|versions| versions.last().cloned());
            let scheduled = newest.filter(|workflow| workflow.definition.schedule().is_some());
            scheduled.map(|workflow| (workflow.place(tenant), workflow)).collect::<Vec<_>>()
        };
        book.iter().flat_map(current).collect()
    }

    /// The current version of every workflow, by namespace and name.
    pub fn current(&self, tenant: &Tenant) -> Vec<Arc<Workflow>> {
        let book = self.book();
        let Some(shelf) = book.get(tenant) else { return Vec::new() };
        shelf.workflows.values().filter_map(|versions| versions.last().cloned()).collect()
    }

    /// Whether any current workflow of any tenant listens to a lifecycle event.
    pub(crate) fn hears_lifecycle(&self) -> bool {
        self.hears_lifecycle.load(AtomicOrdering::Acquire)
    }

    /// The workflows that listen to a name or to any name; only those that name a lifecycle event to it.
    pub fn listeners(&self, tenant: &Tenant, name: &str) -> Vec<Arc<Workflow>> {
        let book = self.book();
        let Some(shelf) = book.get(tenant) else { return Vec::new() };
        let named = |workflow: &&Arc<Workflow>| {
            let trigger = workflow.definition.trigger();
            trigger.is_some_and(|trigger| {
                trigger.filters().iter().any(|filter| filter.event_type() == Some(name))
            })
        };
        let is_lifecycle = is_lifecycle(name);
        let by_any = shelf.by_any.iter().filter(|workflow| !is_lifecycle || named(workflow));
        shelf.by_name.get(name).into_iter().flatten().chain(by_any).cloned().collect()
    }

    /// A definition by its hash, compiled; read from the store when no current workflow uses it.
    pub async fn definition(&self, hash: &str) -> Result<Option<Arc<Definition>>, Error> {
        if let Some(found) = self.definitions.read().get(hash) {
            return Ok(Some(Arc::clone(found)));
        }
        let linked = self.store.definition(hash).await?;
        Ok(linked.and_then(|linked| self.compile(hash, &linked.source, &linked.documents)))
    }

    /// A definition that is in memory already.
    pub(crate) fn known_definition(&self, hash: &str) -> Option<Arc<Definition>> {
        self.definitions.read().get(hash).cloned()
    }

    fn book(&self) -> Arc<Book> {
        Arc::clone(&self.book.read())
    }

    fn compile(&self, hash: &str, source: &str, documents: &Documents) -> Option<Arc<Definition>> {
        if let Some(found) = self.definitions.read().get(hash) {
            return Some(Arc::clone(found));
        }
        match Definition::parse_with(source, documents) {
            Ok(parsed) => {
                let definition = Arc::new(parsed.definition);
                self.definitions.write().insert(hash.to_owned(), Arc::clone(&definition));
                Some(definition)
            }
            Err(issues) => {
                let issue = issues.first().map(ToString::to_string).unwrap_or_default();
                tracing::error!(definition.hash = hash, issue, "a stored definition is no longer read");
                None
            }
        }
    }

    fn forget_retired(&self) {
        let mut definitions = self.definitions.write();
        let book = self.book();
        let current: usize = book.values().flat_map(|shelf| shelf.workflows.values()).map(Vec::len).sum();
        if definitions.len() > current + RETIRED_MAX {
            definitions.retain(|_, definition| Arc::strong_count(definition) > 1);
        }
    }
}

impl Shelf {
    fn add(&mut self, workflow: Workflow) {
        let key = (workflow.namespace.clone(), workflow.name.clone());
        self.workflows.entry(key).or_default().push(Arc::new(workflow));
    }

    fn hears_lifecycle(&self) -> bool {
        let any = self.by_any.iter().filter_map(|workflow| workflow.definition.trigger());
        let mut of_any =
            any.flat_map(openevent_flow::Trigger::filters).filter_map(|filter| filter.event_type());
        self.by_name.keys().any(|name| is_lifecycle(name)) || of_any.any(is_lifecycle)
    }

    fn index(&mut self) {
        for versions in self.workflows.values_mut() {
            versions.sort_by(|a, b| compare_versions(&a.version, &b.version));
            let Some(current) = versions.last() else { continue };
            let Some(trigger) = current.definition.trigger() else { continue };
            let mut names: Vec<&str> =
                trigger.filters().iter().filter_map(|filter| filter.event_type()).collect();
            names.sort_unstable();
            names.dedup();
            if trigger.filters().is_empty()
                || trigger.filters().iter().any(|filter| filter.event_type().is_none())
            {
                self.by_any.push(Arc::clone(current));
            } else {
                for name in names {
                    self.by_name.entry(name.to_owned()).or_default().push(Arc::clone(current));
                }
            }
        }
    }
}

fn workflow(record: WorkflowRecord, definition: Arc<Definition>) -> Workflow {
    Workflow {
        namespace: record.namespace,
        name: record.name,
        version: record.version,
        hash: record.definition_hash,
        origin: record.origin,
        created_at: record.created_at,
        updated_at: record.updated_at,
        source: record.source,
        definition,
    }
}

/// Semantic versioning's precedence: numbers by value, a pre-release before its release, build data ignored.
fn compare_versions(a: &str, b: &str) -> Ordering {
    let split = |text: &str| {
        let text = text.split('+').next().unwrap_or_default().to_owned();
        let (core, pre) = text
            .split_once('-')
            .map_or((text.clone(), None), |(core, pre)| (core.to_owned(), Some(pre.to_owned())));
        let numbers: Vec<u64> = core.split('.').map(|part| part.parse().unwrap_or(0)).collect();
        (numbers, pre)
    };
    let ((a_core, a_pre), (b_core, b_pre)) = (split(a), split(b));
    a_core.cmp(&b_core).then_with(|| match (a_pre, b_pre) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(a), Some(b)) => compare_pre_releases(&a, &b),
    })
}

fn compare_pre_releases(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.split('.'), b.split('.'));
    loop {
        let order = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(a), Some(b)) => match (a.parse::<u64>(), b.parse::<u64>()) {
                (Ok(a), Ok(b)) => a.cmp(&b),
                (Ok(_), Err(_)) => Ordering::Less,
                (Err(_), Ok(_)) => Ordering::Greater,
                (Err(_), Err(_)) => a.cmp(b),
            },
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_follow_semantic_precedence() {
        let mut versions =
            ["1.0.0", "1.0.0-alpha.1", "1.10.0", "1.9.0", "1.0.0-alpha", "1.0.0-beta", "1.0.0-alpha.beta"];
        versions.sort_by(|a, b| compare_versions(a, b));
        assert_eq!(
            versions,
            ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0", "1.9.0", "1.10.0"]
        );
    }
}
