//! Planned events and what hangs on them.
//!
//! Invariant: every statement but the public lists begins with a tenant; a change of an event is guarded by the
//! version that was read.
//! Not here: what is allowed; the domain decides.

pub mod applications;
pub mod directory;
pub(crate) mod event_lists;
pub mod events;
pub(crate) mod finding;
pub(crate) mod lookup;
pub mod parts;
mod search;
pub mod segments;
pub mod unread;
