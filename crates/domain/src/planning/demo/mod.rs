//! A demo season: believable events, vendors and sponsors that nobody planned, for trying out and for measuring.
//!
//! Invariant: pure. The same seed, time and size give the same season; each thing is made from its index alone, so a
//! season of a million events needs no more memory than one of sixty. Everything passes the rules of what it is.
//! Not here: writing it down (`openevent demo` does).

mod days;
mod dice;
mod directory;
mod gathering;
mod parts;
mod places;
#[cfg(test)]
mod tests;
mod ties;
mod trades;
mod words;

pub use directory::Party;
pub use gathering::{Gathering, Made};
pub use ties::Ties;

use self::dice::Dice;
use super::directory::Side;
use super::event::Event;
use crate::ambient::Millis;

/// How many there are of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Events.
    pub events: u64,
    /// Vendors.
    pub vendors: u64,
    /// Sponsors.
    pub sponsors: u64,
}

impl Default for Size {
    fn default() -> Self {
        Self { events: 60, vendors: 400, sponsors: 150 }
    }
}

impl Size {
    /// So many times as much of everything.
    #[must_use]
    pub fn scaled(self, factor: u64) -> Self {
        Self {
            events: self.events.saturating_mul(factor),
            vendors: self.vendors.saturating_mul(factor),
            sponsors: self.sponsors.saturating_mul(factor),
        }
    }
}

/// A season: a year of events, a third of it behind us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Season {
    seed: u64,
    now: Millis,
    size: Size,
}

impl Season {
    /// The season of a seed, as it stands at a time.
    pub fn new(seed: u64, now: Millis, size: Size) -> Self {
        Self { seed, now, size }
    }

    /// How large it is.
    pub fn size(&self) -> Size {
        self.size
    }

    /// Its vendors, then its sponsors.
    pub fn parties(&self) -> impl Iterator<Item = Party> + Send + use<> {
        let season = *self;
        Side::ALL.into_iter().flat_map(move |side| {
            (0..season.count(side)).map(move |index| directory::party(&season, side, index))
        })
    }

    /// Its events with what hangs on them. `owner` is who is said to have made them.
    pub fn gatherings(&self, owner: &str) -> impl Iterator<Item = Gathering> + Send + use<> {
        let (season, owner) = (*self, owner.to_owned());
        (0..season.size.events).map(move |index| gathering::gathering(&season, &owner, index))
    }

    /// The dice of ids. A season made at another time has other ids, so that one project can hold both.
    fn ids(&self, stream: &str, index: u64) -> Dice {
        Dice::of(self.seed ^ (self.now as u64).rotate_left(32), stream, index)
    }

    /// Its events alone, for those who want many.
    pub fn events(&self, owner: &str) -> impl Iterator<Item = Event> + Send + use<> {
        let (season, owner) = (*self, owner.to_owned());
        (0..season.size.events).map(move |index| gathering::event(&season, &owner, index))
    }

    fn count(&self, side: Side) -> u64 {
        match side {
            Side::Vendor => self.size.vendors,
            Side::Sponsor => self.size.sponsors,
        }
    }
}
