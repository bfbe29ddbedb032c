//! Errors as a person at a terminal reads them: what went wrong, and what to do about it.
//!
//! Invariant: a failure is one line; the exit code is 1 when something failed and 2 when it was asked wrongly.
//! Not here: printing (`output.rs`).

use std::fmt;
use std::process::ExitCode;

/// What the exit code says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It was tried and did not work.
    Failed,
    /// The command line, the environment or the configuration file has to be corrected first.
    Usage,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Failed => Self::from(1),
            Exit::Usage => Self::from(2),
        }
    }
}

/// Words for a person; travels as an `anyhow` context in front of the cause, if there is one.
#[derive(Debug, thiserror::Error)]
pub(crate) struct Failure {
    what: String,
    hint: String,
    exit: Exit,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

/// Something was tried and did not work.
pub(crate) fn failed(what: impl Into<String>, hint: impl Into<String>) -> anyhow::Error {
    Failure { what: what.into(), hint: hint.into(), exit: Exit::Failed }.into()
}

/// The request itself has to be corrected.
pub(crate) fn usage(what: impl Into<String>, hint: impl Into<String>) -> anyhow::Error {
    Failure { what: what.into(), hint: hint.into(), exit: Exit::Usage }.into()
}

/// Puts words for a person in front of a cause.
pub(crate) trait Explain<T> {
    /// Says what failed and what to do.
    fn explain(self, what: impl Into<String>, hint: impl Into<String>) -> anyhow::Result<T>;
}

impl<T, E: Into<anyhow::Error>> Explain<T> for Result<T, E> {
    fn explain(self, what: impl Into<String>, hint: impl Into<String>) -> anyhow::Result<T> {
        self.map_err(|cause| explain(cause, what, hint))
    }
}

/// Puts words for a person in front of a cause.
pub(crate) fn explain(
    cause: impl Into<anyhow::Error>,
    what: impl Into<String>,
    hint: impl Into<String>,
) -> anyhow::Error {
    cause.into().context(Failure { what: what.into(), hint: hint.into(), exit: Exit::Failed })
}

/// A failure taken apart for printing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Report {
    /// The words and every cause behind them, on one line.
    pub(crate) what: String,
    /// What to do, if known.
    pub(crate) hint: Option<String>,
    /// The exit code.
    pub(crate) exit: Exit,
}

impl Report {
    /// Reads an error.
    pub(crate) fn of(error: &anyhow::Error) -> Self {
        let failure = error.downcast_ref::<Failure>();
        Self {
            what: one_line(&format!("{error:#}")),
            hint: failure.map(|failure| one_line(&failure.hint)).filter(|hint| !hint.is_empty()),
            exit: failure.map_or(Exit::Failed, |failure| failure.exit),
        }
    }
}

/// Folds a text of several lines into one.
pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_causes_make_one_line() {
        let cause: Result<(), _> = Err(anyhow::anyhow!("no such\n  file"));
        let error = cause.explain("cannot read x", "check the name").unwrap_err();
        let report = Report::of(&error);
        assert_eq!(report.what, "cannot read x: no such file");
        assert_eq!((report.hint.as_deref(), report.exit), (Some("check the name"), Exit::Failed));
    }

    #[test]
    fn an_error_without_words_still_reports() {
        let report = Report::of(&anyhow::anyhow!("plain"));
        assert_eq!(report, Report { what: "plain".into(), hint: None, exit: Exit::Failed });
        assert_eq!(Report::of(&usage("a", "b")).exit, Exit::Usage);
    }
}
