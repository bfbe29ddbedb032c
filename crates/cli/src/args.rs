//! The command line: every command, flag and word of help.
//!
//! Invariant: names that the contract gives to scripts (§13) stay as they are.
//! Not here: doing any of it (`commands/`), values from elsewhere (`config/`).

mod messages;

pub(crate) use messages::{Listen, Signals, Sources, Webhooks};

use crate::config::Flag;
use clap::{Args, Parser, Subcommand, ValueEnum};
use openevent_domain::role::Role;
use openevent_domain::tenant::{DEFAULT_PROJECT, Environment};
use std::path::PathBuf;

/// Named signals start durable workflows: one binary, one address, one file.
#[derive(Debug, Parser)]
#[command(name = "openevent", version, propagate_version = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// Print JSON instead of text
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Read this configuration file instead of ./openevent.toml
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// One file per command.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the server
    Serve(Serve),
    /// Drive runs for a Temporal cluster, beside servers on one PostgreSQL; serves no requests
    Worker(Data),
    /// Make, list and revoke API keys; works while the server runs
    #[command(subcommand)]
    Keys(Keys),
    /// Make people's accounts and keep them; works while the server runs
    #[command(subcommand)]
    Users(Users),
    /// Make and list projects; works while the server runs
    #[command(subcommand)]
    Projects(Projects),
    /// Say who belongs to a project, and as what; works while the server runs
    #[command(subcommand)]
    Members(Members),
    /// Put, list and delete secrets of workflows; works while the server runs
    #[command(subcommand)]
    Secrets(Secrets),
    /// Fill a project with a made-up season of events, vendors and sponsors; works while the server runs
    Demo(Demo),
    /// Create the database or bring its schema up to date
    Migrate(Data),
    /// Look over the database, the data directory and the configuration
    Doctor(Data),
    /// Copy the SQLite database to a new file, also while the server runs
    Backup(Backup),
    /// Send signals to a running server, look at them, send them again
    #[command(subcommand)]
    Signals(Signals),
    /// Forward the signals of a running server to a program on this machine, signed as webhooks are
    Listen(Listen),
    /// Manage who sends to us: sources of webhooks on a running server, outboxes in other databases
    #[command(subcommand)]
    Sources(Sources),
    /// Manage webhooks of a running server, and check signatures
    #[command(subcommand)]
    Webhooks(Webhooks),
    /// Check workflow definitions, and put them on a running server
    #[command(subcommand)]
    Workflows(Workflows),
    /// Look at the runs of a running server, and steer them
    #[command(subcommand)]
    Runs(Runs),
    /// Look at who wrote what on a running server
    #[command(subcommand)]
    Audit(Audit),
    /// Send a table (CSV) to a running server
    Import(Import),
    /// Print a table (CSV) of a running server
    Export(Export),
    /// Print a completion script for a shell
    Completions {
        /// For which shell.
        shell: clap_complete::Shell,
    },
}

/// Where the data is.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Data {
    /// Directory of the SQLite database [default: ./data]; DATABASE_URL wins over it
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<String>,
}

/// Flags of `serve`.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Accept connections here [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<String>,
    #[command(flatten)]
    pub(crate) data: Data,
    /// Load workflow definitions from this directory [default: ./workflows]
    #[arg(long, value_name = "DIR")]
    pub(crate) workflows: Option<String>,
    /// With Temporal: leave driving runs to `openevent worker`
    #[arg(long)]
    pub(crate) no_worker: bool,
}

/// `keys …`
#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    /// Make a key and print it, once
    Create(KeyCreate),
    /// List the keys of all projects, without their secrets
    List(Data),
    /// Revoke a key, for good
    Revoke {
        /// The key's id, as `keys list` shows it.
        id: String,
        #[command(flatten)]
        data: Data,
    },
}

/// Flags of `keys create`.
#[derive(Debug, Args)]
pub(crate) struct KeyCreate {
    /// What people call the key
    #[arg(long)]
    pub(crate) name: String,
    /// What it may do, such as events:read,events:write or *
    #[arg(long, value_delimiter = ',', required = true)]
    pub(crate) scopes: Vec<String>,
    /// Which of the project's data sets [default: live, or what --literal says]
    #[arg(long)]
    pub(crate) environment: Option<KeyEnvironment>,
    /// Whose key; a new name makes a new project
    #[arg(long, default_value = DEFAULT_PROJECT)]
    pub(crate) project: String,
    /// Calls an hour, instead of the default
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rate_limit: Option<u32>,
    /// Refuse the key from this time on, Unix milliseconds
    #[arg(long, value_name = "MS")]
    pub(crate) expires_at: Option<i64>,
    /// Store this key instead of a random one; begins with oe_live_ or oe_test_
    #[arg(long, value_name = "KEY")]
    pub(crate) literal: Option<String>,
    #[command(flatten)]
    pub(crate) data: Data,
}

/// The two data sets of a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeyEnvironment {
    /// The real thing
    Live,
    /// For trying out
    Test,
}

impl From<KeyEnvironment> for Environment {
    fn from(environment: KeyEnvironment) -> Self {
        match environment {
            KeyEnvironment::Live => Self::Live,
            KeyEnvironment::Test => Self::Test,
        }
    }
}

/// `users …`
#[derive(Debug, Subcommand)]
pub(crate) enum Users {
    /// Make an account
    Create {
        /// The address they sign in with
        #[arg(long)]
        email: String,
        /// Read the password from standard input; one line break at its end is left out
        #[arg(long, required = true)]
        password_stdin: bool,
        /// Make them an admin of the whole instance
        #[arg(long)]
        admin: bool,
        #[command(flatten)]
        data: Data,
    },
    /// List accounts
    List(Data),
    /// Keep somebody from signing in, and end their sessions
    Disable(Account),
    /// Let somebody sign in again
    Enable(Account),
    /// Give somebody another password, and end their sessions
    SetPassword {
        /// Read the password from standard input; one line break at its end is left out
        #[arg(long, required = true)]
        password_stdin: bool,
        #[command(flatten)]
        account: Account,
    },
    /// Delete an account, with its sessions and memberships
    Delete(Account),
}

impl Users {
    fn data(&self) -> &Data {
        match self {
            Self::Create { data, .. } | Self::List(data) => data,
            Self::Disable(account)
            | Self::Enable(account)
            | Self::Delete(account)
            | Self::SetPassword { account, .. } => &account.data,
        }
    }
}

/// Whose account.
#[derive(Debug, Args)]
pub(crate) struct Account {
    /// Their e-mail address, or the account's id
    pub(crate) user: String,
    #[command(flatten)]
    pub(crate) data: Data,
}

/// `projects …`
#[derive(Debug, Subcommand)]
pub(crate) enum Projects {
    /// List projects
    List(Data),
    /// Make a project
    Create {
        /// Its name
        name: String,
        #[command(flatten)]
        data: Data,
    },
}

/// `members …`
#[derive(Debug, Subcommand)]
pub(crate) enum Members {
    /// Make somebody a member, or give a member another role
    Add {
        /// Their e-mail address
        #[arg(long)]
        email: String,
        /// What they may do: everything, everything but keys and members, or read
        #[arg(long)]
        role: MemberRole,
        #[command(flatten)]
        of: OfProject,
    },
    /// List members
    List {
        #[command(flatten)]
        of: OfProject,
    },
    /// End a membership
    Remove {
        /// Their e-mail address
        #[arg(long)]
        email: String,
        #[command(flatten)]
        of: OfProject,
    },
}

/// Which project, and where.
#[derive(Debug, Args)]
pub(crate) struct OfProject {
    /// Its name
    #[arg(long, default_value = DEFAULT_PROJECT)]
    pub(crate) project: String,
    #[command(flatten)]
    pub(crate) data: Data,
}

/// What a member is in a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum MemberRole {
    /// Everything, keys and members included
    Owner,
    /// Everything but keys and members
    Manager,
    /// Reading
    Viewer,
}

impl From<MemberRole> for Role {
    fn from(role: MemberRole) -> Self {
        match role {
            MemberRole::Owner => Self::Owner,
            MemberRole::Manager => Self::Manager,
            MemberRole::Viewer => Self::Viewer,
        }
    }
}

/// `secrets …`
#[derive(Debug, Subcommand)]
pub(crate) enum Secrets {
    /// Put a secret, or replace its value; the text of a JSON object of texts gives it fields
    Set {
        /// What definitions call it.
        name: String,
        /// Read the value from standard input; one line break at its end is left out
        #[arg(long, conflicts_with = "value")]
        value_stdin: bool,
        /// The value itself; others on this machine may see it in the list of processes
        #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
        value: Option<String>,
        #[command(flatten)]
        of: ProjectData,
    },
    /// List secrets, without their values
    List {
        #[command(flatten)]
        of: ProjectData,
    },
    /// Delete a secret
    Delete {
        /// Its name.
        name: String,
        #[command(flatten)]
        of: ProjectData,
    },
    /// Seal all secrets of all projects under a new key
    RotateKey(Data),
}

/// Flags of `demo`.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Another number makes another season
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) seed: u64,
    /// How many events
    #[arg(long, default_value_t = 60, value_name = "N")]
    pub(crate) events: u64,
    /// How many vendors
    #[arg(long, default_value_t = 400, value_name = "N")]
    pub(crate) vendors: u64,
    /// How many sponsors
    #[arg(long, default_value_t = 150, value_name = "N")]
    pub(crate) sponsors: u64,
    /// Leave out what hangs on the events: tasks, budgets, relations, applications
    #[arg(long)]
    pub(crate) bare: bool,
    /// Fill a project that has events already
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) of: ProjectData,
}

/// Whose secrets, or whose season.
#[derive(Debug, Args)]
pub(crate) struct ProjectData {
    /// Which of the project's data sets [default: live]
    #[arg(long)]
    pub(crate) environment: Option<KeyEnvironment>,
    /// Whose; a new name makes a new project
    #[arg(long, default_value = DEFAULT_PROJECT)]
    pub(crate) project: String,
    #[command(flatten)]
    pub(crate) data: Data,
}

/// Flags of `backup`.
#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// The new file; one that exists is never overwritten
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) data: Data,
}

/// Which server, and as whom.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Remote {
    /// The server [default: OPENEVENT_URL, or where `serve` would listen]
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// Static token or API key [default: `COMPOZY_API_TOKEN`, `OPENEVENT_API_TOKEN`, `OPENEVENT_API_KEY`, dev-token]
    #[arg(long, value_name = "TOKEN")]
    pub(crate) token: Option<String>,
}

/// `workflows …`
#[derive(Debug, Subcommand)]
pub(crate) enum Workflows {
    /// Check definitions without a server
    Validate {
        /// YAML or JSON files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Check definitions, then put them on the server; nothing is put unless all are valid
    Apply {
        /// YAML or JSON files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Put definitions too whose kinds of calls the server does not offer; such a task faults when reached
        #[arg(long)]
        allow_unsupported: bool,
        #[command(flatten)]
        remote: Remote,
    },
    /// List the server's workflows
    List {
        #[command(flatten)]
        remote: Remote,
    },
}

/// `runs …`
#[derive(Debug, Subcommand)]
pub(crate) enum Runs {
    /// List runs, newest first
    List {
        /// pending, running, waiting, suspended, cancelled, faulted or completed
        #[arg(long)]
        status: Option<String>,
        /// Only of this workflow, as namespace/name or name
        #[arg(long)]
        workflow: Option<String>,
        /// How many at most
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100))]
        limit: u32,
        #[command(flatten)]
        remote: Remote,
    },
    /// Show one run with its tasks
    Show {
        /// Its id.
        id: String,
        /// Keep showing it until it ends
        #[arg(long)]
        watch: bool,
        #[command(flatten)]
        remote: Remote,
    },
    /// Let a run that has faulted go on from what failed
    Retry(Steered),
    /// End a run early
    Cancel(Steered),
    /// Pause a run
    Suspend(Steered),
    /// Let a suspended run go on
    Resume(Steered),
}

/// `audit …`
#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// List writes, newest first
    List {
        /// project [default], or instance: the directory, users and projects
        #[arg(long)]
        scope: Option<String>,
        /// Only of this actor, by id
        #[arg(long)]
        actor: Option<String>,
        /// Only this action, such as event.update, or all of a kind: event.*
        #[arg(long)]
        action: Option<String>,
        /// Only what was done to this, by id
        #[arg(long)]
        target: Option<String>,
        /// How many at most
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100))]
        limit: u32,
        #[command(flatten)]
        remote: Remote,
    },
}

/// What a table holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TableKind {
    /// Planned events
    Events,
    /// Vendors of the directory
    Vendors,
    /// Sponsors of the directory
    Sponsors,
    /// The tasks of an event
    Tasks,
    /// The budget of an event
    Budget,
}

impl TableKind {
    /// Its word in paths.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Vendors => "vendors",
            Self::Sponsors => "sponsors",
            Self::Tasks => "tasks",
            Self::Budget => "budget",
        }
    }

    /// Whether it hangs on an event.
    pub(crate) fn is_part(self) -> bool {
        matches!(self, Self::Tasks | Self::Budget)
    }
}

/// Flags of `import`.
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// What the table holds
    pub(crate) kind: TableKind,
    /// The table
    pub(crate) file: PathBuf,
    /// Whose tasks or budget
    #[arg(long, value_name = "ID")]
    pub(crate) event: Option<String>,
    /// Write nothing; tell what would become of each row
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Write all rows, or none if one is refused
    #[arg(long)]
    pub(crate) atomic: bool,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

/// Flags of `export`.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// What the table holds
    pub(crate) kind: TableKind,
    /// Whose tasks or budget
    #[arg(long, value_name = "ID")]
    pub(crate) event: Option<String>,
    /// A filter of the list, such as status=active; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = filter)]
    pub(crate) filter: Vec<(String, String)>,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

fn filter(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    pair.ok_or_else(|| "is not NAME=VALUE".to_owned())
}

/// Which run, and where.
#[derive(Debug, Args)]
pub(crate) struct Steered {
    /// Its id.
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

impl Command {
    /// The settings that this command's flags make.
    pub(crate) fn flags(&self) -> Vec<Flag> {
        let flag = |name, key, value: &Option<String>| value.clone().map(|value| Flag { name, key, value });
        let data = |data: &Data| flag("--data-dir", "data_dir", &data.data_dir);
        let set = match self {
            Self::Serve(serve) => {
                let listen = flag("--listen", "listen", &serve.listen);
                vec![listen, data(&serve.data), flag("--workflows", "workflows", &serve.workflows)]
            }
            Self::Keys(Keys::Create(create)) => vec![data(&create.data)],
            Self::Keys(Keys::List(at) | Keys::Revoke { data: at, .. })
            | Self::Migrate(at)
            | Self::Worker(at)
            | Self::Doctor(at) => {
                vec![data(at)]
            }
            Self::Users(users) => vec![data(users.data())],
            Self::Members(Members::Add { of, .. } | Members::List { of } | Members::Remove { of, .. }) => {
                vec![data(&of.data)]
            }
            Self::Projects(Projects::List(at) | Projects::Create { data: at, .. })
            | Self::Secrets(Secrets::RotateKey(at)) => vec![data(at)],
            Self::Secrets(Secrets::Set { of, .. } | Secrets::List { of } | Secrets::Delete { of, .. }) => {
                vec![data(&of.data)]
            }
            Self::Demo(demo) => vec![data(&demo.of.data)],
            Self::Backup(backup) => vec![data(&backup.data)],
            Self::Signals(_)
            | Self::Listen(_)
            | Self::Sources(_)
            | Self::Workflows(_)
            | Self::Runs(_)
            | Self::Audit(_)
            | Self::Import(_)
            | Self::Export(_)
            | Self::Webhooks(_)
            | Self::Completions { .. } => Vec::new(),
        };
        set.into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_become_settings() {
        let cli = Cli::try_parse_from(["openevent", "serve", "--listen", "127.0.0.1:0", "--data-dir", "d"])
            .unwrap();
        let flags: Vec<_> = cli.command.flags().into_iter().map(|flag| (flag.key, flag.value)).collect();
        assert_eq!(flags, [("listen", "127.0.0.1:0".to_owned()), ("data_dir", "d".to_owned())]);
    }
}
