//! What is asked of runs at a node that does not drive them, for the one that does.
//!
//! Invariant: a request is taken once, and is answered or not by whoever took it: nothing is done twice, and one that was
//! withdrawn is not done at all.
//! Not here: doing it.

use crate::audit::AuditRecord;
use crate::sql::{Select, Sql};
use crate::value::Row;
use crate::write::{Expect, WriteSet};
use crate::{Error, Store};
use openevent_domain::ambient::Millis;
use openevent_domain::id::RunId;
use openevent_domain::tenant::Tenant;

/// Requests that are read at one time.
const OPEN_MAX: i64 = 100;

/// A request.
#[derive(Clone, Debug, PartialEq)]
pub struct RunRequest {
    /// Its id; sorts by time.
    pub id: String,
    /// Whose run.
    pub tenant: Tenant,
    /// Which run.
    pub run: RunId,
    /// `cancel`, `suspend` or `resume`.
    pub control: String,
    /// What the audit log is told if it changes anything.
    pub act: AuditRecord,
    /// When.
    pub asked_at: Millis,
}

static ADD: Sql = Sql::same(
    "INSERT INTO run_requests (id, tenant, run_id, control, act, asked_at) VALUES ($1, $2, $3, $4, $5, $6)",
);
static TAKE: Sql = Sql::same("UPDATE run_requests SET taken = 1 WHERE id = $1 AND taken = 0");
static ANSWER: Sql = Sql::same("UPDATE run_requests SET changed = $1 WHERE id = $2");
static WITHDRAW: Sql = Sql::same("DELETE FROM run_requests WHERE id = $1");
static FORGET: Sql = Sql::same("DELETE FROM run_requests WHERE asked_at < $1");
const OPEN: &str = "SELECT id, tenant, run_id, control, act, asked_at FROM run_requests WHERE taken = 0 AND asked_at >= $1 \
                    ORDER BY asked_at, id LIMIT $2";
const CHANGED: &str = "SELECT changed FROM run_requests WHERE id = $1";

pub(crate) const STATEMENTS: &[&Sql] = &[&ADD, &TAKE, &ANSWER, &WITHDRAW, &FORGET];

impl Store {
    /// Asks. Every node is woken.
    pub async fn ask_of_run(&self, request: &RunRequest) -> Result<(), Error> {
        let RunRequest { id, tenant, run, control, act, asked_at } = request;
        let act = serde_json::to_string(act).map_err(|cause| Error::Refused(cause.into()))?;
        let mut set = WriteSet::new();
        let args = [
            id.as_str().into(),
            tenant.as_str().into(),
            run.as_str().into(),
            control.as_str().into(),
            act.into(),
            (*asked_at).into(),
        ];
        set.write(&ADD, args, Expect::Any);
        set.announce_request();
        self.submit(set).await
    }

    /// What was asked since a time and is in nobody's hand, the oldest first.
    pub async fn run_requests(&self, since: Millis) -> Result<Vec<RunRequest>, Error> {
        self.rows(open(since)).await?.into_iter().map(request).collect()
    }

    /// Takes a request in hand. `false`: somebody has, or it was withdrawn.
    pub async fn take_run_request(&self, id: &str) -> Result<bool, Error> {
        let mut set = WriteSet::new();
        set.write(&TAKE, [id.into()], Expect::One("the request is in another hand"));
        match self.submit(set).await {
            Ok(()) => Ok(true),
            Err(Error::Missed(_)) => Ok(false),
            Err(cause) => Err(cause),
        }
    }

    /// Answers a request that was taken: whether it changed anything. Every node is woken.
    pub async fn answer_run_request(&self, id: &str, changed: bool) -> Result<(), Error> {
        let mut set = WriteSet::new();
        set.write(&ANSWER, [changed.into(), id.into()], Expect::Any);
        set.announce_request();
        self.submit(set).await
    }

    /// The answer to a request, when there is one.
    pub async fn run_request_answer(&self, id: &str) -> Result<Option<bool>, Error> {
        let answer = self.row(Select::new(CHANGED, [id.into()])).await?;
        let changed = answer.map(|mut row| row.int_or_null()).transpose()?.flatten();
        Ok(changed.map(|changed| changed == 1))
    }

    /// Withdraws a request, or removes one that was answered.
    pub async fn withdraw_run_request(&self, id: &str) -> Result<(), Error> {
        let mut set = WriteSet::new();
        set.write(&WITHDRAW, [id.into()], Expect::Any);
        self.submit(set).await
    }

    /// Removes what was asked before a time.
    pub async fn forget_run_requests(&self, before: Millis) -> Result<(), Error> {
        let mut set = WriteSet::new();
        set.write(&FORGET, [before.into()], Expect::Any);
        self.submit(set).await
    }
}

fn open(since: Millis) -> Select {
    Select::new(OPEN, [since.into(), OPEN_MAX.into()])
}

fn request(mut row: Row) -> Result<RunRequest, Error> {
    let (id, tenant, run) = (row.text()?, Tenant::trusted(row.text()?), RunId::trusted(row.text()?));
    let (control, act) = (row.text()?, row.text()?);
    let act = serde_json::from_str(&act).map_err(|_| Error::corrupt("what the audit log is to be told"))?;
    Ok(RunRequest { id, tenant, run, control, act, asked_at: row.int()? })
}

pub(crate) fn selects() -> Vec<Select> {
    vec![open(0), Select::new(CHANGED, ["x".into()])]
}
