//! Signing in: who gets a session, how long it lasts, and what it may be used for.
//!
//! Invariant: nothing tells somebody without a session whether an address has an account.
//! Not here: accounts, projects and roles (`users`).

use crate::bed::{Bed, JSON, code, on_both};
use crate::people::{ADMIN, HERE, PASSWORD, Person, admin, cookie_of, form, post_form, sign_in};
use futures::future::join_all;
use openevent_server::app::setup;
use openevent_testkit::Reply;
use serde_json::{Value, json};

const HOUR_MS: i64 = 3_600_000;
const ME: &str = "/api/v1/me";

async fn offer(bed: &Bed) -> String {
    setup::offer(&bed.app).await.expect("the store answers").expect("there is no admin")
}

async fn status_with(bed: &Bed, cookie: &str) -> u16 {
    bed.send("GET", ME, &[("cookie", cookie)], "").await.status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_link_makes_the_first_admin_once() {
    on_both(async |bed: &Bed| {
        let (older, path) = (offer(bed).await, offer(bed).await);
        assert_eq!(bed.send("GET", &path, &[], "").await.status, 200, "looking uses nothing up");
        let weak = post_form(bed, &path, &[("email", "ada"), ("password", "short")]).await;
        assert_eq!(weak.status, 400);
        assert!(
            weak.text().contains("E-mail address:") && weak.text().contains("Password:"),
            "{}",
            weak.text()
        );

        let made = post_form(bed, &path, &[("email", ADMIN), ("password", PASSWORD)]).await;

        assert_eq!((made.status, made.header("location")), (303, Some("/account")));
        let me = Person::with(bed, cookie_of(&made)).await.get(ME).await.json()["data"].clone();
        assert_eq!(
            (&me["email"], &me["isAdmin"], &me["kind"]),
            (&json!(ADMIN), &json!(true), &json!("user"))
        );
        assert_eq!(
            (&me["projects"][0]["name"], &me["projects"][0]["role"]),
            (&json!("default"), &json!("owner"))
        );
        for path in [&path, &older, &format!("/setup/{}", "0".repeat(64))] {
            assert_eq!(bed.send("GET", path, &[], "").await.status, 404, "{path}");
            let again = post_form(bed, path, &[("email", "eve@example.org"), ("password", PASSWORD)]).await;
            assert_eq!(again.status, 404, "{path}");
        }
        assert_eq!(setup::offer(&bed.app).await.expect("the store answers"), None);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_links_used_at_once_make_one_admin() {
    on_both(async |bed: &Bed| {
        let (one, two) = (offer(bed).await, offer(bed).await);
        let uses = [(&one, "a"), (&one, "b"), (&two, "c"), (&two, "d")];
        let uses = uses.map(|(path, name)| async move {
            let email = format!("{name}@example.org");
            post_form(bed, path, &[("email", &email), ("password", PASSWORD)]).await.status
        });

        let mut statuses = join_all(uses).await;

        statuses.sort_unstable();
        assert_eq!(statuses, [303, 404, 404, 404]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_is_good_for_a_day() {
    on_both(async |bed: &Bed| {
        let path = offer(bed).await;
        bed.forward(24 * HOUR_MS);
        let late = post_form(bed, &path, &[("email", ADMIN), ("password", PASSWORD)]).await;
        assert_eq!(late.status, 404);
        let fresh = offer(bed).await;
        let made = post_form(bed, &fresh, &[("email", ADMIN), ("password", PASSWORD)]).await;
        assert_eq!(made.status, 303);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_sign_in_has_a_token_of_its_own_and_ends_the_one_before() {
    on_both(async |bed: &Bed| {
        let first = admin(bed).await;
        let planted = format!("openevent_session={}", "ab".repeat(32));
        let fields = form(&[("email", " ADA@example.org "), ("password", PASSWORD)]);
        let kind = ("content-type", "application/x-www-form-urlencoded");
        let planting =
            bed.send("POST", "/sign-in", &[kind, HERE, ("cookie", &planted)], fields.clone()).await;
        let renewed = bed.send("POST", "/sign-in", &[kind, HERE, ("cookie", &first.cookie)], fields).await;

        let (second, third) = (cookie_of(&planting), cookie_of(&renewed));
        assert!(second != planted && second != first.cookie && third != second && third != first.cookie);
        let flags = renewed.header("set-cookie").unwrap().to_owned();
        for flag in ["; HttpOnly", "; SameSite=Lax", "; Path=/;", "; Max-Age=2592000"] {
            assert!(flags.contains(flag), "{flags}");
        }
        let statuses =
            join_all([&planted, &first.cookie, &second, &third].map(|one| status_with(bed, one))).await;
        assert_eq!(statuses, [401, 401, 200, 200]);
        assert_eq!(renewed.header("cache-control"), Some("no-store"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_an_unknown_address_and_a_disabled_account_look_alike() {
    on_both(async |bed: &Bed| {
        let ada = admin(bed).await;
        let bob = ada.make("bob@example.org", false).await;
        let off = ada.call("PATCH", &format!("/api/v1/users/{bob}"), &json!({"disabled": true})).await;
        assert_eq!(off.status, 200, "{}", off.text());
        let mut seen = Vec::new();
        for (email, password) in [
            (ADMIN, "wrong horse battery"),
            ("nobody@example.org", PASSWORD),
            ("bob@example.org", PASSWORD),
            ("", ""),
        ] {
            let before = bed.app.passwords.runs();
            let reply = sign_in(bed, email, password).await;
            let runs = bed.app.passwords.runs() - before;
            assert_eq!((reply.status, reply.header("set-cookie"), runs), (401, None, 1), "{email}");
            seen.push(reply.text().replace(&format!("value=\"{email}\""), ""));
        }
        assert_eq!(seen[0].replace(" autofocus", ""), seen[1].replace(" autofocus", ""));
        assert_eq!(seen[0], seen[2]);
        assert!(seen[0].contains("E-mail address or password is wrong"), "{}", seen[0]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_guesses_at_once_as_many_are_looked_at_as_are_allowed() {
    on_both(async |bed: &Bed| {
        admin(bed).await;
        for email in [ADMIN, "nobody@example.org"] {
            let before = bed.app.passwords.runs();
            let guesses = (0..15)
                .map(|n| async move { sign_in(bed, email, &format!("guess {n} of many")).await.status });
            let statuses = join_all(guesses).await;
            assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 10, "{statuses:?}");
            assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 5, "{statuses:?}");
            assert_eq!(bed.app.passwords.runs() - before, 10, "what is refused costs nothing");
        }
        let right = sign_in(bed, ADMIN, PASSWORD).await;
        assert_eq!(right.status, 429);
        assert!(right.text().contains("Rate limit exceeded"), "{}", right.text());
        bed.forward(15 * 60_000);
        for _ in 0..12 {
            assert_eq!(sign_in(bed, ADMIN, PASSWORD).await.status, 303, "what is right is no guess");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_needs_the_token_and_a_page_of_ours() {
    on_both(async |bed: &Bed| {
        let ada = admin(bed).await;
        let (cookie, csrf) = (("cookie", ada.cookie.as_str()), ("x-csrf-token", ada.csrf.as_str()));
        let body = json!({"title": "Talk", "startDate": 1}).to_string();
        let refused: [&[(&str, &str)]; 6] = [
            &[cookie, JSON],
            &[cookie, JSON, HERE],
            &[cookie, JSON, csrf],
            &[cookie, JSON, csrf, ("sec-fetch-site", "cross-site")],
            &[cookie, JSON, csrf, ("origin", "https://evil.example")],
            &[cookie, JSON, HERE, ("x-csrf-token", "0")],
        ];
        for headers in refused {
            let reply = bed.send("POST", "/api/v1/events", headers, body.clone()).await;
            assert_eq!((reply.status, code(&reply).as_str()), (403, "FORBIDDEN"), "{headers:?}");
        }
        for (method, path) in
            [("PATCH", "/api/v1/users/x"), ("PUT", "/api/v1/event-types/x"), ("DELETE", "/api/v1/users/x")]
        {
            assert_eq!(bed.send(method, path, &[cookie, JSON, HERE], "{}").await.status, 403, "{method}");
        }
        assert_eq!(bed.data("/api/v1/events").await, json!([]));
        let origin = bed.url("");
        let accepted: [&[(&str, &str)]; 2] =
            [&[cookie, JSON, csrf, HERE], &[cookie, JSON, csrf, ("origin", &origin)]];
        for headers in accepted {
            assert_eq!(
                bed.send("POST", "/api/v1/events", headers, body.clone()).await.status,
                201,
                "{headers:?}"
            );
        }
        let key = bed.key(&["events:write"]).await;
        let with_key = [cookie, JSON, ("x-api-key", key.as_str())];
        assert_eq!(
            bed.send("POST", "/api/v1/events", &with_key, body).await.status,
            201,
            "a key is no cookie"
        );
        let broken = [cookie, ("x-api-key", "oe_live_unknown")];
        assert_eq!(
            bed.send("GET", ME, &broken, "").await.status,
            401,
            "a bad key is not made up for by a cookie"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forms_of_other_sites_change_nothing() {
    on_both(async |bed: &Bed| {
        let ada = admin(bed).await;
        let kind = ("content-type", "application/x-www-form-urlencoded");
        let fields =
            form(&[("name", "stolen"), ("scope", "*"), ("environment", "live"), ("csrf", &ada.csrf)]);
        let blind = form(&[("name", "stolen"), ("scope", "*"), ("environment", "live")]);
        let theirs = ("sec-fetch-site", "cross-site");
        let cookie = ("cookie", ada.cookie.as_str());
        for (headers, fields) in [([kind, cookie, theirs], fields), ([kind, cookie, HERE], blind)] {
            for path in ["/account/keys", "/account/password", "/sign-out"] {
                assert_eq!(bed.send("POST", path, &headers, fields.clone()).await.status, 403, "{path}");
            }
        }
        let signing = form(&[("email", ADMIN), ("password", PASSWORD)]);
        assert_eq!(bed.send("POST", "/sign-in", &[kind, theirs], signing).await.status, 403);
        assert_eq!(ada.get("/api/v1/api-keys").await.json()["data"], json!([]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_ends_when_nobody_uses_it_and_after_a_month_in_any_case() {
    on_both(async |bed: &Bed| {
        let (used, unused) = (admin(bed).await, Person::signed_in(bed, ADMIN).await);
        for day in 1..30 {
            bed.forward(24 * HOUR_MS);
            assert_eq!(status_with(bed, &used.cookie).await, 200, "day {day}");
            if day == 6 {
                continue;
            }
            let expected = if day < 7 { continue } else { 401 };
            assert_eq!(status_with(bed, &unused.cookie).await, expected, "day {day}");
        }
        bed.forward(24 * HOUR_MS);
        assert_eq!(status_with(bed, &used.cookie).await, 401);
    })
    .await;
}

fn ids(reply: &Reply) -> Vec<String> {
    assert_eq!(reply.status, 200, "{}", reply.text());
    let list = reply.json()["data"].as_array().expect("a list").clone();
    list.iter().map(|one| one["id"].as_str().expect("an id").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_see_and_end_their_own_sessions_only() {
    on_both(async |bed: &Bed| {
        let ada = admin(bed).await;
        let bob = ada.member("bob@example.org", "default", "owner").await;
        let other = Person::signed_in(bed, "bob@example.org").await;
        let (adas, bobs) = (ids(&ada.get("/api/v1/sessions").await), ids(&bob.get("/api/v1/sessions").await));
        assert_eq!((adas.len(), bobs.len()), (1, 2));
        let mine = bob.get("/api/v1/sessions?limit=1").await.json();
        assert_eq!((&mine["meta"]["total"], &mine["data"][0]["current"]), (&json!(2), &json!(false)));

        let path = |id: &str| format!("/api/v1/sessions/{id}");
        assert_eq!(bob.call("DELETE", &path(&adas[0]), &Value::Null).await.status, 404);
        assert_eq!(ada.call("DELETE", &path(&bobs[0]), &Value::Null).await.status, 404);
        assert_eq!((status_with(bed, &ada.cookie).await, status_with(bed, &other.cookie).await), (200, 200));
        assert_eq!(bob.call("DELETE", &path(&bobs[0]), &Value::Null).await.status, 200);
        assert_eq!((status_with(bed, &other.cookie).await, status_with(bed, &bob.cookie).await), (401, 200));
        assert_eq!(bob.call("DELETE", &path(&bobs[0]), &Value::Null).await.status, 404);
        let key = bed.key(&["events:read"]).await;
        assert_eq!(
            ids(&bed.send("GET", "/api/v1/sessions", &[("x-api-key", &key)], "").await),
            Vec::<String>::new()
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_password_ends_every_session_but_the_one_that_chose_it() {
    on_both(async |bed: &Bed| {
        let (ada, other) = (admin(bed).await, Person::signed_in(bed, ADMIN).await);
        let wrong = ada
            .post(
                "/account/password",
                &[("currentPassword", "not it at all"), ("newPassword", "another horse")],
            )
            .await;
        let short =
            ada.post("/account/password", &[("currentPassword", PASSWORD), ("newPassword", "short")]).await;
        assert_eq!((wrong.status, short.status), (400, 400));
        assert_eq!(status_with(bed, &other.cookie).await, 200);

        let done = ada
            .post("/account/password", &[("currentPassword", PASSWORD), ("newPassword", "another horse")])
            .await;

        assert_eq!(
            (done.status, done.header("location")),
            (303, Some("/account?done=password")),
            "{}",
            done.text()
        );
        let fresh = cookie_of(&done);
        let statuses = join_all([&ada.cookie, &other.cookie, &fresh].map(|one| status_with(bed, one))).await;
        assert_eq!(statuses, [401, 401, 200]);
        assert_eq!(
            (sign_in(bed, ADMIN, PASSWORD).await.status, sign_in(bed, ADMIN, "another horse").await.status),
            (401, 303)
        );
        for reply in [wrong, short, done] {
            assert!(!reply.text().contains("another horse") && !reply.text().contains(PASSWORD));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_signs_out_is_out() {
    on_both(async |bed: &Bed| {
        let ada = admin(bed).await;
        let out = ada.post("/sign-out", &[]).await;
        assert_eq!((out.status, out.header("location")), (303, Some("/sign-in")));
        assert!(
            out.header("set-cookie")
                .is_some_and(|cookie| cookie.contains("openevent_session=;") && cookie.contains("Max-Age=0"))
        );
        assert_eq!(status_with(bed, &ada.cookie).await, 401);
        let away = ada.get("/account/keys?project=a%20b").await;
        assert_eq!(
            (away.status, away.header("location")),
            (303, Some("/sign-in?next=%2Faccount%2Fkeys%3Fproject%3Da%2520b"))
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signing_in_leads_back_to_paths_of_this_server_only() {
    on_both(async |bed: &Bed| {
        admin(bed).await;
        for (next, expected) in [
            ("/account/keys", "/account/keys"),
            ("//evil.example", "/account"),
            ("https://evil.example", "/account"),
        ] {
            let fields = [("email", ADMIN), ("password", PASSWORD), ("next", next)];
            let reply = post_form(bed, "/sign-in", &fields).await;
            assert_eq!((reply.status, reply.header("location")), (303, Some(expected)));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_made_shown_once_and_revoked_by_forms() {
    on_both(async |bed: &Bed| {
        let ada = admin(bed).await;
        let page = ada.get("/account/keys").await;
        assert_eq!((page.status, page.header("cache-control")), (200, Some("no-store")));
        let bad = ada
            .post("/account/keys", &[("project", "default"), ("name", "<b>x</b>"), ("environment", "live")])
            .await;
        assert!(
            bad.status == 400 && bad.text().contains("Scopes: must be") && !bad.text().contains("<b>x</b>")
        );
        let fields = [
            ("project", "default"),
            ("name", "<b>ci</b>"),
            ("scope", "events:read"),
            ("scope", "runs:read"),
            ("environment", "test"),
            ("days", "30"),
        ];
        let made = ada.post("/account/keys", &fields).await;
        assert_eq!(made.status, 200, "{}", made.text());
        let html = made.text();
        let key = html
            .split("<code class=\"secret\">")
            .nth(1)
            .and_then(|rest| rest.split('<').next())
            .unwrap()
            .to_owned();
        assert!(key.starts_with("oe_test_") && !html.contains("<b>ci</b>"), "{key}");
        let status = async || bed.send("GET", "/api/v1/events", &[("x-api-key", &key)], "").await.status;
        assert_eq!(status().await, 200);
        assert!(!ada.get("/account/keys").await.text().contains(&key));
        let listed = ada.get("/api/v1/api-keys").await.json()["data"][0].clone();
        assert_eq!(
            (&listed["scopes"], &listed["environment"]),
            (&json!(["events:read", "runs:read"]), &json!("test"))
        );
        assert!(listed["expiresAt"].is_i64(), "{listed}");

        let path = format!("/account/keys/{}/revoke", listed["id"].as_str().unwrap());
        let revoked = ada.post(&path, &[("project", "default")]).await;
        assert_eq!(
            (revoked.status, revoked.header("location")),
            (303, Some("/account/keys?project=default"))
        );
        assert_eq!(status().await, 401);
        let bob = ada.member("bob@example.org", "default", "manager").await;
        assert_eq!(bob.get("/account/keys").await.status, 403);
        assert_eq!(bob.post("/account/keys", &fields).await.status, 403);
        assert_eq!(bob.get("/account/keys?project=nobodys").await.status, 404);
    })
    .await;
}
