//! Compiled schemas of catalogued signal names: ingest asks here, and never waits.
//!
//! Invariant: what [`SchemaBook::schema`] answers was in the store at the last refresh or was put by this
//! process since; a schema is compiled once, when its text first appears. The book changes in the order in
//! which the store did: whoever changes it holds [`SchemaBook::pen`] from before the store's answer on.
//! Not here: the catalogue itself (see `event_types`), the schemas of workflow inputs (the engine's).

use openevent_domain::tenant::Tenant;
use openevent_flow::Schema;
use openevent_store::{Error, Store};
use parking_lot::RwLock;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::MutexGuard;

/// The schemas of every tenant.
#[derive(Debug, Default)]
pub struct SchemaBook {
    tenants: RwLock<HashMap<Tenant, Pages>>,
    pen: tokio::sync::Mutex<()>,
}

/// The right to change the book; there is one.
#[derive(Debug)]
pub struct Pen<'book> {
    book: &'book SchemaBook,
    _held: MutexGuard<'book, ()>,
}

type Pages = HashMap<String, Page>;

#[derive(Clone, Debug)]
struct Page {
    document: Value,
    schema: Arc<Schema>,
}

impl SchemaBook {
    /// The schema of a name, if it has one.
    pub fn schema(&self, tenant: &Tenant, name: &str) -> Option<Arc<Schema>> {
        Some(Arc::clone(&self.tenants.read().get(tenant)?.get(name)?.schema))
    }

    /// Waits for the right to change the book. Take it before the store is written, and keep it until the book
    /// says the same.
    pub async fn pen(&self) -> Pen<'_> {
        Pen { book: self, _held: self.pen.lock().await }
    }

    /// Reads what other processes changed. A schema that no longer compiles is left out, and logged.
    pub async fn refresh(&self, store: &Store) -> Result<(), Error> {
        let _pen = self.pen().await;
        let mut fresh: HashMap<Tenant, Pages> = HashMap::new();
        for (tenant, event_type) in store.all_schemas().await? {
            let Some(document) = event_type.schema else { continue };
            if let Some(page) = self.page(&tenant, &event_type.name, document) {
                fresh.entry(tenant).or_default().insert(event_type.name, page);
            }
        }
        *self.tenants.write() = fresh;
        Ok(())
    }

    fn page(&self, tenant: &Tenant, name: &str, document: Value) -> Option<Page> {
        let known = self.tenants.read().get(tenant).and_then(|pages| pages.get(name).cloned());
        if let Some(page) = known.filter(|page| page.document == document) {
            return Some(page);
        }
        match Schema::compile(&document) {
            Ok(schema) => Some(Page { document, schema: Arc::new(schema) }),
            Err(cause) => {
                tracing::error!(name, cause, "a stored schema does not compile and is not applied");
                None
            }
        }
    }
}

impl Pen<'_> {
    /// Takes a schema that was just put.
    pub fn put(&self, tenant: &Tenant, name: &str, document: Value, schema: Arc<Schema>) {
        let mut tenants = self.book.tenants.write();
        tenants.entry(tenant.clone()).or_default().insert(name.to_owned(), Page { document, schema });
    }

    /// Forgets the schema of a name.
    pub fn remove(&self, tenant: &Tenant, name: &str) {
        if let Some(pages) = self.book.tenants.write().get_mut(tenant) {
            pages.remove(name);
        }
    }
}
