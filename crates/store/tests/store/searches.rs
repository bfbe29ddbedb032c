//! Searches while events come, change and go.
//!
//! Invariant: what was remembered of a search is never shown when it is no longer so.
//! Not here: long lists (`long_lists.rs`).

use crate::support::{Bed, NOW, chance, on_both, set, stranger, tenant};
use openevent_domain::id::EventId;
use openevent_domain::planning::event::Event;
use openevent_domain::planning::plan::Plan;
use openevent_domain::planning::search::Query;
use openevent_domain::planning::status::{State, Status};
use openevent_domain::tenant::Tenant;
use openevent_store::Store;
use openevent_store::planning::events::{Audience, Direction, EventRecord, Filter, Listing, Place, Sort};

/// More words with one beginning than PostgreSQL is asked for.
const WORDS: usize = 70;

fn event(title: &str) -> Event {
    let plan = Plan { title: title.to_owned(), ..Plan::default() };
    let state = State::trusted(Status::Draft, Some(NOW), None);
    Event::new(EventId::mint(NOW, chance()), plan, state, "owner".into(), NOW)
}

/// A word of its own for each number.
fn word(n: usize) -> String {
    let letter = |n: usize| char::from(b'a' + (n % 26) as u8);
    format!("sun{}{}", letter(n / 26), letter(n))
}

async fn add(bed: &Bed, tenant: &Tenant, titles: impl IntoIterator<Item = &str>) -> Vec<Event> {
    let events: Vec<Event> = titles.into_iter().map(event).collect();
    let rows = set(|set| events.iter().for_each(|event| set.add_event(tenant, event)));
    bed.store.submit(rows).await.expect("events are stored");
    events
}

async fn found(store: &Store, words: &str) -> Vec<EventRecord> {
    let filter = Filter { search: Query::parse(words), ..Filter::default() };
    let (sort, direction) = (Sort::Relevance, Direction::Descending);
    let listing = Listing { audience: Audience::Members(tenant()), filter, sort, direction };
    let (rows, total) = store.events_page::<Plan>(&listing, &Place::Offset(0), 100).await.expect("a page");
    assert!(total >= rows.len() as i64, "{words}: {total}");
    rows
}

async fn titles(store: &Store, words: &str) -> Vec<String> {
    found(store, words).await.into_iter().map(|row| row.event.plan.title).collect()
}

#[tokio::test]
async fn words_are_found_by_their_beginning_however_many_begin_so() {
    on_both(async |bed| {
        let words: Vec<String> = (0..WORDS).map(word).collect();
        add(bed, &tenant(), words.iter().map(String::as_str)).await;
        add(bed, &tenant(), ["Sunday sunrise", "Moon"]).await;
        add(bed, &stranger(), ["Sunrise of others"]).await;

        assert_eq!(titles(&bed.store, "su").await.len(), WORDS + 1);
        assert_eq!(titles(&bed.store, "sunb").await.len(), 26);
        assert_eq!(titles(&bed.store, "sund sunr").await, ["Sunday sunrise"]);
        assert_eq!(titles(&bed.store, "sunday su").await, ["Sunday sunrise"]);
        assert_eq!(titles(&bed.store, "sunny").await, [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn what_this_node_writes_is_found_at_once() {
    on_both(async |bed| {
        let old = add(bed, &tenant(), ["Harvest"]).await.remove(0);
        assert_eq!(titles(&bed.store, "harv").await, ["Harvest"]);

        add(bed, &tenant(), ["Harvester"]).await;
        assert_eq!(titles(&bed.store, "harv").await, ["Harvester", "Harvest"]);

        let plan = Plan { title: "Sowing".into(), ..old.plan.clone() };
        let sowing = Event { plan, version: old.version + 1, ..old.clone() };
        bed.store
            .submit(set(|set| set.change_event(&tenant(), &sowing, old.version)))
            .await
            .expect("a change");
        assert_eq!(titles(&bed.store, "harv").await, ["Harvester"]);
        assert_eq!(titles(&bed.store, "sowi").await, ["Sowing"]);

        let record = found(&bed.store, "sowing").await.remove(0);
        bed.store.submit(set(|set| set.delete_event(&tenant(), &record))).await.expect("a deletion");
        assert_eq!(titles(&bed.store, "sowi").await, [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn what_another_process_changed_is_not_shown_as_it_was() {
    on_both(async |bed| {
        let events = add(bed, &tenant(), ["Harvest one", "Harvest two", "Harvest three"]).await;
        assert_eq!(titles(&bed.store, "harvest").await.len(), 3);
        let other = bed.another().await;

        let two = &events[1];
        let plan = Plan { title: "Sowing".into(), ..two.plan.clone() };
        let sowing = Event { plan, version: two.version + 1, ..two.clone() };
        other.submit(set(|set| set.change_event(&tenant(), &sowing, two.version))).await.expect("a change");
        let one = found(&other, "one").await.remove(0);
        other.submit(set(|set| set.delete_event(&tenant(), &one))).await.expect("a deletion");

        assert_eq!(titles(&bed.store, "harvest").await, ["Harvest three"]);
        assert_eq!(titles(&other, "harvest").await, ["Harvest three"]);
    })
    .await;
}
