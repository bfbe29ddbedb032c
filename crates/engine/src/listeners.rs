//! Which runs wait for which signals.
//!
//! Invariant: an index only; whether a signal is wanted is decided by the run.
//! Not here: look-back (see `driver`).

use crate::lifecycle::is_lifecycle;
use openevent_domain::tenant::Tenant;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Waiting runs by tenant and signal name; `None` for any name.
#[derive(Debug, Default)]
pub(crate) struct Listeners {
    by_name: HashMap<(Tenant, Option<String>), BTreeSet<u64>>,
    /// What each run waits for, by operation.
    of_run: HashMap<u64, BTreeMap<u64, Vec<Option<String>>>>,
    /// How many names of lifecycle events are waited for.
    lifecycle_names: usize,
}

impl Listeners {
    /// A run's operation waits for these names.
    pub(crate) fn add(&mut self, tenant: &Tenant, handle: u64, op: u64, names: &[Option<String>]) {
        self.of_run.entry(handle).or_default().insert(op, names.to_vec());
        for name in names {
            let handles = self.by_name.entry((tenant.clone(), name.clone())).or_default();
            if handles.is_empty() && name.as_deref().is_some_and(is_lifecycle) {
                self.lifecycle_names += 1;
            }
            handles.insert(handle);
        }
    }

    /// An operation waits no longer.
    pub(crate) fn abandon(&mut self, tenant: &Tenant, handle: u64, op: u64) {
        let Some(names) = self.of_run.get_mut(&handle).and_then(|ops| ops.remove(&op)) else { return };
        let ops = self.of_run.get(&handle);
        let still =
            |name: &Option<String>| ops.is_some_and(|ops| ops.values().flatten().any(|other| other == name));
        let gone: Vec<_> = names.into_iter().filter(|name| !still(name)).collect();
        self.forget(tenant, handle, gone);
    }

    /// A run has ended.
    pub(crate) fn remove(&mut self, tenant: &Tenant, handle: u64) {
        let names = self.of_run.remove(&handle).unwrap_or_default().into_values().flatten().collect();
        self.forget(tenant, handle, names);
    }

    fn forget(&mut self, tenant: &Tenant, handle: u64, names: Vec<Option<String>>) {
        for name in names {
            let key = (tenant.clone(), name);
            if let Some(handles) = self.by_name.get_mut(&key) {
                handles.remove(&handle);
                if handles.is_empty() {
                    self.lifecycle_names -= usize::from(key.1.as_deref().is_some_and(is_lifecycle));
                    self.by_name.remove(&key);
                }
            }
        }
    }

    /// The runs that may want a signal, oldest first.
    pub(crate) fn of(&self, tenant: &Tenant, name: &str) -> Vec<u64> {
        if self.by_name.is_empty() {
            return Vec::new();
        }
        let get =
            |name: Option<String>| self.by_name.get(&(tenant.clone(), name)).into_iter().flatten().copied();
        // Who waits for anything does not wait for what runs live through.
        let any = (!is_lifecycle(name)).then(|| get(None)).into_iter().flatten();
        let mut handles: Vec<u64> = get(Some(name.to_owned())).chain(any).collect();
        handles.sort_unstable();
        handles.dedup();
        handles
    }

    /// Whether somebody waits for a lifecycle event.
    pub(crate) fn hear_lifecycle(&self) -> bool {
        self.lifecycle_names > 0
    }

    /// Whether nobody waits for anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// What is waited for at all.
    pub(crate) fn wanted(&self) -> Vec<(Tenant, Option<String>)> {
        self.by_name.keys().cloned().collect()
    }

    pub(crate) fn clear(&mut self) {
        self.by_name.clear();
        self.of_run.clear();
        self.lifecycle_names = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_found_by_name_and_by_any_name_once() {
        let tenant = Tenant::trusted("t".into());
        let mut listeners = Listeners::default();
        listeners.add(&tenant, 1, 7, &[Some("a".into()), None]);
        listeners.add(&tenant, 2, 3, &[None]);

        assert_eq!(listeners.of(&tenant, "a"), [1, 2]);
        assert_eq!(listeners.of(&Tenant::trusted("other".into()), "a"), [0_u64; 0]);

        listeners.remove(&tenant, 1);
        assert_eq!(listeners.of(&tenant, "a"), [2]);
    }

    #[test]
    fn an_abandoned_operation_leaves_what_others_of_the_run_wait_for() {
        let tenant = Tenant::trusted("t".into());
        let mut listeners = Listeners::default();
        listeners.add(&tenant, 1, 7, &[Some("a".into()), Some("b".into())]);
        listeners.add(&tenant, 1, 8, &[Some("b".into())]);

        listeners.abandon(&tenant, 1, 7);

        assert_eq!((listeners.of(&tenant, "a"), listeners.of(&tenant, "b")), (vec![], vec![1]));
    }
}
