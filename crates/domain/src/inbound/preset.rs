//! What we know of well-known senders.
//!
//! Invariant: a preset needs nothing but its secret.
//! Not here: how a rule is applied.

use super::rule::{Algorithm, Encoding, Key, Rule, Shape};
use std::borrow::Cow;

/// A kind of sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// Stripe.
    Stripe,
    /// GitHub.
    Github,
    /// Slack: events, commands and interactions.
    Slack,
    /// Shopify.
    Shopify,
    /// Whoever follows Standard Webhooks.
    StandardWebhooks,
    /// Anybody who signs with an HMAC, by a rule of the owner's.
    Hmac,
    /// Anybody at all.
    None,
}

/// The jq expressions that make a signal of a body. `$headers` and `$source` are known by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The signal's name; `null` for what is of no interest.
    pub name: &'static str,
    /// What the sender calls this message; `null` for nothing.
    pub id: &'static str,
    /// The payload.
    pub payload: &'static str,
}

/// The name of what says nothing of its kind.
const ANY: &str = r#"$source + "." + ((.type // .event // "received") | tostring)"#;

impl Preset {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Stripe,
        Self::Github,
        Self::Slack,
        Self::Shopify,
        Self::StandardWebhooks,
        Self::Hmac,
        Self::None,
    ];

    /// The word stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stripe => "stripe",
            Self::Github => "github",
            Self::Slack => "slack",
            Self::Shopify => "shopify",
            Self::StandardWebhooks => "standard-webhooks",
            Self::Hmac => "hmac",
            Self::None => "none",
        }
    }

    /// Whether what comes is checked at all.
    pub fn is_signed(self) -> bool {
        self != Self::None
    }

    /// How it signs. `None`: not at all, or as its owner says.
    pub fn rule(self) -> Option<Rule> {
        let name = |text: &'static str| Cow::Borrowed(text);
        let sha256 = |header, shape, time: Option<&'static str>, signed, encoding| Rule {
            header: name(header),
            shape,
            time: time.map(Cow::Borrowed),
            id: None,
            signed: name(signed),
            algorithm: Algorithm::Sha256,
            encoding,
            key: Key::Whole,
        };
        let after = |prefix| Shape::Whole { prefix: name(prefix) };
        match self {
            Self::Stripe => {
                Some(sha256("stripe-signature", Shape::Pairs, None, "{timestamp}.{body}", Encoding::Hex))
            }
            Self::Github => {
                Some(sha256("x-hub-signature-256", after("sha256="), None, "{body}", Encoding::Hex))
            }
            Self::Slack => Some(sha256(
                "x-slack-signature",
                after("v0="),
                Some("x-slack-request-timestamp"),
                "v0:{timestamp}:{body}",
                Encoding::Hex,
            )),
            Self::Shopify => {
                Some(sha256("x-shopify-hmac-sha256", after(""), None, "{body}", Encoding::Base64))
            }
            Self::StandardWebhooks => Some(Rule {
                id: Some(name("webhook-id")),
                key: Key::Decoded,
                ..sha256(
                    "webhook-signature",
                    Shape::List,
                    Some("webhook-timestamp"),
                    "{id}.{timestamp}.{body}",
                    Encoding::Base64,
                )
            }),
            Self::Hmac | Self::None => None,
        }
    }

    /// How its bodies become signals, unless their owner says otherwise.
    pub fn mapping(self) -> Mapping {
        let (name, id) = match self {
            Self::Stripe => (r#"$source + "." + .type"#, ".id"),
            Self::Github => (
                r#"$source + "." + $headers["x-github-event"] + (if .action then "." + .action else "" end)"#,
                r#"$headers["x-github-delivery"]"#,
            ),
            Self::Slack => (
                r#"$source + "." + (.event.type // (if .command then "command" else .type end))"#,
                ".event_id // .trigger_id",
            ),
            Self::Shopify => (
                r#"$source + "." + ($headers["x-shopify-topic"] | split("/") | join("."))"#,
                r#"$headers["x-shopify-webhook-id"]"#,
            ),
            Self::StandardWebhooks => (ANY, r#"$headers["webhook-id"]"#),
            Self::Hmac | Self::None => (ANY, "null"),
        };
        Mapping { name, id, payload: "." }
    }
}
