//! Who may do what: every route is asked by those who may not, and by those whose data it is not.
//!
//! Invariant: [`CASES`] has a line for every route there is, documented or not; one without a line fails. What is
//! asked for are real objects of one project, with a mark in their texts that no stranger ever sees.
//! Not here: what routes answer to those who may (their own tests).

use crate::bed::{Bed, JSON, code, on_both};
use openevent_domain::id::ProjectId;
use openevent_domain::scope::KNOWN;
use openevent_domain::tenant::Environment;
use openevent_testkit::Reply;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// In the texts of everything that is ours.
const MARK: &str = "zanzibar";
/// No credential is asked for.
const PUBLIC: &str = "public";
/// No credential is asked for, but a signature.
const SIGNED: &str = "signed";
/// Any valid key will do.
const ANY: &str = "any";

/// What strangers with every right of their own project get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Foreign {
    /// 404, as if the object were not there.
    Missing,
    /// A list with nothing in it.
    Empty,
    /// What is their own: a list, or something new.
    Own,
    /// The same as everybody.
    Shared,
    /// 404 for another project; both environments belong to the same one.
    Kin,
    /// 403: only for admins of the whole instance.
    Refused,
    /// An answer without an end; it is not waited for.
    Endless,
}
use Foreign::{Empty, Endless, Kin, Missing, Own, Refused, Shared};

/// Route, the scope it asks for, and what strangers get.
const CASES: &[(&str, &str, Foreign)] = &[
    ("GET /", PUBLIC, Shared),
    // Pages of people who sign in: others are sent to do so, or the link is not there.
    ("GET /account", PUBLIC, Shared),
    ("GET /account/keys", PUBLIC, Shared),
    ("POST /account/keys", PUBLIC, Shared),
    ("POST /account/keys/{id}/revoke", PUBLIC, Shared),
    ("POST /account/password", PUBLIC, Shared),
    ("POST /account/sessions/{id}/end", PUBLIC, Shared),
    ("GET /setup/{token}", PUBLIC, Missing),
    ("POST /setup/{token}", PUBLIC, Missing),
    ("GET /sign-in", PUBLIC, Shared),
    ("POST /sign-in", PUBLIC, Shared),
    ("POST /sign-out", PUBLIC, Shared),
    ("GET /api/health", PUBLIC, Shared),
    ("GET /api/v1", PUBLIC, Shared),
    ("GET /api/v1/api-keys", "*", Own),
    ("POST /api/v1/api-keys", "*", Own),
    ("DELETE /api/v1/api-keys/{id}", "*", Missing),
    ("GET /api/v1/api-keys/{id}", "*", Missing),
    ("PATCH /api/v1/api-keys/{id}", "*", Missing),
    ("POST /api/v1/api-keys/{id}/revoke", "*", Missing),
    ("GET /api/v1/audit", "*", Own),
    ("GET /api/v1/audit/{id}", "*", Missing),
    ("GET /api/v1/event-types", "workflows:read", Own),
    ("DELETE /api/v1/event-types/{name}", "workflows:write", Missing),
    ("GET /api/v1/event-types/{name}", "workflows:read", Missing),
    ("PUT /api/v1/event-types/{name}", "workflows:write", Own),
    ("GET /api/v1/events", "events:read", Empty),
    ("POST /api/v1/events", "events:write", Own),
    ("GET /api/v1/events.csv", "events:read", Own),
    ("GET /api/v1/events.ics", "events:read", Own),
    ("POST /api/v1/events/batch", "events:write", Own),
    ("POST /api/v1/events/import", "events:write", Own),
    ("DELETE /api/v1/events/{id}", "events:delete", Missing),
    ("GET /api/v1/events/{id}", "events:read", Missing),
    ("PATCH /api/v1/events/{id}", "events:write", Missing),
    ("GET /api/v1/events/{id}/applications", "events:read", Missing),
    ("GET /api/v1/events/{id}/applications/{application_id}", "events:read", Missing),
    ("PATCH /api/v1/events/{id}/applications/{application_id}", "events:write", Missing),
    ("GET /api/v1/events/{id}/budget", "budget:read", Missing),
    ("POST /api/v1/events/{id}/budget", "budget:write", Missing),
    ("GET /api/v1/events/{id}/budget.csv", "budget:read", Missing),
    ("POST /api/v1/events/{id}/budget/import", "budget:write", Missing),
    ("GET /api/v1/events/{id}/budget/summary", "budget:read", Missing),
    ("DELETE /api/v1/events/{id}/budget/{item_id}", "budget:write", Missing),
    ("GET /api/v1/events/{id}/budget/{item_id}", "budget:read", Missing),
    ("PATCH /api/v1/events/{id}/budget/{item_id}", "budget:write", Missing),
    ("POST /api/v1/events/{id}/clone", "events:write", Missing),
    ("GET /api/v1/events/{id}/sponsors", "events:read", Missing),
    ("POST /api/v1/events/{id}/sponsors", "events:write", Missing),
    ("DELETE /api/v1/events/{id}/sponsors/{relation_id}", "events:write", Missing),
    ("GET /api/v1/events/{id}/sponsors/{relation_id}", "events:read", Missing),
    ("PATCH /api/v1/events/{id}/sponsors/{relation_id}", "events:write", Missing),
    ("GET /api/v1/events/{id}/tasks", "tasks:read", Missing),
    ("POST /api/v1/events/{id}/tasks", "tasks:write", Missing),
    ("GET /api/v1/events/{id}/tasks.csv", "tasks:read", Missing),
    ("POST /api/v1/events/{id}/tasks/import", "tasks:write", Missing),
    ("DELETE /api/v1/events/{id}/tasks/{task_id}", "tasks:write", Missing),
    ("GET /api/v1/events/{id}/tasks/{task_id}", "tasks:read", Missing),
    ("PATCH /api/v1/events/{id}/tasks/{task_id}", "tasks:write", Missing),
    ("GET /api/v1/events/{id}/vendors", "events:read", Missing),
    ("POST /api/v1/events/{id}/vendors", "events:write", Missing),
    ("DELETE /api/v1/events/{id}/vendors/{relation_id}", "events:write", Missing),
    ("GET /api/v1/events/{id}/vendors/{relation_id}", "events:read", Missing),
    ("PATCH /api/v1/events/{id}/vendors/{relation_id}", "events:write", Missing),
    ("GET /api/v1/me", ANY, Own),
    ("POST /api/v1/public/applications/sponsor", PUBLIC, Shared),
    ("POST /api/v1/public/applications/vendor", PUBLIC, Shared),
    ("GET /api/v1/public/applications/{token}", PUBLIC, Shared),
    ("GET /api/v1/projects", ANY, Own),
    ("POST /api/v1/projects", "*", Refused),
    ("GET /api/v1/projects/{name}", ANY, Kin),
    ("GET /api/v1/projects/{name}/members", "*", Missing),
    ("POST /api/v1/projects/{name}/members", "*", Missing),
    ("DELETE /api/v1/projects/{name}/members/{user_id}", "*", Missing),
    ("GET /api/v1/projects/{name}/members/{user_id}", "*", Missing),
    ("PATCH /api/v1/projects/{name}/members/{user_id}", "*", Missing),
    ("GET /api/v1/public/events", PUBLIC, Shared),
    ("GET /api/v1/public/events.ics", PUBLIC, Shared),
    ("GET /api/v1/public/events/{id}", PUBLIC, Missing),
    ("POST /api/v1/public/events/{id}/applications", PUBLIC, Shared),
    ("GET /api/v1/public/vendors", PUBLIC, Shared),
    ("GET /api/v1/public/vendors/categories", PUBLIC, Shared),
    // Whoever posts signs instead.
    ("POST /api/v1/hooks/{source}", SIGNED, Missing),
    ("GET /api/v1/runs", "runs:read", Empty),
    ("GET /api/v1/runs/{id}", "runs:read", Missing),
    ("POST /api/v1/runs/{id}/cancel", "runs:write", Missing),
    ("POST /api/v1/runs/{id}/resume", "runs:write", Missing),
    ("POST /api/v1/runs/{id}/retry", "runs:write", Missing),
    ("POST /api/v1/runs/{id}/suspend", "runs:write", Missing),
    ("GET /api/v1/secrets", "workflows:read", Empty),
    ("DELETE /api/v1/secrets/{name}", "workflows:write", Missing),
    ("GET /api/v1/secrets/{name}", "workflows:read", Missing),
    ("PUT /api/v1/secrets/{name}", "workflows:write", Own),
    ("GET /api/v1/sessions", ANY, Empty),
    ("DELETE /api/v1/sessions/{id}", ANY, Missing),
    ("GET /api/v1/signals", "signals:read", Own),
    ("GET /api/v1/signals/{event_id}", "signals:read", Missing),
    ("POST /api/v1/signals/{event_id}/replay", "events:write", Missing),
    ("GET /api/v1/sources", "*", Empty),
    ("POST /api/v1/sources", "*", Own),
    ("DELETE /api/v1/sources/{id}", "*", Missing),
    ("GET /api/v1/sources/{id}", "*", Missing),
    ("PATCH /api/v1/sources/{id}", "*", Missing),
    ("GET /api/v1/sponsors", "sponsors:read", Shared),
    ("POST /api/v1/sponsors", "*", Refused),
    ("GET /api/v1/sponsors.csv", "sponsors:read", Shared),
    ("POST /api/v1/sponsors/import", "*", Refused),
    ("GET /api/v1/sponsors/industries", ANY, Shared),
    ("GET /api/v1/sponsors/{id}", "sponsors:read", Shared),
    ("PATCH /api/v1/sponsors/{id}", "*", Refused),
    ("POST /api/v1/sponsors/{id}/approve", "*", Refused),
    ("POST /api/v1/sponsors/{id}/reject", "*", Refused),
    ("GET /api/v1/stream", "signals:read", Endless),
    ("GET /api/v1/users", "*", Refused),
    ("POST /api/v1/users", "*", Refused),
    ("DELETE /api/v1/users/{id}", "*", Refused),
    ("GET /api/v1/users/{id}", "*", Refused),
    ("PATCH /api/v1/users/{id}", "*", Refused),
    ("GET /api/v1/vendors", "vendors:read", Shared),
    ("POST /api/v1/vendors", "*", Refused),
    ("GET /api/v1/vendors.csv", "vendors:read", Shared),
    ("POST /api/v1/vendors/import", "*", Refused),
    ("GET /api/v1/vendors/categories", ANY, Shared),
    ("GET /api/v1/vendors/{id}", "vendors:read", Shared),
    ("PATCH /api/v1/vendors/{id}", "*", Refused),
    ("POST /api/v1/vendors/{id}/approve", "*", Refused),
    ("POST /api/v1/vendors/{id}/reject", "*", Refused),
    ("GET /api/v1/webhooks", "*", Empty),
    ("POST /api/v1/webhooks", "*", Own),
    ("GET /api/v1/webhooks/events", PUBLIC, Shared),
    ("DELETE /api/v1/webhooks/{id}", "*", Missing),
    ("GET /api/v1/webhooks/{id}", "*", Missing),
    ("PATCH /api/v1/webhooks/{id}", "*", Missing),
    ("GET /api/v1/webhooks/{id}/deliveries", "*", Missing),
    ("GET /api/v1/webhooks/{id}/deliveries/{delivery_id}", "*", Missing),
    ("POST /api/v1/webhooks/{id}/deliveries/{delivery_id}/redeliver", "*", Missing),
    ("POST /api/v1/webhooks/{id}/deliveries/{delivery_id}/skip", "*", Missing),
    ("GET /api/v1/webhooks/{id}/stats", "*", Missing),
    ("POST /api/v1/webhooks/{id}/recover", "*", Missing),
    ("POST /api/v1/webhooks/{id}/rotate", "*", Missing),
    ("POST /api/v1/webhooks/{id}/test", "*", Missing),
    ("GET /api/v1/workflows", "workflows:read", Empty),
    ("POST /api/v1/workflows/validate", "workflows:write", Own),
    ("DELETE /api/v1/workflows/{namespace}/{name}", "workflows:write", Missing),
    ("GET /api/v1/workflows/{namespace}/{name}", "workflows:read", Missing),
    ("PUT /api/v1/workflows/{namespace}/{name}", "workflows:write", Own),
    ("POST /api/v1/workflows/{namespace}/{name}/runs", "runs:write", Missing),
    ("POST /api/v1/workflows/{namespace}/{name}/validate", "workflows:write", Own),
    ("GET /applications/{token}", PUBLIC, Shared),
    ("GET /docs", PUBLIC, Shared),
    ("GET /events", PUBLIC, Shared),
    ("GET /events.atom", PUBLIC, Shared),
    ("GET /events.ics", PUBLIC, Shared),
    ("GET /events/{id}", PUBLIC, Missing),
    ("GET /events/{id}/apply", PUBLIC, Missing),
    ("POST /events/{id}/apply", PUBLIC, Shared),
    ("GET /health", PUBLIC, Shared),
    ("GET /metrics", PUBLIC, Shared),
    ("GET /openapi.json", PUBLIC, Shared),
    ("GET /vendors", PUBLIC, Shared),
    ("GET /vendors/apply", PUBLIC, Shared),
    ("POST /vendors/apply", PUBLIC, Shared),
    ("GET /vendors/{id}", PUBLIC, Shared),
];

/// A route of [`CASES`], asked for one of our objects.
struct Case {
    route: &'static str,
    method: &'static str,
    path: String,
    scope: &'static str,
    foreign: Foreign,
}

/// Something of every kind, all of it ours: what to put into a path, by what stands before it.
async fn things(bed: &Bed) -> BTreeMap<&'static str, String> {
    bed.load(
        "mine",
        "{ type: a.b }",
        &format!("do:\n- rest:\n    wait: {{ hours: 1 }}\n- set:\n    set: {{ m: {MARK} }}\n"),
    )
    .await;
    let sent = bed.signal("a.b", json!({"m": MARK})).await;
    let event =
        made(bed, "/api/v1/events", json!({"title": MARK, "startDate": 5, "description": MARK})).await;
    let below = |folder: &str| format!("/api/v1/events/{event}/{folder}");
    let task = made(bed, &below("tasks"), json!({"title": MARK})).await;
    let item =
        made(bed, &below("budget"), json!({"category": MARK, "name": MARK, "estimatedAmount": 5})).await;
    let vendor = made(bed, "/api/v1/vendors", json!({"name": "Baker", "category": "food"})).await;
    let sponsor = made(bed, "/api/v1/sponsors", json!({"name": "Bank", "industry": "money"})).await;
    for path in [format!("vendors/{vendor}/approve"), format!("sponsors/{sponsor}/approve")] {
        assert_eq!(bed.post(&format!("/api/v1/{path}"), &json!({})).await.status, 200, "{path}");
    }
    let to_vendor = made(bed, &below("vendors"), json!({"vendorId": vendor, "notes": MARK})).await;
    let to_sponsor = made(bed, &below("sponsors"), json!({"sponsorId": sponsor, "notes": MARK})).await;
    let (application, token) = applied(bed, &event).await;
    let key = made(bed, "/api/v1/api-keys", json!({"name": MARK, "scopes": ["events:read"]})).await;
    for (path, body) in
        [("event-types/c.d", json!({"description": MARK})), ("secrets/HUSH", json!({"value": MARK}))]
    {
        let path = format!("/api/v1/{path}");
        let put = bed.send("PUT", &path, &[crate::bed::OPERATOR, JSON], body.to_string()).await;
        assert_eq!(put.status, 201, "{path}: {}", put.text());
    }
    let source = json!({"name": MARK, "preset": "stripe", "secret": MARK, "payload": ".zanzibar"});
    let source = made(bed, "/api/v1/sources", source).await;
    let (webhook, delivery) = delivered(bed).await;
    let user = member(bed).await;
    let text = |value: &Value| value.as_str().expect("an id").to_owned();
    let told = bed.data("/api/v1/audit?limit=1").await;
    BTreeMap::from([
        ("audit/{id}", text(&told[0]["id"])),
        ("users/{id}", user.clone()),
        ("members/{user_id}", user),
        ("projects/{name}", "default".to_owned()),
        ("sessions/{id}", format!("ses_{}", "0".repeat(32))),
        ("setup/{token}", "0".repeat(64)),
        ("keys/{id}", key.clone()),
        ("events/{id}", event),
        ("tasks/{task_id}", task),
        ("budget/{item_id}", item),
        ("vendors/{relation_id}", to_vendor),
        ("sponsors/{relation_id}", to_sponsor),
        ("applications/{application_id}", application),
        ("applications/{token}", token),
        ("vendors/{id}", vendor),
        ("sponsors/{id}", sponsor),
        ("api-keys/{id}", key),
        ("hooks/{source}", source.clone()),
        ("sources/{id}", source),
        ("webhooks/{id}", webhook),
        ("deliveries/{delivery_id}", delivery),
        ("event-types/{name}", "c.d".to_owned()),
        ("secrets/{name}", "HUSH".to_owned()),
        ("signals/{event_id}", text(&sent["event_id"])),
        ("runs/{id}", text(&sent["runs"][0]["run_id"])),
        ("workflows/{namespace}", "shop".to_owned()),
        ("{namespace}/{name}", "mine".to_owned()),
    ])
}

/// A webhook that gets nothing, and a test of it that nobody answered.
async fn delivered(bed: &Bed) -> (String, String) {
    let body = json!({"name": MARK, "url": "http://127.0.0.1:9/", "events": ["webhook.disabled"]});
    let webhook = made(bed, "/api/v1/webhooks", body).await;
    let tested = bed.post(&format!("/api/v1/webhooks/{webhook}/test"), &json!({"data": {"m": MARK}})).await;
    assert_eq!(tested.status, 202, "{}", tested.text());
    bed.until(tested.header("location").expect("a location"), |test| test["status"] == "failed").await;
    (webhook, tested.json()["data"]["id"].as_str().expect("an id").to_owned())
}

/// Somebody who belongs to our project.
async fn member(bed: &Bed) -> String {
    let email = format!("{MARK}@example.org");
    let user = made(bed, "/api/v1/users", json!({"email": email, "password": "correct horse battery"})).await;
    let body = json!({"email": email, "role": "viewer"});
    assert_eq!(made(bed, "/api/v1/projects/default/members", body).await, user);
    user
}

/// An application from outside, made while the public saw the event: its id, and the applicant's token.
async fn applied(bed: &Bed, event: &str) -> (String, String) {
    let path = format!("/api/v1/events/{event}");
    let show = |shown: bool| {
        let body = json!({"isPublic": shown, "seekingVendors": shown, "status": "planning"}).to_string();
        bed.send("PATCH", &path, &[crate::bed::OPERATOR, JSON], body)
    };
    let other = made(bed, "/api/v1/vendors", json!({"name": "Cook", "category": "food"})).await;
    assert_eq!(bed.post(&format!("/api/v1/vendors/{other}/approve"), &json!({})).await.status, 200);
    assert_eq!(show(true).await.status, 200);
    let body = json!({"applicantType": "vendor", "applicantId": other, "message": MARK, "contactName": "C",
                      "contactEmail": "c@example.com"});
    let public = format!("/api/v1/public/events/{event}/applications");
    let reply = bed.send("POST", &public, &[JSON], body.to_string()).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    assert_eq!(show(false).await.status, 200);
    let data = &reply.json()["data"];
    let text = |name: &str| data[name].as_str().expect("a text").to_owned();
    (text("id"), text("statusToken"))
}

async fn made(bed: &Bed, path: &str, body: Value) -> String {
    let reply = bed.post(path, &body).await;
    assert_eq!(reply.status, 201, "{path}: {}", reply.text());
    reply.json()["data"]["id"].as_str().expect("an id").to_owned()
}

/// A path with our objects in the places of its parameters.
fn filled(path: &str, things: &BTreeMap<&'static str, String>) -> String {
    let parts: Vec<&str> = path.split('/').collect();
    let fill = |(at, part): (usize, &&str)| {
        if !part.starts_with('{') {
            return (*part).to_owned();
        }
        let name = format!("{}/{part}", parts[at - 1]);
        things
            .get(name.as_str())
            .unwrap_or_else(|| panic!("nothing for `{name}`: add it to `things`"))
            .clone()
    };
    parts.iter().enumerate().map(fill).collect::<Vec<_>>().join("/")
}

fn cases(things: &BTreeMap<&'static str, String>) -> Vec<Case> {
    let case = |(route, scope, foreign): &(&'static str, &'static str, Foreign)| {
        let (method, path) = route.split_once(' ').expect("a method and a path");
        Case { route, method, path: filled(path, things), scope, foreign: *foreign }
    };
    CASES.iter().map(case).collect()
}

impl Case {
    async fn ask(&self, bed: &Bed, key: Option<&str>, body: &str) -> Reply {
        let key = key.map(|key| ("x-api-key", key));
        let headers: Vec<_> = key.into_iter().chain([JSON]).collect();
        bed.send(self.method, &self.path, &headers, body.to_owned()).await
    }

    fn is_protected(&self) -> bool {
        ![PUBLIC, SIGNED].contains(&self.scope)
    }
}

/// What the router says of itself: methods and paths of all routes, whoever registered them.
fn registered(router: &str) -> BTreeSet<String> {
    let (routes, paths) = router.split_once("node: Node { paths: {").expect("routes, then their paths");
    let (paths, _) =
        paths.split_once('}').map_or((paths, ""), |_| paths.split_at(paths.find("\"}").unwrap_or(0) + 1));
    let mut found = BTreeSet::new();
    for entry in paths.split("RouteId(").skip(1) {
        let (id, rest) = entry.split_once("): ").expect("an id and its path");
        let path = rest.split('"').nth(1).expect("a path").replace("{*", "{");
        let start = format!("RouteId({id}): ");
        let route = routes.split(&start).nth(1).expect("the route of a path");
        let route = route.split("RouteId(").next().unwrap_or_default();
        for method in ["get", "post", "put", "patch", "delete"] {
            if route.contains(&format!(" {method}: ")) && !route.contains(&format!(" {method}: None")) {
                found.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
    }
    found
}

/// Files that pages need; their names change with their content.
fn is_file(route: &str) -> bool {
    route.starts_with("GET /assets/") || route.starts_with("GET /docs/") || route == "GET /favicon.ico"
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_has_a_case() {
    let bed = Bed::sqlite().await;
    let document = bed.get("/openapi.json").await.json();
    let paths = document["paths"].as_object().expect("paths");
    let operations = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().expect("operations").keys();
        methods.map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    let router = format!("{:?}", openevent_server::router(std::sync::Arc::clone(&bed.app)));
    let mut routes = registered(&router);
    assert!(routes.len() >= 60 && routes.contains("PUT /api/v1/event-types/{name}"), "{routes:?}");
    routes.extend(operations);

    let cases: BTreeSet<String> = CASES.iter().map(|(route, ..)| (*route).to_owned()).collect();
    let without: Vec<_> = routes.difference(&cases).filter(|route| !is_file(route)).collect();
    let gone: Vec<_> = cases.difference(&routes).collect();
    assert!(without.is_empty(), "routes without a case in CASES: {without:#?}");
    assert!(gone.is_empty(), "cases without a route: {gone:#?}");
    assert_eq!(cases.len(), CASES.len(), "a route has two cases");
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_route_asks_for_a_credential_and_for_its_scope_before_anything_else() {
    on_both(async |bed| {
        let things = things(bed).await;
        let mut keys: BTreeMap<&str, (String, String)> = BTreeMap::new();
        for case in cases(&things) {
            let anonymous = case.ask(bed, None, "\0 nonsense").await;
            if case.scope == SIGNED {
                assert_eq!(
                    (anonymous.status, code(&anonymous).as_str()),
                    (401, "UNAUTHORIZED"),
                    "{}",
                    case.route
                );
                continue;
            }
            if !case.is_protected() {
                assert!(
                    !matches!(anonymous.status, 401 | 403 | 500..),
                    "{}: {}",
                    case.route,
                    anonymous.text()
                );
                assert!(!anonymous.text().contains(MARK), "{} shows what is ours", case.route);
                continue;
            }
            assert_eq!(
                (anonymous.status, code(&anonymous).as_str()),
                (401, "UNAUTHORIZED"),
                "{}",
                case.route
            );

            let scope = if case.scope == ANY { "runs:read" } else { case.scope };
            if !keys.contains_key(scope) {
                let others: Vec<&str> = KNOWN.into_iter().filter(|known| *known != scope).collect();
                keys.insert(scope, (bed.key(&others).await, bed.key(&[scope]).await));
            }
            let (weak, strong) = &keys[scope];
            if case.scope != ANY {
                let refused = case.ask(bed, Some(weak), "\0 nonsense").await;
                assert_eq!((refused.status, code(&refused).as_str()), (403, "FORBIDDEN"), "{}", case.route);
                let message = refused.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
                assert!(message.contains(scope), "{}: {message}", case.route);
            }
            if case.foreign != Endless {
                let heard = case.ask(bed, Some(strong), "\0 nonsense").await;
                assert!(!matches!(heard.status, 401 | 403 | 500..), "{}: {}", case.route, heard.text());
            }
        }
    })
    .await;
}

/// Keys with every right in our project's other environment, and in another project.
async fn strangers(bed: &Bed) -> [String; 2] {
    let ours: ProjectId = bed.app.keyring.operator().project_id.clone();
    let other = bed.project("other").await;
    [
        bed.plain_key_of(&ours, Environment::Test, &["*"]).await,
        bed.plain_key_of(&other, Environment::Live, &["*"]).await,
    ]
}

/// Lists that show who asked for what, so that being asked changes them.
const MOVING: [&str; 3] = ["GET /api/v1/api-keys", "GET /api/v1/audit", "GET /api/v1/projects"];

/// Everything of ours that can be read, as we see it.
async fn seen(bed: &Bed, cases: &[Case]) -> Vec<(&'static str, String)> {
    let mut seen = Vec::new();
    let is_read = |case: &&Case| case.method == "GET" && case.foreign != Endless && case.is_protected();
    for case in cases.iter().filter(is_read) {
        let reply = bed.get(&case.path).await;
        assert_eq!(reply.status, 200, "{}: {}", case.route, reply.text());
        if !MOVING.contains(&case.route) {
            seen.push((case.route, reply.text()));
        }
    }
    seen
}

/// All that is ours is as it was.
async fn check_unchanged(bed: &Bed, cases: &[Case], before: &[(&'static str, String)]) {
    for ((route, now), (_, before)) in seen(bed, cases).await.iter().zip(before) {
        assert_eq!(now, before, "{route} was changed by who may not");
    }
}

fn check_foreign(case: &Case, reply: &Reply) {
    let text = reply.text();
    let name = format!("{}: {} {text}", case.route, reply.status);
    assert!(!text.contains(MARK), "a stranger sees what is ours: {name}");
    match case.foreign {
        Missing => assert_eq!((reply.status, code(reply).as_str()), (404, "NOT_FOUND"), "{name}"),
        Refused => assert_eq!((reply.status, code(reply).as_str()), (403, "FORBIDDEN"), "{name}"),
        Empty => {
            let list = reply.json();
            assert_eq!((reply.status, &list["data"]), (200, &json!([])), "{name}");
            assert!(list["meta"]["total"].as_i64().is_none_or(|total| total == 0), "{name}");
        }
        Kin => assert!(matches!(reply.status, 200 | 404), "{name}"),
        Own | Shared => assert!(!matches!(reply.status, 401 | 403 | 404 | 500..), "{name}"),
        Endless => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_belongs_to_a_project_is_not_there_for_another_project_or_environment() {
    on_both(async |bed| {
        let things = things(bed).await;
        let cases = cases(&things);
        let before = seen(bed, &cases).await;
        assert!(before.iter().filter(|(_, text)| text.contains(MARK)).count() >= 10);
        for key in strangers(bed).await {
            for case in cases.iter().filter(|case| case.is_protected() && case.foreign != Endless) {
                check_foreign(case, &case.ask(bed, Some(&key), "").await);
                if case.foreign == Missing {
                    check_foreign(case, &case.ask(bed, Some(&key), "{}").await);
                }
            }
        }
        check_unchanged(bed, &cases, &before).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_only_read_changes_nothing() {
    on_both(async |bed| {
        let things = things(bed).await;
        let cases = cases(&things);
        let reading: Vec<&str> = KNOWN.into_iter().filter(|scope| scope.ends_with(":read")).collect();
        let viewer = bed.key(&reading).await;
        let before = seen(bed, &cases).await;
        for case in cases.iter().filter(|case| case.is_protected() && case.foreign != Endless) {
            let reply = case.ask(bed, Some(&viewer), "{}").await;
            let may_read = case.method == "GET" && (case.scope == ANY || case.scope.ends_with(":read"));
            let expected = match case.scope {
                _ if may_read => 200,
                ANY => 404,
                _ => 403,
            };
            assert_eq!(reply.status, expected, "{}: {}", case.route, reply.text());
        }
        check_unchanged(bed, &cases, &before).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wildcards_grant_what_they_cover() {
    on_both(async |bed| {
        let signals = bed.key(&["signals:*"]).await;
        let all = bed.key(&["*"]).await;
        for (key, path, status) in [
            (&signals, "/api/v1/signals", 200),
            (&signals, "/api/v1/runs", 403),
            (&all, "/api/v1/runs", 200),
            (&all, "/api/v1/workflows", 200),
        ] {
            assert_eq!(bed.send("GET", path, &[("x-api-key", key)], "").await.status, status, "{path}");
        }
    })
    .await;
}
