//! Lists of signals and runs: filters, pages, cursors.
//!
//! Invariant: a cursor neither repeats nor skips a row, however many are added meanwhile.
//! Not here: what a row says.

use crate::bed::{Bed, code, on_both};
use serde_json::{Value, json};

const SIGNALS: &str = "/api/v1/signals";

async fn names(bed: &Bed, query: &str) -> Vec<String> {
    let data = bed.data(&format!("{SIGNALS}?{query}")).await;
    let rows = data.as_array().expect("a list");
    rows.iter().map(|row| row["name"].as_str().expect("a name").to_owned()).collect()
}

async fn meta(bed: &Bed, query: &str) -> Value {
    bed.get(&format!("{SIGNALS}?{query}")).await.json()["meta"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signals_are_listed_newest_first_and_filtered() {
    on_both(async |bed| {
        bed.load("note", "{ type: b }", "do:\n- note:\n    set: { n: 1 }\n").await;
        for name in ["a", "b", "c", "a"] {
            bed.signal(name, json!({})).await;
        }
        assert_eq!(names(bed, "").await, ["a", "c", "b", "a"]);
        assert_eq!(names(bed, "sort=receivedAt").await, ["a", "b", "c", "a"]);
        assert_eq!(names(bed, "sort=-receivedAt").await, ["a", "c", "b", "a"]);
        assert_eq!(names(bed, "name=a").await, ["a", "a"]);
        assert_eq!(names(bed, "name=nothing").await, [""; 0]);
        assert_eq!(names(bed, "matched=true").await, ["b"]);
        assert_eq!(names(bed, "matched=false").await, ["a", "c", "a"]);
        assert_eq!(names(bed, "matched=all&name=").await.len(), 4);
        assert_eq!(meta(bed, "name=a&limit=1").await["total"], 2);
        for (query, field) in [
            ("matched=maybe", "matched"),
            ("sort=payload", "sort"),
            ("from=x", "from"),
            ("to=1.5", "to"),
            ("cursor=x", "cursor"),
        ] {
            let reply = bed.get(&format!("{SIGNALS}?{query}")).await;
            assert_eq!((reply.status, code(&reply).as_str()), (400, "VALIDATION_ERROR"), "{query}");
            assert_eq!(reply.json()["error"]["details"][0]["field"], field);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_and_to_take_their_own_moments_in() {
    on_both(async |bed| {
        for name in ["a", "b"] {
            bed.signal(name, json!({})).await;
        }
        let rows = bed.data(SIGNALS).await;
        let (first, last) =
            (rows[1]["receivedAt"].as_i64().unwrap(), rows[0]["receivedAt"].as_i64().unwrap());
        assert_eq!(names(bed, &format!("from={first}&to={last}")).await, ["b", "a"]);
        assert_eq!(names(bed, &format!("to={}", first - 1)).await, [""; 0]);
        assert_eq!(names(bed, &format!("from={}", last + 1)).await, [""; 0]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_clamp_and_fall_back() {
    on_both(async |bed| {
        let events: Vec<_> = (0..105).map(|n| json!({"name": format!("n{n}")})).collect();
        bed.post("/api/v1/events/batch", &json!({"events": events})).await;
        for (query, page, limit, rows, more) in [
            ("", 1, 20, 20, true),
            ("limit=0", 1, 1, 1, true),
            ("limit=1000", 1, 100, 100, true),
            ("limit=-5&page=-1", 1, 1, 1, true),
            ("limit=x&page=y", 1, 20, 20, true),
            ("limit=100&page=2", 2, 100, 5, false),
            ("limit=50&page=9", 9, 50, 0, false),
            ("page=99999999999999999999", 1, 20, 20, true),
            ("page=9223372036854775807", 1_000_000_000, 20, 0, false),
        ] {
            let meta = meta(bed, query).await;
            let seen = (
                meta["page"].as_i64(),
                meta["limit"].as_i64(),
                meta["hasMore"].as_bool(),
                meta["total"].as_i64(),
            );
            assert_eq!(seen, (Some(page), Some(limit), Some(more), Some(105)), "{query}");
            assert_eq!(names(bed, query).await.len(), rows, "{query}");
        }
        assert_eq!(meta(bed, "limit=10").await["totalPages"], 11);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_goes_on_where_it_was_while_rows_are_added() {
    on_both(async |bed| {
        let events: Vec<_> = (0..10).map(|n| json!({"name": format!("n{n}")})).collect();
        bed.post("/api/v1/events/batch", &json!({"events": events})).await;
        for sort in ["-receivedAt", "receivedAt"] {
            let (mut seen, mut cursor) = (Vec::new(), String::new());
            loop {
                let query = format!("sort={sort}&limit=3{cursor}");
                seen.extend(names(bed, &query).await.into_iter().filter(|name| name.starts_with('n')));
                match meta(bed, &query).await["nextCursor"].as_str() {
                    Some(next) => cursor = format!("&cursor={next}"),
                    None => break,
                }
                if seen.len() < 10 {
                    bed.signal("later", json!({})).await;
                }
            }
            let mut wanted: Vec<_> = (0..10).map(|n| format!("n{n}")).collect();
            if sort.starts_with('-') {
                wanted.reverse();
            }
            assert_eq!(seen, wanted, "{sort}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fields_choose_the_members_and_keep_the_id() {
    on_both(async |bed| {
        let sent = bed.signal("a.b", json!({"n": 1})).await;
        let rows = bed.data(&format!("{SIGNALS}?fields=name,%20payload,nothing")).await;
        let id = &sent["event_id"];
        assert_eq!(rows, json!([{"_id": id, "id": id, "name": "a.b", "payload": {"n": 1}}]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_are_listed_by_status_workflow_and_signal() {
    on_both(async |bed| {
        bed.load("good", "{ type: go }", "do:\n- note:\n    set: { n: 1 }\n").await;
        let bad = "do:\n- fail:\n    raise: { error: { type: 'https://example.com/errors/no', status: 400, title: No } }\n";
        bed.load("bad", "{ type: go }", bad).await;
        let sent = bed.signal("go", json!({})).await;
        for run in sent["runs"].as_array().unwrap() {
            bed.ended(&run["run_id"]).await;
        }
        let by_hand = bed.post("/api/v1/workflows/shop/good/runs?wait=30s", &json!({})).await.json();

        let of = async |query: &str| {
            let rows = bed.data(&format!("/api/v1/runs?{query}")).await;
            let rows = rows.as_array().unwrap().clone();
            rows.iter().map(|row| row["workflow"]["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(bed.data("/api/v1/runs").await[0]["id"], by_hand["data"]["id"], "newest first");
        assert_eq!(of("status=completed").await, ["good", "good"]);
        assert_eq!(of("status=faulted").await, ["bad"]);
        assert_eq!(of("status=all").await.len(), 3);
        assert_eq!(of("workflow=bad").await, ["bad"]);
        assert_eq!(of("workflow=shop/good&limit=1").await, ["good"]);
        assert_eq!(of("workflow=other/good").await, [""; 0]);
        assert_eq!(of(&format!("eventId={}", sent["event_id"].as_str().unwrap())).await.len(), 2);
        for query in ["status=done", "eventId=x", "cursor=%00"] {
            assert_eq!(bed.get(&format!("/api/v1/runs?{query}")).await.status, 400, "{query}");
        }
        let first = bed.get("/api/v1/runs?limit=2").await.json();
        let next = first["meta"]["nextCursor"].as_str().unwrap().to_owned();
        bed.post("/api/v1/workflows/shop/good/runs?wait=30s", &json!({})).await;
        let rest = bed.data(&format!("/api/v1/runs?limit=2&cursor={next}")).await;
        assert_eq!(rest.as_array().unwrap().len(), 1);
        assert!(first["data"].as_array().unwrap().iter().all(|row| row["id"] != rest[0]["id"]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_that_are_in_memory_have_cursors_too() {
    on_both(async |bed| {
        for name in ["b", "c", "a-b", "d"] {
            bed.load(name, "", "do:\n- note:\n    set: { n: 1 }\n").await;
        }
        for (path, wanted) in [("/api/v1/workflows", 5), ("/api/v1/event-types", 12)] {
            let (mut seen, mut cursor) = (Vec::new(), String::new());
            loop {
                let page = bed.get(&format!("{path}?limit=2{cursor}")).await.json();
                seen.extend(page["data"].as_array().unwrap().iter().map(|row| row["id"].to_string()));
                match page["meta"]["nextCursor"].as_str() {
                    Some(next) => cursor = format!("&cursor={next}"),
                    None => break,
                }
                // Before the place of the cursor: it must not be shifted.
                bed.load("a", "", "do:\n- note:\n    set: { n: 1 }\n").await;
            }
            let all = seen.len();
            seen.sort();
            seen.dedup();
            assert_eq!(all, seen.len(), "nothing twice: {seen:?}");
            assert!(all == wanted || all + 1 == wanted, "{path}: {seen:?}");
            assert_eq!(bed.get(&format!("{path}?cursor=nonsense")).await.status, 400);
        }
    })
    .await;
}
