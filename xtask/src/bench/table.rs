//! What the benchmarks found, as Markdown: readable in a terminal and in `docs/performance.md` alike.
//!
//! Invariant: a target that was not measured is shown as such, never as passed.

use std::fmt::Write as _;

/// One table with its remarks.
pub(crate) struct Section {
    title: String,
    rows: Vec<Vec<String>>,
    notes: Vec<String>,
}

impl Section {
    pub(crate) fn new(title: &str, header: &[&str]) -> Self {
        let header = header.iter().map(|cell| (*cell).to_owned()).collect();
        Self { title: title.to_owned(), rows: vec![header], notes: Vec::new() }
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [impl Into<String>; N]) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    pub(crate) fn title(&self) -> &str {
        &self.title
    }

    /// A table that was written before: its title line and all that follows it. `None` of other text.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let title = text.lines().next()?.strip_prefix("### ")?;
        let lines = text.lines().filter(|line| line.starts_with("| "));
        let cells =
            |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
        let rows: Vec<Vec<String>> = lines.map(cells).collect();
        let notes = text.lines().filter_map(|line| line.strip_prefix("> ")).map(str::to_owned).collect();
        (!rows.is_empty()).then(|| Self { title: title.to_owned(), rows, notes })
    }

    /// Puts the rows of another table in the place of those that begin alike, and new ones at the end.
    pub(crate) fn take_rows(&mut self, other: Self) {
        for row in other.rows.into_iter().skip(1) {
            match self.rows.iter_mut().find(|old| old.first() == row.first()) {
                Some(old) => *old = row,
                None => self.rows.push(row),
            }
        }
    }

    /// A remark below the table; line breaks would end it.
    pub(crate) fn note(&mut self, text: impl AsRef<str>) {
        self.notes.push(text.as_ref().replace('\n', " · "));
    }

    /// The first column is text and leans left; figures lean right.
    pub(crate) fn markdown(&self) -> String {
        let columns = self.rows[0].len();
        let width = |column: usize| {
            self.rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(|column| width(column).max(4)).collect();
        let mut text = format!("### {}\n\n", self.title);
        for (at, row) in self.rows.iter().enumerate() {
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let _never = match column {
                    0 => write!(text, "| {cell:<width$} "),
                    _ => write!(text, "| {cell:>width$} "),
                };
            }
            text.push_str("|\n");
            if at == 0 {
                for (column, width) in widths.iter().enumerate() {
                    let _never =
                        write!(text, "|{}-{}", "-".repeat(*width), if column == 0 { '-' } else { ':' });
                }
                text.push_str("|\n");
            }
        }
        for note in &self.notes {
            let _never = write!(text, "\n> {note}\n");
        }
        text
    }
}

/// Which side of the goal is good.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

/// One figure the project wants to reach.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) goal: Goal,
    /// Absent when it was not measured in this run.
    pub(crate) value: Option<f64>,
    pub(crate) digits: usize,
}

impl Target {
    fn verdict(&self) -> &'static str {
        match (self.value, self.goal) {
            (None, _) => "not measured",
            (Some(value), Goal::AtLeast(goal)) if value >= goal => "PASS",
            (Some(value), Goal::AtMost(goal)) if value <= goal => "PASS",
            (Some(_), _) => "MISS",
        }
    }
}

/// All targets as one table.
pub(crate) fn targets(targets: &[Target]) -> Section {
    let mut section = Section::new("Targets", &["target", "goal", "measured", "verdict"]);
    for target in targets {
        let goal = match target.goal {
            Goal::AtLeast(goal) => format!("≥ {}", number(goal, target.digits)),
            Goal::AtMost(goal) => format!("≤ {}", number(goal, target.digits)),
        };
        let value = target.value.map_or("—".to_owned(), |value| number(value, target.digits));
        section.row([target.name, &goal, &value, target.verdict()]);
    }
    section
}

/// A figure with thin groups of thousands: `12 345`.
pub(crate) fn number(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    let (whole, fraction) =
        text.split_once('.').map_or((text.as_str(), ""), |(whole, fraction)| (whole, fraction));
    let (sign, whole) = whole.strip_prefix('-').map_or(("", whole), |rest| ("-", rest));
    let mut grouped = String::from(sign);
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at) % 3 == 0 {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    if fraction.is_empty() { grouped } else { format!("{grouped}.{fraction}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        assert_eq!(number(1_234_567.0, 0), "1 234 567");
        assert_eq!(number(999.0, 0), "999");
        assert_eq!(number(-1_234.56, 1), "-1 234.6");
    }

    #[test]
    fn verdicts() {
        let target = |value, goal| Target { name: "x", goal, value, digits: 1 }.verdict();
        assert_eq!(target(Some(2.0), Goal::AtLeast(2.0)), "PASS");
        assert_eq!(target(Some(2.1), Goal::AtMost(2.0)), "MISS");
        assert_eq!(target(None, Goal::AtMost(2.0)), "not measured");
    }

    #[test]
    fn rows_of_a_table_that_was_read_are_replaced_by_their_first_cell() {
        let old = "### T\n\n| what |    n |\n|------|-----:|\n| a    |    1 |\n| b    |    2 |\n\n> note\n";
        let mut section = Section::read(old).expect("a table");
        assert_eq!(section.markdown(), old);
        let mut new = Section::new("T", &["what", "n"]);
        new.row(["b", "3"]);
        new.row(["c", "4"]);

        section.take_rows(new);

        let rows = "| a    |    1 |\n| b    |    3 |\n| c    |    4 |\n";
        assert!(section.markdown().contains(rows), "{}", section.markdown());
        assert!(Section::read("### Machine\n\n- memory\n").is_none());
    }

    #[test]
    fn a_section_is_a_markdown_table() {
        let mut section = Section::new("T", &["what", "n"]);
        section.row(["a", "1"]);
        section.note("two\nlines");
        let expected = "### T\n\n| what |    n |\n|------|-----:|\n| a    |    1 |\n\n> two · lines\n";
        assert_eq!(section.markdown(), expected);
    }
}
