//! Who calls, and whether they may: permissions are extractor types.
//!
//! Invariant: a handler that takes `Can<S>` runs only for callers who hold `S`; put it first in the argument
//! list, so that it is asked before the path's ids and the body are read.
//! Not here: finding out who calls (see `keyring`).

use super::moment::PastTheGate;
use super::problem::Problem;
use axum::extract::FromRequestParts;
use http::HeaderValue;
use http::request::Parts;
use openevent_domain::id::{KeyId, ProjectId, RunId, SessionId, UserId};
use openevent_domain::scope::Scopes;
use openevent_domain::tenant::Tenant;
use std::marker::PhantomData;
use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;

/// Which credential was shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// The operator's static token.
    Operator,
    /// An API key.
    Key(KeyId),
    /// A run of the project's own workflows.
    Workflow(RunId),
    /// A person who signed in.
    User {
        /// Who.
        id: UserId,
        /// In which session.
        session: SessionId,
    },
}

impl Credential {
    /// What is written down as the maker of something.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Operator => "operator",
            Self::Key(id) => id.as_str(),
            Self::Workflow(run) => run.as_str(),
            Self::User { id, .. } => id.as_str(),
        }
    }

    /// The person, when it is one.
    pub fn user(&self) -> Option<&UserId> {
        match self {
            Self::User { id, .. } => Some(id),
            Self::Operator | Self::Key(_) | Self::Workflow(_) => None,
        }
    }

    /// The word for its kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Key(_) => "key",
            Self::Workflow(_) => "workflow",
            Self::User { .. } => "user",
        }
    }
}

/// Whom a credential belongs to; shared by all requests that show it.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The data they see.
    pub tenant: Tenant,
    /// Their project.
    pub project_id: ProjectId,
    /// What they may do.
    pub scopes: Scopes,
    /// Whether their `*` reaches beyond their project.
    pub is_instance: bool,
    /// How they showed it.
    pub credential: Credential,
    /// What people call them: the name of the key, a person's e-mail address.
    pub name: Option<String>,
}

/// The request somebody came with.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Its `X-Request-Id`.
    pub request_id: HeaderValue,
    /// Where it came from; `None` when it came from within.
    pub address: Option<IpAddr>,
}

/// An authenticated caller: who they are, and the request they came with. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Caller {
    identity: Arc<Identity>,
    /// The request.
    pub origin: Origin,
}

impl Deref for Caller {
    type Target = Identity;

    fn deref(&self) -> &Identity {
        &self.identity
    }
}

impl Caller {
    /// Somebody with a request.
    pub fn new(identity: Arc<Identity>, origin: Origin) -> Self {
        Self { identity, origin }
    }
}

impl Identity {
    /// Whether they came with the operator's static token.
    pub fn is_operator(&self) -> bool {
        self.credential == Credential::Operator
    }

    /// Whether they are an admin of the whole instance: the static token, a key with `*` that an admin made, an
    /// admin's session.
    pub fn is_admin(&self) -> bool {
        self.is_instance && self.scopes.grant(Everything::WORD)
    }

    /// Refuses unless the caller holds the scope.
    pub fn require(&self, scope: &str) -> Result<(), Problem> {
        if self.scopes.grant(scope) { Ok(()) } else { Err(Problem::forbidden(scope)) }
    }
}

/// Any valid credential.
#[derive(Clone, Debug)]
pub struct Anyone(pub Caller);

impl Deref for Anyone {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.0
    }
}

impl<S: Sync> FromRequestParts<S> for Anyone {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Caller>().cloned();
        caller.map(Self).ok_or_else(|| Problem::internal(PastTheGate))
    }
}

impl<S: Sync> FromRequestParts<S> for Origin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let known = parts.extensions.get::<Caller>().map(|caller| &caller.origin);
        let origin = known.or_else(|| parts.extensions.get::<Self>()).cloned();
        origin.ok_or_else(|| Problem::internal(PastTheGate))
    }
}

/// An admin of the whole instance. The directory, users and projects are theirs.
#[derive(Clone, Debug)]
pub struct Admin(pub Caller);

impl Deref for Admin {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.0
    }
}

impl<S: Sync> FromRequestParts<S> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Anyone(caller) = Anyone::from_request_parts(parts, state).await?;
        if caller.is_admin() { Ok(Self(caller)) } else { Err(Problem::admins_only()) }
    }
}

/// A scope as a type.
pub trait Scope: Send + Sync + 'static {
    /// The word a key must hold.
    const WORD: &'static str;
}

/// A caller who holds the scope `S`.
#[derive(Clone, Debug)]
pub struct Can<S> {
    caller: Caller,
    scope: PhantomData<S>,
}

impl<S> Can<S> {
    /// The caller, to be kept.
    pub fn caller(&self) -> Caller {
        self.caller.clone()
    }
}

impl<S> Deref for Can<S> {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.caller
    }
}

impl<S: Scope, T: Sync> FromRequestParts<T> for Can<S> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &T) -> Result<Self, Problem> {
        let Anyone(caller) = Anyone::from_request_parts(parts, state).await?;
        caller.require(S::WORD)?;
        Ok(Self { caller, scope: PhantomData })
    }
}

macro_rules! scopes {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)*) => {
        $($(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name;

        impl Scope for $name {
            const WORD: &'static str = $word;
        })*

        /// Every scope an endpoint can ask for.
        pub const WORDS: &[&str] = &[$($word),*];
    };
}

scopes! {
    /// Reading events.
    ReadEvents = "events:read",
    /// Making and changing events, and sending signals.
    WriteEvents = "events:write",
    /// Deleting events.
    DeleteEvents = "events:delete",
    /// Reading vendors.
    ReadVendors = "vendors:read",
    /// Reading sponsors.
    ReadSponsors = "sponsors:read",
    /// Reading tasks.
    ReadTasks = "tasks:read",
    /// Making and changing tasks.
    WriteTasks = "tasks:write",
    /// Reading budgets.
    ReadBudget = "budget:read",
    /// Changing budgets.
    WriteBudget = "budget:write",
    /// Reading signals and the stream.
    ReadSignals = "signals:read",
    /// Reading workflows and event types.
    ReadWorkflows = "workflows:read",
    /// Putting and deleting workflows and event types.
    WriteWorkflows = "workflows:write",
    /// Reading runs.
    ReadRuns = "runs:read",
    /// Starting and steering runs.
    WriteRuns = "runs:write",
    /// Administration of a project: keys, webhooks. What is the whole instance's takes [`Admin`].
    Everything = "*",
}

#[cfg(test)]
mod tests {
    use super::WORDS;
    use openevent_domain::scope::KNOWN;

    #[test]
    fn every_known_scope_can_be_asked_for() {
        for word in KNOWN {
            assert!(WORDS.contains(&word), "{word}");
        }
        assert_eq!(WORDS.len(), KNOWN.len() + 1);
    }
}
