//! Walking a definition: where we are, and what was found wrong there.
//!
//! Invariant: a finding always carries the place and path of the value it is about. Not here: the language.

use serde_json::Value;

use crate::yaml::{Content, Member, Node, Place};
use crate::{Issue, IssueKind};

/// A value of the definition and the path to it.
#[derive(Clone, Debug)]
pub(super) struct At<'n> {
    pub(super) node: &'n Node,
    pub(super) place: Place,
    pub(super) path: String,
}

/// Members of an object and the path to it.
#[derive(Clone, Debug)]
pub(super) struct Fields<'n> {
    pub(super) at: At<'n>,
    members: &'n [Member],
}

/// What was found wrong.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) issues: Vec<Issue>,
}

impl Findings {
    pub(super) fn invalid(&mut self, at: &At<'_>, reason: impl Into<String>) {
        self.push(at.place, &at.path, reason.into(), IssueKind::Invalid);
    }

    pub(super) fn unsupported(&mut self, at: &At<'_>, reason: impl Into<String>) {
        self.push(at.place, &at.path, reason.into(), IssueKind::Unsupported);
    }

    fn push(&mut self, place: Place, path: &str, reason: String, kind: IssueKind) {
        self.issues.push(Issue {
            line: place.line,
            column: place.column,
            path: path.to_owned(),
            reason,
            kind,
        });
    }
}

impl<'n> At<'n> {
    pub(super) fn root(node: &'n Node) -> Self {
        Self { node, place: node.place, path: String::new() }
    }

    fn member(&self, member: &'n Member) -> Self {
        let escaped = member.key.replace('~', "~0").replace('/', "~1");
        Self { node: &member.value, place: member.place, path: format!("{}/{escaped}", self.path) }
    }

    pub(super) fn json(&self) -> Value {
        self.node.to_json()
    }

    /// The text, if it is text.
    pub(super) fn as_text(&self) -> Option<&'n str> {
        match &self.node.content {
            Content::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn is_map(&self) -> bool {
        matches!(self.node.content, Content::Map(_))
    }

    pub(super) fn text(&self, findings: &mut Findings) -> Option<&'n str> {
        if self.as_text().is_none() {
            findings.invalid(self, format!("must be a string, not {}", self.node.kind()));
        }
        self.as_text()
    }

    pub(super) fn boolean(&self, findings: &mut Findings) -> Option<bool> {
        if let Content::Bool(flag) = &self.node.content {
            return Some(*flag);
        }
        findings.invalid(self, format!("must be true or false, not {}", self.node.kind()));
        None
    }

    pub(super) fn integer(&self, findings: &mut Findings) -> Option<i64> {
        let int = match &self.node.content {
            Content::Number(number) => number.as_i64(),
            _ => None,
        };
        if int.is_none() {
            findings.invalid(self, format!("must be a whole number, not {}", self.node.kind()));
        }
        int
    }

    pub(super) fn list(&self, findings: &mut Findings) -> Option<Vec<Self>> {
        let Content::List(items) = &self.node.content else {
            findings.invalid(self, format!("must be a list, not {}", self.node.kind()));
            return None;
        };
        let item = |(index, node): (usize, &'n Node)| Self {
            node,
            place: node.place,
            path: format!("{}/{index}", self.path),
        };
        Some(items.iter().enumerate().map(item).collect())
    }

    pub(super) fn map(&self, findings: &mut Findings) -> Option<Fields<'n>> {
        let Content::Map(members) = &self.node.content else {
            findings.invalid(self, format!("must be an object, not {}", self.node.kind()));
            return None;
        };
        Some(Fields { at: self.clone(), members })
    }

    /// One of a few words.
    pub(super) fn one_of(&self, words: &[&'static str], findings: &mut Findings) -> Option<&'static str> {
        let text = self.text(findings)?;
        let known = words.iter().copied().find(|word| *word == text);
        if known.is_none() {
            findings.invalid(self, format!("'{text}' is not one of {}", words.join(", ")));
        }
        known
    }
}

impl<'n> Fields<'n> {
    pub(super) fn get(&self, name: &str) -> Option<At<'n>> {
        self.members.iter().find(|member| member.key == name).map(|member| self.at.member(member))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.members.iter().any(|member| member.key == name)
    }

    pub(super) fn required(&self, name: &str, findings: &mut Findings) -> Option<At<'n>> {
        let found = self.get(name);
        if found.is_none() {
            findings.invalid(&self.at, format!("'{name}' is required"));
        }
        found
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (&'n str, At<'n>)> + '_ {
        self.members.iter().map(|member| (member.key.as_str(), self.at.member(member)))
    }

    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    /// Reports members that are not in the language.
    pub(super) fn only(&self, names: &[&[&str]], findings: &mut Findings) {
        for (name, at) in self.all() {
            if !names.iter().any(|group| group.contains(&name)) {
                let known: Vec<_> = names.concat();
                let hint =
                    closest(name, &known).map(|near| format!("; did you mean '{near}'?")).unwrap_or_default();
                findings.invalid(&at, format!("unknown property '{name}'{hint}"));
            }
        }
    }
}

/// A known name that differs little, for hints.
pub(super) fn closest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let distances = known.iter().map(|candidate| (distance(name, candidate), *candidate));
    distances
        .min()
        .filter(|(distance, candidate)| *distance <= candidate.len().div_ceil(3))
        .map(|(_, near)| near)
}

/// Edit distance of two short names.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().take(64).collect();
    let right: Vec<char> = right.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, l) in left.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, r) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(!l.eq_ignore_ascii_case(r));
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[right.len()]
}
