//! Leases: of many nodes, one does a thing; when it stops, another takes over.
//!
//! Invariant: a lease is held by who wrote it last before it expired; two holders at one time need two
//! clocks that disagree by more than the lease's length. The work itself is fenced by its own keys.
//! Not here: what the holder does.

use crate::sql::{Select, Sql};
use crate::write::{Expect, WriteSet};
use crate::{Error, Store};
use openevent_domain::ambient::Millis;

static TAKE: Sql = Sql::same(
    "INSERT INTO leases (name, holder, expires_at) VALUES ($1, $2, $3) ON CONFLICT (name) DO UPDATE SET \
     holder = excluded.holder, expires_at = excluded.expires_at WHERE leases.holder = excluded.holder OR leases.expires_at < $4",
);
static DROP: Sql = Sql::same("DELETE FROM leases WHERE name = $1 AND holder = $2");
const EXPIRED: &str = "SELECT holder FROM leases WHERE name LIKE $1 AND expires_at < $2 ORDER BY name";
const LIVE: &str = "SELECT count(*) FROM leases WHERE name LIKE $1 AND expires_at >= $2";
const READ: &str = "SELECT holder FROM leases WHERE name = $1";

pub(crate) const STATEMENTS: &[&Sql] = &[&TAKE, &DROP];

impl Store {
    /// Takes a free or expired lease, or renews one's own. Answers whether it is held now.
    pub async fn lease_take(
        &self,
        name: &str,
        holder: &str,
        now: Millis,
        length_ms: i64,
    ) -> Result<bool, Error> {
        let mut set = WriteSet::new();
        set.write(
            &TAKE,
            [name.into(), holder.into(), (now + length_ms).into(), now.into()],
            Expect::One("the lease is held"),
        );
        match self.submit(set).await {
            Ok(()) => Ok(true),
            Err(Error::Missed(_)) => Ok(false),
            Err(cause) => Err(cause),
        }
    }

    /// Gives a lease back, so that another node need not wait for it to expire.
    pub async fn lease_drop(&self, name: &str, holder: &str) -> Result<(), Error> {
        let mut set = WriteSet::new();
        set.write(&DROP, [name.into(), holder.into()], Expect::Any);
        self.submit(set).await
    }

    /// Who held leases whose names begin like this and let them expire.
    pub async fn leases_expired(&self, prefix: &str, now: Millis) -> Result<Vec<String>, Error> {
        let rows = self.rows(Select::new(EXPIRED, [format!("{prefix}%").into(), now.into()])).await?;
        rows.into_iter().map(|mut row| row.text()).collect()
    }

    /// How many leases there are whose names begin like this and that have not expired.
    pub async fn leases_live(&self, prefix: &str, now: Millis) -> Result<i64, Error> {
        let counted = self.row(Select::new(LIVE, [format!("{prefix}%").into(), now.into()])).await?;
        counted.map_or(Ok(0), |mut row| row.int())
    }

    /// Who holds a lease, expired or not.
    pub async fn lease_holder(&self, name: &str) -> Result<Option<String>, Error> {
        let rows = self.rows(Select::new(READ, [name.into()])).await?;
        rows.into_iter().next().map(|mut row| row.text()).transpose()
    }
}

pub(crate) fn selects() -> Vec<Select> {
    let by_prefix = |text| Select::new(text, ["x".into(), 0.into()]);
    vec![Select::new(READ, ["x".into()]), by_prefix(EXPIRED), by_prefix(LIVE)]
}
