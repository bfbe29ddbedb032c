//! The budget of an event.
//!
//! Invariant: the summary is added up exactly, from the items as they are.
//! Not here: the rules (the domain's `planning::budget`).

use crate::app::audit::{Act, note};
use crate::app::forms;
use crate::app::parts::{self, Hung, Part, Placed, branch, changed_reply, created_reply};
use crate::face::caller::Caller;
use crate::face::etag::IfMatch;
use crate::face::idempotency::Guard;
use crate::face::list::List;
use crate::face::params::Params;
use crate::face::problem::Problem;
use crate::face::reply::Reply;
use crate::state::App;
use openevent_domain::ambient::Millis;
use openevent_domain::id::{BudgetItemId, EventId};
use openevent_domain::planning::budget::{Book, Certainty, Item, Sums, sums};
use openevent_domain::planning::event::Event;
use openevent_domain::planning::form::Presence;
use openevent_domain::planning::money::{Amount, Currency};
use openevent_domain::tenant::Tenant;
use openevent_store::planning::parts::{Basis, Branch, Filter, Kind};
use openevent_store::{Error, WriteSet};
use serde::Serialize;
use serde_json::Value;

impl Part for Item {
    type Id = BudgetItemId;
    const WHAT: &'static str = "Budget item";

    fn status(&self) -> &str {
        self.status.as_str()
    }

    fn facet(&self) -> Option<&str> {
        Some(&self.category)
    }
}

impl Placed for Item {
    const KIND: Kind = Kind::Budget;
    const FOLDER: &'static str = "budget";
}

/// A page of an event's items.
pub async fn list(app: &App, tenant: &Tenant, event: &EventId, list: &List) -> Result<Reply, Problem> {
    let filter = filter(&list.params)?;
    parts::list::<Item>(app, &branch::<Item>(tenant, event), &filter, list).await
}

/// The filter of a list of items.
pub fn filter(params: &Params) -> Result<Filter, Problem> {
    let status = params.one_of("status", &Certainty::ALL.map(|one| (one.as_str(), one)))?;
    Ok(Filter {
        status: status.map(|status| status.as_str().to_owned()),
        facet: params.get("category").map(str::to_owned),
    })
}

/// One item.
pub async fn get(app: &App, tenant: &Tenant, event: &EventId, id: &str) -> Result<Reply, Problem> {
    parts::get::<Item>(app, &branch::<Item>(tenant, event), id).await
}

/// Makes an item.
pub async fn create(
    app: &App,
    caller: &Caller,
    event: &Event,
    body: Value,
    guard: Guard,
    now: Millis,
) -> Result<Reply, Problem> {
    let tenant = &caller.tenant;
    let mut form = forms::form(body)?;
    let mut item = Item { currency: currency(event), ..Item::default() };
    item.read(&mut form, Presence::New);
    let ignored = forms::finish(form)?;
    let made = Hung::new(BudgetItemId::mint(now, app.chance.as_ref()), item, now);
    let mut set = WriteSet::new();
    set.add_part(&branch::<Item>(tenant, &event.id), &made.record()?);
    set.touch_event(tenant, &event.id, Basis::EventAlone);
    note(app, &mut set, caller, Act::made("budget.create", made.id.as_str(), &made.shown(&event.id)), now);
    let reply = created_reply(&made, &event.id, &ignored);
    guard.remember(&mut set, &reply);
    match app.store.submit(set).await {
        Ok(()) => Ok(reply),
        Err(Error::Missed(_)) => Err(Problem::not_found("Event")),
        Err(error) => guard.settle(&app.store, error).await,
    }
}

/// Changes an item, or does nothing at all.
pub async fn change(
    app: &App,
    caller: &Caller,
    event: &EventId,
    id: &str,
    body: Value,
    if_match: &IfMatch,
    now: Millis,
) -> Result<Reply, Problem> {
    let tenant = &caller.tenant;
    let branch = branch::<Item>(tenant, event);
    let mut attempt = 0;
    loop {
        attempt += 1;
        let before = parts::find::<Item>(app, &branch, id).await?;
        if_match.check(&before.etag())?;
        let (mut form, mut item) = (forms::form(body.clone())?, before.body.clone());
        forms::check_change(&form)?;
        item.read(&mut form, Presence::Known);
        let ignored = forms::finish(form)?;
        let Some(after) = before.changed(item, now) else {
            return Ok(changed_reply(&before, event, &ignored));
        };
        let mut set = WriteSet::new();
        set.change_part(&branch, &after.record()?, before.version);
        set.touch_event(tenant, event, Basis::EventAlone);
        let (was, is) = (before.shown(event), after.shown(event));
        note(app, &mut set, caller, Act::changed("budget.update", before.id.as_str(), &was, &is), now);
        match app.store.submit(set).await {
            Ok(()) => return Ok(changed_reply(&after, event, &ignored)),
            Err(Error::Missed(_)) if attempt < super::events::ATTEMPTS_MAX => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Removes an item.
pub async fn delete(
    app: &App,
    caller: &Caller,
    event: &EventId,
    id: &str,
    if_match: &IfMatch,
    now: Millis,
) -> Result<Reply, Problem> {
    let tenant = &caller.tenant;
    let branch = branch::<Item>(tenant, event);
    let mut attempt = 0;
    loop {
        attempt += 1;
        let gone = parts::find::<Item>(app, &branch, id).await?;
        if_match.check(&gone.etag())?;
        let mut set = WriteSet::new();
        set.delete_part(&branch, gone.id.as_str(), gone.version);
        set.touch_event(tenant, event, Basis::EventAlone);
        note(app, &mut set, caller, Act::gone("budget.delete", gone.id.as_str(), &gone.shown(event)), now);
        match app.store.submit(set).await {
            Ok(()) => return Ok(Reply::deleted()),
            Err(Error::Missed(_)) if attempt < super::events::ATTEMPTS_MAX => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// What a budget comes to in one currency.
#[derive(Serialize)]
struct Currencies<'a> {
    currency: Currency,
    #[serde(skip_serializing_if = "Option::is_none")]
    budget: Option<Amount>,
    #[serde(flatten)]
    total: Sums,
    categories: Vec<Category<'a>>,
}

#[derive(Serialize)]
struct Category<'a> {
    #[serde(rename = "category")]
    name: &'a str,
    currency: Currency,
    #[serde(flatten)]
    sums: Sums,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary<'a> {
    event_id: &'a EventId,
    #[serde(flatten)]
    main: &'a Currencies<'a>,
    currencies: &'a [Currencies<'a>],
}

/// What the budget comes to: in the event's currency first, then in every other.
pub async fn summary(app: &App, tenant: &Tenant, event: &Event) -> Result<Reply, Problem> {
    let items = all(app, &branch::<Item>(tenant, &event.id)).await?;
    let mut books = sums(items.iter().map(|item| &item.body));
    let main = currency(event);
    let main_book = books.remove(&main).unwrap_or_default();
    let mut currencies = vec![in_currency(main, event.plan.budget, &main_book)];
    currencies.extend(books.iter().map(|(currency, book)| in_currency(*currency, None, book)));
    Ok(Reply::ok(&Summary { event_id: &event.id, main: &currencies[0], currencies: &currencies }).tagged())
}

/// Every item of an event.
pub async fn all(app: &App, branch: &Branch) -> Result<Vec<Hung<Item>>, Problem> {
    parts::all(app, branch).await
}

fn in_currency(currency: Currency, budget: Option<Amount>, book: &Book) -> Currencies<'_> {
    let categories =
        book.categories.iter().map(|(name, sums)| Category { name, currency, sums: *sums }).collect();
    Currencies { currency, budget, total: book.total, categories }
}

/// The currency of an event's amounts.
pub(super) fn currency(event: &Event) -> Currency {
    event.plan.budget_currency.unwrap_or_default()
}
