//! `use.extensions`: tasks before and after other tasks.
//!
//! Invariant: which kinds of task are extended is known before any task is read; tasks of extensions are not extended.
//! Not here: running them.

use super::Reader;
use super::walk::Fields;
use crate::model::{Block, Extension};

const KINDS: [&str; 12] =
    ["call", "composite", "emit", "for", "listen", "raise", "run", "set", "switch", "try", "wait", "all"];

/// Extensions whose tasks are not read yet.
pub(super) type Announced<'n> = Vec<Fields<'n>>;

impl<'n> Reader<'n> {
    pub(super) fn extensions(&mut self, fields: &Fields<'n>) -> Announced<'n> {
        let Some(at) = fields.get("extensions") else { return Vec::new() };
        let mut announced = Vec::new();
        for (_, at) in self.named(&at, "extension") {
            let Some(extension) = at.map(&mut self.findings) else { continue };
            extension.only(&[&["extend", "when", "before", "after"]], &mut self.findings);
            let extend = extension.required("extend", &mut self.findings);
            if let Some(kind) = extend.and_then(|at| at.one_of(&KINDS, &mut self.findings)) {
                self.extending.push(kind);
                announced.push(extension);
            }
        }
        announced
    }

    /// Reads their tasks, when everything those may call is known.
    pub(super) fn extension_tasks(&mut self, announced: &Announced<'n>) {
        self.is_extension = true;
        for fields in announced {
            let mut block = |name: &str| fields.get(name).map_or_else(Block::new, |at| self.block(&at));
            let (before, after) = (block("before"), block("after"));
            let when = fields.get("when").and_then(|at| self.expr(&at));
            self.extensions.push(Extension { when, before, after });
        }
        self.is_extension = false;
    }

    /// Those that may apply to a kind of task.
    pub(super) fn extensions_of(&self, group: &str) -> Vec<u32> {
        if self.is_extension {
            return Vec::new();
        }
        let fits = |kind: &str| kind == "all" || kind == group;
        (0..).zip(&self.extending).filter(|(_, kind)| fits(kind)).map(|(position, _)| position).collect()
    }
}
