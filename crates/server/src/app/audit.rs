//! The audit log: a row for every write, in the write set of what it tells; and reading it.
//!
//! Invariant: what is refused and what changes nothing leaves no row; no secret, password, token or hash is ever part
//! of one.
//! Not here: intake of signals and what runs do step by step: a signal and a journal are their own record.

use crate::face::caller::{Caller, Origin};
use crate::face::list::{List, cursor};
use crate::face::problem::Problem;
use crate::face::reply::Reply;
use crate::face::request_id;
use crate::state::App;
use openevent_domain::ambient::{Chance, Millis};
use openevent_domain::id::AuditId;
use openevent_domain::tenant::Tenant;
use openevent_store::WriteSet;
use openevent_store::audit::{AuditRecord, Filter, Order, Place, instance};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// Bytes of one member of `before` or `after`; a larger one is told by its size.
const MEMBER_BYTES_MAX: usize = 8 * 1024;
/// What every change changes, and what is told beside: no news.
const UNTOLD: [&str; 4] = ["_id", "id", "createdAt", "updatedAt"];

/// Something that was done.
#[derive(Clone, Debug)]
pub struct Act<'a> {
    /// What, such as `vendor.approve`; the word before the first dot is the kind of its target.
    pub name: &'static str,
    /// To which thing.
    pub target: &'a str,
    /// What it was before, as far as it changed; `None` when it is new.
    pub before: Option<Value>,
    /// What it is since, as far as it changed; `None` when it is gone.
    pub after: Option<Value>,
}

impl<'a> Act<'a> {
    /// Something new.
    pub fn made(name: &'static str, target: &'a str, after: &impl Serialize) -> Self {
        Self { name, target, before: None, after: Some(Value::Object(members(after))) }
    }

    /// Something that is gone.
    pub fn gone(name: &'static str, target: &'a str, before: &impl Serialize) -> Self {
        Self { name, target, before: Some(Value::Object(members(before))), after: None }
    }

    /// Something that is not as it was: the members that differ.
    pub fn changed<T: Serialize>(name: &'static str, target: &'a str, before: &T, after: &T) -> Self {
        let (mut before, mut after) = (members(before), members(after));
        let same: Vec<String> = before
            .iter()
            .filter(|(key, value)| after.get(*key) == Some(value))
            .map(|(key, _)| key.clone())
            .collect();
        for key in same {
            before.remove(&key);
            after.remove(&key);
        }
        Self { name, target, before: Some(Value::Object(before)), after: Some(Value::Object(after)) }
    }

    /// Something done to a thing that stays as it is.
    pub fn done(name: &'static str, target: &'a str) -> Self {
        Self { name, target, before: None, after: None }
    }
}

/// What of an object is worth telling.
fn members(object: &impl Serialize) -> Map<String, Value> {
    let Ok(Value::Object(mut members)) = serde_json::to_value(object) else { return Map::new() };
    members.retain(|key, value| !UNTOLD.contains(&key.as_str()) && !value.is_null());
    members
}

/// Who did it.
#[derive(Clone, Debug)]
pub struct Who<'a> {
    /// `operator`, `key`, `workflow`, `cli`, …
    pub kind: &'a str,
    /// Which of its kind.
    pub id: &'a str,
    /// What people call it.
    pub name: Option<&'a str>,
    /// The request, if there was one.
    pub origin: Option<&'a Origin>,
}

impl Who<'static> {
    /// Somebody at the command line.
    pub const CLI: Self = Self { kind: "cli", id: "cli", name: None, origin: None };
}

impl<'a> Who<'a> {
    /// Somebody without a credential.
    pub fn public(origin: &'a Origin) -> Self {
        Self { kind: "public", id: "public", name: None, origin: Some(origin) }
    }

    fn of(caller: &'a Caller) -> Self {
        let credential = &caller.credential;
        let (kind, id) = (credential.kind(), credential.as_str());
        Self { kind, id, name: caller.name.as_deref(), origin: Some(&caller.origin) }
    }
}

/// Tells what a set does to the caller's project.
pub fn note(app: &App, set: &mut WriteSet, caller: &Caller, act: Act<'_>, now: Millis) {
    set.add_audit(&told(app, caller, act, now));
}

/// Tells what a set does to what belongs to the whole instance: the directory, users, projects.
pub fn note_instance(app: &App, set: &mut WriteSet, caller: &Caller, act: Act<'_>, now: Millis) {
    set.add_audit(&row(app.chance.as_ref(), instance(), &Who::of(caller), act, now));
}

/// The row of an act of a caller's, for sets that are put together elsewhere.
pub fn told(app: &App, caller: &Caller, act: Act<'_>, now: Millis) -> AuditRecord {
    row(app.chance.as_ref(), caller.tenant.clone(), &Who::of(caller), act, now)
}

/// The row of an act of anybody's.
pub fn row(chance: &dyn Chance, tenant: Tenant, who: &Who<'_>, act: Act<'_>, now: Millis) -> AuditRecord {
    let kind = act.name.split_once('.').map_or(act.name, |(kind, _)| kind);
    let origin = who.origin;
    AuditRecord {
        id: AuditId::mint(now, chance),
        tenant,
        actor_kind: who.kind.to_owned(),
        actor: who.id.to_owned(),
        actor_name: who.name.map(str::to_owned),
        action: act.name.to_owned(),
        target_kind: kind.to_owned(),
        target: act.target.to_owned(),
        before: act.before.map(bounded),
        after: act.after.map(bounded),
        request_id: origin.map(|origin| request_id::text(&origin.request_id).to_owned()),
        address: origin.and_then(|origin| origin.address).map(|address| address.to_string()),
        created_at: now,
    }
}

/// What is too large to be told is told by its size.
fn bounded(mut state: Value) -> Value {
    for member in state.as_object_mut().into_iter().flat_map(Map::values_mut) {
        let bytes = member.to_string().len();
        if bytes > MEMBER_BYTES_MAX {
            *member = json!({"omittedBytes": bytes});
        }
    }
    state
}

/// A row as it is shown.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    #[serde(rename = "_id")]
    underscore_id: &'a str,
    id: &'a str,
    action: &'a str,
    actor: Actor<'a>,
    target: Target<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<&'a str>,
    created_at: Millis,
}

#[derive(Serialize)]
struct Actor<'a> {
    kind: &'a str,
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

#[derive(Serialize)]
struct Target<'a> {
    kind: &'a str,
    id: &'a str,
}

impl<'a> Shown<'a> {
    fn of(row: &'a AuditRecord) -> Self {
        Self {
            underscore_id: row.id.as_str(),
            id: row.id.as_str(),
            action: &row.action,
            actor: Actor { kind: &row.actor_kind, id: &row.actor, name: row.actor_name.as_deref() },
            target: Target { kind: &row.target_kind, id: &row.target },
            before: row.before.as_ref(),
            after: row.after.as_ref(),
            request_id: row.request_id.as_deref(),
            address: row.address.as_deref(),
            created_at: row.created_at,
        }
    }
}

/// A page of the log.
pub async fn list(app: &App, caller: &Caller, list: &List) -> Result<Reply, Problem> {
    let params = &list.params;
    let tenant = tenant(caller, list)?;
    let filter = Filter {
        actor: params.get("actor").map(str::to_owned),
        action: params.get("action").map(|action| action.strip_suffix('*').unwrap_or(action).to_owned()),
        target: params.get("target").map(str::to_owned),
        from: params.time("from")?,
        to: params.time("to")?,
    };
    let orders = [("-createdAt", Order::NewestFirst), ("createdAt", Order::OldestFirst)];
    let order = params.one_of("sort", &orders)?.unwrap_or(Order::NewestFirst);
    let place = match list.after::<String>()? {
        Some(id) => Place::After(AuditId::trusted(id)),
        None => Place::Offset(list.offset()),
    };
    let mut rows = app.store.audits(&tenant, &filter, order, &place, list.limit + 1).await?;
    let total = app.store.audits_count(&tenant, &filter).await?;
    let meta = list.cut(&mut rows, total, |row| cursor(&row.id));
    let shown: Vec<_> = rows.iter().map(Shown::of).collect();
    Ok(list.reply(&shown, &meta))
}

/// One row of the caller's project, or of the instance.
pub async fn get(app: &App, caller: &Caller, id: &str) -> Result<Reply, Problem> {
    let missing = || Problem::not_found("Audit entry");
    let id = AuditId::parse(id).ok_or_else(missing)?;
    let mine = app.store.audit(&caller.tenant, &id).await?;
    let found = match mine {
        Some(row) => Some(row),
        None if caller.is_admin() => app.store.audit(&instance(), &id).await?,
        None => None,
    };
    Ok(Reply::ok(&Shown::of(&found.ok_or_else(missing)?)).tagged())
}

/// Whose log is asked for.
fn tenant(caller: &Caller, list: &List) -> Result<Tenant, Problem> {
    let scopes = [("project", caller.tenant.clone()), ("instance", instance())];
    let wanted = list.params.one_of("scope", &scopes)?.unwrap_or_else(|| caller.tenant.clone());
    if wanted == instance() && !caller.is_admin() {
        return Err(Problem::admins_only());
    }
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_tells_only_what_differs() {
        let (before, after) =
            (json!({"a": 1, "b": 2, "updatedAt": 1}), json!({"a": 1, "b": 3, "c": 4, "updatedAt": 2}));

        let act = Act::changed("x.y", "t", &before, &after);

        assert_eq!(act.before, Some(json!({"b": 2})));
        assert_eq!(act.after, Some(json!({"b": 3, "c": 4})));
    }

    #[test]
    fn what_is_too_large_is_told_by_its_size() {
        let state = bounded(json!({"small": "x", "large": "x".repeat(MEMBER_BYTES_MAX)}));

        assert_eq!(state, json!({"small": "x", "large": {"omittedBytes": MEMBER_BYTES_MAX + 2}}));
    }
}
