//! Values with expressions in them.
//!
//! Invariant: what holds no expression is a ready value and costs nothing to evaluate. `${ … }` is an expression;
//! inside a longer text it is replaced by its result. In loose mode any text is tried as an expression first.
//! Not here: which expression may stand where (`parse`).

use std::sync::Arc;

use crate::jq::{Cause, Expr, Failure, Scope, Val, metered};

/// A value, some parts of which are computed.
#[derive(Debug)]
pub(crate) enum Template {
    Literal(Val),
    Expr(Expr),
    /// An expression that gives way to its own text when it cannot be evaluated.
    Loose(Expr, Val),
    /// Text with expressions in it.
    Text(Vec<Segment<Expr>>),
    List(Vec<Self>),
    Object(Vec<(Arc<String>, Self)>),
}

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Segment<E> {
    Plain(String),
    Expr(E),
}

impl Template {
    /// Evaluates the whole under one budget.
    pub(crate) fn eval(&self, input: &Val, scope: &dyn Scope) -> Result<Val, Failure> {
        match self {
            Self::Literal(val) => Ok(val.clone()),
            Self::Expr(expr) => expr.eval(input.clone(), scope),
            Self::Loose(expr, text) => loosely(expr.eval(input.clone(), scope), text),
            composite => metered(|| composite.within(input, scope)),
        }
    }

    fn within(&self, input: &Val, scope: &dyn Scope) -> Result<Val, Failure> {
        match self {
            Self::Literal(val) => Ok(val.clone()),
            Self::Expr(expr) => expr.eval_within(input.clone(), scope),
            Self::Loose(expr, text) => loosely(expr.eval_within(input.clone(), scope), text),
            Self::Text(segments) => {
                let mut text = String::new();
                for segment in segments {
                    match segment {
                        Segment::Plain(plain) => text.push_str(plain),
                        Segment::Expr(expr) => text.push_str(&shown(expr.eval_within(input.clone(), scope)?)),
                    }
                }
                Ok(Val::from(text))
            }
            Self::List(items) => {
                Ok(Val::arr(items.iter().map(|item| item.within(input, scope)).collect::<Result<_, _>>()?))
            }
            Self::Object(members) => {
                let member =
                    |(key, template): &(Arc<String>, Self)| Ok((key.clone(), template.within(input, scope)?));
                Ok(Val::obj(members.iter().map(member).collect::<Result<_, Failure>>()?))
            }
        }
    }
}

/// Text that is no expression after all stands for itself; a secret that is not there is an error all the same.
fn loosely(result: Result<Val, Failure>, text: &Val) -> Result<Val, Failure> {
    match result {
        Err(Failure(_, Cause::Expression)) => Ok(text.clone()),
        other => other,
    }
}

fn shown(val: Val) -> String {
    match val {
        Val::Str(text) => text.as_str().to_owned(),
        other => other.to_string(),
    }
}

/// The expression when `${ … }` is all there is.
pub(crate) fn whole_expression(text: &str) -> Option<&str> {
    let inner = text.trim().strip_prefix("${")?;
    let end = code_end(inner, '}')?;
    inner[end + 1..].trim().is_empty().then(|| inner[..end].trim())
}

/// Splits text at its `${ … }`; `None` when there is none, an error when one is not closed.
pub(crate) fn segments(text: &str) -> Result<Option<Vec<Segment<&str>>>, String> {
    split(text, |_| true)
}

/// As [`segments`], for shell commands: `${NAME}` and the like belong to the shell. An expression begins with a
/// blank, a dot, a dollar, a quote or a bracket.
pub(crate) fn shell_segments(text: &str) -> Result<Option<Vec<Segment<&str>>>, String> {
    split(text, |after| after.starts_with([' ', '\t', '\n', '\r', '.', '$', '"', '(', '[', '{']))
}

fn split(text: &str, is_expression: fn(&str) -> bool) -> Result<Option<Vec<Segment<&str>>>, String> {
    let mut found = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        plain.push_str(before);
        if !is_expression(after) {
            plain.push_str("${");
            rest = after;
            continue;
        }
        let end = code_end(after, '}').ok_or("a '${' without its '}'")?;
        if !plain.is_empty() {
            found.push(Segment::Plain(std::mem::take(&mut plain)));
        }
        found.push(Segment::Expr(after[..end].trim()));
        rest = &after[end + 1..];
    }
    if found.is_empty() {
        return Ok(None);
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        found.push(Segment::Plain(plain));
    }
    Ok(Some(found))
}

/// Where a piece of jq ends: at `close`, outside of brackets and strings.
fn code_end(code: &str, close: char) -> Option<usize> {
    // what has to be closed before `close` counts; a quote stands for a string
    let mut open: Vec<char> = Vec::new();
    let mut chars = code.char_indices();
    while let Some((at, char)) = chars.next() {
        if open.last() == Some(&'"') {
            match char {
                '"' => {
                    open.pop();
                }
                '\\' if chars.next().is_some_and(|(_, escaped)| escaped == '(') => open.push(')'),
                _ => {}
            }
            continue;
        }
        match char {
            '"' => open.push('"'),
            '{' => open.push('}'),
            '(' => open.push(')'),
            '[' => open.push(']'),
            '}' | ')' | ']' => match open.pop() {
                Some(expected) if expected == char => {}
                None if char == close => return Some(at),
                _ => return None,
            },
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_expression_is_told_from_text_with_expressions() {
        assert_eq!(whole_expression("${ .a }"), Some(".a"));
        assert_eq!(whole_expression("  ${.a}\n"), Some(".a"));
        assert_eq!(whole_expression("${ {a: \"}\"} }"), Some("{a: \"}\"}"));
        assert_eq!(whole_expression("${ \"x\\(.a | {b: \"}\"})\" }"), Some("\"x\\(.a | {b: \"}\"})\""));
        assert_eq!(whole_expression("${ .a } and ${ .b }"), None);
        assert_eq!(whole_expression(".a"), None);
        assert_eq!(whole_expression("${ .a"), None);
    }

    #[test]
    fn text_is_split_at_its_expressions() {
        let plain = |text: &str| Segment::Plain(text.to_owned());

        assert_eq!(
            segments("Hello ${ .name }!"),
            Ok(Some(vec![plain("Hello "), Segment::Expr(".name"), plain("!")]))
        );
        assert_eq!(segments("Hello"), Ok(None));
        assert_eq!(segments("costs $5 {x}"), Ok(None));
        assert!(segments("Hello ${ .name").is_err());
    }
}
