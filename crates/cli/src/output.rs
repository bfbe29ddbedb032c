//! Everything the commands print goes through here: answers to standard output, the rest to standard error.
//!
//! Invariant: with `--json`, standard output carries exactly one JSON document and nothing else; control
//! characters in text from elsewhere never reach a terminal.
//! Not here: log lines of the server (`logging.rs`).

use crate::config::Environment;
use crate::failure::Report;
use serde::Serialize;
use std::io::{self, IsTerminal as _, Write};

/// How answers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// How a word stands out on a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Headings and names.
    Bold,
    /// What matters less.
    Dim,
    /// Well.
    Green,
    /// Needs attention.
    Yellow,
    /// Wrong.
    Red,
    /// Under way.
    Cyan,
}

impl Style {
    fn code(self) -> u8 {
        match self {
            Self::Bold => 1,
            Self::Dim => 2,
            Self::Red => 31,
            Self::Green => 32,
            Self::Yellow => 33,
            Self::Cyan => 36,
        }
    }
}

/// One of the two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stream {
    Out,
    Err,
}

/// A stream, whether it is somebody's screen, and whether it may be coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Screen {
    stream: Stream,
    terminal: bool,
    colour: bool,
}

impl Screen {
    fn new(stream: Stream, terminal: bool, environment: &Environment) -> Self {
        let refused = environment.get("NO_COLOR").is_some() || environment.get("TERM") == Some("dumb");
        Self { stream, terminal, colour: terminal && !refused }
    }

    fn paint(self, style: Style, text: &str) -> String {
        if self.colour { format!("\x1b[{}m{text}\x1b[0m", style.code()) } else { text.to_owned() }
    }

    fn write(self, bytes: &[u8]) -> io::Result<()> {
        match self.stream {
            Stream::Out => write_to(io::stdout().lock(), bytes),
            Stream::Err => write_to(io::stderr().lock(), bytes),
        }
    }
}

fn write_to(mut stream: impl Write, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes)?;
    stream.flush()
}

/// The two streams and how to write to them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    format: Format,
    out: Screen,
    err: Screen,
}

impl Output {
    /// The process's streams.
    pub(crate) fn new(format: Format, environment: &Environment) -> Self {
        let out = Screen::new(Stream::Out, io::stdout().is_terminal(), environment);
        let err = Screen::new(Stream::Err, io::stderr().is_terminal(), environment);
        Self { format, out, err }
    }

    /// Whether programs read the answer.
    pub(crate) fn is_json(self) -> bool {
        self.format == Format::Json
    }

    /// Whether standard output is a terminal.
    pub(crate) fn is_terminal(self) -> bool {
        self.out.terminal
    }

    /// Whether progress can be shown on standard error.
    pub(crate) fn shows_progress(self) -> bool {
        self.err.terminal && !self.is_json()
    }

    /// Whether standard error may be coloured.
    pub(crate) fn colours_stderr(self) -> bool {
        self.err.colour
    }

    /// Colours a word for standard output.
    pub(crate) fn paint(self, style: Style, text: &str) -> String {
        self.out.paint(style, text)
    }

    /// One line of an answer, or several.
    pub(crate) fn line(self, text: &str) -> anyhow::Result<()> {
        Ok(self.out.write(format!("{text}\n").as_bytes())?)
    }

    /// An answer for programs.
    pub(crate) fn json(self, answer: &impl Serialize) -> anyhow::Result<()> {
        self.line(&serde_json::to_string_pretty(answer)?)
    }

    /// An answer in the form that was asked for.
    pub(crate) fn answer(self, answer: &impl Serialize, text: impl FnOnce() -> String) -> anyhow::Result<()> {
        if self.is_json() { self.json(answer) } else { self.line(&text()) }
    }

    /// Text as it is, without a line end; for completions.
    pub(crate) fn raw(self, bytes: &[u8]) -> anyhow::Result<()> {
        Ok(self.out.write(bytes)?)
    }

    /// Goes back over `lines` lines of standard output and clears them.
    pub(crate) fn rewind(self, lines: usize) -> anyhow::Result<()> {
        if self.out.terminal && lines > 0 {
            self.out.write(format!("\x1b[{lines}A\x1b[J").as_bytes())?;
        }
        Ok(())
    }

    /// A remark on standard error; a reader who has gone is no reason to fail.
    pub(crate) fn warn(self, text: &str) {
        let _ = self.err.write(format!("{} {text}\n", self.err.paint(Style::Yellow, "warning:")).as_bytes());
    }

    /// The same, without a label.
    pub(crate) fn remark(self, text: &str) {
        let _ = self.err.write(format!("{text}\n").as_bytes());
    }

    /// Overwrites the progress line on standard error.
    pub(crate) fn progress(self, text: &str) {
        if self.shows_progress() {
            let _ = self.err.write(format!("\r\x1b[K{text}").as_bytes());
        }
    }

    /// Says why a command failed: one line, or one JSON object on standard error.
    pub(crate) fn failure(self, report: &Report) {
        let line = if self.is_json() {
            serde_json::json!({"error": {"message": report.what, "hint": report.hint}}).to_string()
        } else {
            let hint = report.hint.as_ref().map(|hint| format!("; hint: {hint}")).unwrap_or_default();
            format!("{} {}{hint}", self.err.paint(Style::Red, "error:"), report.what)
        };
        let _ = self.err.write(format!("{line}\n").as_bytes());
    }
}

/// Text from elsewhere, made harmless to terminals and kept to one line.
pub(crate) fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Rows as aligned columns, two blanks apart.
pub(crate) fn columns(rows: &[Vec<String>]) -> String {
    let width = |at: usize| rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..).map_while(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A time span for people: `412 ms`, `3.4 s`, `2 min 5 s`, `3 h 12 min`.
pub(crate) fn span(ms: i64) -> String {
    let ms = ms.max(0);
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        60_000..3_600_000 => format!("{} min {} s", ms / 60_000, ms / 1_000 % 60),
        3_600_000..86_400_000 => format!("{} h {} min", ms / 3_600_000, ms / 60_000 % 60),
        _ => format!("{} d {} h", ms / 86_400_000, ms / 3_600_000 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_by_characters() {
        let rows = [["größe", "x"], ["a", "yy"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(columns(&rows), "größe  x\na      yy");
        assert_eq!(columns(&[]), "");
    }

    #[test]
    fn spans_are_readable() {
        let spans = [5, 3_450, 125_000, 11_520_000, 93_600_000].map(span);
        assert_eq!(spans, ["5 ms", "3.4 s", "2 min 5 s", "3 h 12 min", "1 d 2 h"]);
    }

    #[test]
    fn escape_codes_from_elsewhere_are_taken_out() {
        assert_eq!(clean("a\x1b[31mb\nc"), "a [31mb c");
    }

    #[test]
    fn colour_needs_a_terminal_and_no_objection() {
        let plain = Environment::default();
        let objecting = Environment::from_pairs([("NO_COLOR", "1")]);
        assert!(Screen::new(Stream::Out, true, &plain).colour);
        assert!(
            !Screen::new(Stream::Out, true, &objecting).colour
                && !Screen::new(Stream::Err, false, &plain).colour
        );
        assert_eq!(Screen::new(Stream::Err, false, &plain).paint(Style::Red, "x"), "x");
    }
}
