//! Lists of events that are long enough to be gone through instead of picked: the same rows in the same order.
//!
//! Invariant: whatever way a list comes to its rows, they are those a plain look at all events finds.
//! Not here: short lists over HTTP (the server's `event_lists`), speed (`cargo xtask bench planning`).

use crate::support::{Bed, NOW, chance, on_both, set, stranger, tenant};
use openevent_domain::id::EventId;
use openevent_domain::planning::event::Event;
use openevent_domain::planning::plan::{LocationType, Plan};
use openevent_domain::planning::search::{Query, sort_key};
use openevent_domain::planning::status::{State, Status};
use openevent_store::planning::events::{
    Audience, Direction, EventRecord, Filter, Key, Listing, Place, Sort,
};

/// More than twice what is picked and sorted.
const EVENTS: usize = 4_200;
const PAGE: i64 = 50;

fn event(n: usize) -> Event {
    let at = NOW + n as i64;
    // Half have the word in their title, all in their text; one in seven hundred has a rare one.
    let title = if n.is_multiple_of(2) { format!("Common {}", n % 97) } else { format!("Other {}", n % 89) };
    let rare = if n.is_multiple_of(700) { "needle" } else { "hay" };
    let plan = Plan {
        title,
        description: Some(format!("commonly {rare} 100%")),
        start_at: NOW + ((n * 7_919) % EVENTS) as i64,
        event_type: Some(if n.is_multiple_of(3) { "meetup" } else { "fair" }.to_owned()),
        location_type: Some(LocationType::ALL[n % 2]),
        is_public: n.is_multiple_of(5),
        ..Plan::default()
    };
    let status = if n.is_multiple_of(4) { Status::Draft } else { Status::Planning };
    let state = State::trusted(status, Some(at), None);
    Event::new(EventId::mint(at, chance()), plan, state, "owner".into(), at)
}

async fn filled(bed: &Bed) -> Vec<Event> {
    let events: Vec<Event> = (0..EVENTS).map(event).collect();
    for part in events.chunks(700) {
        let rows = set(|set| {
            for event in part {
                set.add_event(&tenant(), event);
            }
            set.add_event(&stranger(), &self::event(0));
        });
        bed.store.submit(rows).await.expect("events are stored");
    }
    events
}

fn listing(sort: Sort, direction: Direction, filter: Filter) -> Listing {
    Listing { audience: Audience::Members(tenant()), filter, sort, direction }
}

fn searching(text: &str) -> Filter {
    Filter { search: Query::parse(text), ..Filter::default() }
}

/// Whether every word begins a word of the text.
fn has(text: &str, words: &str) -> bool {
    let text = text.to_lowercase();
    words.split(' ').all(|word| text.split(' ').any(|other| other.starts_with(word)))
}

/// What a plain look at all events finds, by the words that are searched for.
fn expected(events: &[Event], listing: &Listing, words: &str) -> Vec<EventId> {
    let filter = &listing.filter;
    let fits = |event: &&Event| {
        let plan = &event.plan;
        let text = format!("{} {}", plan.title, plan.description.as_deref().unwrap_or_default());
        filter.status.is_none_or(|status| event.state.status() == status)
            && filter.event_type.as_ref().is_none_or(|word| plan.event_type.as_ref() == Some(word))
            && filter.location_type.is_none_or(|kind| plan.location_type == Some(kind))
            && filter.is_public.is_none_or(|is| plan.is_public == is)
            && filter.from.is_none_or(|from| plan.start_at >= from)
            && (words.is_empty() || has(&text, words))
    };
    let mut found: Vec<&Event> = events.iter().filter(fits).collect();
    found.sort_by_cached_key(|event| {
        let (time, text) = match listing.sort {
            Sort::Start => (event.plan.start_at, String::new()),
            Sort::Title => (0, sort_key(&event.plan.title)),
            Sort::Relevance => (i64::from(has(&event.plan.title, words)), event.created_at.to_string()),
            Sort::Creation | Sort::Update => (event.created_at, String::new()),
        };
        (time, text, event.id.clone())
    });
    if listing.direction == Direction::Descending {
        found.reverse();
    }
    found.into_iter().map(|event| event.id.clone()).collect()
}

fn ids(rows: &[EventRecord]) -> Vec<EventId> {
    rows.iter().map(|row| row.event.id.clone()).collect()
}

/// Looks at the first pages by cursor, and at pages by number near the beginning, the middle and the end.
async fn check(bed: &Bed, listing: &Listing, expected: &[EventId]) {
    let mut place = Place::Offset(0);
    for page in expected.chunks(PAGE as usize).take(3) {
        let (rows, total) = bed.store.events_page::<Plan>(listing, &place, PAGE).await.expect("a page");
        assert_eq!((ids(&rows), total), (page.to_vec(), expected.len() as i64), "{listing:?} {place:?}");
        let last = rows.last().expect("a row");
        place = Place::After(last.key.clone(), last.event.id.clone());
    }
    let (middle, end) = (expected.len() / 2, expected.len());
    for begin in [middle.saturating_sub(10), end.saturating_sub(5), end + 9] {
        let rows = bed.store.events(listing, &Place::Offset(begin as i64), PAGE).await.expect("a page");
        let wanted = expected.get(begin..).unwrap_or_default();
        assert_eq!(ids(&rows), wanted[..wanted.len().min(PAGE as usize)], "{listing:?} from {begin}");
    }
}

#[tokio::test]
async fn a_long_list_has_the_rows_that_fit_in_their_order() {
    on_both(async |bed| {
        let events = filled(bed).await;
        let meetups = Filter { event_type: Some("meetup".into()), ..Filter::default() };
        let fairs = Filter { event_type: Some("fair".into()), ..Filter::default() };
        let narrow = Filter {
            status: Some(Status::Planning),
            location_type: Some(LocationType::ALL[1]),
            is_public: Some(true),
            ..fairs.clone()
        };
        let late = Filter { from: Some(NOW + 100), ..fairs.clone() };
        for filter in [Filter::default(), meetups, fairs, narrow, late] {
            for (sort, direction) in [
                (Sort::Creation, Direction::Descending),
                (Sort::Start, Direction::Ascending),
                (Sort::Title, Direction::Descending),
            ] {
                let listing = listing(sort, direction, filter.clone());
                check(bed, &listing, &expected(&events, &listing, "")).await;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_word_that_many_have_is_found_like_one_that_few_have() {
    on_both(async |bed| {
        let events = filled(bed).await;
        for words in ["common", "commonl", "needle", "other hay", "nothing"] {
            for sort in [Sort::Relevance, Sort::Title] {
                let listing = listing(sort, Direction::Descending, searching(words));
                check(bed, &listing, &expected(&events, &listing, words)).await;
            }
            if words == "common" {
                let listing = listing(Sort::Relevance, Direction::Descending, searching(words));
                let first = bed.store.events(&listing, &Place::Offset(0), 1).await.expect("a page");
                let last =
                    bed.store.events(&listing, &Place::Offset(EVENTS as i64 - 1), 1).await.expect("a page");
                assert!(matches!(first[0].key, Key::Rank(1, _)) && matches!(last[0].key, Key::Rank(0, _)));
            }
            let fairs = Filter { event_type: Some("fair".into()), from: Some(NOW + 50), ..searching(words) };
            let listing = listing(Sort::Relevance, Direction::Descending, fairs);
            check(bed, &listing, &expected(&events, &listing, words)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn those_who_have_few_of_what_many_have_find_theirs() {
    on_both(async |bed| {
        filled(bed).await;
        let theirs = |filter| Listing {
            audience: Audience::Members(stranger()),
            ..listing(Sort::Relevance, Direction::Descending, filter)
        };

        let common =
            bed.store.events_page::<Plan>(&theirs(searching("common")), &Place::Offset(0), PAGE).await;
        let hay = bed.store.events_page::<Plan>(&theirs(searching("hay")), &Place::Offset(0), PAGE).await;

        let (rows, total) = common.expect("a page");
        assert_eq!((rows.len(), total), (EVENTS / 700, (EVENTS / 700) as i64));
        assert!(rows.iter().all(|row| row.event.plan.title == event(0).plan.title));
        assert_eq!(hay.expect("a page"), (Vec::new(), 0));
    })
    .await;
}

#[tokio::test]
async fn a_search_finds_the_same_when_the_segments_of_its_index_are_merged() {
    on_both(async |bed| {
        let events = filled(bed).await;
        let is_sqlite = bed.store.dialect() == openevent_store::Dialect::Sqlite;
        let before = bed.store.search_segments().await.expect("a count");
        assert_eq!(before > 1, is_sqlite, "{before}");

        while bed.store.merge_search().await.expect("a bite") {}

        assert_eq!(bed.store.search_segments().await.expect("a count"), i64::from(is_sqlite));
        for words in ["common", "needle", "other hay"] {
            let listing = listing(Sort::Relevance, Direction::Descending, searching(words));
            check(bed, &listing, &expected(&events, &listing, words)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn of_those_who_ask_the_same_at_one_time_one_counts() {
    on_both(async |bed| {
        filled(bed).await;
        let listing = listing(Sort::Creation, Direction::Descending, searching("needle"));
        // How many there are, which words, and which rows, in all the text and in titles: one count reads no more.
        bed.store.faults().arm(5);

        let ask = || Box::pin(bed.store.events_count(&listing));
        let counts = tokio::join!(ask(), ask(), ask(), ask());

        assert!(bed.store.faults().is_armed(), "a second one counted");
        bed.store.faults().arm(0);
        for count in [counts.0, counts.1, counts.2, counts.3] {
            assert_eq!(count.expect("a count"), 6);
        }
    })
    .await;
}
