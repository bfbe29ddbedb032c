//! Where workflows run on one machine: what listens to what, the spine every signal goes through, and the
//! driver that journals inputs, performs commands and picks everything up again after a crash.
//!
//! Invariant: nothing is performed that is not on disk, and everything on disk is performed. A run is
//! started exactly once; a call to the outside is made at least once, always under the same key.
//! Not here: the language (`flow`), SQL (`store`), sockets (`egress`), HTTP faces (`server`).

mod actions;
mod batch;
mod begin;
mod children;
mod clockwork;
mod compact;
mod driver;
mod driving;
mod emit;
mod gate;
mod gathering;
mod gating;
mod handle;
mod lifecycle;
mod link;
mod listeners;
mod live;
mod past;
mod perform;
mod registry;
pub mod remote;
mod restore;
mod settle;
mod spine;
mod subscriptions;
mod timers;
mod vault;

pub use actions::veil::{mask, mask_text};
pub use actions::{Calls, LocalAnswer, LocalApi, LocalRequest, Processes};
pub use clockwork::first_start;
pub use gate::has_gate;
pub use handle::{Control, Engine, Parts, Settings, Unheard};
pub use lifecycle::{Lifecycle, PREFIX as LIFECYCLE_PREFIX, Seat};
pub use link::Linked;
pub use past::{Damaged, Past};
pub use registry::{Registry, Workflow};
pub use spine::{Admitted, Draft, FieldIssue, Refusal, Spine};
pub use subscriptions::Subscriptions;
pub use vault::{Put, Secret, SecretSettings, Vault, VaultError, rotate_key};
