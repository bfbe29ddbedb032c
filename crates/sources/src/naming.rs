//! How a signal is called that a message becomes.
//!
//! Invariant: a pattern is checked when it is read; a name that comes out of one is valid by type.
//! Not here: rows of an outbox, which bring their own names.

use crate::message::Unfit;
use openevent_domain::signal::{BadName, SignalName};

/// A plain name, or one with `{channel}` and `{type}` in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Naming(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Channel,
    /// The channel with dots for its underscores.
    DottedChannel,
    Type,
}

/// Why a pattern was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadNaming {
    /// It names something else than the two there are.
    #[error("`{{{0}}}` is neither {{channel}} nor {{type}}")]
    Unknown(String),
    /// A brace without its partner.
    #[error("a brace is not closed")]
    Open,
    /// No name could come out of it.
    #[error(transparent)]
    Name(#[from] BadName),
}

impl Naming {
    /// Reads a pattern.
    pub fn parse(text: &str) -> Result<Self, BadNaming> {
        let (mut pieces, mut rest) = (Vec::new(), text);
        while let Some((before, opened)) = rest.split_once('{') {
            let (word, after) = opened.split_once('}').ok_or(BadNaming::Open)?;
            pieces.push(Piece::Text(before.to_owned()));
            pieces.push(match word {
                "channel" => Piece::Channel,
                "type" => Piece::Type,
                other => return Err(BadNaming::Unknown(other.to_owned())),
            });
            rest = after;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        let naming = Self(pieces);
        SignalName::parse(&naming.filled("x", "x"))?;
        Ok(naming)
    }

    /// `queue.` and the channel, as the Events API names what comes out of a message queue.
    pub fn queue() -> Self {
        Self(vec![Piece::Text("queue.".to_owned()), Piece::Channel])
    }

    /// The channel with dots for its underscores, as the Events API names what a database notifies of.
    pub fn dotted() -> Self {
        Self(vec![Piece::DottedChannel])
    }

    /// The name of a message that came by `channel` and says that it is of this type.
    pub(crate) fn name(&self, channel: &str, kind: Option<&str>) -> Result<SignalName, Unfit> {
        let kind = match kind {
            Some(kind) => kind,
            None if self.0.contains(&Piece::Type) => return Err(Unfit::NoType),
            None => "",
        };
        Ok(SignalName::parse(&self.filled(channel, kind))?)
    }

    fn filled(&self, channel: &str, kind: &str) -> String {
        let filled = self.0.iter().map(|piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Channel => channel.to_owned(),
            Piece::DottedChannel => channel.replace('_', "."),
            Piece::Type => kind.to_owned(),
        });
        filled.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(naming: &Naming, channel: &str, kind: Option<&str>) -> Result<String, Unfit> {
        naming.name(channel, kind).map(|name| name.as_str().to_owned())
    }

    #[test]
    fn the_defaults_are_those_of_the_events_api() {
        assert_eq!(name(&Naming::queue(), "orders", None), Ok("queue.orders".to_owned()));
        assert_eq!(name(&Naming::dotted(), "order_created", None), Ok("order.created".to_owned()));
    }

    #[test]
    fn a_pattern_is_filled_with_channel_and_type() {
        let naming = Naming::parse("shop.{channel}.{type}").unwrap();
        assert_eq!(name(&naming, "orders", Some("created")), Ok("shop.orders.created".to_owned()));
        assert_eq!(name(&naming, "orders", None), Err(Unfit::NoType));
        assert_eq!(name(&naming, "two words", Some("x")), Err(Unfit::Name(BadName::Character)));
        assert_eq!(name(&Naming::parse("plain").unwrap(), "orders", None), Ok("plain".to_owned()));
    }

    #[test]
    fn bad_patterns_are_refused_when_they_are_read() {
        assert_eq!(Naming::parse("a.{stream}"), Err(BadNaming::Unknown("stream".to_owned())));
        assert_eq!(Naming::parse("a.{channel"), Err(BadNaming::Open));
        assert_eq!(Naming::parse("two words"), Err(BadNaming::Name(BadName::Character)));
        assert_eq!(Naming::parse(""), Err(BadNaming::Name(BadName::Blank)));
    }
}
