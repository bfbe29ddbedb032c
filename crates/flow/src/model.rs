//! What a definition says, in the form the interpreter works on.
//!
//! Invariant: tasks live in one list and refer to each other by position; names, expressions, schemas and
//! reusable components are resolved. Not here: reading definitions (`parse`) and running them (`run`).

use std::sync::Arc;

use crate::event::{FilterSpec, Mode, Strategy};
use crate::jq::{Expr, Val};
use crate::template::Template;
use crate::{Encoding, FaultKind, HttpOutput, Language, Schema, Wait};

/// Position of a task in [`Model::tasks`].
pub(crate) type TaskId = u32;

/// Everything a run needs to know.
#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) tasks: Vec<Task>,
    pub(crate) root: Block,
    pub(crate) input: Data,
    pub(crate) output: Data,
    pub(crate) timeout: Option<Delay>,
    /// Names of the secrets its runs may use.
    pub(crate) secrets: Vec<String>,
    /// Events that cancel a run.
    pub(crate) cancel_on: Vec<Arc<FilterSpec>>,
    pub(crate) extensions: Vec<Extension>,
    /// `$workflow.definition`.
    pub(crate) definition: Val,
}

/// Tasks in sequence.
pub(crate) type Block = Vec<TaskId>;

#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) name: Arc<String>,
    /// JSON pointer, `/do/0/name`.
    pub(crate) reference: Arc<String>,
    pub(crate) condition: Option<Expr>,
    pub(crate) input: Data,
    pub(crate) output: Data,
    pub(crate) export: Data,
    pub(crate) timeout: Option<Delay>,
    pub(crate) then: Then,
    /// The task after it in its block.
    pub(crate) next: Option<TaskId>,
    /// `$task.definition`.
    pub(crate) definition: Val,
    pub(crate) kind: Kind,
    /// Positions in [`Model::extensions`] of those that may apply.
    pub(crate) extensions: Vec<u32>,
}

/// Tasks around tasks.
#[derive(Debug, Default)]
pub(crate) struct Extension {
    pub(crate) when: Option<Expr>,
    pub(crate) before: Block,
    pub(crate) after: Block,
}

/// `input`, `output` or `export`: a transformation and a schema.
#[derive(Debug, Default)]
pub(crate) struct Data {
    pub(crate) shape: Option<Template>,
    pub(crate) schema: Option<Schema>,
    /// Why its schema cannot be applied here.
    pub(crate) refused: Option<(FaultKind, String)>,
}

/// Where the flow goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Then {
    #[default]
    Continue,
    Exit,
    End,
    Task(TaskId),
}

#[derive(Debug)]
pub(crate) enum Kind {
    Do(Block),
    Set(Template),
    Switch(Vec<Case>),
    Http(Box<HttpTask>),
    OpenApi(Box<OpenApiTask>),
    Process(Box<ProcessTask>),
    Child(Box<ChildTask>),
    /// A reusable task, run with these arguments as its input.
    Function(TaskId, Template),
    Emit(Template),
    Listen(Box<ListenTask>),
    Wait(Delay),
    Try(Box<TryTask>),
    Raise(Arc<ErrorTemplate>),
    For(Box<ForTask>),
    Fork(ForkTask),
    /// Valid, but not offered here.
    Unsupported(String),
    /// A function whose document could not be had.
    Missing(String),
}

#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) when: Option<Expr>,
    pub(crate) then: Then,
}

#[derive(Debug)]
pub(crate) struct HttpTask {
    pub(crate) method: Template,
    pub(crate) endpoint: Located,
    pub(crate) headers: Option<Template>,
    pub(crate) query: Option<Template>,
    pub(crate) body: Option<Template>,
    pub(crate) output: HttpOutput,
    pub(crate) redirect: bool,
}

#[derive(Debug)]
pub(crate) enum Endpoint {
    /// A URI template.
    Uri(String),
    /// An expression that gives the URI, or an object with it.
    Expr(Template),
}

/// Something that is elsewhere, and how to prove who asks.
#[derive(Debug)]
pub(crate) struct Located {
    pub(crate) uri: Endpoint,
    pub(crate) policy: Option<Arc<Policy>>,
}

/// How to prove who calls.
#[derive(Debug)]
pub(crate) enum Policy {
    Basic {
        username: Template,
        password: Template,
    },
    Digest {
        username: Template,
        password: Template,
    },
    Bearer {
        token: Template,
    },
    OAuth2(Box<OAuth2Policy>),
    /// Everything is in a secret of this name.
    Secret(Scheme, String),
    /// Valid, but not offered here.
    Unsupported(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Basic,
    Digest,
    Bearer,
    OAuth2,
    OpenIdConnect,
}

/// OAuth 2.0, or the same with addresses found by discovery.
#[derive(Debug)]
pub(crate) struct OAuth2Policy {
    pub(crate) authority: Endpoint,
    /// Path of the endpoint for tokens; `None` when it is discovered.
    pub(crate) token_path: Option<Template>,
    pub(crate) grant: Template,
    pub(crate) client_id: Option<Template>,
    pub(crate) client_secret: Option<Template>,
    pub(crate) client_assertion: Option<Template>,
    pub(crate) client_authentication: crate::ClientAuthentication,
    pub(crate) encoding: Encoding,
    pub(crate) issuers: Vec<Template>,
    pub(crate) scopes: Vec<Template>,
    pub(crate) audiences: Vec<Template>,
    pub(crate) username: Option<Template>,
    pub(crate) password: Option<Template>,
    pub(crate) subject: Option<TokenPolicy>,
    pub(crate) actor: Option<TokenPolicy>,
}

#[derive(Debug)]
pub(crate) struct TokenPolicy {
    pub(crate) token: Template,
    pub(crate) kind: Template,
}

#[derive(Debug)]
pub(crate) struct OpenApiTask {
    pub(crate) document: Located,
    pub(crate) operation: Template,
    pub(crate) parameters: Option<Template>,
    pub(crate) policy: Option<Arc<Policy>>,
    pub(crate) output: HttpOutput,
    pub(crate) redirect: bool,
}

#[derive(Debug)]
pub(crate) struct ProcessTask {
    pub(crate) program: ProgramTask,
    pub(crate) arguments: Vec<Template>,
    pub(crate) environment: Option<Template>,
    pub(crate) stdin: Option<Template>,
    pub(crate) wait: Wait,
    pub(crate) gives: Gives,
}

#[derive(Debug)]
pub(crate) enum ProgramTask {
    Shell(Template),
    Inline(Language, Template),
    From(Language, Located),
}

/// `return`: which part of a process's result is the task's output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Gives {
    #[default]
    Stdout,
    Stderr,
    Code,
    All,
    None,
}

#[derive(Debug)]
pub(crate) struct ChildTask {
    pub(crate) namespace: Template,
    pub(crate) name: Template,
    pub(crate) version: Template,
    pub(crate) input: Option<Template>,
    pub(crate) wait: Wait,
    pub(crate) gives: Gives,
}

#[derive(Debug)]
pub(crate) struct ListenTask {
    pub(crate) strategy: Strategy,
    pub(crate) read: Read,
    pub(crate) each: Option<Each>,
}

impl ListenTask {
    pub(crate) fn mode(&self) -> Mode {
        self.strategy.mode
    }
}

/// Which part of an event is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    Data,
    Envelope,
    Raw,
}

/// What is done for each event.
#[derive(Debug)]
pub(crate) struct Each {
    pub(crate) item: Arc<String>,
    pub(crate) at: Arc<String>,
    pub(crate) block: Block,
    pub(crate) output: Data,
    pub(crate) export: Data,
}

#[derive(Debug)]
pub(crate) struct TryTask {
    pub(crate) block: Block,
    pub(crate) filter: Option<ErrorFilter>,
    pub(crate) variable: Arc<String>,
    pub(crate) when: Option<Expr>,
    pub(crate) except_when: Option<Expr>,
    pub(crate) retry: Option<Arc<Retry>>,
    pub(crate) catch: Option<Block>,
}

/// Which errors are caught; every given property must be equal.
#[derive(Debug)]
pub(crate) struct ErrorFilter {
    pub(crate) kind: Option<Template>,
    pub(crate) status: Option<Template>,
    pub(crate) instance: Option<Template>,
    pub(crate) title: Option<Template>,
    pub(crate) detail: Option<Template>,
}

#[derive(Debug)]
pub(crate) struct Retry {
    pub(crate) when: Option<Expr>,
    pub(crate) except_when: Option<Expr>,
    pub(crate) delay: Option<Delay>,
    pub(crate) backoff: Backoff,
    pub(crate) jitter: Option<(Delay, Delay)>,
    pub(crate) attempts_max: Option<u32>,
    pub(crate) attempt_timeout: Option<Delay>,
    pub(crate) duration_max: Option<Delay>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backoff {
    Constant,
    Linear,
    Exponential,
}

/// An error to raise.
#[derive(Debug)]
pub(crate) struct ErrorTemplate {
    pub(crate) kind: Template,
    pub(crate) status: Template,
    pub(crate) title: Option<Template>,
    pub(crate) detail: Option<Template>,
    pub(crate) instance: Option<Template>,
}

#[derive(Debug)]
pub(crate) struct ForTask {
    pub(crate) item: Arc<String>,
    pub(crate) at: Arc<String>,
    pub(crate) collection: Expr,
    pub(crate) condition: Option<Expr>,
    pub(crate) block: Block,
}

#[derive(Debug)]
pub(crate) struct ForkTask {
    pub(crate) branches: Block,
    pub(crate) compete: bool,
}

/// A duration that may be computed.
#[derive(Debug)]
pub(crate) enum Delay {
    /// Milliseconds.
    Fixed(i64),
    /// Gives ISO 8601 text or an object of parts.
    Expr(Template),
}
