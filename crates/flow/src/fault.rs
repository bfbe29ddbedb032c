//! Errors of the language: RFC 7807 problems with the standard error types of the DSL.
//!
//! Invariant: a fault that leaves the interpreter always has a type and a status, and names the task
//! that raised it in `instance`. Not here: catching and retrying (`run`), and errors of a definition (`issue`).

use serde::{Deserialize, Serialize};

const PREFIX: &str = "https://serverlessworkflow.io/spec/1.0.0/errors/";
const OLDER_PREFIXES: [&str; 2] = [
    "https://serverlessworkflow.io/dsl/errors/types/",
    "https://serverlessworkflow.io.io/dsl/errors/types/", // as misspelt in the reference's own example
];

/// An error raised by a task or a run, in the shape of RFC 7807.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// URI of the kind of error.
    pub r#type: String,
    /// Status code that describes it best; HTTP's numbers.
    pub status: u16,
    /// Short words for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What happened this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// JSON pointer of the task that raised it, such as `/do/0/getPet`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
}

/// The standard error types of the DSL, each with its default status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// Wrong configuration, also kinds of task this runtime does not offer.
    Configuration,
    /// Data that does not fit its schema.
    Validation,
    /// An expression that could not be evaluated.
    Expression,
    /// Credentials were refused.
    Authentication,
    /// Not allowed.
    Authorization,
    /// Took longer than allowed.
    Timeout,
    /// The other side could not be reached or answered with an error.
    Communication,
    /// Anything else that went wrong while running.
    Runtime,
}

impl FaultKind {
    /// The URI used in [`Fault::type`](Fault).
    pub fn uri(self) -> String {
        format!("{PREFIX}{}", self.name())
    }

    fn name(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Validation => "validation",
            Self::Expression => "expression",
            Self::Authentication => "authentication",
            Self::Authorization => "authorization",
            Self::Timeout => "timeout",
            Self::Communication => "communication",
            Self::Runtime => "runtime",
        }
    }

    fn status(self) -> u16 {
        match self {
            Self::Configuration | Self::Validation | Self::Expression => 400,
            Self::Authentication => 401,
            Self::Authorization => 403,
            Self::Timeout => 408,
            Self::Communication | Self::Runtime => 500,
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Configuration => "Configuration Error",
            Self::Validation => "Validation Error",
            Self::Expression => "Expression Error",
            Self::Authentication => "Authentication Error",
            Self::Authorization => "Authorization Error",
            Self::Timeout => "Timeout",
            Self::Communication => "Communication Error",
            Self::Runtime => "Runtime Error",
        }
    }
}

impl Fault {
    /// A standard error with its default status.
    pub fn new(kind: FaultKind, detail: impl Into<String>) -> Self {
        Self {
            r#type: kind.uri(),
            status: kind.status(),
            title: Some(kind.title().to_owned()),
            detail: Some(detail.into()),
            instance: None,
        }
    }

    /// The same error with another status.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// Names the component at fault, unless one is named already.
    #[must_use]
    pub fn at(mut self, instance: &str) -> Self {
        if self.instance.is_none() {
            self.instance = Some(instance.to_owned());
        }
        self
    }
}

/// Whether two error types are the same one; the families of URIs used for the standard types are equal.
pub(crate) fn same_type(left: &str, right: &str) -> bool {
    left == right || matches!((standard_name(left), standard_name(right)), (Some(l), Some(r)) if l == r)
}

fn standard_name(uri: &str) -> Option<&str> {
    uri.strip_prefix(PREFIX).or_else(|| OLDER_PREFIXES.iter().find_map(|prefix| uri.strip_prefix(prefix)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_of_error_types_are_equal() {
        let new = FaultKind::Communication.uri();

        assert!(same_type(&new, "https://serverlessworkflow.io/dsl/errors/types/communication"));
        assert!(!same_type(&new, "https://serverlessworkflow.io/dsl/errors/types/timeout"));
        assert!(!same_type("https://example.com/a", "https://example.com/b"));
    }
}
