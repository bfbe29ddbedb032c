//! Tasks that direct the flow: do, for, fork, switch, try, raise, wait, set.
//!
//! Invariant: variables a construct introduces are known exactly inside it. Not here: calls and events.

use std::sync::Arc;

use super::task::COMMON;
use super::walk::Fields;
use super::{Names, Reader};
use crate::model::{Case, ForTask, ForkTask, Kind, Then, TryTask};

impl<'n> Reader<'n> {
    pub(super) fn composite(&mut self, fields: &Fields<'n>) -> Option<Kind> {
        fields.only(&[COMMON, &["do"]], &mut self.findings);
        Some(Kind::Do(self.block(&fields.get("do")?)))
    }

    pub(super) fn set(&mut self, fields: &Fields<'n>) -> Option<Kind> {
        fields.only(&[COMMON, &["set"]], &mut self.findings);
        let at = fields.get("set")?;
        if at.as_text().is_some() {
            return self.expr(&at).map(|expr| Kind::Set(crate::template::Template::Expr(expr)));
        }
        let map = at.map(&mut self.findings)?;
        if map.len() == 0 {
            self.findings.invalid(&at, "nothing to set");
        }
        self.template(&at).map(Kind::Set)
    }

    pub(super) fn wait(&mut self, fields: &Fields<'n>) -> Option<Kind> {
        fields.only(&[COMMON, &["wait"]], &mut self.findings);
        self.delay(&fields.get("wait")?).map(Kind::Wait)
    }

    pub(super) fn raise(&mut self, fields: &Fields<'n>) -> Option<Kind> {
        fields.only(&[COMMON, &["raise"]], &mut self.findings);
        let raise = fields.get("raise")?.map(&mut self.findings)?;
        raise.only(&[&["error"]], &mut self.findings);
        let at = raise.required("error", &mut self.findings)?;
        let Some(name) = at.as_text() else {
            return self.error(&at).map(|error| Kind::Raise(Arc::new(error)));
        };
        let known = self.uses.errors.get(name).cloned();
        if known.is_none() {
            self.findings.invalid(&at, format!("there is no error '{name}' in use.errors"));
        }
        known.map(Kind::Raise)
    }

    pub(super) fn switch(&mut self, fields: &Fields<'n>, names: &Names) -> Option<Kind> {
        fields.only(&[COMMON, &["switch"]], &mut self.findings);
        let at = fields.get("switch")?;
        let entries = self.named(&at, "case");
        if entries.is_empty() {
            self.findings.invalid(&at, "needs at least one case");
        }
        let mut cases = Vec::new();
        let mut has_default = false;
        for (_, at) in entries {
            let Some(fields) = at.map(&mut self.findings) else { continue };
            fields.only(&[&["when", "then"]], &mut self.findings);
            if !fields.has("when") && std::mem::replace(&mut has_default, true) {
                self.findings.invalid(&at, "only one case may be without 'when'");
            }
            let then = fields
                .required("then", &mut self.findings)
                .map_or(Then::Continue, |at| self.then(&at, names));
            cases.push(Case { when: fields.get("when").and_then(|at| self.expr(&at)), then });
        }
        Some(Kind::Switch(cases))
    }

    pub(super) fn for_each(&mut self, fields: &Fields<'n>) -> Option<Kind> {
        fields.only(&[COMMON, &["for", "while", "do"]], &mut self.findings);
        let block = fields.required("do", &mut self.findings);
        let config = fields.get("for")?.map(&mut self.findings)?;
        config.only(&[&["each", "in", "at"]], &mut self.findings);
        let item = self.variable(config.get("each").as_ref(), "item");
        let at = self.variable(config.get("at").as_ref(), "index");
        let collection = config.required("in", &mut self.findings).and_then(|at| self.expr(&at));
        let (condition, block) = self.with_locals(&[&item, &at], |reader| {
            let condition = fields.get("while").and_then(|at| reader.expr(&at));
            (condition, block.map(|at| reader.block(&at)))
        });
        Some(Kind::For(Box::new(ForTask { item, at, collection: collection?, condition, block: block? })))
    }

    pub(super) fn fork(&mut self, fields: &Fields<'n>) -> Option<Kind> {
        fields.only(&[COMMON, &["fork"]], &mut self.findings);
        let fork = fields.get("fork")?.map(&mut self.findings)?;
        fork.only(&[&["branches", "compete"]], &mut self.findings);
        let compete = fork.get("compete").and_then(|at| at.boolean(&mut self.findings)).unwrap_or(false);
        let branches = fork.required("branches", &mut self.findings)?;
        Some(Kind::Fork(ForkTask { branches: self.block(&branches), compete }))
    }

    pub(super) fn try_catch(&mut self, fields: &Fields<'n>) -> Option<Kind> {
        fields.only(&[COMMON, &["try", "catch"]], &mut self.findings);
        let block = self.block(&fields.get("try")?);
        let catch = fields.required("catch", &mut self.findings)?.map(&mut self.findings)?;
        catch.only(&[&["errors", "as", "when", "exceptWhen", "retry", "do"]], &mut self.findings);
        let filter = catch.get("errors").and_then(|at| self.error_filter(&at));
        let variable = self.variable(catch.get("as").as_ref(), "error");
        let task = self.with_locals(&[&variable], |reader| TryTask {
            block,
            filter,
            variable: variable.clone(),
            when: catch.get("when").and_then(|at| reader.expr(&at)),
            except_when: catch.get("exceptWhen").and_then(|at| reader.expr(&at)),
            retry: catch.get("retry").and_then(|at| reader.retry_or_name(&at)),
            catch: catch.get("do").map(|at| reader.block(&at)),
        });
        Some(Kind::Try(Box::new(task)))
    }
}
