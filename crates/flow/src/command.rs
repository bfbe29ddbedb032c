//! What goes in and what comes out: the conversation between the interpreter and its driver.
//!
//! Invariant: every operation has a number allotted by the interpreter, equal on every driver and after
//! every restart; answers name it. Not here: how a driver performs, stores or retries commands.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{EventFilter, Fault};

/// One thing that happened to a run. Serialized, this is the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// The run begins.
    Started {
        /// What it was given; for `by_events` the array of CloudEvents.
        input: Value,
        /// Identifies the run, shown to expressions as `$workflow.id`.
        run_id: String,
        /// Whether `input` is an array of CloudEvents of a trigger.
        #[serde(default, skip_serializing_if = "is_false")]
        by_events: bool,
    },
    /// A call or an emission was performed.
    Done {
        /// The operation.
        op: u64,
        /// Its result; see [`Call`] and [`Command::Emit`] for the shapes.
        value: Value,
    },
    /// A call or an emission could not be performed.
    Failed {
        /// The operation.
        op: u64,
        /// Why; `instance` is filled in by the interpreter when absent.
        error: Fault,
    },
    /// A timer is due.
    Fired {
        /// The operation.
        op: u64,
    },
    /// A CloudEvent arrived that may be of interest.
    Signal {
        /// The event as a JSON object.
        event: Value,
    },
    /// Somebody ends the run early.
    Cancel,
    /// Somebody pauses the run: timers, signals and answers are kept, nothing new begins.
    Suspend,
    /// Somebody lets a suspended run go on.
    Resume,
    /// Somebody lets a faulted run go on from what failed.
    Retry,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
fn is_false(value: &bool) -> bool {
    !value
}

/// One thing the driver must do for a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Call something; answer with `Done` or `Failed`.
    Call {
        /// The operation; with the run's id it makes the idempotency key.
        op: u64,
        /// What to call.
        call: Call,
    },
    /// Answer with `Fired` when the time has come.
    Timer {
        /// The operation.
        op: u64,
        /// Unix milliseconds.
        at: i64,
    },
    /// Hand over, as `Signal`, every event that matches one of the filters.
    Listen {
        /// The operation.
        op: u64,
        /// What the run waits for; an empty list means every event.
        filters: Vec<Arc<EventFilter>>,
        /// When the run began to listen, Unix milliseconds; the driver looks back a while itself.
        since: i64,
    },
    /// Publish an event; answer `Done` with the event as it was sent.
    Emit {
        /// The operation.
        op: u64,
        /// A CloudEvent, without `id` and `time` when the author gave none: the driver completes it.
        event: Value,
    },
    /// Run another workflow. Answer `Done` with its output or `Failed` with its error when it has ended; for
    /// [`Wait::No`] answer `Done` at once, with any value.
    Child {
        /// The operation.
        op: u64,
        /// What to run.
        child: Child,
    },
    /// A call, timer, listen or child is no longer wanted; no answer is expected, a late one is ignored.
    Abandon {
        /// The operation.
        op: u64,
    },
    /// The run has ended.
    Finish(Outcome),
}

/// What a run can call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Call {
    /// An HTTP request. `Done` carries `{"status":200,"headers":{…},"body":…,"uri":…}` with header names in
    /// lower case and the body as JSON, or as text where it is not JSON; every status is `Done`.
    Http(HttpCall),
    /// An operation of a service an OpenAPI document describes; answered as [`Http`](Self::Http), with the request's
    /// `"method"` beside its `"uri"`.
    OpenApi(OpenApiCall),
    /// A script or a shell command. `Done` carries `{"code":0,"stdout":"…","stderr":"…"}`, whatever the code; for
    /// [`Wait::No`] any value, at once.
    Process(ProcessCall),
    /// The secrets the definition names. `Done` carries an object of those that exist, by name: text or an object
    /// of text. What the driver puts there are stand-ins; it replaces them when it performs a call, so that no
    /// secret is ever part of a run's state.
    Secrets {
        /// Their names.
        names: Vec<String>,
    },
}

/// An HTTP request with everything evaluated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HttpCall {
    /// Upper-case method.
    pub method: String,
    /// The whole address, query included.
    pub uri: String,
    /// Headers as the author gave them, in their order.
    pub headers: Vec<(String, String)>,
    /// Body; a string is sent as it is, anything else as JSON.
    pub body: Option<Value>,
    /// How to prove who calls. `Done` may then carry `"authorization": {"scheme":"Bearer","parameter":"…"}`, which
    /// becomes `$authorization`.
    pub authentication: Option<Authentication>,
    /// Whether answers of the range 300–399 count as success.
    pub redirect: bool,
    /// What the author wants to see of the answer.
    pub output: HttpOutput,
    /// JSON pointer of the task.
    pub reference: String,
}

/// A call of an operation an OpenAPI document describes, with everything evaluated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OpenApiCall {
    /// Where the document is.
    pub document: Resource,
    /// The operation's id in it.
    pub operation_id: String,
    /// Parameters by name, of whatever place the document gives them; `body` is the request's body where no
    /// parameter has that name.
    pub parameters: serde_json::Map<String, Value>,
    /// How to prove who calls the operation.
    pub authentication: Option<Authentication>,
    /// Whether answers of the range 300–399 count as success.
    pub redirect: bool,
    /// What the author wants to see of the answer.
    pub output: HttpOutput,
    /// JSON pointer of the task.
    pub reference: String,
}

/// Something that is elsewhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resource {
    /// Its address.
    pub uri: String,
    /// How to prove who asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authentication: Option<Authentication>,
}

/// A process to run, with everything evaluated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProcessCall {
    /// What to run.
    pub program: Program,
    /// Its arguments, in order.
    pub arguments: Vec<String>,
    /// Variables of its environment.
    pub environment: Vec<(String, String)>,
    /// Its standard input.
    pub stdin: Option<String>,
    /// Whether its end is waited for.
    pub wait: Wait,
    /// JSON pointer of the task.
    pub reference: String,
}

/// A program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Program {
    /// A command for the shell.
    Shell(String),
    /// A script.
    Script {
        /// What it is written in.
        language: Language,
        /// Its text, or where that is.
        code: Code,
    },
}

/// Languages of scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// `js` or `javascript`.
    JavaScript,
    /// `python`.
    Python,
}

/// The text of a script.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// Here.
    Inline(String),
    /// Elsewhere.
    From(Resource),
}

/// Whether a task waits for what it sets off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wait {
    /// Until it has ended.
    #[default]
    Yes,
    /// No.
    No,
}

/// A run of another workflow, with everything evaluated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Child {
    /// `document.namespace` of the workflow.
    pub namespace: String,
    /// `document.name`.
    pub name: String,
    /// `document.version`; `None` for the current one.
    pub version: Option<String>,
    /// What it is given.
    pub input: Value,
    /// Whether its end is waited for.
    pub wait: Wait,
    /// JSON pointer of the task.
    pub reference: String,
}

/// How to prove who calls, with everything evaluated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Authentication {
    /// RFC 7617.
    Basic {
        /// The user.
        username: String,
        /// The password.
        password: String,
    },
    /// RFC 6750.
    Bearer {
        /// The token.
        token: String,
    },
    /// RFC 7616.
    Digest {
        /// The user.
        username: String,
        /// The password.
        password: String,
    },
    /// A token is asked for first, then sent as a bearer token.
    OAuth2(Box<OAuth2>),
}

/// How to get a token: OAuth 2.0 (RFC 6749, RFC 8693), or the same found by OpenID Connect Discovery.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OAuth2 {
    /// Where tokens are.
    pub authority: Authority,
    /// The grant's identifier, as RFC 6749 writes it: `client_credentials`, …
    pub grant: String,
    /// Who asks.
    pub client: Client,
    /// The media type of the request for a token.
    pub encoding: Encoding,
    /// Issuers a token may have; any if empty.
    pub issuers: Vec<String>,
    /// What the token is for.
    pub scopes: Vec<String>,
    /// Whom the token is for.
    pub audiences: Vec<String>,
    /// The user, for the grant `password`.
    pub username: Option<String>,
    /// The password, for the grant `password`.
    pub password: Option<String>,
    /// On whose behalf, for the exchange of tokens; the refresh token or the code for those grants.
    pub subject: Option<Token>,
    /// Who acts.
    pub actor: Option<Token>,
}

/// Where tokens come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Authority {
    /// This address answers requests for tokens.
    Token(String),
    /// The provider's configuration says where; the address of the provider or of its configuration.
    Discovery(String),
}

/// A client of an authorization server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Client {
    /// Its id.
    pub id: Option<String>,
    /// Its secret.
    pub secret: Option<String>,
    /// A signed JWT.
    pub assertion: Option<String>,
    /// How it proves who it is.
    pub authentication: ClientAuthentication,
}

/// How a client proves who it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuthentication {
    /// By HTTP Basic.
    ClientSecretBasic,
    /// In the body.
    #[default]
    ClientSecretPost,
    /// By a JWT signed with its secret.
    ClientSecretJwt,
    /// By the assertion it was given.
    PrivateKeyJwt,
    /// Not at all.
    None,
}

/// The media type of a request for a token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// `application/x-www-form-urlencoded`.
    #[default]
    Form,
    /// `application/json`.
    Json,
}

/// A security token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Token {
    /// The token.
    pub token: String,
    /// Its type, as RFC 8693 writes it.
    pub kind: String,
}

/// Which part of an HTTP answer becomes the task's output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HttpOutput {
    /// The deserialized content.
    #[default]
    Content,
    /// The content, base64-encoded.
    Raw,
    /// Request, status, headers and content.
    Response,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// With this output.
    Completed(Value),
    /// With an error nobody caught.
    Faulted(Fault),
    /// Because somebody cancelled it.
    Cancelled,
}

/// The phases of the DSL, for runs and for tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Not begun.
    #[default]
    Pending,
    /// In progress.
    Running,
    /// Paused until a time or an event.
    Waiting,
    /// Paused by somebody.
    Suspended,
    /// Ended early by somebody.
    Cancelled,
    /// Ended by an error.
    Faulted,
    /// Ended well.
    Completed,
}

impl Status {
    /// The DSL's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Suspended => "suspended",
            Self::Cancelled => "cancelled",
            Self::Faulted => "faulted",
            Self::Completed => "completed",
        }
    }

    /// Whether nothing can follow.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Cancelled | Self::Faulted | Self::Completed)
    }
}

/// The interpreter's answer to one input.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Step {
    /// Whether the input changed anything; only accepted inputs belong in the journal.
    pub accepted: bool,
    /// What to do now, in order.
    pub commands: Vec<Command>,
}
