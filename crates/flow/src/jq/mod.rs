//! Runtime expressions: jq, compiled once, evaluated under a budget.
//!
//! Invariant: an evaluation ends after a bounded number of steps, with bounded memory and stack, and gives the same
//! result everywhere. Not here: where expressions stand in a definition (`template`, `parse`).

mod access;
pub(crate) mod fuel;
mod json;
mod library;
mod natives;
mod ops;
mod path;
pub(crate) mod val;

use jaq_core::load::{Arena, File, Loader, lex, parse};
use jaq_core::native::Fun;
use jaq_core::{Ctx, Filter, Vars};

use natives::Data;
pub(crate) use val::{Members, Val};

/// Bytes of one expression.
const SOURCE_BYTES_MAX: usize = 8 * 1024;
/// Brackets open at once in one expression.
const BRACKETS_MAX: usize = 128;
/// Levels of terms in one expression.
const TERM_DEPTH_MAX: usize = 256;
/// Stack the parser may need per byte of source.
const PARSER_STACK_PER_BYTE: usize = 16 * 1024;
/// Stack for an expression that recurses: its budget, and room to drop the contexts it kept alive.
const RECURSION_STACK: usize = 32 * 1024 * 1024;

/// A compiled expression.
pub(crate) struct Expr {
    vars: Vec<String>,
    /// Secrets it asks for by name.
    secrets: Vec<String>,
    code: Code,
}

enum Code {
    Path(path::Path),
    Program { filter: Box<Filter<Data>>, recursive: bool },
}

impl std::fmt::Debug for Expr {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Expr").field("vars", &self.vars).finish_non_exhaustive()
    }
}

/// Why an evaluation failed, in words for the author.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure(pub(crate) String, pub(crate) Cause);

/// Which error a failure becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The expression does not fit its data.
    Expression,
    /// It asks for a secret that is not there.
    Denied,
}

impl Failure {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self(reason.into(), Cause::Expression)
    }
}

/// Where an expression's variables come from.
pub(crate) trait Scope {
    /// The value of `$name`.
    fn var(&self, name: &str) -> Val;

    /// `$name.key`, where that is cheaper than making all of `$name`.
    fn member(&self, name: &str, key: &str) -> Option<Val> {
        let _ = (name, key);
        None
    }

    /// Whether `$secrets.name` may be used.
    fn has_secret(&self, name: &str) -> bool {
        let _ = name;
        true
    }
}

impl Expr {
    /// Compiles an expression that may use the variables for which `known` is true (names without `$`).
    pub(crate) fn compile(source: &str, known: &dyn Fn(&str) -> bool) -> Result<Self, String> {
        if source.len() > SOURCE_BYTES_MAX {
            return Err(format!("the expression is longer than {SOURCE_BYTES_MAX} bytes"));
        }
        if brackets(source) > BRACKETS_MAX {
            return Err("the expression is nested too deeply".to_owned());
        }
        if source.len() < 64 {
            return compile(source, known);
        }
        let stack = (source.len() * PARSER_STACK_PER_BYTE).max(1024 * 1024);
        stacker::maybe_grow(stack, stack * 2, || compile(source, known))
    }

    /// Names of the variables it uses.
    pub(crate) fn vars(&self) -> &[String] {
        &self.vars
    }

    /// Evaluates under a budget of its own.
    pub(crate) fn eval(&self, input: Val, scope: &dyn Scope) -> Result<Val, Failure> {
        metered(|| self.eval_within(input, scope))
    }

    /// Evaluates under a budget that is already running. No output is null, several are an array.
    pub(crate) fn eval_within(&self, input: Val, scope: &dyn Scope) -> Result<Val, Failure> {
        if let Some(name) = self.secrets.iter().find(|name| !scope.has_secret(name)) {
            let reason = format!("the secret '{name}' does not exist or is not declared in use.secrets");
            return Err(Failure(reason, Cause::Denied));
        }
        let (filter, recursive) = match &self.code {
            Code::Path(path) => return path.eval(input, scope).map_err(|error| failure(&error)),
            Code::Program { filter, recursive } => (filter, *recursive),
        };
        let vars: Vec<Val> = self.vars.iter().map(|name| scope.var(name)).collect();
        if recursive {
            stacker::maybe_grow(RECURSION_STACK, RECURSION_STACK + 64 * 1024, || run(filter, input, vars))
        } else {
            run(filter, input, vars)
        }
    }
}

fn run(filter: &Filter<Data>, input: Val, vars: Vec<Val>) -> Result<Val, Failure> {
    fuel::mark_stack();
    let context = Ctx::<Data>::new(&filter.lut, Vars::new(vars));
    let mut outputs = filter.id.run((context, input)).map(|output| {
        output.map_err(|exception| match exception.get_err() {
            Ok(error) => failure(&error),
            Err(_) => Failure::new("the expression was halted"),
        })
    });
    let first = outputs.next().transpose()?.unwrap_or_default();
    let Some(second) = outputs.next().transpose()? else { return Ok(first) };
    let mut all = vec![first, second];
    for output in outputs {
        if !fuel::charge(1) {
            break;
        }
        all.push(output?);
    }
    Ok(Val::arr(all))
}

fn failure(error: &ops::Error) -> Failure {
    Failure::new(shortened(&error.to_string()))
}

/// Runs `work` under a fresh budget; a cut-off becomes its failure.
pub(crate) fn metered<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    fuel::metered(fuel::STEPS_MAX, work).unwrap_or_else(|cut| Err(Failure::new(cut.reason())))
}

/// Error texts may hold whole values.
fn shortened(text: &str) -> String {
    const CHARS_MAX: usize = 300;
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The most brackets open at once, counting those in strings too.
fn brackets(source: &str) -> usize {
    let mut open = 0_usize;
    let mut most = 0;
    for byte in source.bytes() {
        match byte {
            b'(' | b'[' | b'{' => open += 1,
            b')' | b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        most = most.max(open);
    }
    most
}

fn compile(source: &str, known: &dyn Fn(&str) -> bool) -> Result<Expr, String> {
    let tokens = lex::Lexer::new(source).lex().map_err(|errors| lex_error(source, &errors))?;
    let program = parse::Parser::new(&tokens).parse(parse::Parser::term).map_err(|errors| {
        parse_error(source, errors.first().map(|(expected, found)| (expected.as_str(), *found)))
    })?;
    let mut names = library::Names::default();
    names.term(&program);
    if names.depth > TERM_DEPTH_MAX {
        return Err("the expression is nested too deeply".to_owned());
    }
    if let Some(path) = path::Path::of(&program)
        && path.variable.as_deref().is_none_or(known)
    {
        let vars = path.variable.iter().cloned().collect();
        return Ok(Expr { vars, secrets: names.secrets(), code: Code::Path(path) });
    }
    let vars: Vec<&str> = names.vars.iter().copied().filter(|name| known(&name[1..])).collect();
    let mut defs = library::reachable(&program);
    let mut inner = library::Names::default();
    for def in &defs {
        inner.def(def);
    }
    let secrets = names.secrets();
    let recursive = names.recursive || inner.recursive;
    let called: Vec<_> = names.called.iter().chain(&inner.called).copied().collect();
    defs.push(parse::Def {
        name: "__main",
        args: Vec::new(),
        body: library::Stepper::default().term(program),
    });
    let filter = link(defs, &vars, needed(&called))?;
    let vars = vars.iter().map(|name| name[1..].to_owned()).collect();
    Ok(Expr { vars, secrets, code: Code::Program { filter: Box::new(filter), recursive } })
}

/// Rust functions a program calls, and those its steps need.
fn needed(called: &[(&str, usize)]) -> Vec<Fun<Data>> {
    let own = |name: &str| matches!(name, "__tick" | "__descend" | "__regex");
    natives::functions()
        .into_iter()
        .filter(|(name, args, _)| own(name) || called.contains(&(*name, args.len())))
        .collect()
}

fn link(
    defs: Vec<parse::Def<&str>>,
    vars: &[&str],
    functions: Vec<Fun<Data>>,
) -> Result<Filter<Data>, String> {
    let arena = Arena::default();
    let file = File { code: "__main", path: () };
    let modules =
        Loader::new(defs).load(&arena, file).map_err(|_| "the expression cannot be loaded".to_owned())?;
    jaq_core::Compiler::default()
        .with_funs(functions)
        .with_global_vars(vars.iter().copied())
        .compile(modules)
        .map_err(|errors| undefined(errors.into_iter().flat_map(|(_, errors)| errors)))
}

fn undefined<'s>(errors: impl Iterator<Item = (&'s str, jaq_core::compile::Undefined)>) -> String {
    let words = errors.map(|(name, kind)| match (name, kind) {
        ("now" | "localtime" | "strflocaltime", _) => {
            format!("'{name}' is not available: expressions have no clock")
        }
        (
            "env" | "$ENV" | "input" | "inputs" | "halt" | "halt_error" | "input_filename"
            | "input_line_number",
            _,
        ) => {
            format!("'{name}' is not available in a workflow")
        }
        (name, jaq_core::compile::Undefined::Filter(arity)) => format!("undefined function {name}/{arity}"),
        (name, kind) => format!("undefined {} {name}", kind.as_str()),
    });
    words.collect::<Vec<_>>().join("; ")
}

fn lex_error(source: &str, errors: &[lex::Error<&str>]) -> String {
    match errors.first() {
        Some((expected, rest)) => {
            let at = source.len() - rest.len().min(source.len());
            format!(
                "syntax error at character {}: expected {}",
                source[..at].chars().count() + 1,
                expected.as_str()
            )
        }
        None => "syntax error".to_owned(),
    }
}

fn parse_error(source: &str, error: Option<(&str, Option<&lex::Token<&str>>)>) -> String {
    match error {
        Some((expected, Some(found))) => {
            let found = found.as_str();
            let at = jaq_core::load::span(source, found).start;
            let character = source[..at].chars().count() + 1;
            format!(
                "syntax error at character {character}: expected {expected}, found '{}'",
                shortened(found)
            )
        }
        Some((expected, None)) => format!("syntax error: expected {expected} at the end of the expression"),
        None => "syntax error".to_owned(),
    }
}

#[cfg(test)]
mod tests;
