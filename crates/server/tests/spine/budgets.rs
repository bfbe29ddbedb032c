//! Budgets of planned events.
//!
//! Invariant: what goes in as decimal digits comes out as the same digits.
//! Not here: adding up in general (the domain's own tests).

use crate::bed::{Bed, JSON, OPERATOR, code, on_both};
use crate::events::{create, id};
use serde_json::{Value, json};

async fn event(bed: &Bed, more: Value) -> String {
    let mut body = json!({"title": "T", "startDate": 5});
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    format!("/api/v1/events/{}", id(&create(bed, body).await))
}

async fn item(bed: &Bed, event: &str, body: Value) -> Value {
    let reply = bed.post(&format!("{event}/budget"), &body).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    reply.json()["data"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_is_added_up_exactly_by_currency_and_category() {
    on_both(async |bed: &Bed| {
        let event = event(bed, json!({"budget": 1000, "budgetCurrency": "EUR"})).await;
        let food = json!({"category": "food", "name": "n", "estimatedAmount": 0.1});
        for _ in 0..3 {
            item(bed, &event, food.clone()).await;
        }
        let paid = json!({"category": "hall", "name": "n", "estimatedAmount": "999.999", "actualAmount": 1200.01,
            "status": "paid"});
        item(bed, &event, paid).await;
        let dollars = json!({"category": "hall", "name": "n", "estimatedAmount": 5, "currency": "usd"});
        item(bed, &event, dollars).await;

        let raw = bed.get(&format!("{event}/budget/summary")).await;

        let summary = raw.json()["data"].clone();
        assert!(raw.text().contains("\"planned\":1000.299,\"committed\":1200.01"), "{}", raw.text());
        assert_eq!((&summary["currency"], &summary["budget"]), (&json!("EUR"), &json!(1000)));
        assert_eq!((&summary["actual"], &summary["remaining"]), (&json!(1200.01), &json!(-199.711)));
        let food = json!({"category": "food", "currency": "EUR", "planned": 0.3, "committed": 0, "actual": 0, "remaining": 0.3});
        assert_eq!(summary["categories"][0], food);
        assert_eq!(summary["currencies"][1]["currency"], "USD");
        assert_eq!(summary["currencies"].as_array().map(Vec::len), Some(2));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_item_is_changed_listed_and_removed() {
    on_both(async |bed: &Bed| {
        let event = event(bed, json!({})).await;
        let made =
            item(bed, &event, json!({"category": "food", "name": "Cake", "estimatedAmount": 12.5})).await;
        let path = format!("{event}/budget/{}", id(&made));
        let send = async |body: Value| bed.send("PATCH", &path, &[OPERATOR, JSON], body.to_string()).await;

        let changed = send(json!({"actualAmount": 13, "status": "paid"})).await;
        let wrong = send(json!({"estimatedAmount": null, "status": "maybe", "currency": "QQQ"})).await;
        let stale = [OPERATOR, JSON, ("if-match", "\"1\"")];
        let stale = bed.send("PATCH", &path, &stale, r#"{"name":"x"}"#).await;

        assert_eq!((&made["currency"], &made["estimatedAmount"]), (&json!("USD"), &json!(12.5)));
        assert_eq!((changed.status, &changed.json()["data"]["actualAmount"]), (200, &json!(13)));
        assert_eq!((wrong.status, code(&wrong).as_str()), (400, "VALIDATION_ERROR"));
        assert_eq!(wrong.json()["error"]["details"].as_array().map(Vec::len), Some(3));
        assert_eq!(stale.status, 412);
        assert_eq!(bed.data(&format!("{event}/budget?category=food&status=paid")).await[0]["name"], "Cake");
        assert_eq!(bed.data(&format!("{event}/budget?category=hall")).await, json!([]));
        assert_eq!(bed.send("DELETE", &path, &[OPERATOR], "").await.status, 200);
        assert_eq!(bed.get(&path).await.status, 404);
    })
    .await;
}
