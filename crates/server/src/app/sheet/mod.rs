//! Tables in and out: the same columns both ways, streamed, whatever they hold.
//!
//! Invariant: a table that was written is read as "all unchanged"; no more than a batch of rows is in memory.
//! Not here: cells (the domain's `planning::sheet`), the rules of what is imported (each feature's own use case).

pub mod directory;
pub mod events;
pub mod export;
pub mod import;
pub mod listed;
pub mod parts;
mod records;
pub mod stored;
mod summary;

use openevent_domain::planning::sheet::{self, Kind};
use serde_json::{Map, Value};
use std::fmt::Write as _;

/// The media type.
pub const MEDIA: &str = "text/csv";
/// The column of ids.
pub const ID: &str = "id";

/// What an empty cell does to a thing that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blank {
    /// Clears the field.
    Clears,
    /// Says nothing about it.
    SaysNothing,
}

/// A column that is read.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its name: the API's field.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// What an empty cell means.
    pub blank: Blank,
}

impl Column {
    /// A column whose empty cells clear.
    pub const fn new(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, blank: Blank::Clears }
    }

    /// A column whose empty cells say nothing.
    pub const fn kept(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, blank: Blank::SaysNothing }
    }
}

/// The columns of one kind of table.
#[derive(Debug)]
pub struct Layout {
    /// What its rows are, in the plural.
    pub what: &'static str,
    /// The columns that are read and written.
    pub columns: &'static [Column],
    /// The columns that are only written.
    pub shown: &'static [(&'static str, Kind)],
    /// The columns that tell one row from another where there is no id.
    pub key: &'static [&'static str],
}

impl Layout {
    /// The first line.
    pub fn head(&self) -> String {
        let names = self.columns.iter().map(|column| column.name);
        line(
            std::iter::once(ID)
                .chain(names)
                .chain(self.shown.iter().map(|(name, _)| *name))
                .map(str::to_owned),
        )
    }

    /// The line of an object as the API shows it.
    pub fn row(&self, object: &Value) -> String {
        let columns = self.columns.iter().map(|column| (column.name, column.kind));
        let all = std::iter::once((ID, Kind::Text)).chain(columns).chain(self.shown.iter().copied());
        line(
            all.map(|(name, kind)| {
                object.get(name).map_or_else(String::new, |value| sheet::write(value, kind))
            }),
        )
    }

    fn column(&self, name: &str) -> Option<&'static Column> {
        self.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name))
    }
}

/// One line of RFC 4180.
fn line(cells: impl Iterator<Item = String>) -> String {
    let mut line = String::new();
    for (index, cell) in cells.enumerate() {
        if index > 0 {
            line.push(',');
        }
        let is_plain = !cell.contains([',', '"', '\r', '\n']) && cell.trim() == cell;
        if is_plain {
            line.push_str(&cell);
        } else {
            // Writing to a text cannot fail.
            let _ = write!(line, "\"{}\"", cell.replace('"', "\"\""));
        }
    }
    line.push_str("\r\n");
    line
}

/// A line that was read.
#[derive(Clone, Debug)]
pub struct Row {
    /// Where it begins, from 1.
    pub line: u64,
    /// What its column of ids says.
    pub id: Option<String>,
    /// The fields its columns are of; `null` where a cell is empty.
    pub fields: Map<String, Value>,
    /// Its size.
    pub bytes: usize,
}

impl Row {
    /// The fields that make something new: those that say something.
    pub fn of_new(&self) -> Map<String, Value> {
        self.fields
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }

    /// The fields that change something that is there.
    pub fn of_known(&self, layout: &Layout) -> Map<String, Value> {
        let says = |name: &str, value: &Value| {
            !value.is_null() || layout.column(name).is_none_or(|column| column.blank == Blank::Clears)
        };
        let said = self.fields.iter().filter(|(name, value)| says(name, value));
        said.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// A text among the fields, as it will be kept.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.fields.get(name)?.as_str().map(str::trim).filter(|text| !text.is_empty())
    }
}
