//! What applicants without a key reach: the tokens of their applications, and the tenants of public events.
//!
//! Invariant: a token is stored as its SHA-256 only, and goes when its event goes. These statements name no tenant:
//! they answer which one it is, for something that is public or named by a secret.
//! Not here: applications themselves; they are parts of events (see `parts`).

use crate::sql::{Bulk, Kind, Select, Sql};
use crate::write::{Expect, WriteSet};
use crate::{Error, Store};
use openevent_domain::ambient::Millis;
use openevent_domain::id::{ApplicationId, EntryId, EventId};
use openevent_domain::planning::directory::Side;
use openevent_domain::tenant::Tenant;

/// What a token is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// An application to an event.
    Application {
        /// Whose event.
        tenant: Tenant,
        /// Which.
        event: EventId,
        /// The application.
        id: ApplicationId,
    },
    /// An entry of the directory.
    Entry(EntryId),
}

static ADD: Bulk = Bulk::insert(
    "application_tokens",
    &[
        ("token_hash", Kind::Text),
        ("tenant", Kind::Text),
        ("event_id", Kind::Text),
        ("subject", Kind::Text),
        ("side", Kind::Text),
        ("created_at", Kind::Int),
    ],
    "",
);
static DELETE_ALL: Sql = Sql::same("DELETE FROM application_tokens WHERE tenant = $1 AND event_id = $2");
const FIND: &str = "SELECT tenant, event_id, subject, side FROM application_tokens WHERE token_hash = $1";
const TENANT: &str = "SELECT tenant FROM events WHERE listed = 1 AND id = $1";

pub(crate) const STATEMENTS: &[&Sql] = &[&DELETE_ALL];
pub(crate) const BULKS: &[&Bulk] = &[&ADD];

impl WriteSet {
    /// A token, by its hash.
    pub fn add_application_token(&mut self, hash: &str, subject: &Subject, side: Side, now: Millis) {
        let (tenant, event, id) = match subject {
            Subject::Application { tenant, event, id } => {
                (Some(tenant.as_str()), Some(event.as_str()), id.as_str())
            }
            Subject::Entry(id) => (None, None, id.as_str()),
        };
        let values = [hash.into(), tenant.into(), event.into(), id.into(), side.as_str().into(), now.into()];
        self.row(&ADD, values);
    }

    /// Removes the tokens of an event's applications.
    pub fn delete_application_tokens(&mut self, tenant: &Tenant, event: &EventId) {
        self.write(&DELETE_ALL, [tenant.as_str().into(), event.as_str().into()], Expect::Any);
    }
}

impl Store {
    /// What a token is for, by its hash.
    pub async fn application_token(&self, hash: &str) -> Result<Option<(Subject, Side)>, Error> {
        let Some(mut row) = self.row(by_hash(hash)).await? else { return Ok(None) };
        let (tenant, event, id) = (row.text_or_null()?, row.text_or_null()?, row.text()?);
        let side = row.text()?;
        let side = Side::parse(&side).ok_or_else(|| Error::Corrupt(format!("`{side}` is no side")))?;
        let subject = match (tenant, event) {
            (Some(tenant), Some(event)) => Subject::Application {
                tenant: Tenant::trusted(tenant),
                event: EventId::trusted(event),
                id: ApplicationId::trusted(id),
            },
            _ => Subject::Entry(EntryId::trusted(id)),
        };
        Ok(Some((subject, side)))
    }

    /// Whose a public event is.
    pub async fn tenant_of_public_event(&self, id: &EventId) -> Result<Option<Tenant>, Error> {
        let row = self.row(tenant(id)).await?;
        row.map(|mut row| row.text().map(Tenant::trusted)).transpose()
    }
}

fn by_hash(hash: &str) -> Select {
    Select::new(FIND, [hash.into()])
}

fn tenant(id: &EventId) -> Select {
    Select::new(TENANT, [id.as_str().into()])
}

pub(crate) fn selects() -> Vec<Select> {
    vec![by_hash("x"), tenant(&EventId::trusted("x".into()))]
}
