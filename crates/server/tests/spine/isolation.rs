//! Random sequences of calls by two projects and both environments of one: nobody ever sees or changes what is not theirs.
//!
//! Invariant: every text somebody writes carries their mark. No answer holds another's mark, or an id of another's
//! that was not in the question; and what is theirs is always as their own last call left it.
//! Not here: routes one by one (see `authorisation`).

use crate::bed::{Bed, JSON, on_both};
use openevent_domain::tenant::Environment;
use openevent_testkit::Reply;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const EVENTS: &str = "/api/v1/events";
/// Sequences on each database, and calls of each.
const SEQUENCES: u64 = 4;
const CALLS: usize = 150;
/// What each party writes into its texts.
const MARKS: [&str; 3] = ["amberwood", "birchwood", "cedarwood"];
/// Folders below an event, with what a new part says besides its texts.
const FOLDERS: [&str; 4] = ["tasks", "budget", "vendors", "sponsors"];

/// A small generator (`splitmix64`): a sequence is known by its seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut n = self.0;
        n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((n ^ (n >> 31)) % sides as u64) as usize
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        if all.is_empty() { None } else { Some(&all[self.roll(all.len())]) }
    }
}

/// Something somebody made: where it is, and what it is as of their last call.
#[derive(Clone, Debug)]
struct Thing {
    owner: usize,
    path: String,
    data: Value,
}

impl Thing {
    fn id(&self) -> &str {
        self.data["id"].as_str().expect("an id")
    }

    fn is_event(&self) -> bool {
        self.path.matches('/').count() == 4
    }
}

/// Who calls, what there is, and what was done so far.
struct World<'a> {
    bed: &'a Bed,
    dice: Dice,
    keys: [String; 3],
    things: Vec<Thing>,
    /// Ids of signals and of what was deleted, by who owns them.
    others: Vec<(usize, String)>,
    directory: [String; 2],
    log: Vec<String>,
}

impl World<'_> {
    async fn call(&mut self, who: usize, method: &str, path: &str, body: &Value) -> Reply {
        let headers = [("x-api-key", self.keys[who].as_str()), JSON];
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let reply = self.bed.send(method, path, &headers, text.clone()).await;
        self.log.push(format!("{} {method} {path} {text} -> {}", MARKS[who], reply.status));
        self.check_answer(who, path, &text, &reply);
        reply
    }

    /// Nothing in an answer is another's.
    fn check_answer(&self, who: usize, path: &str, body: &str, reply: &Reply) {
        let text = reply.text();
        assert!(reply.status < 500, "{text}\n{:#?}", self.log);
        for (other, mark) in MARKS.iter().enumerate().filter(|(other, _)| *other != who) {
            assert!(!text.contains(mark), "{} sees {mark}: {text}\n{:#?}", MARKS[who], self.log);
            let things = self.things.iter().filter(|thing| thing.owner == other).map(Thing::id);
            let gone = self.others.iter().filter(|(owner, _)| *owner == other).map(|(_, id)| id.as_str());
            for id in things.chain(gone) {
                let was_asked = path.contains(id) || body.contains(id);
                assert!(was_asked || !text.contains(id), "{} sees {id}: {text}\n{:#?}", MARKS[who], self.log);
            }
        }
    }

    /// A body with the caller's mark, and with what must have no effect.
    fn body(&mut self, who: usize, folder: &str) -> Value {
        let text = format!("{} {}", MARKS[who], self.dice.roll(1_000));
        let foreign = self.any_id();
        let mut body = match folder {
            "tasks" => json!({"title": text, "description": text}),
            "budget" => json!({"category": text, "name": text, "estimatedAmount": self.dice.roll(500)}),
            "vendors" => json!({"vendorId": self.directory[0], "notes": text}),
            "sponsors" => json!({"sponsorId": self.directory[1], "notes": text}),
            _ => json!({"title": text, "description": text, "startDate": self.dice.roll(1_000)}),
        };
        for name in ["tenant", "projectId", "userId", "_id", "id", "eventId", "createdBy"] {
            if self.dice.roll(4) == 0 {
                body[name] = foreign.clone().into();
            }
        }
        if folder == "tasks" && self.dice.roll(4) == 0 {
            body["blockedBy"] = json!([foreign]);
        }
        body
    }

    fn any_id(&mut self) -> String {
        let ids: Vec<String> = self.things.iter().map(|thing| thing.id().to_owned()).collect();
        self.dice.of(&ids).cloned().unwrap_or_else(|| "evt_none".to_owned())
    }

    /// Makes an event, or a part of any event, whosever it is.
    async fn make(&mut self, who: usize) {
        let folder = FOLDERS.get(self.dice.roll(FOLDERS.len() + 2)).copied().unwrap_or("");
        let events: Vec<Thing> = self.things.iter().filter(|thing| thing.is_event()).cloned().collect();
        let below = if folder.is_empty() { None } else { self.dice.of(&events).cloned() };
        let body = self.body(who, if below.is_some() { folder } else { "" });
        let path = below.as_ref().map_or(EVENTS.to_owned(), |event| format!("{}/{folder}", event.path));
        let reply = self.call(who, "POST", &path, &body).await;
        match below.filter(|event| event.owner != who) {
            Some(_) => assert_eq!(reply.status, 404, "{:#?}", self.log),
            None if reply.status == 201 => self.keep(who, &path, &reply),
            None => assert!(matches!(reply.status, 400 | 409), "{}\n{:#?}", reply.text(), self.log),
        }
    }

    fn keep(&mut self, owner: usize, folder: &str, reply: &Reply) {
        let mut data = reply.json()["data"].clone();
        if folder == EVENTS || folder.ends_with("/clone") {
            data.as_object_mut().expect("an object").remove("eventId");
        }
        let folder = if folder.ends_with("/clone") { EVENTS } else { folder };
        let path = format!("{folder}/{}", data["id"].as_str().expect("an id"));
        self.things.push(Thing { owner, path, data });
    }

    /// Reads, changes, copies or removes one thing, whosever it is.
    async fn touch(&mut self, who: usize) {
        let Some(thing) = self.dice.of(&self.things).cloned() else { return };
        let text = format!("{} {}", MARKS[who], self.dice.roll(1_000));
        let field = if thing.is_event() || thing.path.contains("/tasks/") { "title" } else { "notes" };
        let (method, path, body) = match self.dice.roll(6) {
            0 | 1 => ("GET", thing.path.clone(), Value::Null),
            2 if thing.is_event() => {
                ("POST", format!("{}/clone", thing.path), json!({"title": text, "copy": ["tasks"]}))
            }
            3 if self.dice.roll(2) == 0 => ("DELETE", thing.path.clone(), Value::Null),
            4 if thing.is_event() => {
                ("PATCH", thing.path.clone(), json!({"status": "cancelled", "title": text}))
            }
            _ => ("PATCH", thing.path.clone(), json!({field: text, "owner": self.any_id()})),
        };
        let reply = self.call(who, method, &path, &body).await;
        if thing.owner != who {
            assert_eq!(reply.status, 404, "{:#?}", self.log);
            return;
        }
        match (method, reply.status) {
            ("GET", status) => {
                assert_eq!((status, &reply.json()["data"]), (200, &thing.data), "{:#?}", self.log);
            }
            ("POST", 201) => self.keep(who, &path, &reply),
            ("DELETE", 200) => self.forget(&thing),
            ("PATCH", 200) => self.set(&thing.path, &reply),
            (_, status) => assert_eq!(status, 400, "{}\n{:#?}", reply.text(), self.log),
        }
    }

    fn set(&mut self, path: &str, reply: &Reply) {
        let known = self.things.iter_mut().find(|known| known.path == path).expect("it is there");
        known.data = reply.json()["data"].clone();
    }

    fn forget(&mut self, thing: &Thing) {
        let below = format!("{}/", thing.path);
        let is_gone = |known: &Thing| known.path == thing.path || known.path.starts_with(&below);
        let gone = self.things.iter().filter(|known| is_gone(known));
        self.others.extend(gone.map(|known| (known.owner, known.id().to_owned())));
        self.things.retain(|known| !is_gone(known));
    }

    /// Looks through lists, with filters and words that fit what is another's.
    async fn look(&mut self, who: usize) {
        let mark = self.dice.of(&MARKS).copied().unwrap_or_default();
        let event = self.dice.of(&self.things).filter(|thing| thing.is_event()).cloned();
        let (path, owner) = match (self.dice.roll(8), event) {
            (0, Some(event)) => (format!("{}/tasks?limit=100", event.path), event.owner),
            (1, Some(event)) => (format!("{}/budget/summary", event.path), event.owner),
            (2, Some(event)) => (format!("{}/vendors", event.path), event.owner),
            (3, _) => (format!("{EVENTS}?search={mark}&limit=100"), who),
            (4, _) => (format!("{EVENTS}?status=cancelled&sort=title"), who),
            (5, _) => ("/api/v1/events.ics".to_owned(), who),
            (6, _) => ("/api/v1/signals?limit=100".to_owned(), who),
            _ => (format!("{EVENTS}?limit=100&sort=-updatedAt"), who),
        };
        let reply = self.call(who, "GET", &path, &Value::Null).await;
        let expected = if owner == who { 200 } else { 404 };
        assert_eq!(reply.status, expected, "{:#?}", self.log);
        if path.contains("search=") {
            let own = if mark == MARKS[who] { self.events_of(who).len() } else { 0 };
            assert_eq!(reply.json()["meta"]["total"], own, "{:#?}", self.log);
        }
    }

    fn events_of(&self, who: usize) -> BTreeMap<&str, &Value> {
        let own = self.things.iter().filter(|thing| thing.owner == who && thing.is_event());
        own.map(|thing| (thing.id(), &thing.data)).collect()
    }

    /// What everybody has is what their own calls left, no more and no less.
    async fn check_all(&mut self) {
        for who in 0..MARKS.len() {
            let mut cursor = String::new();
            let mut found = BTreeMap::new();
            loop {
                let page =
                    self.call(who, "GET", &format!("{EVENTS}?limit=7{cursor}"), &Value::Null).await.json();
                for event in page["data"].as_array().expect("a list") {
                    found.insert(event["id"].as_str().expect("an id").to_owned(), event.clone());
                }
                let Some(next) = page["meta"]["nextCursor"].as_str() else { break };
                cursor = format!("&cursor={next}");
            }
            let own = self.events_of(who);
            assert_eq!(found.iter().map(|(id, event)| (id.as_str(), event)).collect::<BTreeMap<_, _>>(), own);
            for thing in self.things.clone().iter().filter(|thing| thing.owner == who) {
                let reply = self.call(who, "GET", &thing.path, &Value::Null).await;
                assert_eq!((reply.status, &reply.json()["data"]), (200, &thing.data), "{:#?}", self.log);
            }
        }
    }
}

/// An approved vendor and an approved sponsor: the directory belongs to everybody.
async fn directory(bed: &Bed) -> [String; 2] {
    let mut ids = Vec::new();
    for (side, body) in [
        ("vendors", json!({"name": "Baker", "category": "food"})),
        ("sponsors", json!({"name": "Bank", "industry": "money"})),
    ] {
        let made = bed.post(&format!("/api/v1/{side}"), &body).await.json();
        let id = made["data"]["id"].as_str().expect("an id").to_owned();
        assert_eq!(bed.post(&format!("/api/v1/{side}/{id}/approve"), &json!({})).await.status, 200);
        ids.push(id);
    }
    ids.try_into().expect("two of them")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_two_projects_do_neither_sees_or_changes_the_others_things() {
    on_both(async |bed| {
        let directory = directory(bed).await;
        for seed in 0..SEQUENCES {
            let (one, two) =
                (bed.project(&format!("one{seed}")).await, bed.project(&format!("two{seed}")).await);
            let keys = [
                bed.plain_key_of(&one, Environment::Live, &["*"]).await,
                bed.plain_key_of(&two, Environment::Live, &["*"]).await,
                bed.plain_key_of(&one, Environment::Test, &["*"]).await,
            ];
            let (directory, log) = (directory.clone(), vec![format!("seed {seed}")]);
            let (things, others) = (Vec::new(), Vec::new());
            let mut world = World { bed, dice: Dice(seed), keys, things, others, directory, log };
            for _ in 0..CALLS {
                let who = world.dice.roll(MARKS.len());
                match world.dice.roll(5) {
                    0 | 1 => world.make(who).await,
                    2 | 3 => world.touch(who).await,
                    _ => world.look(who).await,
                }
            }
            assert!(
                MARKS.iter().enumerate().all(|(who, _)| !world.events_of(who).is_empty()),
                "too tame a sequence"
            );
            world.check_all().await;
        }
    })
    .await;
}
