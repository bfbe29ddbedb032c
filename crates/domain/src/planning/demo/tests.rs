//! The laws of demo seasons.

use super::*;
use crate::id::BudgetItemId;
use crate::planning::budget::Item;
use crate::planning::directory::{Author, Profile, Review};
use crate::planning::form::{Form, Presence};
use crate::planning::plan::Plan;
use crate::planning::relation::Relation;
use crate::planning::search::{Query, searchable};
use crate::planning::status::Status;
use crate::planning::task::{Graph, Progress, Task};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// 22 November 2026.
const NOW: Millis = 1_795_305_600_000;

fn season() -> Season {
    Season::new(7, NOW, Size::default())
}

/// Reads something as if somebody had sent its JSON: every field is taken and none refused.
fn sent<T: Default + PartialEq + std::fmt::Debug + Serialize>(
    thing: &T,
    read: impl FnOnce(&mut T, &mut Form),
) {
    let body = serde_json::to_value(thing).unwrap();
    let mut form = Form::of(body.as_object().cloned().unwrap());
    let mut again = T::default();
    read(&mut again, &mut form);
    let ignored = form.finish().unwrap();
    let is_ours = |name: &String| matches!(name.as_str(), "completedAt" | "firstCompletedAt");
    assert!(ignored.iter().all(is_ours), "{ignored:?} of {body}");
    assert_eq!(serde_json::to_value(&again).unwrap(), body);
}

#[test]
fn the_same_seed_gives_the_same_season_and_another_one_another() {
    let whole = |seed| {
        let season = Season::new(seed, NOW, Size::default());
        (season.parties().collect::<Vec<_>>(), season.gatherings("demo").collect::<Vec<_>>())
    };
    assert_eq!(whole(7), whole(7));
    assert_ne!(whole(7).1[0].event.plan, whole(8).1[0].event.plan);
}

#[test]
fn the_same_season_at_another_time_has_other_ids() {
    let ids = |now| {
        let season = Season::new(7, now, Size::default());
        let parties = season.parties().map(|party| party.id.as_str().to_owned());
        let gatherings = season.gatherings("demo").flat_map(|one| {
            let tasks = one.tasks.into_iter().map(|task| task.id.as_str().to_owned());
            std::iter::once(one.event.id.as_str().to_owned()).chain(tasks)
        });
        parties.chain(gatherings).collect::<HashSet<_>>()
    };
    assert!(ids(NOW).is_disjoint(&ids(NOW + 1)));
}

#[test]
fn a_larger_season_has_the_same_beginning_and_is_made_one_by_one() {
    let large = Season::new(7, NOW, Size::default().scaled(1_000_000));
    assert!(large.events("demo").take(60).eq(season().events("demo")));
    assert_eq!(large.gatherings("demo").take(3).count(), 3);
    assert!(large.parties().take(400).eq(season().parties().take(400)));
    assert_eq!(Size::default().scaled(u64::MAX).vendors, u64::MAX);
}

#[test]
fn everything_passes_the_rules_of_what_it_is() {
    for party in season().parties() {
        sent(&party.profile, |profile: &mut Profile, form| {
            profile.read(form, party.side, Presence::New, Author::Admin);
        });
        assert!(party.created_at < NOW && party.review.at().is_none_or(|at| at <= NOW));
    }
    for Gathering { event, tasks, budget, ties } in season().gatherings("demo") {
        sent(&event.plan, |plan: &mut Plan, form| plan.read(form, Presence::New));
        assert!(event.created_at < NOW && event.updated_at <= NOW, "{:?}", event.state);
        let graph: BTreeMap<_, _> =
            tasks.iter().map(|task| (task.id.clone(), task.body.blocked_by.clone())).collect();
        for made in &tasks {
            sent(&made.body, |task: &mut Task, form| {
                task.read(form, Presence::New, made.body.completed_at.unwrap_or_default());
            });
            Graph::of(graph.clone()).check(&made.id, &made.body.blocked_by).unwrap();
        }
        for made in &budget {
            sent(&made.body, |item: &mut Item, form| item.read(form, Presence::New));
        }
        check(&ties, &event, &budget);
    }
}

/// Relations and applications are what the rules of both make.
fn check(ties: &Ties, event: &Event, budget: &[Made<BudgetItemId, Item>]) {
    let mut pairs = HashSet::new();
    for (side, made) in ties
        .vendors
        .iter()
        .map(|one| (Side::Vendor, one))
        .chain(ties.sponsors.iter().map(|one| (Side::Sponsor, one)))
    {
        let relation = &made.body;
        assert!(pairs.insert(relation.party().to_owned()), "one relation for a pair");
        assert!((event.created_at..=NOW).contains(&relation.status_changed_at), "{relation:?}");
        let terms = serde_json::to_value(relation).unwrap();
        let mut form = Form::of(terms.as_object().cloned().unwrap());
        let mut again =
            Relation::to(side, relation.party().to_owned(), relation.status, relation.status_changed_at);
        again.read(&mut form, side);
        (again.budget_item_id, again.application_id) =
            (relation.budget_item_id.clone(), relation.application_id.clone());
        assert!(form.finish().is_ok() && again == *relation);
        let costs = side == Side::Vendor && relation.status.is_binding();
        let item =
            relation.budget_item_id.as_ref().map(|id| budget.iter().find(|item| item.id == *id).unwrap());
        assert_eq!(costs, item.is_some());
        assert!(item.is_none_or(|item| Some(item.body.estimated_amount) == relation.cost()));
    }
    let mut open = HashSet::new();
    for made in &ties.applications {
        let application = &made.body;
        let relation = ties
            .vendors
            .iter()
            .chain(&ties.sponsors)
            .find(|one| Some(&one.id) == application.relation_id.as_ref());
        assert_eq!(application.is_open(), relation.is_none());
        assert!(relation.is_none_or(|one| one.body.application_id.as_ref() == Some(&made.id)));
        assert!(!application.is_open() || open.insert(application.applicant_id.clone()));
        assert!(!application.is_open() || !pairs.contains(&application.applicant_id));
        let mut form = Form::of(serde_json::to_value(application).unwrap().as_object().cloned().unwrap());
        let mut again = application.clone();
        assert!(again.read(&mut form) && form.finish().is_ok() && again == *application);
        assert!(made.created_at <= application.decided_at.unwrap_or(NOW));
    }
}

#[test]
fn events_alone_are_the_same_events() {
    assert!(season().events("demo").eq(season().gatherings("demo").map(|one| one.event)));
}

#[test]
fn a_task_is_not_done_before_what_it_waits_for() {
    for gathering in season().gatherings("demo") {
        let done: HashSet<_> = gathering
            .tasks
            .iter()
            .filter(|task| task.body.status == Progress::Completed)
            .map(|task| task.id.clone())
            .collect();
        for task in gathering.tasks.iter().filter(|task| done.contains(&task.id)) {
            assert!(task.body.blocked_by.iter().all(|id| done.contains(id)), "{}", task.body.title);
            assert!(task.body.completed_at.is_some_and(|at| at <= NOW));
        }
    }
}

#[test]
fn a_season_has_something_of_everything() {
    let gatherings: Vec<_> = season().gatherings("demo").collect();
    let statuses: BTreeSet<_> = gatherings.iter().map(|one| one.event.state.status()).collect();
    assert_eq!(statuses, BTreeSet::from(Status::ALL));
    let count = |is: &dyn Fn(&Plan) -> bool| gatherings.iter().filter(|one| is(&one.event.plan)).count();
    let words = |of: &dyn Fn(&Plan) -> Option<String>| {
        gatherings.iter().filter_map(|one| of(&one.event.plan)).collect::<BTreeSet<_>>().len()
    };
    assert_eq!((gatherings.len(), words(&|plan| plan.event_type.clone())), (60, 5));
    assert!(words(&|plan| plan.timezone.as_ref().map(|zone| zone.as_str().to_owned())) >= 8);
    assert!(words(&|plan| Some(plan.title.clone())) >= 55);
    assert!(count(&|plan| plan.is_public) > 25 && count(&|plan| !plan.is_public) > 5);
    assert!(count(&|plan| plan.start_at < NOW) > 10 && count(&|plan| plan.start_at > NOW) > 25);
    assert!(count(&|plan| plan.seeking_vendors) > 10 && count(&|plan| plan.seeking_sponsors) > 10);
    for gathering in &gatherings {
        let state = gathering.event.state.status();
        let is_over = gathering.event.plan.end_at.is_some_and(|end| end < NOW);
        assert!(state != Status::Completed || is_over, "{:?}", gathering.event.plan.title);
    }
}

#[test]
fn a_directory_has_names_of_its_own_and_all_kinds_of_reviews() {
    let parties: Vec<_> =
        Season::new(7, NOW, Size { vendors: 20_000, ..Size::default() }).parties().collect();
    for side in Side::ALL {
        let of: Vec<_> = parties.iter().filter(|party| party.side == side).collect();
        let names: HashSet<_> = of.iter().map(|party| party.profile.name.as_str()).collect();
        assert_eq!(names.len(), of.len(), "{side:?}");
        let groups: HashSet<_> = of.iter().map(|party| party.profile.group()).collect();
        assert_eq!(groups.len(), if side == Side::Vendor { 15 } else { 12 });
        let reviews: HashSet<_> = of.iter().map(|party| party.review.as_str()).collect();
        assert_eq!(reviews.len(), Review::WORDS.len());
        let mail = |party: &&&Party| {
            party.profile.contact_email.as_ref().is_some_and(|to| to.ends_with(".example.org"))
        };
        assert_eq!(of.iter().filter(mail).count(), of.len());
    }
}

#[test]
fn a_large_season_has_common_words_and_rare_ones() {
    let size = Size { events: 4_000, ..Size::default() };
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for gathering in Season::new(7, NOW, size).gatherings("demo") {
        let text = searchable(gathering.event.plan.description.as_deref().unwrap_or_default());
        let words: BTreeSet<_> = text.split(' ').map(str::to_owned).collect();
        for word in words {
            *counts.entry(word).or_default() += 1;
        }
    }
    assert!(counts.values().filter(|count| **count == 1).count() > 500);
    assert!(counts.values().filter(|count| **count > 400).count() > 30);
    assert!(Query::parse("kitchen").is_some());
}
