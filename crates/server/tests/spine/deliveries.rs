//! What webhooks are sent, and what becomes of it.
//!
//! Invariant: a receiver sees what the documented verifier and the Standard Webhooks libraries accept; nothing is said
//! to be delivered that it did not see.
//! Not here: managing webhooks (`webhooks`), crashes (the binary's suite).

use crate::bed::{Bed, JSON, OPERATOR, code, on_both};
use openevent_domain::tenant::Environment;
use openevent_domain::webhook::Signer;
use openevent_testkit::{Answer, Conduct, Received, Receiver, Reply};
use serde_json::{Value, json};

const MINUTE: i64 = 60_000;

/// A webhook: where it is managed, and its secret.
pub(crate) struct Webhook {
    pub(crate) path: String,
    pub(crate) secret: String,
}

impl Webhook {
    pub(crate) async fn to(bed: &Bed, receiver: &Receiver, events: &[&str]) -> Self {
        let body = json!({"name": "hook", "url": receiver.url("/hook"), "events": events});
        Self::made(bed, &body).await
    }

    pub(crate) async fn made(bed: &Bed, body: &Value) -> Self {
        let reply = bed.post("/api/v1/webhooks", body).await;
        assert_eq!(reply.status, 201, "{}", reply.text());
        let data = reply.json()["data"].clone();
        let text = |name: &str| data[name].as_str().expect("text").to_owned();
        Self { path: format!("/api/v1/webhooks/{}", text("id")), secret: text("secret") }
    }

    pub(crate) fn deliveries(&self) -> String {
        format!("{}/deliveries", self.path)
    }

    pub(crate) async fn patch(&self, bed: &Bed, body: &Value) -> Reply {
        bed.send("PATCH", &self.path, &[OPERATOR, JSON], body.to_string()).await
    }

    async fn recover(&self, bed: &Bed, query: &str) -> Reply {
        bed.send("POST", &format!("{}/recover?{query}", self.path), &[OPERATOR], "").await
    }
}

pub(crate) fn all_are(status: &str, count: usize) -> impl Fn(&Value) -> bool + '_ {
    move |list| {
        let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
        list.len() == count && list.iter().all(|one| one["status"] == status)
    }
}

pub(crate) fn header<'a>(request: &'a Received, name: &str) -> &'a str {
    request.header(name).unwrap_or_else(|| panic!("{name} is missing"))
}

/// Checks both signatures as a receiver would.
fn check(request: &Received, secret: &str) {
    let signer = Signer::of(secret);
    let at: i64 = header(request, "x-openevent-timestamp").parse().expect("milliseconds");
    assert_eq!(header(request, "x-openevent-signature"), signer.documented(at, &request.body));
    let at_s: i64 = header(request, "webhook-timestamp").parse().expect("seconds");
    let id = header(request, "webhook-id");
    let standard = signer.standard(id, at_s, &request.body);
    assert!(header(request, "webhook-signature").split(' ').any(|one| one == standard));
    assert_eq!(at / 1_000, at_s);
    assert_eq!((id, &json!(id)), (header(request, "x-openevent-delivery-id"), &request.json()["id"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_is_delivered_as_documented_to_who_asked_for_it() {
    on_both(async |bed| {
        let receiver = Receiver::start().await;
        let webhook = Webhook::to(bed, &receiver, &["order.*", "event.created"]).await;

        bed.signal("other.thing", json!({})).await;
        let sent = bed.signal("order.paid", json!({"b": 1.5, "a": "ü"})).await;
        let event = json!({"title": "Tech", "startDate": 1_800_000_000_000_i64, "eventType": "conference"});
        let event = bed.post("/api/v1/events", &event).await;
        assert_eq!(event.status, 201, "{}", event.text());
        let list = bed.until(&webhook.deliveries(), all_are("delivered", 2)).await;

        let mut requests = receiver.wait_for(2).await;
        requests.sort_by_key(|request| header(request, "x-openevent-event").to_owned());
        for request in &requests {
            check(request, &webhook.secret);
        }
        let (created, paid) = (&requests[0], &requests[1]);
        assert_eq!((created.method.as_str(), created.path()), ("POST", "/hook"));
        assert_eq!(header(created, "content-type"), "application/json");
        assert_eq!(created.json()["event"], "event.created");
        assert_eq!(created.json()["data"]["title"], "Tech");
        let body = paid.json();
        let raw = String::from_utf8_lossy(&paid.body).into_owned();
        assert!(
            raw.starts_with(r#"{"id":"wh_"#) && raw.contains(r#","event":"order.paid","timestamp":"#),
            "{raw}"
        );
        assert_eq!((&body["event"], &body["data"]), (&json!("order.paid"), &json!({"b": 1.5, "a": "ü"})));
        assert!(body["id"].as_str().is_some_and(|id| id.starts_with("wh_17")), "{body}");
        let story = bed.data(&format!("/api/v1/signals/{}", sent["event_id"].as_str().expect("an id"))).await;
        assert_eq!(body["timestamp"], story["receivedAt"]);
        assert_eq!(
            (&story["deliveries"][0]["id"], &story["deliveries"][0]["attempts"][0]["status"]),
            (&body["id"], &json!(200))
        );
        assert_eq!(list[1]["id"], body["id"], "newest first");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_attempt_is_repeated_with_the_same_body_and_a_fresh_signature() {
    on_both(async |bed| {
        let receiver = Receiver::start().await;
        receiver.answer_with(|_, n| {
            if n < 2 { Answer::status(500).body("x\0".repeat(2_000)) } else { Answer::status(204) }
        });
        let webhook = Webhook::to(bed, &receiver, &["*"]).await;
        bed.signal("order.paid", json!({"n": 1})).await;

        let waiting = bed.until(&webhook.deliveries(), |list| list[0]["attemptCount"] == 1).await;
        let pause = waiting[0]["nextAttemptAt"].as_i64().expect("a time")
            - waiting[0]["createdAt"].as_i64().expect("a time");
        assert!((54_000..70_000).contains(&pause), "{waiting}");
        let list = bed.forward_until(5_000, &webhook.deliveries(), all_are("delivered", 1)).await;

        let requests = receiver.wait_for(3).await;
        for request in &requests {
            check(request, &webhook.secret);
        }
        for request in &requests[1..] {
            assert_eq!(request.body, requests[0].body);
            assert_eq!(header(request, "webhook-id"), header(&requests[0], "webhook-id"));
            assert_ne!(
                header(request, "x-openevent-signature"),
                header(&requests[0], "x-openevent-signature")
            );
        }
        let attempts = list[0]["attempts"].as_array().expect("attempts");
        let statuses: Vec<_> = attempts.iter().map(|one| (&one["attempt"], &one["status"])).collect();
        assert_eq!(json!(statuses), json!([[1, 500], [2, 500], [3, 204]]));
        assert_eq!(attempts[0]["response"].as_str().map(|text| text.chars().count()), Some(1_024));
        assert!(attempts.iter().all(|one| one["durationMs"].is_i64() && one["at"].is_i64()));
        assert_eq!(bed.data(&webhook.path).await["failureCount"], 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_failures_in_a_row_disable_and_what_is_held_is_recovered() {
    on_both(async |bed| {
        let (receiver, watcher) = (Receiver::start().await, Receiver::start().await);
        receiver.answer_with(|_, _| Answer::status(503));
        let webhook = Webhook::to(bed, &receiver, &["order.*"]).await;
        let watching = Webhook::to(bed, &watcher, &["webhook.disabled"]).await;
        bed.signal("order.first", json!({})).await;

        let off = bed.forward_until(10_000, &webhook.path, |webhook| webhook["status"] == "disabled").await;
        assert!(off["disabledReason"].as_str().is_some_and(|why| why.contains("503")), "{off}");
        bed.until(&webhook.deliveries(), all_are("held", 1)).await;
        assert_eq!(receiver.count(), 5);
        bed.signal("order.second", json!({})).await;
        let held = bed.until(&webhook.deliveries(), all_are("held", 2)).await;
        let told = watcher.wait_for(1).await;
        assert_eq!(told[0].json()["data"]["webhookId"], off["id"]);
        check(&told[0], &watching.secret);

        let early = webhook.recover(bed, "since=0").await;
        assert_eq!((early.status, code(&early).as_str()), (400, "BAD_REQUEST"));
        receiver.answer_with(|_, _| Answer::status(200));
        assert_eq!(webhook.patch(bed, &json!({"status": "active"})).await.status, 200);
        let on = bed.data(&webhook.path).await;
        assert_eq!((&on["failureCount"], on.get("disabledReason")), (&json!(0), None));
        let dry = webhook.recover(bed, "since=0&dryRun=true").await;
        assert_eq!((dry.status, &dry.json()["data"]["recovered"]), (200, &json!(2)));
        let recovered = webhook.recover(bed, "since=0").await;
        assert_eq!((recovered.status, &recovered.json()["data"]["recovered"]), (202, &json!(2)));
        bed.until(&webhook.deliveries(), all_are("delivered", 2)).await;

        let requests = receiver.requests();
        let mut ids: Vec<_> = requests[5..].iter().map(|request| request.json()["id"].clone()).collect();
        ids.sort_by_key(Value::to_string);
        let mut expected: Vec<_> =
            held.as_array().expect("a list").iter().map(|one| one["id"].clone()).collect();
        expected.sort_by_key(Value::to_string);
        assert_eq!(ids, expected);
        assert_eq!(watcher.count(), 1, "it is told once");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_is_gone_is_not_asked_again() {
    on_both(async |bed| {
        let receiver = Receiver::start().await;
        receiver.answer_with(|_, _| Answer::status(410));
        let webhook = Webhook::to(bed, &receiver, &["*"]).await;
        bed.signal("order.paid", json!({})).await;

        let off = bed.until(&webhook.path, |webhook| webhook["status"] == "disabled").await;

        assert!(off["disabledReason"].as_str().is_some_and(|why| why.contains("410")), "{off}");
        bed.until(&webhook.deliveries(), |list| {
            list.as_array().is_some_and(|list| list.iter().all(|one| one["status"] == "held"))
        })
        .await;
        assert_eq!(receiver.count(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retry_after_is_honoured_and_redirects_are_failures() {
    let bed = Bed::sqlite().await;
    let receiver = Receiver::start().await;
    let elsewhere = Receiver::start().await;
    let there = elsewhere.url("/stolen");
    receiver.answer_with(move |_, n| match n {
        0 => Answer::status(429).header("retry-after", "1800"),
        _ => Answer::redirect(307, there.clone()),
    });
    let webhook = Webhook::to(&bed, &receiver, &["*"]).await;
    bed.signal("order.paid", json!({})).await;

    let first = bed.until(&webhook.deliveries(), |list| list[0]["attemptCount"] == 1).await;
    let pause =
        first[0]["nextAttemptAt"].as_i64().expect("a time") - first[0]["createdAt"].as_i64().expect("a time");
    assert!((30 * MINUTE..31 * MINUTE).contains(&pause), "{first}");
    let second =
        bed.forward_until(10 * MINUTE, &webhook.deliveries(), |list| list[0]["attemptCount"] == 2).await;

    assert_eq!((&second[0]["responseStatus"], &second[0]["status"]), (&json!(307), &json!("pending")));
    assert!(second[0]["reason"].as_str().is_some_and(|why| why.contains("redirects")), "{second}");
    assert_eq!(elsewhere.count(), 0);
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_webhook_gets_what_was_held_when_somebody_asks_for_it() {
    on_both(async |bed| {
        let receiver = Receiver::start().await;
        let webhook = Webhook::to(bed, &receiver, &["*"]).await;
        webhook.patch(bed, &json!({"status": "paused"})).await;
        let first = bed.signal("order.first", json!({})).await;
        let second = bed.signal("order.second", json!({})).await;
        bed.until(&webhook.deliveries(), all_are("held", 2)).await;
        assert_eq!(first["runs"], second["runs"]);

        webhook.patch(bed, &json!({"status": "active"})).await;
        bed.signal("order.third", json!({})).await;
        receiver.wait_for(1).await;
        assert_eq!(receiver.requests()[0].json()["event"], "order.third");
        let since = second["event_id"].as_str().expect("an id");
        let recovered = webhook.recover(bed, &format!("sinceEvent={since}&ratePerSecond=1000")).await;
        assert_eq!(recovered.status, 202, "{}", recovered.text());

        bed.until(&webhook.deliveries(), |list| {
            list.as_array().is_some_and(|list| {
                list.iter().any(|one| one["event"] == "order.second" && one["status"] == "delivered")
            })
        })
        .await;
        for query in ["", "since=x", "sinceEvent=x", "since=0&ratePerSecond=0", "since=0&dryRun=maybe"] {
            assert_eq!(webhook.recover(bed, query).await.status, 400, "{query}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_is_sent_again_and_a_test_whenever_somebody_asks() {
    on_both(async |bed| {
        let receiver = Receiver::start().await;
        let webhook = Webhook::to(bed, &receiver, &["order.*"]).await;
        bed.signal("order.paid", json!({})).await;
        let list = bed.until(&webhook.deliveries(), all_are("delivered", 1)).await;
        let delivery = format!("{}/{}", webhook.deliveries(), list[0]["id"].as_str().expect("an id"));

        let again = bed.send("POST", &format!("{delivery}/redeliver"), &[OPERATOR], "").await;
        assert_eq!(again.status, 202, "{}", again.text());
        let after =
            bed.until(&delivery, |one| one["attemptCount"] == 2 && one["status"] == "delivered").await;
        assert_eq!(after["attempts"].as_array().map(Vec::len), Some(2));
        let requests = receiver.wait_for(2).await;
        assert_eq!(requests[0].body, requests[1].body);

        webhook.patch(bed, &json!({"status": "paused"})).await;
        assert_eq!(bed.send("POST", &format!("{delivery}/redeliver"), &[OPERATOR], "").await.status, 400);
        receiver.answer_with(|_, _| Answer::status(500));
        let test = bed.send("POST", &format!("{}/test", webhook.path), &[OPERATOR], "").await;
        assert_eq!(test.status, 202, "{}", test.text());
        let at = test.header("location").expect("a location").to_owned();
        let tried = bed.until(&at, |one| one["status"] == "failed").await;
        assert_eq!((&tried["event"], &tried["attemptCount"]), (&json!("webhook.test"), &json!(1)));
        check(&receiver.wait_for(3).await[2], &webhook.secret);
        assert_eq!(bed.data(&webhook.path).await["failureCount"], 0, "a test counts for nothing");
        let missing =
            bed.send("POST", &format!("{}/wh_1_x/redeliver", webhook.deliveries()), &[OPERATOR], "").await;
        assert_eq!(missing.status, 404);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_secrets_overlap_both_sign() {
    on_both(async |bed| {
        let receiver = Receiver::start().await;
        let webhook = Webhook::to(bed, &receiver, &["*"]).await;
        let rotated = bed.post(&format!("{}/rotate", webhook.path), &json!({"overlapMs": 60_000})).await;
        assert_eq!(rotated.status, 200, "{}", rotated.text());
        let new = rotated.json()["data"]["secret"].as_str().expect("a secret").to_owned();
        assert_ne!(new, webhook.secret);

        bed.signal("order.paid", json!({})).await;
        let first = receiver.wait_for(1).await.remove(0);
        bed.forward(60_001);
        bed.signal("order.paid", json!({})).await;
        let second = receiver.wait_for(2).await.remove(1);

        check(&first, &new);
        let at: i64 = header(&first, "x-openevent-timestamp").parse().expect("milliseconds");
        let old = Signer::of(&webhook.secret);
        assert_eq!(header(&first, "x-openevent-signature-previous"), old.documented(at, &first.body));
        let standard = old.standard(header(&first, "webhook-id"), at / 1_000, &first.body);
        assert!(header(&first, "webhook-signature").ends_with(&format!(" {standard}")));
        check(&second, &new);
        assert_eq!(second.header("x-openevent-signature-previous"), None);
        assert_eq!(header(&second, "webhook-signature").split(' ').count(), 1);
        assert_eq!(
            bed.post(&format!("{}/rotate", webhook.path), &json!({"overlapMs": -1})).await.status,
            400
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_gets_its_own_data_set_only_and_nothing_once_removed() {
    on_both(async |bed| {
        let (receiver, theirs) = (Receiver::start().await, Receiver::start().await);
        let webhook = Webhook::to(bed, &receiver, &["*"]).await;
        let project = bed.app.keyring.operator().project_id.clone();
        let test = bed.key_of(&project, Environment::Test, &["*"]).await;
        let body = json!({"name": "t", "url": theirs.url("/"), "events": ["*"]}).to_string();
        let made = bed.send("POST", "/api/v1/webhooks", &[("x-api-key", &test), JSON], body).await;
        assert_eq!(made.status, 201, "{}", made.text());

        let sent = bed.ingest(&[("x-api-key", &test), JSON], r#"{"name":"from.test"}"#).await;
        assert_eq!(sent.status, 202, "{}", sent.text());
        theirs.wait_for(1).await;
        bed.signal("from.live", json!({})).await;
        receiver.wait_for(1).await;
        assert_eq!(bed.send("DELETE", &webhook.path, &[OPERATOR], "").await.status, 200);
        let last = bed.signal("after.all", json!({})).await;

        let story = bed.data(&format!("/api/v1/signals/{}", last["event_id"].as_str().expect("an id"))).await;
        assert_eq!(story["deliveries"], json!([]));
        assert_eq!((receiver.count(), theirs.count()), (1, 1));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_breaks_off_or_hangs_is_a_failed_attempt_with_a_reason() {
    let bed = Bed::sqlite().await;
    let receiver = Receiver::start().await;
    receiver.answer_with(|_, n| match n {
        0 => Answer::hang(),
        1 => Answer::status(200).body("never whole").conduct(Conduct::CloseMidBody),
        2 => Answer::status(200).body("never whole").conduct(Conduct::HangMidBody),
        _ => Answer::status(200).body(vec![b'x'; 300 * 1_024]),
    });
    let webhook = Webhook::to(&bed, &receiver, &["*"]).await;
    bed.signal("order.paid", json!({})).await;

    let list = bed.forward_until(MINUTE, &webhook.deliveries(), |list| list[0]["attemptCount"] == 4).await;

    let errors: Vec<_> =
        list[0]["attempts"].as_array().expect("attempts").iter().map(|one| &one["error"]).collect();
    assert_eq!(
        json!(errors),
        json!([
            "timed out while waiting for the answer",
            "the connection was closed before the answer was complete",
            "timed out while reading the answer",
            "the answer is longer than 262144 bytes",
        ])
    );
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_lets_through_what_it_holds_for() {
    on_both(async |bed| {
        let receiver = Receiver::start().await;
        let body = json!({"name": "hook", "url": receiver.url("/"), "events": ["*"], "filter": ".amount > 10",
                          "ratePerSecond": 1000, "maxConcurrency": 2});
        let webhook = Webhook::made(bed, &body).await;
        for amount in [json!(5), json!(50), json!("text"), json!(null)] {
            bed.signal("order.paid", json!({"amount": amount})).await;
        }

        let list = bed.until(&webhook.deliveries(), all_are("delivered", 2)).await;

        assert_eq!(
            receiver.wait_for(2).await.len(),
            2,
            "jq sorts text above numbers, and null below: {list}"
        );
        let stats = bed.data(&format!("{}/stats", webhook.path)).await;
        assert_eq!(
            (&stats["attempts"], &stats["successRatio"], &stats["pending"]),
            (&json!(2), &json!(1.0), &json!(0))
        );
        for body in [json!({"filter": ".a["}), json!({"ratePerSecond": 0}), json!({"maxConcurrency": 65})] {
            assert_eq!(webhook.patch(bed, &body).await.status, 400, "{body}");
        }
        let cleared = webhook.patch(bed, &json!({"filter": null})).await.json();
        assert_eq!((cleared["data"].get("filter"), &cleared["data"]["maxConcurrency"]), (None, &json!(2)));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deliveries_of_one_key_go_out_one_after_the_other_and_one_may_be_skipped() {
    on_both(async |bed| {
        let receiver = Receiver::start().await;
        receiver.answer_with(|request, _| {
            let is_bad = request.json()["data"]["n"] == 1;
            Answer::status(if is_bad { 500 } else { 200 })
        });
        let body = json!({"name": "hook", "url": receiver.url("/"), "events": ["*"], "fifoKey": ".order"});
        let webhook = Webhook::made(bed, &body).await;
        for (order, n) in [("a", 1), ("b", 2), ("a", 3), ("b", 4), ("a", 5)] {
            bed.signal("order.changed", json!({"order": order, "n": n})).await;
        }
        let sent = receiver.wait_for(3).await;
        let of = |sent: &[Received], order: &str| -> Vec<i64> {
            let data = sent.iter().map(|request| request.json()["data"].clone());
            data.filter(|data| data["order"] == order).filter_map(|data| data["n"].as_i64()).collect()
        };
        assert_eq!(
            (of(&sent, "a"), of(&sent, "b")),
            (vec![1], vec![2, 4]),
            "a's first blocks a's others alone"
        );

        let list = bed.until(&webhook.deliveries(), |list| list[4]["attemptCount"] == 1).await;
        let first = format!("{}/{}", webhook.deliveries(), list[4]["id"].as_str().expect("an id"));
        let skipped = bed.send("POST", &format!("{first}/skip"), &[OPERATOR], "").await;
        assert_eq!((skipped.status, &skipped.json()["data"]["status"]), (200, &json!("skipped")));

        assert_eq!(of(&receiver.wait_for(5).await, "a"), [1, 3, 5]);
        assert_eq!(bed.send("POST", &format!("{first}/skip"), &[OPERATOR], "").await.status, 400);
    })
    .await;
}
