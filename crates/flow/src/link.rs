//! Documents a definition needs from elsewhere: functions of catalogs, schemas.
//!
//! Invariant: they are part of the definition once it is linked, so a run never depends on another host being up,
//! and the definition's hash covers them. Not here: fetching them.

use std::collections::BTreeMap;

use crate::Resource;

/// Texts of documents by their address.
pub type Documents = BTreeMap<String, String>;

/// A document that is needed and was not given.
#[derive(Clone, Debug, PartialEq)]
pub struct Missing {
    /// Where it is.
    pub resource: Resource,
    /// JSON pointer of who needs it.
    pub path: String,
    /// Line of who needs it, from 1.
    pub line: usize,
}
