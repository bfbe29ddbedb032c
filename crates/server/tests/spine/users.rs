//! Accounts, projects and roles: who may do what, and who always stays.
//!
//! Invariant: what a person does not belong to is not there for them.
//! Not here: signing in (`sessions`).

use crate::bed::{Bed, JSON, OPERATOR, code, on_both};
use crate::people::{ADMIN, PASSWORD, Person, admin, sign_in};
use futures::future::join_all;
use openevent_domain::tenant::Environment;
use openevent_store::audit::{Filter, Order, Place, instance};
use openevent_testkit::Reply;
use serde_json::{Value, json};

const USERS: &str = "/api/v1/users";
const PROJECTS: &str = "/api/v1/projects";

fn fields(reply: &Reply) -> Vec<String> {
    assert_eq!((reply.status, code(reply).as_str()), (400, "VALIDATION_ERROR"), "{}", reply.text());
    let details = reply.json()["error"]["details"].as_array().expect("details").clone();
    details.iter().map(|one| one["field"].as_str().expect("a field").to_owned()).collect()
}

async fn id_of(person: &Person<'_>) -> String {
    person.get("/api/v1/me").await.json()["data"]["id"].as_str().expect("an id").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_is_made_read_changed_and_deleted() {
    on_both(async |bed: &Bed| {
        let body = json!({"email": " Ada@Example.org", "password": PASSWORD, "id": "usr_mine"});
        let made = bed.post(USERS, &body).await;
        let user = made.json()["data"].clone();
        let path = format!("{USERS}/{}", user["id"].as_str().unwrap());
        assert_eq!((made.status, made.header("location")), (201, Some(path.as_str())));
        assert_eq!(
            (&user["email"], &user["isAdmin"], &user["disabled"]),
            (&json!("Ada@Example.org"), &json!(false), &json!(false))
        );
        assert_eq!(made.json()["meta"]["ignoredFields"], json!(["id"]));
        let again = bed.post(USERS, &json!({"email": "ada@EXAMPLE.org", "password": PASSWORD})).await;
        assert_eq!((again.status, code(&again).as_str()), (409, "CONFLICT"));

        let tag = bed.get(&path).await.header("etag").unwrap().to_owned();
        let stale = [OPERATOR, JSON, ("if-match", tag.as_str())];
        let promoted =
            bed.send("PATCH", &path, &stale, r#"{"isAdmin": true, "email": "ada@example.com"}"#).await;
        assert_eq!((promoted.status, &promoted.json()["data"]["isAdmin"]), (200, &json!(true)));
        assert_eq!(bed.send("PATCH", &path, &stale, r#"{"isAdmin": false}"#).await.status, 412);
        assert_eq!(bed.data(USERS).await.as_array().unwrap().len(), 1);
        let other =
            bed.post(USERS, &json!({"email": "b@example.org", "password": PASSWORD, "isAdmin": true})).await;
        assert_eq!(other.status, 201);
        assert_eq!(bed.send("DELETE", &path, &[OPERATOR], "").await.json()["data"], json!({"deleted": true}));
        assert_eq!(
            (bed.get(&path).await.status, sign_in(bed, "ada@example.com", PASSWORD).await.status),
            (404, 401)
        );
        for text in [made.text(), promoted.text(), bed.get(USERS).await.text()] {
            assert!(!text.contains(PASSWORD) && !text.contains("argon2"), "{text}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_wrong_field_of_an_account_is_named_at_once() {
    on_both(async |bed: &Bed| {
        let body = json!({"email": "nobody", "password": "short", "isAdmin": "yes"});
        assert_eq!(fields(&bed.post(USERS, &body).await), ["email", "password", "isAdmin"]);
        assert_eq!(fields(&bed.post(USERS, &json!({})).await), ["email", "password"]);
        assert_eq!(
            fields(&bed.post(USERS, &json!({"email": 7, "password": "x".repeat(1001)})).await),
            ["email", "password"]
        );
        assert_eq!(bed.data(USERS).await, json!([]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_sent_again_is_not_compared_nor_kept() {
    on_both(async |bed: &Bed| {
        let send = async |password: &str| {
            let body = json!({"email": "bob@example.org", "password": password}).to_string();
            bed.send("POST", USERS, &[OPERATOR, JSON, ("idempotency-key", "k")], body).await
        };
        let (first, second) = (send(PASSWORD).await, send("quite another one").await);
        assert_eq!(
            (first.status, second.status, second.header("idempotency-replayed")),
            (201, 201, Some("true"))
        );
        assert_eq!(
            (
                sign_in(bed, "bob@example.org", PASSWORD).await.status,
                sign_in(bed, "bob@example.org", "quite another one").await.status
            ),
            (303, 401)
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_says_what_a_member_may_do() {
    on_both(async |bed: &Bed| {
        let ada = admin(bed).await;
        let owner = ada.member("owner@example.org", "default", "owner").await;
        let manager = ada.member("manager@example.org", "default", "manager").await;
        let viewer = ada.member("viewer@example.org", "default", "viewer").await;
        let event = json!({"title": "Talk", "startDate": 1});
        let key = json!({"name": "k", "scopes": ["*"]});
        let vendor = json!({"name": "Cakes", "category": "Catering"});
        let person = json!({"email": "x@example.org", "password": PASSWORD});
        let matrix = [
            ("GET", "/api/v1/events", &Value::Null, [200, 200, 200, 200]),
            ("GET", "/api/v1/runs", &Value::Null, [200, 200, 200, 200]),
            ("POST", "/api/v1/events", &event, [201, 201, 201, 403]),
            ("GET", "/api/v1/api-keys", &Value::Null, [200, 200, 403, 403]),
            ("POST", "/api/v1/api-keys", &key, [201, 201, 403, 403]),
            ("GET", "/api/v1/projects/default", &Value::Null, [200, 200, 200, 200]),
            ("GET", "/api/v1/projects/default/members", &Value::Null, [200, 200, 403, 403]),
            ("POST", "/api/v1/vendors", &vendor, [201, 403, 403, 403]),
            ("GET", "/api/v1/vendors?status=pending", &Value::Null, [200, 403, 403, 403]),
            ("GET", USERS, &Value::Null, [200, 403, 403, 403]),
            ("POST", USERS, &person, [201, 403, 403, 403]),
            ("POST", PROJECTS, &json!({"name": "more"}), [201, 403, 403, 403]),
        ];
        for (method, path, body, expected) in matrix {
            for (person, status) in [&ada, &owner, &manager, &viewer].into_iter().zip(expected) {
                let reply = person.call(method, path, body).await;
                assert_eq!(reply.status, status, "{method} {path}: {}", reply.text());
            }
        }
        let made = owner.get("/api/v1/api-keys").await.json()["data"][0].clone();
        assert_eq!(
            (&made["instanceAdmin"], &made["createdBy"]),
            (&json!(false), &json!(id_of(&owner).await))
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_acts_in_the_project_it_names_and_others_are_not_there() {
    on_both(async |bed: &Bed| {
        let ada = admin(bed).await;
        assert_eq!(ada.call("POST", PROJECTS, &json!({"name": "b\u{e9}ta / two"})).await.status, 201);
        assert_eq!(ada.call("POST", PROJECTS, &json!({"name": "acme"})).await.status, 201);
        let bob = ada.member("bob@example.org", "acme", "manager").await;
        assert_eq!(
            bob.call("POST", "/api/v1/events", &json!({"title": "Ours", "startDate": 1})).await.status,
            201
        );
        let count = async |person: &Person<'_>, project: &str| {
            let reply = person.call_in(project, "GET", "/api/v1/events", &Value::Null).await;
            (reply.status, reply.json()["data"].as_array().map(Vec::len))
        };

        assert_eq!((count(&bob, "").await, count(&bob, "acme").await), ((200, Some(1)), (200, Some(1))));
        assert_eq!((count(&bob, "default").await.0, count(&bob, "nothing").await.0), (404, 404));
        assert_eq!((count(&ada, "").await, count(&ada, "acme").await), ((200, Some(0)), (200, Some(1))));
        assert_eq!(count(&ada, "b%C3%A9ta / two").await, (200, Some(0)));
        let test = [("cookie", bob.cookie.as_str()), ("openevent-environment", "test")];
        assert_eq!(bed.send("GET", "/api/v1/events", &test, "").await.json()["meta"]["total"], 0);
        let odd = [("cookie", bob.cookie.as_str()), ("openevent-environment", "prod")];
        assert_eq!(fields(&bed.send("GET", "/api/v1/events", &odd, "").await), ["OpenEvent-Environment"]);
        let names = |reply: Reply| -> Vec<Value> {
            reply.json()["data"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect()
        };
        assert_eq!(names(bob.get(PROJECTS).await), [json!("acme")]);
        assert_eq!(names(ada.get(PROJECTS).await).len(), 3);
        for path in
            ["/api/v1/projects/default", "/api/v1/projects/default/members", "/api/v1/projects/nothing"]
        {
            assert_eq!(bob.get(path).await.status, 404, "{path}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_without_a_project_sees_nothing_and_changes_nothing() {
    on_both(async |bed: &Bed| {
        let ada = admin(bed).await;
        ada.make("bob@example.org", false).await;
        let bob = Person::signed_in(bed, "bob@example.org").await;
        let me = bob.get("/api/v1/me").await.json()["data"].clone();
        assert_eq!((&me["scopes"], &me["projects"], me.get("project")), (&json!([]), &json!([]), None));
        assert_eq!(bob.get("/api/v1/events").await.status, 403);
        assert_eq!(
            bob.call("POST", "/api/v1/events", &json!({"title": "x", "startDate": 1})).await.status,
            403
        );
        assert_eq!(bob.get("/account").await.status, 200);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disabled_account_and_a_reset_password_end_the_sessions_at_once() {
    on_both(async |bed: &Bed| {
        let ada = admin(bed).await;
        let bob = ada.member("bob@example.org", "default", "manager").await;
        let path = format!("{USERS}/{}", id_of(&bob).await);
        let change = async |body: Value| ada.call("PATCH", &path, &body).await;

        assert_eq!(change(json!({"password": "something else"})).await.status, 200);
        assert_eq!(bob.get("/api/v1/me").await.status, 401);
        assert_eq!(sign_in(bed, "bob@example.org", "something else").await.status, 303);
        assert_eq!(change(json!({"password": PASSWORD})).await.status, 200);
        let bob = Person::signed_in(bed, "bob@example.org").await;
        let off = change(json!({"disabled": true})).await;
        assert!(off.json()["data"]["disabledAt"].is_i64(), "{}", off.text());
        assert_eq!(
            (bob.get("/api/v1/me").await.status, sign_in(bed, "bob@example.org", PASSWORD).await.status),
            (401, 401)
        );
        assert_eq!(change(json!({"disabled": false})).await.json()["data"].get("disabledAt"), None);
        assert_eq!(bob.get("/api/v1/me").await.status, 401, "what has ended stays so");
        assert_eq!(sign_in(bed, "bob@example.org", PASSWORD).await.status, 303);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_admin_stays() {
    on_both(async |bed: &Bed| {
        let ada = admin(bed).await;
        let path = format!("{USERS}/{}", id_of(&ada).await);
        for body in [json!({"isAdmin": false}), json!({"disabled": true})] {
            let reply = bed.send("PATCH", &path, &[OPERATOR, JSON], body.to_string()).await;
            assert_eq!((reply.status, code(&reply).as_str()), (400, "BAD_REQUEST"), "{body}");
        }
        assert_eq!(bed.send("DELETE", &path, &[OPERATOR], "").await.status, 400);

        for round in 0..5 {
            let bob = ada.make(&format!("b{round}@example.org"), true).await;
            let paths = [path.clone(), format!("{USERS}/{bob}")];
            let demote = paths.clone().map(|path| async move {
                bed.send("PATCH", &path, &[OPERATOR, JSON], r#"{"isAdmin":false}"#).await.status
            });
            let mut statuses = join_all(demote).await;
            statuses.sort_unstable();
            assert_eq!(statuses, [200, 400], "one of two stays");
            for path in paths {
                bed.send("PATCH", &path, &[OPERATOR, JSON], r#"{"isAdmin":true}"#).await;
            }
            assert_eq!(bed.send("DELETE", &format!("{USERS}/{bob}"), &[OPERATOR], "").await.status, 200);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_come_change_and_go_and_an_owner_stays() {
    on_both(async |bed: &Bed| {
        let ada = admin(bed).await;
        let bob = ada.member("bob@example.org", "default", "viewer").await;
        let members = "/api/v1/projects/default/members";
        let path = format!("{members}/{}", id_of(&bob).await);
        let adas = format!("{members}/{}", id_of(&ada).await);
        let bad = ada.call("POST", members, &json!({"email": "nobody@example.org", "role": "boss"})).await;
        assert_eq!(fields(&bad), ["role", "email"]);
        let twice = ada.call("POST", members, &json!({"email": "BOB@example.org", "role": "owner"})).await;
        assert_eq!(twice.status, 409);
        assert_eq!(
            bob.call("POST", "/api/v1/events", &json!({"title": "x", "startDate": 1})).await.status,
            403
        );
        assert_eq!(
            ada.call("PATCH", &path, &json!({"role": "manager"})).await.json()["data"]["role"],
            "manager"
        );
        assert_eq!(
            bob.call("POST", "/api/v1/events", &json!({"title": "x", "startDate": 1})).await.status,
            201,
            "at once"
        );

        let last = ada.call("PATCH", &adas, &json!({"role": "viewer"})).await;
        assert_eq!((last.status, code(&last).as_str()), (400, "BAD_REQUEST"));
        assert_eq!(ada.call("DELETE", &adas, &Value::Null).await.status, 400);
        assert_eq!(
            bob.call("PATCH", &path, &json!({"role": "owner"})).await.status,
            403,
            "nobody promotes themself"
        );
        assert_eq!(ada.call("PATCH", &path, &json!({"role": "owner"})).await.status, 200);
        let leave = [&path, &adas].map(|path| bed.send("DELETE", path, &[OPERATOR], ""));
        let mut statuses: Vec<_> = join_all(leave).await.iter().map(|reply| reply.status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 400], "one of two owners stays");
        let left = bed.data(members).await;
        assert_eq!((left.as_array().unwrap().len(), &left[0]["role"]), (1, &json!("owner")));
        let owner = format!("{USERS}/{}", left[0]["userId"].as_str().unwrap());
        ada.make("spare@example.org", true).await;
        assert_eq!(bed.send("DELETE", &owner, &[OPERATOR], "").await.status, 400, "the last owner's account");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_manage_their_own_project_s_members_only() {
    on_both(async |bed: &Bed| {
        let ada = admin(bed).await;
        assert_eq!(ada.call("POST", PROJECTS, &json!({"name": "acme"})).await.status, 201);
        let owner = ada.member("owner@example.org", "acme", "owner").await;
        let made = owner.call("POST", "/api/v1/api-keys", &json!({"name": "k", "scopes": ["*"]})).await;
        let key = made.json()["data"]["key"].as_str().unwrap().to_owned();
        let get = async |key: &str, path: &str| bed.send("GET", path, &[("x-api-key", key)], "").await.status;
        assert_eq!(get(&key, "/api/v1/projects/acme/members").await, 200);
        assert_eq!((get(&key, "/api/v1/projects/default/members").await, get(&key, USERS).await), (404, 403));
        assert_eq!(
            bed.send("GET", PROJECTS, &[("x-api-key", &key)], "").await.json()["data"][0]["name"],
            "acme"
        );
        let project = bed.project("acme").await;
        let narrow = bed.key_of(&project, Environment::Live, &["events:read"]).await;
        assert_eq!(get(&narrow, "/api/v1/projects/acme/members").await, 403);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_keys_of_an_admin_who_is_one_no_more_are_confined_to_their_project() {
    on_both(async |bed: &Bed| {
        let ada = admin(bed).await;
        let id = ada.make("bob@example.org", true).await;
        let bob = Person::signed_in(bed, "bob@example.org").await;
        let made = bob.call("POST", "/api/v1/api-keys", &json!({"name": "k", "scopes": ["*"]})).await;
        let key = made.json()["data"]["key"].as_str().unwrap().to_owned();
        let status = async |path: &str| bed.send("GET", path, &[("x-api-key", &key)], "").await.status;
        assert_eq!((status(USERS).await, status("/api/v1/events").await), (200, 200));

        let demoted = ada.call("PATCH", &format!("{USERS}/{id}"), &json!({"isAdmin": false})).await;

        assert_eq!(demoted.status, 200, "{}", demoted.text());
        assert_eq!((status(USERS).await, status("/api/v1/events").await), (403, 200));
        assert_eq!(bob.get(USERS).await.status, 403, "the session too");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_done_to_accounts_is_in_the_log_without_passwords() {
    on_both(async |bed: &Bed| {
        let ada = admin(bed).await;
        let bob = ada.member("bob@example.org", "default", "viewer").await;
        let path = format!("{USERS}/{}", id_of(&bob).await);
        ada.call("PATCH", &path, &json!({"password": "something else", "isAdmin": true})).await;
        let (filter, place) = (Filter::default(), Place::Offset(0));
        let rows = bed.app.store.audits(&instance(), &filter, Order::NewestFirst, &place, 100).await.unwrap();
        let actions: Vec<&str> = rows.iter().map(|row| row.action.as_str()).collect();
        for action in ["user.setup", "user.create", "session.create", "user.update"] {
            assert!(actions.contains(&action), "{action}: {actions:?}");
        }
        assert_eq!((rows[0].action.as_str(), rows[0].actor_name.as_deref()), ("user.update", Some(ADMIN)));
        assert_eq!(rows[0].after, Some(json!({"isAdmin": true, "password": "changed"})));
        let text = format!("{rows:?}");
        for word in [PASSWORD, "something else", "argon2", &ada.cookie["openevent_session=".len()..]] {
            assert!(!text.contains(word), "{word}");
        }
    })
    .await;
}
