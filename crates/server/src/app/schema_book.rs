//! Compiled schemas of catalogued signal names: ingest asks here, and never waits.
//!
//! Invariant: what [`SchemaBook::schema`] answers was in the store at the last refresh or was put by this
//! process since; a schema is compiled once, when its text first appears.
//! Not here: the catalogue itself (see `event_types`), the schemas of workflow inputs (the engine's).

use openevent_domain::tenant::Tenant;
use openevent_flow::Schema;
use openevent_store::{Error, Store};
use parking_lot::RwLock;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;

/// The schemas of every tenant.
#[derive(Debug, Default)]
pub struct SchemaBook {
    shelf: RwLock<Shelf>,
}

type Pages = HashMap<String, Page>;

#[derive(Debug, Default)]
struct Shelf {
    tenants: HashMap<Tenant, Pages>,
    /// Moves with every change of this process, so that a refresh that read before it is not applied after it.
    changes: u64,
}

#[derive(Clone, Debug)]
struct Page {
    document: Value,
    schema: Arc<Schema>,
}

impl SchemaBook {
    /// The schema of a name, if it has one.
    pub fn schema(&self, tenant: &Tenant, name: &str) -> Option<Arc<Schema>> {
        Some(Arc::clone(&self.shelf.read().tenants.get(tenant)?.get(name)?.schema))
    }

    /// Takes a schema that was just put.
    pub fn put(&self, tenant: &Tenant, name: &str, document: Value, schema: Arc<Schema>) {
        let mut shelf = self.shelf.write();
        shelf.changes += 1;
        shelf.tenants.entry(tenant.clone()).or_default().insert(name.to_owned(), Page { document, schema });
    }

    /// Forgets the schema of a name.
    pub fn remove(&self, tenant: &Tenant, name: &str) {
        let mut shelf = self.shelf.write();
        shelf.changes += 1;
        if let Some(pages) = shelf.tenants.get_mut(tenant) {
            pages.remove(name);
        }
    }

    /// Reads what other processes changed. A schema that no longer compiles is left out, and logged.
    pub async fn refresh(&self, store: &Store) -> Result<(), Error> {
        let changes = self.shelf.read().changes;
        let mut fresh: HashMap<Tenant, Pages> = HashMap::new();
        for (tenant, event_type) in store.all_schemas().await? {
            let Some(document) = event_type.schema else { continue };
            if let Some(page) = self.page(&tenant, &event_type.name, document) {
                fresh.entry(tenant).or_default().insert(event_type.name, page);
            }
        }
        let mut shelf = self.shelf.write();
        if shelf.changes == changes {
            shelf.tenants = fresh;
        }
        Ok(())
    }

    fn page(&self, tenant: &Tenant, name: &str, document: Value) -> Option<Page> {
        let known = self.shelf.read().tenants.get(tenant).and_then(|pages| pages.get(name).cloned());
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
