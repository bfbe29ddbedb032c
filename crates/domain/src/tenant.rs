//! Tenants: a project and one of its two environments. Every query starts from one.
//!
//! Invariant: `live` and `test` of one project never see each other's data.
//! Not here: who may act for a tenant (see [`crate::scope`]).

use crate::id::ProjectId;
use serde::{Deserialize, Serialize};

/// Which of a project's two separate data sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    /// The real thing.
    Live,
    /// For trying out.
    Test,
}

impl Environment {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Live, Self::Test];

    /// The word used in keys, answers and the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Test => "test",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|environment| environment.as_str() == text)
    }
}

/// A project's environment: the key every tenant-owned row begins with.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tenant(String);

impl Tenant {
    /// The tenant of a project's environment.
    pub fn of(project: &ProjectId, environment: Environment) -> Self {
        Self(format!("{project}.{}", environment.as_str()))
    }

    /// Takes a tenant as the store gave it.
    pub fn trusted(text: String) -> Self {
        Self(text)
    }

    /// The text form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Which environment this is.
    pub fn environment(&self) -> Environment {
        match self.0.rsplit_once('.') {
            Some((_, "test")) => Environment::Test,
            _ => Environment::Live,
        }
    }
}

/// The project that the static token and the command line mean when none is named.
pub const DEFAULT_PROJECT: &str = "default";

/// The longest project name.
pub const PROJECT_NAME_CHARS_MAX: usize = 100;

/// Whether a project may be called this: 1–100 visible characters.
pub fn is_project_name(name: &str) -> bool {
    let chars = name.chars().count();
    (1..=PROJECT_NAME_CHARS_MAX).contains(&chars)
        && name.trim() == name
        && !name.chars().any(char::is_control)
}
