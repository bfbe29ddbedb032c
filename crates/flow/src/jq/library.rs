//! Functions written in jq, and the steps put into every program.
//!
//! Invariant: each call of a definition and each `,` takes a step, in the library as in the author's own
//! expression. Only the definitions an expression can reach are compiled with it. Not here: Rust functions.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Def, Pattern, Term};
use jaq_core::path::Part;

/// The step of a call, and the dearer one of a recursive call with arguments.
const TICK: &str = "__tick";
const DESCEND: &str = "__descend";

/// Definitions that replace functions of the jq crates; they come before theirs, which use them.
const REPLACED: &str = r#"
def infinite: 1e1000;
def nan: infinite - infinite;
def isnan: . > true and . < "" and . < -infinite;
def sort_by(f): [.[] | [[f], .]] | __sorted_pairs;
def group_by(f): [.[] | [[f], .]] | __grouped_pairs;
"#;

/// Definitions the jq crates lack or do differently.
const ADDED: &str = r#"
def index($i): indices($i) | if . == null then null else .[0] end;
def rindex($i): indices($i) | if . == null then null else .[-1:][0] end;
def in(xs): . as $x | xs | has($x);
def inside(xs): . as $x | xs | contains($x);
def toboolean: if isboolean then . elif . == "true" then true elif . == "false" then false
  else error("cannot parse as boolean") end;
def toarray: if isarray then . else [.] end;
def transpose: if . == [] then [] else [range([.[] | length] | max) as $i | [.[][$i]]] end;
def IN(s): any(s == .; .);
def IN(src; s): any(src == s; .);
def INDEX(s; f): reduce s as $row ({}; .[$row | f | tostring] |= $row);
def INDEX(f): INDEX(.[]; f);
def ascii: [.] | implode;
def leaf_paths: paths(scalars);
def trimstr($x): ltrimstr($x) | rtrimstr($x);
def getpath_or_null($p): try getpath($p) catch null;
def tostream: path(def r: (.[]? | r), .; r) as $p | getpath($p) | reduce path(.[]?) as $q ([$p, .]; [$p + $q]);
def fromstream(f): {x: null, e: false} as $init
  | foreach f as $i ($init;
      if .e then $init end
      | if $i | length == 2
        then setpath(["e"]; $i[0] | length == 0) | setpath(["x"] + $i[0]; $i[1])
        else setpath(["e"]; $i[0] | length == 1) end;
      if .e then .x else empty end);
def truncate_stream(s): . as $n | s | . as $e | if ($e[0] | length) > $n then setpath([0]; $e[0][$n:]) else empty end;
def limit_text($n): .[:$n];
def dateadd(u; n): . + n;
def datesub(u; n): . - n;
def date: todate;
def @json: tojson;
def @csv: [.[] | if isstring then "\"" + gsub("\""; "\"\"") + "\"" elif . == null then "" else tojson end] | join(",");
def @tsv: [.[] | if isstring then gsub("\\\\"; "\\\\") | gsub("\t"; "\\t") | gsub("\n"; "\\n") | gsub("\r"; "\\r")
  elif . == null then "" else tojson end] | join("\t");
"#;

/// Definitions of the jq crates that must not exist in a workflow.
const EXCLUDED: [&str; 6] = ["halt", "halt_error", "infinite", "nan", "isnan", "join"];

/// All definitions in order, each with its steps.
static LIBRARY: LazyLock<Vec<Def<&'static str>>> = LazyLock::new(|| {
    let core = jaq_core::defs().filter(|def| !EXCLUDED.contains(&def.name));
    let std = jaq_std::defs().filter(|def| !EXCLUDED.contains(&def.name));
    let all = core.chain(parse(REPLACED)).chain(std).chain(parse(ADDED));
    all.map(|def| Stepper::default().def(def)).collect()
});

fn parse(source: &'static str) -> Vec<Def<&'static str>> {
    jaq_core::load::parse(source, |parser| parser.defs()).unwrap_or_default()
}

/// The library's definitions a program can reach, in order.
pub(crate) fn reachable<'s>(program: &Term<&'s str>) -> Vec<Def<&'s str>> {
    let mut names = Names::default();
    names.term(program);
    let mut wanted = names.called;
    let mut taken = vec![false; LIBRARY.len()];
    loop {
        let mut grown = false;
        for (def, taken) in LIBRARY.iter().zip(&mut taken) {
            if !*taken && wanted.contains(&(def.name, def.args.len())) {
                let mut names = Names::default();
                names.def(def);
                wanted.extend(names.called);
                (*taken, grown) = (true, true);
            }
        }
        if !grown {
            let chosen = LIBRARY.iter().zip(taken).filter(|(_, taken)| *taken);
            return chosen.map(|(def, _)| def.clone()).collect();
        }
    }
}

/// What a program mentions.
#[derive(Default)]
pub(crate) struct Names<'s> {
    /// Names and arities of the filters it calls.
    pub(crate) called: BTreeSet<(&'s str, usize)>,
    /// Variables, with their `$`.
    pub(crate) vars: BTreeSet<&'s str>,
    /// Whether a definition calls itself or one around it.
    pub(crate) recursive: bool,
    /// How deeply terms are nested.
    pub(crate) depth: usize,
    open: Vec<(&'s str, usize)>,
    level: usize,
    /// Members of `$secrets` it names.
    secrets: BTreeSet<&'s str>,
}

impl<'s> Names<'s> {
    pub(crate) fn secrets(&self) -> Vec<String> {
        self.secrets.iter().map(|name| (*name).to_owned()).collect()
    }

    pub(crate) fn def(&mut self, def: &Def<&'s str>) {
        self.open.push((def.name, def.args.len()));
        self.term(&def.body);
        self.open.pop();
    }

    pub(crate) fn term(&mut self, term: &Term<&'s str>) {
        self.level += 1;
        self.depth = self.depth.max(self.level + chain(term));
        match term {
            Term::Call(name, args) => self.call(name, args.len()),
            Term::Var(name) => {
                self.vars.insert(name);
            }
            Term::Path(base, path) => self.secret(base, path.0.first().map(|(part, _)| part)),
            Term::Str(Some(format), _) => self.call(format, 0),
            Term::Arr(None) => self.call("!empty", 0),
            Term::Def(defs, _) => defs.iter().for_each(|def| self.def(def)),
            Term::Fold(_, _, pattern, _) | Term::BinOp(_, BinaryOp::Pipe(Some(pattern)), _) => {
                self.pattern(pattern);
            }
            _ => {}
        }
        for_each_child(term, &mut |child| self.term(child));
        self.level -= 1;
    }

    /// `$secrets.name` and `$secrets["name"]`.
    fn secret(&mut self, base: &Term<&'s str>, first: Option<&Part<Term<&'s str>>>) {
        if let (Term::Var("$secrets"), Some(Part::Index(Term::Str(None, parts)))) = (base, first)
            && let [StrPart::Str(name)] = parts.as_slice()
        {
            self.secrets.insert(name);
        }
    }

    fn call(&mut self, name: &'s str, arity: usize) {
        self.recursive |= self.open.contains(&(name, arity));
        self.called.insert((name, arity));
    }

    fn pattern(&mut self, pattern: &Pattern<&'s str>) {
        match pattern {
            Pattern::Var(_) => {}
            Pattern::Arr(items) => items.iter().for_each(|item| self.pattern(item)),
            Pattern::Obj(members) => members.iter().for_each(|(key, pattern)| {
                self.term(key);
                self.pattern(pattern);
            }),
        }
    }
}

/// Parts of a term that are evaluated inside each other although they are written side by side.
fn chain(term: &Term<&str>) -> usize {
    match term {
        Term::Path(_, path) => path.0.len(),
        Term::Obj(members) => members.len(),
        Term::Str(_, parts) => parts.len(),
        Term::IfThenElse(cases, _) => cases.len(),
        Term::Call(_, args) => args.len(),
        _ => 0,
    }
}

fn for_each_child<'t, 's>(term: &'t Term<&'s str>, visit: &mut dyn FnMut(&'t Term<&'s str>)) {
    match term {
        Term::Id | Term::Recurse | Term::Num(_) | Term::Break(_) | Term::Var(_) | Term::Arr(None) => {}
        Term::Str(_, parts) => parts.iter().for_each(|part| {
            if let StrPart::Term(term) = part {
                visit(term);
            }
        }),
        Term::Arr(Some(term)) | Term::Neg(term) | Term::Label(_, term) | Term::Def(_, term) => visit(term),
        Term::Obj(members) => members.iter().for_each(|(key, val)| {
            visit(key);
            val.iter().for_each(&mut *visit);
        }),
        Term::BinOp(left, _, right) => {
            visit(left);
            visit(right);
        }
        Term::Fold(_, source, _, args) => {
            visit(source);
            args.iter().for_each(visit);
        }
        Term::TryCatch(body, catch) => {
            visit(body);
            if let Some(catch) = catch {
                visit(catch);
            }
        }
        Term::IfThenElse(cases, otherwise) => {
            for (condition, then) in cases {
                visit(condition);
                visit(then);
            }
            if let Some(otherwise) = otherwise {
                visit(otherwise);
            }
        }
        Term::Call(_, args) => args.iter().for_each(visit),
        Term::Path(base, path) => {
            visit(base);
            path.0.iter().for_each(|(part, _)| match part {
                Part::Index(index) => visit(index),
                Part::Range(from, upto) => from.iter().chain(upto).for_each(&mut *visit),
            });
        }
    }
}

/// Puts steps into programs.
#[derive(Default)]
pub(crate) struct Stepper<'s> {
    /// Definitions around the current term.
    open: Vec<(&'s str, usize)>,
}

impl<'s> Stepper<'s> {
    fn def(&mut self, def: Def<&'s str>) -> Def<&'s str> {
        self.open.push((def.name, def.args.len()));
        let body = after(TICK, self.term(def.body));
        self.open.pop();
        Def { name: def.name, args: def.args, body }
    }

    pub(crate) fn term(&mut self, term: Term<&'s str>) -> Term<&'s str> {
        match term {
            Term::BinOp(left, op, right) => {
                let (left, mut right) = (self.boxed(*left), self.term(*right));
                if matches!(op, BinaryOp::Comma) {
                    right = after(TICK, right);
                }
                Term::BinOp(left, op, Box::new(right))
            }
            Term::Str(format, parts) => {
                Term::Str(format, parts.into_iter().map(|part| self.part(part)).collect())
            }
            Term::Arr(inner) => Term::Arr(inner.map(|inner| self.boxed(*inner))),
            Term::Obj(members) => Term::Obj(members.into_iter().map(|member| self.member(member)).collect()),
            Term::Neg(inner) => Term::Neg(self.boxed(*inner)),
            Term::Label(name, inner) => Term::Label(name, self.boxed(*inner)),
            Term::Fold(name, source, pattern, args) => {
                let source = self.boxed(*source);
                Term::Fold(
                    name,
                    source,
                    pattern,
                    args.into_iter().map(|arg| after(TICK, self.term(arg))).collect(),
                )
            }
            Term::TryCatch(body, catch) => {
                Term::TryCatch(self.boxed(*body), catch.map(|catch| self.boxed(*catch)))
            }
            Term::IfThenElse(cases, otherwise) => {
                let cases = cases
                    .into_iter()
                    .map(|(condition, then)| (self.term(condition), self.term(then)))
                    .collect();
                Term::IfThenElse(cases, otherwise.map(|otherwise| self.boxed(*otherwise)))
            }
            Term::Def(defs, body) => {
                let defs = defs.into_iter().map(|def| self.def(def)).collect();
                Term::Def(defs, self.boxed(*body))
            }
            Term::Call(name, args) => self.call(name, args),
            Term::Path(base, mut path) => {
                path.0 = path.0.into_iter().map(|(part, opt)| (self.path_part(part), opt)).collect();
                Term::Path(self.boxed(*base), path)
            }
            leaf @ (Term::Id | Term::Recurse | Term::Num(_) | Term::Break(_) | Term::Var(_)) => leaf,
        }
    }

    fn boxed(&mut self, term: Term<&'s str>) -> Box<Term<&'s str>> {
        Box::new(self.term(term))
    }

    fn member(
        &mut self,
        (key, val): (Term<&'s str>, Option<Term<&'s str>>),
    ) -> (Term<&'s str>, Option<Term<&'s str>>) {
        match val {
            Some(val) => (self.term(key), Some(self.term(val))),
            None => (key, None), // `{a}` and `{$x}` are told by their shape
        }
    }

    fn part(&mut self, part: StrPart<&'s str, Term<&'s str>>) -> StrPart<&'s str, Term<&'s str>> {
        match part {
            StrPart::Term(term) => StrPart::Term(self.term(term)),
            other => other,
        }
    }

    fn path_part(&mut self, part: Part<Term<&'s str>>) -> Part<Term<&'s str>> {
        match part {
            Part::Index(index) => Part::Index(self.term(index)),
            Part::Range(from, upto) => {
                Part::Range(from.map(|from| self.term(from)), upto.map(|upto| self.term(upto)))
            }
        }
    }

    /// Arguments that call something take a step when they run. A recursive call with arguments keeps the contexts of
    /// all calls before it alive and is dear for that. Regular expressions are charged for before they run:
    /// `f(re; flags)` becomes `re as $__re | __regex($__re) | f($__re; flags)`.
    fn call(&mut self, name: &'s str, args: Vec<Term<&'s str>>) -> Term<&'s str> {
        const PATTERN: &str = "$__re";
        let recursive = !args.is_empty() && self.open.contains(&(name, args.len()));
        let leaf = |arg: &Term<_>| matches!(arg, Term::Id | Term::Num(_) | Term::Var(_));
        let step = |arg: Term<&'s str>| if leaf(&arg) { arg } else { after(TICK, arg) };
        let mut args = args.into_iter().map(|arg| step(self.term(arg)));
        if !matches!(name, "matches" | "split_matches" | "split_") {
            let call = Term::Call(name, args.collect());
            return if recursive { after(DESCEND, call) } else { call };
        }
        let pattern = args.next().unwrap_or_default();
        let bound = std::iter::once(Term::Var(PATTERN)).chain(args).collect();
        let guard = Term::Call("__regex", vec![Term::Var(PATTERN)]);
        let guarded = Term::BinOp(Box::new(guard), BinaryOp::Pipe(None), Box::new(Term::Call(name, bound)));
        Term::BinOp(Box::new(pattern), BinaryOp::Pipe(Some(Pattern::Var(PATTERN))), Box::new(guarded))
    }
}

/// `step | term`; a tail call stays one.
fn after<'s>(step: &'static str, term: Term<&'s str>) -> Term<&'s str> {
    Term::BinOp(Box::new(Term::Call(step, Vec::new())), BinaryOp::Pipe(None), Box::new(term))
}
