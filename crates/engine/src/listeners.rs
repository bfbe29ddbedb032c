//! Which runs wait for which signals.
//!
//! Invariant: an index only; whether a signal is wanted is decided by the run.
//! Not here: look-back (see `driver`).

use openevent_domain::tenant::Tenant;
use std::collections::{BTreeSet, HashMap};

/// Waiting runs by tenant and signal name; `None` for any name.
#[derive(Debug, Default)]
pub(crate) struct Listeners {
    by_name: HashMap<(Tenant, Option<String>), BTreeSet<u64>>,
    of_run: HashMap<u64, BTreeSet<Option<String>>>,
}

impl Listeners {
    /// A run waits for a name.
    pub(crate) fn add(&mut self, tenant: &Tenant, name: Option<&str>, handle: u64) {
        let name = name.map(str::to_owned);
        self.of_run.entry(handle).or_default().insert(name.clone());
        self.by_name.entry((tenant.clone(), name)).or_default().insert(handle);
    }

    /// A run has ended.
    pub(crate) fn remove(&mut self, tenant: &Tenant, handle: u64) {
        for name in self.of_run.remove(&handle).unwrap_or_default() {
            let key = (tenant.clone(), name);
            if let Some(handles) = self.by_name.get_mut(&key) {
                handles.remove(&handle);
                if handles.is_empty() {
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
        let mut handles: Vec<u64> = get(Some(name.to_owned())).chain(get(None)).collect();
        handles.sort_unstable();
        handles.dedup();
        handles
    }

    /// What is waited for at all.
    pub(crate) fn wanted(&self) -> Vec<(Tenant, Option<String>)> {
        self.by_name.keys().cloned().collect()
    }

    pub(crate) fn clear(&mut self) {
        self.by_name.clear();
        self.of_run.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_found_by_name_and_by_any_name_once() {
        let tenant = Tenant::trusted("t".into());
        let mut listeners = Listeners::default();
        listeners.add(&tenant, Some("a"), 1);
        listeners.add(&tenant, None, 1);
        listeners.add(&tenant, None, 2);
        assert_eq!(listeners.of(&tenant, "a"), [1, 2]);
        assert_eq!(listeners.of(&Tenant::trusted("other".into()), "a"), [0_u64; 0]);
        listeners.remove(&tenant, 1);
        assert_eq!(listeners.of(&tenant, "a"), [2]);
    }
}
