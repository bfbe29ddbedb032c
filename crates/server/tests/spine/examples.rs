//! The workflows of `examples/`, as they are, on a real server; only the outside is a stub of ours.
//!
//! Invariant: every file of the folder is run here. Days pass by putting the clock forward.
//! Not here: the language.

use crate::bed::{Bed, OPERATOR, YAML, on_both};
use openevent_testkit::{Answer, Receiver};
use serde_json::{Value, json};
use std::path::PathBuf;

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
/// Where the examples call: the stub takes the host's name as the first part of the path.
const HOSTS: &[&str] = &["mail", "chat", "ledger"];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples")
}

/// Puts an example, with its outside replaced by a stub.
async fn put(bed: &Bed, name: &str, outside: &Receiver) {
    let mut source = std::fs::read_to_string(folder().join(format!("{name}.yaml"))).expect("an example");
    for host in HOSTS {
        source = source.replace(&format!("https://{host}.example.com"), &outside.url(&format!("/{host}")));
    }
    let path = format!("/api/v1/workflows/examples/{name}");
    let reply = bed.send("PUT", &path, &[OPERATOR, YAML], source).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
}

/// Sends a signal that starts one run; answers where the run is shown.
async fn start(bed: &Bed, name: &str, payload: Value) -> String {
    let begun = bed.signal(name, payload).await;
    assert_eq!(begun["runs"].as_array().map(Vec::len), Some(1), "{begun}");
    format!("/api/v1/runs/{}", begun["runs"][0]["run_id"].as_str().expect("a run"))
}

fn has_ended(run: &Value) -> bool {
    run.get("endedAt").is_some()
}

fn is_waiting(run: &Value) -> bool {
    run["status"] == "waiting"
}

/// The payloads of a name's signals, oldest first.
async fn payloads(bed: &Bed, name: &str) -> Vec<Value> {
    let mut signals = bed.data(&format!("/api/v1/signals?name={name}")).await;
    let newest_first = signals.as_array_mut().expect("a list");
    newest_first.reverse();
    newest_first.iter().map(|signal| signal["payload"].clone()).collect()
}

#[test]
fn every_example_is_run_here() {
    let here = include_str!("examples.rs");
    let files = std::fs::read_dir(folder()).expect("the folder").map(|entry| entry.expect("a file").path());
    let mut names: Vec<String> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned())
        .collect();
    names.retain(|name| !here.contains(&format!("put(bed, \"{name}\"")));

    assert_eq!(names, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_is_confirmed_although_the_mail_service_fails_at_first() {
    on_both(async |bed| {
        let outside = Receiver::start().await;
        outside.answer_with(|_, n| if n < 3 { Answer::status(503) } else { Answer::status(202) });
        put(bed, "order-confirmation", &outside).await;

        let run = start(
            bed,
            "order.paid",
            json!({"orderId": "o-1", "email": "ada@example.com", "totalAmount": 50}),
        )
        .await;
        let run = bed.forward_until(SECOND, &run, has_ended).await;

        assert_eq!(run["output"], json!({"orderId": "o-1", "confirmed": true}), "{run}");
        assert_eq!((outside.count(), outside.requests()[3].path()), (4, "/mail/messages"));
        assert_eq!(outside.requests()[3].json()["subject"], "Your order o-1");
        assert_eq!(payloads(bed, "order.confirmation_failed").await, [] as [Value; 0]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_cannot_be_confirmed_says_so() {
    on_both(async |bed| {
        let outside = Receiver::start().await;
        outside.answer_with(|_, _| Answer::status(500));
        put(bed, "order-confirmation", &outside).await;

        let run = start(bed, "order.paid", json!({"orderId": "o-2", "email": "ada@example.com"})).await;
        let run = bed.forward_until(SECOND, &run, has_ended).await;

        assert_eq!(run["output"], json!({"orderId": "o-2", "confirmed": false}), "{run}");
        assert_eq!(outside.count(), 6, "once, and five times more");
        let failed = payloads(bed, "order.confirmation_failed").await;
        assert_eq!((failed.len(), &failed[0]["orderId"]), (1, &json!("o-2")), "{failed:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sponsor_is_reminded_after_three_days_until_the_confirmation_comes() {
    on_both(async |bed| {
        let outside = Receiver::start().await;
        put(bed, "sponsor-onboarding", &outside).await;
        let sponsor =
            |id: &str| json!({"sponsorId": id, "eventId": "e", "email": "s@example.com", "tier": "gold"});

        let run = start(bed, "sponsor.invited", sponsor("spo_1")).await;
        bed.until(&run, is_waiting).await;
        bed.signal("sponsor.confirmed", json!({"sponsorId": "spo_other"})).await;
        bed.forward_until(HOUR, &run, |_| outside.count() == 2).await;
        bed.signal("sponsor.confirmed", json!({"sponsorId": "spo_1"})).await;
        let run = bed.until(&run, has_ended).await;

        assert_eq!(run["output"], json!({"sponsorId": "spo_1", "confirmed": true}), "{run}");
        let subjects: Vec<_> = outside.requests().iter().map(|mail| mail.json()["subject"].clone()).collect();
        assert_eq!(subjects, ["Your gold sponsorship", "A reminder: your gold sponsorship"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sponsor_who_never_answers_is_given_up_after_two_reminders() {
    on_both(async |bed| {
        let outside = Receiver::start().await;
        put(bed, "sponsor-onboarding", &outside).await;

        let run =
            start(bed, "sponsor.invited", json!({"sponsorId": "spo_1", "email": "s", "tier": "gold"})).await;
        let run = bed.forward_until(HOUR, &run, has_ended).await;

        assert_eq!(run["output"], json!({"sponsorId": "spo_1", "confirmed": false}), "{run}");
        assert_eq!(outside.count(), 3);
        assert_eq!(payloads(bed, "sponsor.unanswered").await, [json!({"sponsorId": "spo_1"})]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sponsor_who_withdraws_ends_the_onboarding() {
    on_both(async |bed| {
        let outside = Receiver::start().await;
        put(bed, "sponsor-onboarding", &outside).await;

        let run =
            start(bed, "sponsor.invited", json!({"sponsorId": "spo_1", "email": "s", "tier": "gold"})).await;
        bed.until(&run, is_waiting).await;
        bed.signal("sponsor.withdrawn", json!({"sponsorId": "spo_2"})).await;
        bed.signal("sponsor.withdrawn", json!({"sponsorId": "spo_1"})).await;
        let run = bed.until(&run, has_ended).await;

        assert_eq!(run["status"], "cancelled", "{run}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_night_the_days_signals_are_posted_to_the_chat() {
    on_both(async |bed| {
        let outside = Receiver::start().await;
        put(bed, "nightly-digest", &outside).await;
        bed.forward(22 * HOUR);
        for name in ["order.paid", "order.paid", "sponsor.applied"] {
            bed.signal(name, json!({})).await;
        }

        let runs = "/api/v1/runs?name=nightly-digest";
        let runs = bed
            .forward_until(MINUTE, runs, |runs| runs.as_array().is_some_and(|all| all.iter().any(has_ended)))
            .await;

        let first = runs.as_array().and_then(|all| all.last()).expect("a run");
        // The day the tests begin: 23:30 in Berlin is 22:30 in UTC.
        assert!(first["startedAt"].as_i64() >= Some(1_767_225_600_000 + 22 * HOUR + HOUR / 2), "{first}");
        assert_eq!(first["status"], "completed", "{first}");
        let shown = bed.data(&format!("/api/v1/runs/{}", first["id"].as_str().expect("an id"))).await;
        assert_eq!(outside.count(), 1, "{shown}");
        assert_eq!(outside.requests()[0].path(), "/chat/hooks/team");
        assert_eq!(outside.requests()[0].json()["text"], "Today: 2 × order.paid, 1 × sponsor.applied");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_is_handled_in_parallel_and_once() {
    on_both(async |bed| {
        let outside = Receiver::start().await;
        outside.answer_with(|request, n| match request.path() {
            "/ledger/entries" if n < 2 => Answer::status(503),
            _ => Answer::json(&json!({})),
        });
        put(bed, "payment-fan-out", &outside).await;
        let payment = json!({"id": "evt_1", "data": {"object": {
            "id": "pi_1", "amount": 5000, "currency": "eur", "receipt_email": "ada@example.com", "metadata": {"tickets": "2"}
        }}});

        let run = start(bed, "payment_intent.succeeded", payment.clone()).await;
        let first = bed.forward_until(SECOND, &run, has_ended).await;
        let again = start(bed, "payment_intent.succeeded", payment).await;
        let again = bed.until(&again, has_ended).await;

        assert_eq!(first["output"], json!({"payment": "pi_1", "steps": ["booked", "sent", "issued"]}), "{first}");
        assert_eq!(again["status"], "cancelled", "{again}");
        let booked = outside.requests().into_iter().filter(|request| request.path() == "/ledger/entries");
        assert_eq!(
            booked.last().map(|request| request.json()),
            Some(json!({"reference": "pi_1", "amount": 50, "currency": "EUR"}))
        );
        let issued = payloads(bed, "ticket.issued").await;
        assert_eq!(issued, [json!({"payment": "pi_1", "number": 1}), json!({"payment": "pi_1", "number": 2})]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expense_is_decided_by_a_person_by_a_rule_or_by_time() {
    on_both(async |bed| {
        let outside = Receiver::start().await;
        put(bed, "human-approval", &outside).await;
        let request = |id: &str, amount: i64| json!({"requestId": id, "amount": amount, "approver": "grace@example.com"});

        let small = start(bed, "expense.requested", request("r-small", 20)).await;
        let small = bed.until(&small, has_ended).await;
        let asked = start(bed, "expense.requested", request("r-asked", 1_200)).await;
        bed.until(&asked, is_waiting).await;
        bed.signal("expense.decided", json!({"requestId": "r-asked", "approved": true, "by": "grace"})).await;
        let asked = bed.until(&asked, has_ended).await;
        let late = start(bed, "expense.requested", request("r-late", 1_200)).await;
        let late = bed.forward_until(HOUR, &late, has_ended).await;

        assert_eq!(small["output"], json!({"requestId": "r-small", "approved": true, "by": "the rule for small amounts"}));
        assert_eq!(asked["output"], json!({"requestId": "r-asked", "approved": true, "by": "grace"}), "{asked}");
        assert_eq!(late["output"], json!({"requestId": "r-late", "approved": false, "by": "nobody, in time"}), "{late}");
        assert_eq!(outside.count(), 2);
        assert_eq!(payloads(bed, "expense.settled").await.len(), 3);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_queue_for_an_approver_who_has_five() {
    on_both(async |bed| {
        let outside = Receiver::start().await;
        put(bed, "human-approval", &outside).await;
        let request =
            |n: i64| json!({"requestId": format!("r-{n}"), "amount": 500, "approver": "grace@example.com"});
        let mut runs = Vec::new();
        for n in 0..6 {
            runs.push(start(bed, "expense.requested", request(n)).await);
        }
        for run in &runs[..5] {
            bed.until(run, is_waiting).await;
        }

        let sixth = bed.data(&runs[5]).await;
        bed.signal("expense.decided", json!({"requestId": "r-3", "approved": true})).await;
        bed.until(&runs[3], has_ended).await;
        bed.until(&runs[5], is_waiting).await;

        assert_eq!((&sixth["status"], outside.count()), (&json!("pending"), 6), "{sixth}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_vendors_the_first_three_quotes_count() {
    on_both(async |bed| {
        let outside = Receiver::start().await;
        outside.answer_with(|request, _| Answer::status(if request.path() == "/b" { 500 } else { 202 }));
        put(bed, "vendor-quotes", &outside).await;
        let vendors: Vec<String> = ["/a", "/b", "/c", "/d"].iter().map(|path| outside.url(path)).collect();

        let run = start(
            bed,
            "quotes.requested",
            json!({"requestId": "q-1", "what": "catering", "vendors": vendors}),
        )
        .await;
        bed.until(&run, is_waiting).await;
        for (vendor, amount) in [("a", 4_200), ("c", 3_900), ("d", 5_000)] {
            bed.signal("quote.received", json!({"requestId": "q-1", "vendor": vendor, "amount": amount}))
                .await;
        }
        let run = bed.until(&run, has_ended).await;

        assert_eq!(run["output"]["chosen"]["vendor"], "c", "{run}");
        assert_eq!(run["output"]["quotes"].as_array().map(Vec::len), Some(3), "{run}");
        assert_eq!(outside.count(), 4);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quotes_that_are_too_few_have_to_do_after_two_days() {
    on_both(async |bed| {
        let outside = Receiver::start().await;
        put(bed, "vendor-quotes", &outside).await;

        let asked = json!({"requestId": "q-2", "what": "stage", "vendors": [outside.url("/a")]});
        let run = start(bed, "quotes.requested", asked).await;
        bed.until(&run, is_waiting).await;
        bed.signal("quote.received", json!({"requestId": "q-2", "vendor": "a", "amount": 900})).await;
        let run = bed.forward_until(HOUR, &run, has_ended).await;

        assert_eq!(run["output"]["chosen"]["vendor"], "a", "{run}");
    })
    .await;
}
