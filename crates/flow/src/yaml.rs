//! Reading YAML (and so JSON) into a tree that remembers where everything stood.
//!
//! Invariant: the tree is bounded (size, depth, aliases expanded) and holds only what JSON can say, with each key
//! once per mapping. Not here: what the tree means (`parse`).

use std::borrow::Cow;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};
use serde_json::{Map, Number, Value};

use crate::{Issue, IssueKind};

/// Bytes of one definition.
pub(crate) const SOURCE_BYTES_MAX: usize = 1024 * 1024;
/// Nesting of one definition.
pub(crate) const DEPTH_MAX: usize = 64;
/// Nodes of one definition, aliases expanded.
pub(crate) const NODES_MAX: usize = 100_000;

/// Where something stands: line and column from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl From<Span> for Place {
    fn from(span: Span) -> Self {
        Self { line: span.start.line(), column: span.start.col() + 1 }
    }
}

/// A value and where it stood.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) content: Content,
}

#[derive(Clone, Debug)]
pub(crate) enum Content {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Member>),
}

#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) key: String,
    pub(crate) place: Place,
    pub(crate) value: Node,
}

impl Node {
    pub(crate) fn to_json(&self) -> Value {
        match &self.content {
            Content::Null => Value::Null,
            Content::Bool(flag) => Value::Bool(*flag),
            Content::Number(number) => Value::Number(number.clone()),
            Content::Text(text) => Value::String(text.clone()),
            Content::List(items) => Value::Array(items.iter().map(Self::to_json).collect()),
            Content::Map(members) => Value::Object(
                members
                    .iter()
                    .map(|member| (member.key.clone(), member.value.to_json()))
                    .collect::<Map<_, _>>(),
            ),
        }
    }

    pub(crate) fn kind(&self) -> &'static str {
        match &self.content {
            Content::Null => "nothing",
            Content::Bool(_) => "a boolean",
            Content::Number(_) => "a number",
            Content::Text(_) => "a string",
            Content::List(_) => "a list",
            Content::Map(_) => "an object",
        }
    }

    fn nodes(&self) -> usize {
        match &self.content {
            Content::List(items) => 1 + items.iter().map(Self::nodes).sum::<usize>(),
            Content::Map(members) => 1 + members.iter().map(|member| member.value.nodes()).sum::<usize>(),
            _ => 1,
        }
    }

    fn depth(&self) -> usize {
        match &self.content {
            Content::List(items) => 1 + items.iter().map(Self::depth).max().unwrap_or(0),
            Content::Map(members) => 1 + members.iter().map(|member| member.value.depth()).max().unwrap_or(0),
            _ => 0,
        }
    }
}

/// Reads one YAML or JSON document of any kind as JSON, within the limits definitions have.
pub fn yaml_to_json(source: &str) -> Result<Value, Issue> {
    read(source).map(|node| node.to_json())
}

/// Reads one document.
pub(crate) fn read(source: &str) -> Result<Node, Issue> {
    if source.len() > SOURCE_BYTES_MAX {
        return Err(issue(
            Place { line: 1, column: 1 },
            format!("the definition is larger than {SOURCE_BYTES_MAX} bytes"),
        ));
    }
    let source = source.strip_prefix('\u{feff}').unwrap_or(source);
    let mut reader = Reader { events: Parser::new_from_str(source), anchors: Vec::new(), nodes: 0 };
    reader.document().map_err(|issue| {
        // what is missing at the end is told on the last line there is
        let line = issue.line.min(source.lines().count().max(1));
        Issue { line, ..issue }
    })
}

fn issue(place: Place, reason: impl Into<String>) -> Issue {
    Issue {
        line: place.line,
        column: place.column,
        path: String::new(),
        reason: reason.into(),
        kind: IssueKind::Invalid,
    }
}

fn syntax(error: &ScanError) -> Issue {
    let marker = error.marker();
    let place = Place { line: marker.line().max(1), column: marker.col() + 1 };
    issue(place, format!("not valid YAML: {}", error.info()))
}

struct Reader<'s> {
    events: Parser<'s, StrInput<'s>>,
    anchors: Vec<(usize, Node)>,
    nodes: usize,
}

impl<'s> Reader<'s> {
    fn next(&mut self) -> Result<(Event<'s>, Place), Issue> {
        match self.events.next_event() {
            Some(Ok((event, span))) => Ok((event, span.into())),
            Some(Err(error)) => Err(syntax(&error)),
            None => Ok((Event::StreamEnd, Place::default())),
        }
    }

    fn document(&mut self) -> Result<Node, Issue> {
        loop {
            match self.next()? {
                (Event::StreamStart | Event::DocumentStart(_) | Event::Nothing, _) => {}
                (Event::StreamEnd | Event::DocumentEnd, _) => {
                    return Err(issue(Place { line: 1, column: 1 }, "the definition is empty"));
                }
                (event, place) => {
                    let node = self.node(event, place, 0)?;
                    self.end()?;
                    return Ok(node);
                }
            }
        }
    }

    fn end(&mut self) -> Result<(), Issue> {
        loop {
            match self.next()? {
                (Event::DocumentEnd | Event::Nothing, _) => {}
                (Event::StreamEnd, _) => return Ok(()),
                (_, place) => return Err(issue(place, "there is more than one document in this file")),
            }
        }
    }

    fn node(&mut self, event: Event<'s>, place: Place, depth: usize) -> Result<Node, Issue> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(issue(place, format!("the definition has more than {NODES_MAX} nodes")));
        }
        if depth > DEPTH_MAX {
            return Err(issue(place, format!("nested deeper than {DEPTH_MAX} levels")));
        }
        let (anchor, content) = match event {
            Event::Scalar(text, style, anchor, tag) => (anchor, scalar(text, style, tag.as_deref(), place)?),
            Event::SequenceStart(anchor, _) => (anchor, self.list(depth)?),
            Event::MappingStart(anchor, _) => (anchor, self.map(depth)?),
            Event::Alias(anchor) => return self.alias(anchor, place, depth),
            _ => return Err(issue(place, "not valid YAML: a value was expected")),
        };
        let node = Node { place, content };
        if anchor > 0 {
            self.anchors.push((anchor, node.clone()));
        }
        Ok(node)
    }

    fn alias(&mut self, anchor: usize, place: Place, depth: usize) -> Result<Node, Issue> {
        let known = self.anchors.iter().find(|(id, _)| *id == anchor).map(|(_, node)| node);
        let Some(node) = known else { return Err(issue(place, "an alias of something that contains it")) };
        self.nodes += node.nodes();
        if self.nodes > NODES_MAX {
            return Err(issue(
                place,
                format!("with its aliases the definition has more than {NODES_MAX} nodes"),
            ));
        }
        if depth + node.depth() > DEPTH_MAX {
            return Err(issue(place, format!("nested deeper than {DEPTH_MAX} levels")));
        }
        Ok(node.clone())
    }

    fn list(&mut self, depth: usize) -> Result<Content, Issue> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Content::List(items)),
                (event, place) => items.push(self.node(event, place, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Content, Issue> {
        let mut members: Vec<Member> = Vec::new();
        let mut keys = std::collections::BTreeSet::new();
        loop {
            let (key, place) = match self.next()? {
                (Event::MappingEnd, _) => return Ok(Content::Map(members)),
                (Event::Scalar(text, ..), place) => (text.into_owned(), place),
                (_, place) => return Err(issue(place, "only plain keys are allowed")),
            };
            let (event, at) = self.next()?;
            let value = self.node(event, at, depth + 1)?;
            if key == "<<" {
                merge(&mut members, &mut keys, value)?;
                continue;
            }
            if !keys.insert(key.clone()) {
                return Err(issue(place, format!("the key '{key}' appears twice")));
            }
            members.push(Member { key, place, value });
        }
    }
}

/// `<<: *anchor`: members of another mapping, as far as they are not there yet.
fn merge(
    members: &mut Vec<Member>,
    keys: &mut std::collections::BTreeSet<String>,
    from: Node,
) -> Result<(), Issue> {
    let Content::Map(more) = from.content else {
        return Err(issue(from.place, "only an object can be merged with '<<'"));
    };
    let fresh: Vec<_> = more.into_iter().filter(|member| keys.insert(member.key.clone())).collect();
    members.extend(fresh);
    Ok(())
}

/// YAML 1.2 core schema.
fn scalar(text: Cow<'_, str>, style: ScalarStyle, tag: Option<&Tag>, place: Place) -> Result<Content, Issue> {
    let tagged = tag.map(|tag| tag.suffix.as_str());
    if tagged == Some("str") || (style != ScalarStyle::Plain && tagged.is_none()) {
        return Ok(Content::Text(text.into_owned()));
    }
    let content = match text.as_ref() {
        "" | "~" | "null" | "Null" | "NULL" => Content::Null,
        "true" | "True" | "TRUE" => Content::Bool(true),
        "false" | "False" | "FALSE" => Content::Bool(false),
        plain => match number(plain) {
            Some(number) => Content::Number(number),
            None if matches!(plain, ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | "-.inf" | "+.inf") => {
                return Err(issue(place, format!("'{plain}' is not a number JSON knows")));
            }
            None => Content::Text(text.into_owned()),
        },
    };
    Ok(content)
}

fn number(text: &str) -> Option<Number> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if let Some(hex) = text.strip_prefix("0x") {
        return u64::from_str_radix(hex, 16).ok().map(Number::from);
    }
    if let Some(octal) = text.strip_prefix("0o") {
        return u64::from_str_radix(octal, 8).ok().map(Number::from);
    }
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        || !digits.contains(|c: char| c.is_ascii_digit())
    {
        return None;
    }
    if !text.contains(['.', 'e', 'E']) {
        let int = text.parse::<i64>().ok().map(Number::from);
        return int.or_else(|| text.parse::<u64>().ok().map(Number::from)).or_else(|| float(text));
    }
    float(text)
}

fn float(text: &str) -> Option<Number> {
    let plausible = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    if plausible { text.parse::<f64>().ok().and_then(Number::from_f64) } else { None }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn scalars_follow_the_core_schema() {
        let node = read(
            "a: 1\nb: 1.5\nc: 1.0.3\nd: 'true'\ne: true\nf: ~\ng: 0x1F\nh: 1e3\ni: 2024-01-01\nj: !!str 1\nk: -3\nl: PT1S\n",
        );

        assert_eq!(
            node.map(|node| node.to_json()),
            Ok(
                json!({"a": 1, "b": 1.5, "c": "1.0.3", "d": "true", "e": true, "f": null, "g": 31, "h": 1000.0,
                "i": "2024-01-01", "j": "1", "k": -3, "l": "PT1S"})
            )
        );
    }

    #[test]
    fn a_key_given_twice_is_refused_where_it_stands() {
        let refused = read("a: 1\nb:\n  c: 1\n  c: 2\n").expect_err("twice");

        assert_eq!((refused.line, refused.column), (4, 3));
    }

    #[test]
    fn aliases_are_expanded_up_to_a_limit() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..9 {
            let previous = level - 1;
            let again = format!("*a{previous}, ").repeat(8);
            let line = format!("a{level}: &a{level} [{again}]\n");
            bomb.push_str(&line);
        }

        assert!(read(&bomb).is_err_and(|refused| refused.reason.contains("aliases")));
        assert_eq!(
            read("a: &x {b: 1}\nc: *x\nd: {<<: *x, e: 2}").map(|node| node.to_json()),
            Ok(json!({"a": {"b": 1}, "c": {"b": 1}, "d": {"b": 1, "e": 2}}))
        );
        assert!(read("a: &x [*x]").is_err());
    }

    #[test]
    fn what_is_too_deep_or_not_one_document_is_refused() {
        assert!(read(&"[".repeat(200)).is_err());
        assert!(read(&"- ".repeat(5000)).is_err());
        assert!(read("a: 1\n---\nb: 2\n").is_err());
        assert!(read("").is_err());
        assert!(read("a: [").is_err());
        assert!(read("? [a]\n: b").is_err());
    }

    #[test]
    fn json_is_read_too() {
        let json = r#"{"a": [1, {"b": "c\nd"}], "e": null}"#;

        assert_eq!(read(json).map(|node| node.to_json()).ok(), serde_json::from_str(json).ok());
    }
}
