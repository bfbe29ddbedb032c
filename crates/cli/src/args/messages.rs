//! The command line of what goes in and out as messages: signals, webhooks, sources.
//!
//! Invariant: none of these touches a database; all but `verify` and `outbox-sql` ask a running server.
//! Not here: what they do.

use super::Remote;
use clap::{Args, Subcommand};

/// `signals …`
#[derive(Debug, Subcommand)]
pub(crate) enum Signals {
    /// Send one signal and print its id and the runs it started
    Send {
        /// Its name, such as order.created.
        name: String,
        /// Its payload: a JSON object, @FILE, or - for standard input
        #[arg(long, value_name = "JSON|@FILE|-", allow_hyphen_values = true)]
        payload: Option<String>,
        #[command(flatten)]
        remote: Remote,
    },
    /// List signals, newest first
    List {
        /// Only this name
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        remote: Remote,
    },
    /// Send stored signals again, each as a new one
    Replay {
        /// Their ids.
        #[arg(required = true)]
        ids: Vec<String>,
        #[command(flatten)]
        remote: Remote,
    },
}

/// Flags of `listen`.
#[derive(Debug, Args)]
pub(crate) struct Listen {
    /// Where to post each signal; without it they are only printed
    #[arg(long, value_name = "URL")]
    pub(crate) forward_to: Option<String>,
    /// Which ones: names, `prefix.*` or `*`, separated by commas
    #[arg(long, value_delimiter = ',', default_value = "*")]
    pub(crate) events: Vec<String>,
    /// Sign with this secret; without it a new one is printed
    #[arg(long, value_name = "SECRET", env = "OPENEVENT_WEBHOOK_SECRET", hide_env_values = true)]
    pub(crate) secret: Option<String>,
    /// Begin after this signal instead of now
    #[arg(long, value_name = "EVENT_ID")]
    pub(crate) since: Option<String>,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

/// `sources …`
#[derive(Debug, Subcommand)]
pub(crate) enum Sources {
    /// Print the SQL that makes an outbox and wakes us, to be run in the database that is to be read
    OutboxSql {
        /// The table, perhaps behind its schema and a dot
        #[arg(long, value_name = "TABLE", default_value = "openevent_outbox")]
        table: String,
    },
    /// List sources
    List {
        #[command(flatten)]
        remote: Remote,
    },
    /// Make a source and print where its sender has to post
    Create {
        /// What to call it; names of its signals begin with it
        #[arg(long)]
        name: String,
        /// stripe, github, slack, shopify, standard-webhooks, hmac or none
        #[arg(long)]
        preset: String,
        /// Read the sender's signing secret from standard input
        #[arg(long)]
        secret_stdin: bool,
        /// jq for the signal's name; null for what is of no interest
        #[arg(long, value_name = "JQ")]
        event_name: Option<String>,
        /// jq for the sender's id of a message
        #[arg(long, value_name = "JQ")]
        event_id: Option<String>,
        /// jq for the payload
        #[arg(long, value_name = "JQ")]
        payload: Option<String>,
        /// For the preset hmac: how its sender signs, a JSON object
        #[arg(long, value_name = "JSON")]
        signature: Option<String>,
        #[command(flatten)]
        remote: Remote,
    },
    /// Delete a source
    Delete {
        /// Its id.
        id: String,
        #[command(flatten)]
        remote: Remote,
    },
}

/// `webhooks …`
#[derive(Debug, Subcommand)]
pub(crate) enum Webhooks {
    /// List webhooks
    List {
        #[command(flatten)]
        remote: Remote,
    },
    /// Make a webhook and print its secret, once
    Create {
        /// What to call it
        #[arg(long)]
        name: String,
        /// Where it goes, an https URL
        #[arg(long, value_name = "URL")]
        target: String,
        /// What it gets: names, `prefix.*` or `*`, separated by commas
        #[arg(long, value_delimiter = ',', required = true)]
        events: Vec<String>,
        /// Only signals whose payload this jq expression holds for, such as `.status == "active"`
        #[arg(long, value_name = "JQ")]
        filter: Option<String>,
        /// Deliveries with the same result of this jq expression go out one after the other, such as `.eventId`
        #[arg(long, value_name = "JQ")]
        fifo_key: Option<String>,
        /// Attempts a second, at most
        #[arg(long, value_name = "N")]
        rate_per_second: Option<u32>,
        /// Attempts at one time, at most
        #[arg(long, value_name = "N")]
        max_concurrency: Option<u32>,
        #[command(flatten)]
        remote: Remote,
    },
    /// Say how a webhook fares
    Stats {
        /// Its id.
        id: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// Give a webhook a new secret and print it, once; the old one holds for another day
    Rotate {
        /// Its id.
        id: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// List what was sent to a webhook, newest first
    Deliveries {
        /// Its id.
        id: String,
        /// pending, delivered, failed, held or skipped
        #[arg(long)]
        status: Option<String>,
        #[command(flatten)]
        remote: Remote,
    },
    /// Send one delivery again, with the same id and body
    Redeliver {
        /// The webhook's id.
        id: String,
        /// The delivery's id.
        delivery: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// Let go of one delivery, so that those that wait for it go on
    Skip {
        /// The webhook's id.
        id: String,
        /// The delivery's id.
        delivery: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// Send a webhook a test
    Test {
        /// Its id.
        id: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// Send what was held or had failed
    Recover {
        /// Its id.
        id: String,
        /// Made at or after, Unix milliseconds
        #[arg(long, value_name = "MS")]
        since: i64,
        /// Only say how many there are
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        remote: Remote,
    },
    /// Check the signature of a request that came in, without a server
    Verify {
        /// The webhook's secret, `whsec_…`
        #[arg(long, env = "OPENEVENT_WEBHOOK_SECRET", hide_env_values = true)]
        secret: String,
        /// The header X-OpenEvent-Timestamp (or webhook-timestamp)
        #[arg(long)]
        timestamp: i64,
        /// The header X-OpenEvent-Signature (or webhook-signature)
        #[arg(long)]
        signature: String,
        /// The header webhook-id, for webhook-signature
        #[arg(long)]
        id: Option<String>,
        /// A file with the raw body [default: standard input]
        #[arg(long, value_name = "FILE|-")]
        body: Option<String>,
    },
}
