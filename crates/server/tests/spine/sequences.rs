//! Random sequences of calls about vendors of one event, against a model of what they mean.
//!
//! Invariant: each signal is raised exactly when the state says so: once for every move of a relation to confirmed or
//! declined, by whichever door it came.
//! Not here: the moves one by one (the domain's own tests), what happens at the same time.

use crate::bed::{Bed, OPERATOR, on_both};
use crate::events::id;
use crate::relations::{event, patch, told, vendor};
use openevent_domain::planning::application::{Outcome, Stage};
use openevent_domain::planning::directory::Side;
use openevent_domain::planning::relation::Standing;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::json;

/// Calls of one sequence.
const STEPS: usize = 40;

#[derive(Clone, Copy, Debug)]
enum Step {
    Relate(Standing),
    Move(Standing),
    Remove,
    Apply,
    Decide(Stage),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    use proptest::prelude::{Just, prop_oneof};
    let standing = || proptest::sample::select(Standing::ALL.to_vec());
    let step = prop_oneof![
        2 => standing().prop_map(Step::Relate),
        5 => standing().prop_map(Step::Move),
        1 => Just(Step::Remove),
        3 => Just(Step::Apply),
        4 => proptest::sample::select(Stage::GIVEN.to_vec()).prop_map(Step::Decide),
    ];
    proptest::collection::vec(step, STEPS)
}

/// What should be there, and have been told.
#[derive(Debug, Default)]
struct Model {
    relation: Option<(Standing, i64)>,
    application: Option<(Stage, i64)>,
    applied: usize,
    confirmed: usize,
    declined: usize,
    now: i64,
}

impl Model {
    fn stand(&mut self, to: Standing) {
        self.confirmed += usize::from(to == Standing::Confirmed);
        self.declined += usize::from(to == Standing::Declined);
        self.relation = Some((to, self.now));
    }

    /// Takes a step; answers the status of the call.
    fn take(&mut self, step: Step) -> u16 {
        self.now += 1;
        match step {
            Step::Relate(_) if self.relation.is_some() => return 409,
            Step::Relate(Standing::Completed) => return 400,
            Step::Relate(first) => self.stand(first),
            Step::Move(to) => {
                let Some((from, _)) = self.relation else { return 404 };
                if from.go(Side::Vendor, to).is_err() {
                    return 400;
                }
                if from != to {
                    self.stand(to);
                }
            }
            Step::Remove if self.relation.take().is_none() => return 404,
            Step::Remove => {}
            Step::Apply => {
                let is_open = self.application.is_some_and(|(stage, _)| stage.outcome().is_none());
                if is_open || self.relation.is_some_and(|(standing, _)| standing.is_binding()) {
                    return 409;
                }
                self.applied += 1;
                self.application = Some((Stage::Pending, self.now));
            }
            Step::Decide(to) => {
                let Some((from, applied_at)) = self.application else { return 404 };
                if from.go(to).is_err() {
                    return 400;
                }
                self.application = Some((to, applied_at));
                let outcome = to.outcome().filter(|_| from != to);
                if let Some(standing) =
                    outcome.and_then(|outcome: Outcome| outcome.on(self.relation, applied_at))
                {
                    self.stand(standing);
                }
            }
        }
        match step {
            Step::Relate(_) | Step::Apply => 201,
            _ => 200,
        }
    }
}

/// Where the calls go.
struct Place {
    event: String,
    vendor: String,
    relation: String,
    application: String,
}

impl Place {
    async fn take(&mut self, bed: &Bed, step: Step) -> u16 {
        // What is decided by time must not depend on how fast we are.
        bed.forward(1);
        let Self { event, vendor, .. } = self;
        match step {
            Step::Relate(first) => {
                let body = json!({"vendorId": vendor, "status": first.as_str(), "proposedBudget": 5});
                // A word that is no first one is refused before anybody looks for a relation.
                let reply = bed.post(&format!("{event}/vendors"), &body).await;
                if reply.status == 201 {
                    self.relation = format!("{event}/vendors/{}", id(&reply.json()["data"]));
                }
                reply.status
            }
            Step::Move(to) => patch(bed, &self.relation, json!({"status": to.as_str()})).await.status,
            Step::Remove => bed.send("DELETE", &self.relation, &[OPERATOR], "").await.status,
            Step::Apply => {
                let body = json!({"applicantType": "vendor", "applicantId": vendor, "contactName": "Ada",
                    "contactEmail": "a@b.example"});
                let path = format!("{}/applications", event.replace("/api/v1/", "/api/v1/public/"));
                let reply = bed.post(&path, &body).await;
                if reply.status == 201 {
                    self.application = format!("{event}/applications/{}", id(&reply.json()["data"]));
                }
                reply.status
            }
            Step::Decide(to) => {
                let reply = patch(bed, &self.application, json!({"status": to.as_str()})).await;
                // A decision may have made the relation.
                if let Some(relation) = bed.data(&format!("{event}/vendors")).await.get(0) {
                    self.relation = format!("{event}/vendors/{}", id(relation));
                }
                reply.status
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_done_to_a_pair_each_signal_is_raised_when_the_state_says_so() {
    on_both(async |bed: &Bed| {
        let mut runner = TestRunner::deterministic();
        let (mut applied, mut confirmed, mut declined) = (0, 0, 0);
        for _ in 0..3 {
            let steps = steps().new_tree(&mut runner).expect("a sequence").current();
            let event = event(bed, json!({"isPublic": true, "seekingVendors": true})).await;
            let missing = |folder: &str| format!("{event}/{folder}/none");
            let mut place = Place {
                vendor: vendor(bed).await,
                relation: missing("vendors"),
                application: missing("applications"),
                event,
            };
            let mut model = Model::default();
            for (n, step) in steps.iter().enumerate() {
                let (given, expected) = (place.take(bed, *step).await, model.take(*step));
                // Of a word that is refused and a relation that is there already, either may be told first.
                let is_either =
                    matches!(step, Step::Relate(Standing::Completed)) && [400, 409].contains(&given);
                assert!(
                    given == expected || is_either,
                    "{given} for {expected} at {n} of {steps:?}\n{model:?}"
                );
            }
            let standing = model.relation.map(|(standing, _)| standing.as_str());
            let found = bed.data(&format!("{}/vendors", place.event)).await;
            assert_eq!(found[0]["status"].as_str(), standing, "{steps:?}");
            applied += model.applied;
            confirmed += model.confirmed;
            declined += model.declined;
        }
        assert!(applied > 0 && confirmed > 0 && declined > 0, "the sequences say something");
        for (name, count) in [("applied", applied), ("confirmed", confirmed), ("declined", declined)] {
            assert_eq!(told(bed, &format!("vendor.{name}")).await.len(), count, "{name}");
        }
    })
    .await;
}
