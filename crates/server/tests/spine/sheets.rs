//! Tables in and out over HTTP: what goes out comes in again as "unchanged", and what comes in does what the API does.
//!
//! Invariant: whatever was written, on either database, is read back without a change.
//! Not here: single cells, lines and batches (unit tests beside them).

use crate::bed::{Bed, JSON, OPERATOR, code, on_both};
use crate::events::{create, id};
use openevent_domain::tenant::Environment;
use openevent_testkit::Reply;
use serde_json::{Value, json};

const CSV: (&str, &str) = ("content-type", "text/csv; charset=utf-8");

async fn send(bed: &Bed, path: &str, table: &str) -> Reply {
    bed.send("POST", path, &[OPERATOR, CSV], table.to_owned()).await
}

/// The answer of an import that was read.
async fn import(bed: &Bed, path: &str, table: &str) -> Value {
    let reply = send(bed, path, table).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["data"].clone()
}

async fn export(bed: &Bed, path: &str) -> String {
    let reply = bed.get(path).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert!(reply.header("content-type").is_some_and(|kind| kind.starts_with("text/csv")));
    reply.text()
}

/// created, updated, unchanged, refused
fn counts(answer: &Value) -> [u64; 4] {
    ["created", "updated", "unchanged", "refused"].map(|name| answer[name].as_u64().expect("a count"))
}

/// Texts that are hard on tables.
const NASTY: [&str; 5] = ["=1+1", "'quoted', \"twice\"", "two\r\nlines", "@äöü; 100 %", "+49 (30) 1\t2"];

async fn season(bed: &Bed) -> String {
    let mut first = String::new();
    for (n, text) in NASTY.iter().enumerate() {
        let body = json!({
            "title": text, "startDate": 1_767_225_600_123_i64 + n as i64, "endDate": 1_777_777_777_777_i64,
            "description": format!("{text}\n{text}"), "budget": 12.345, "budgetCurrency": "EUR",
            "timezone": "Europe/Berlin", "isPublic": n % 2 == 0, "vendorCategories": [text, "a b"],
            "requirements": {"power": text, "list": [1, null]}, "publicVisibility": {"showVenue": true},
            "expectedAttendees": 7, "locationType": "hybrid", "status": "planning",
        });
        let event = create(bed, body).await;
        if n == 0 {
            first = id(&event);
        }
        let (at, sponsor) =
            (format!("/api/v1/events/{first}"), json!({"name": text, "industry": text, "budgetMin": 1}));
        let task = json!({"title": text, "dueDate": 5, "links": ["https://a.example/;x", {"url": "https://b.example"}]});
        let item = json!({"category": text, "name": text, "estimatedAmount": "0.1", "notes": text});
        let vendor =
            json!({"name": text, "category": text, "services": [text], "rating": 4.5, "verified": true});
        for (path, body) in [
            ("/api/v1/vendors".to_owned(), vendor),
            ("/api/v1/sponsors".to_owned(), sponsor),
            (format!("{at}/tasks"), task),
            (format!("{at}/budget"), item),
        ] {
            assert_eq!(bed.post(&path, &body).await.status, 201, "{path} {body}");
        }
    }
    first
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_out_comes_in_again_without_a_change() {
    on_both(async |bed| {
        let event = season(bed).await;
        let signals = bed.signals_total().await;
        let below = |word: &str| format!("/api/v1/events/{event}/{word}");
        for (path, query) in [
            ("/api/v1/events".to_owned(), "?bom=true"),
            ("/api/v1/vendors".to_owned(), "?status=all"),
            ("/api/v1/sponsors".to_owned(), "?status=all"),
            (below("tasks"), ""),
            (below("budget"), ""),
        ] {
            let table = export(bed, &format!("{path}.csv{query}")).await;
            // Once by id, and once by what tells the rows apart.
            let nameless = table.replacen("id,", "was,", 1);
            for table in [table, nameless] {
                let answer = import(bed, &format!("{path}/import"), &table).await;
                assert_eq!(counts(&answer), [0, 0, NASTY.len() as u64, 0], "{path}: {answer}\n{table}");
            }
        }
        assert_eq!(bed.signals_total().await, signals, "what changes nothing raises nothing");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_make_and_change_events_and_raise_their_signals_with_them() {
    on_both(async |bed| {
        let old =
            create(bed, json!({"title": "Old", "startDate": 0, "venueName": "Hall", "budget": 5})).await;
        let table = "Title,startDate,venueName,status,colour\r\n\
                     Old,1970-01-01,,,red\r\n\
                     New,2026-05-01 09:00,Arena,planning,blue\r\n\
                     Bad,tomorrow,,done,\r\n";

        let tried = import(bed, "/api/v1/events/import?dryRun=true", table).await;
        let before = bed.signals_total().await;
        let answer = import(bed, "/api/v1/events/import", table).await;

        assert_eq!((counts(&tried), before), ([1, 1, 0, 1], 1), "{tried}");
        let actions: Vec<_> =
            tried["plan"].as_array().expect("a plan").iter().map(|row| row["action"].clone()).collect();
        assert_eq!(actions, ["update", "create", "refuse"]);
        assert_eq!((counts(&answer), &answer["ignoredColumns"]), ([1, 1, 0, 1], &json!(["colour"])));
        let issues = answer["errors"][0]["issues"].as_array().expect("issues").iter();
        let fields: Vec<_> = issues.map(|issue| issue["field"].clone()).collect();
        assert_eq!(
            (&answer["errors"][0]["line"], fields),
            (&json!(4), vec![json!("startDate"), json!("status")])
        );
        let changed = bed.data(&format!("/api/v1/events/{}", id(&old))).await;
        assert_eq!((changed.get("venueName"), &changed["budget"]), (None, &json!(5)));
        let made = bed.data("/api/v1/events?search=new").await[0].clone();
        assert_eq!(
            (&made["startDate"], &made["status"]),
            (&json!(1_777_626_000_000_i64), &json!("planning"))
        );
        let names = bed.data("/api/v1/signals?sort=receivedAt&limit=100").await;
        let names: Vec<_> = names.as_array().expect("a list").iter().map(|one| one["name"].clone()).collect();
        assert_eq!(names, ["event.created", "event.updated", "event.created"]);
        let row = bed.data("/api/v1/audit?action=event.import").await[0].clone();
        assert_eq!(row["after"]["counts"], json!({"created": 1, "updated": 1}));
        assert_eq!(
            (&row["after"]["created"], &row["after"]["updated"]),
            (&json!([id(&made)]), &json!([id(&old)]))
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_or_nothing_writes_all_or_nothing() {
    on_both(async |bed| {
        let path = "/api/v1/vendors/import?atomic=true";
        let bad = send(bed, path, "name,category\nA,food\nB,\n").await;
        let none = bed.get("/api/v1/vendors?status=all").await.json()["meta"]["total"].clone();
        let good = import(bed, path, "name,category\nA,food\nB,drinks\n").await;

        assert_eq!((bad.status, code(&bad).as_str()), (400, "VALIDATION_ERROR"));
        assert_eq!(bad.json()["error"]["details"][0]["field"], "3.category");
        assert_eq!((none, counts(&good)), (json!(0), [2, 0, 0, 0]));
        let all = bed.data("/api/v1/vendors?status=pending").await;
        assert_eq!(all.as_array().map(Vec::len), Some(2), "they wait for their review");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_rows_than_a_commit_holds_are_written_in_several() {
    on_both(async |bed| {
        let event = id(&create(bed, json!({"title": "E", "startDate": 0})).await);
        let path = format!("/api/v1/events/{event}/tasks");
        let rows = |from: usize, status: &str| {
            (from..450).map(|n| format!("Task {n},{status}\n")).collect::<Vec<_>>().concat()
        };

        let made = import(bed, &format!("{path}/import"), &format!("title,status\n{}", rows(0, ""))).await;
        let done =
            import(bed, &format!("{path}/import"), &format!("title,status\n{}", rows(100, "completed")))
                .await;

        assert_eq!((counts(&made), counts(&done)), ([450, 0, 0, 0], [0, 350, 0, 0]));
        let table = export(bed, &format!("{path}.csv?status=completed")).await;
        assert_eq!(table.lines().count(), 351);
        let rows = bed.get("/api/v1/audit?action=task.import&limit=100").await.json();
        assert_eq!(rows["meta"]["total"], 5, "three commits and two");
        assert_eq!(rows["data"][0]["after"]["eventId"], json!(event));
        let completed = bed.get("/api/v1/signals?name=task.completed").await.json();
        assert_eq!(completed["meta"]["total"], 350);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_task_waits_for_is_checked_row_by_row() {
    on_both(async |bed| {
        let event = id(&create(bed, json!({"title": "E", "startDate": 0})).await);
        let path = format!("/api/v1/events/{event}/tasks");
        let first = id(&bed.post(&path, &json!({"title": "A"})).await.json()["data"]);
        let second = id(&bed.post(&path, &json!({"title": "B"})).await.json()["data"]);

        let table = format!("title,blockedBy\nA,{second}\nB,{first}\nC,{first}; {second}\n");
        let answer = import(bed, &format!("{path}/import"), &table).await;

        assert_eq!(counts(&answer), [1, 1, 0, 1], "{answer}");
        assert_eq!(
            (&answer["errors"][0]["line"], &answer["errors"][0]["issues"][0]["field"]),
            (&json!(3), &json!("blockedBy"))
        );
        let a = bed.data(&format!("{path}/{first}")).await;
        assert_eq!(a["blockedBy"], json!([second]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_could_mean_several_things_are_refused_until_they_give_the_id() {
    on_both(async |bed| {
        let body = json!({"name": "Twin", "category": "food"});
        let one = id(&bed.post("/api/v1/vendors", &body).await.json()["data"]);
        bed.post("/api/v1/vendors", &body).await;

        let doubtful =
            import(bed, "/api/v1/vendors/import", "name,category\nTwin,drinks\ntwin,drinks\n").await;
        let table = format!("id,name,category\n{one},Twin,drinks\ndir_none,X,y\n");
        let by_id = import(bed, "/api/v1/vendors/import", &table).await;

        assert_eq!(counts(&doubtful), [1, 0, 0, 1], "another spelling is another name: {doubtful}");
        assert_eq!(counts(&by_id), [0, 1, 0, 1]);
        assert_eq!(by_id["errors"][0]["issues"][0]["field"], "id");
        assert_eq!(bed.data(&format!("/api/v1/vendors/{one}")).await["category"], "drinks");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_project_neither_reads_nor_writes_anothers_rows() {
    on_both(async |bed| {
        let event = create(bed, json!({"title": "Mine", "startDate": 0})).await;
        let other = bed.project("other").await;
        let theirs = bed.key_of(&other, Environment::Live, &["*"]).await;
        let key = ("x-api-key", theirs.as_str());
        let table = format!("id,title,startDate\n{},Stolen,0\n,Mine,0\n", id(&event));

        let answer =
            bed.send("POST", "/api/v1/events/import", &[key, CSV], table).await.json()["data"].clone();
        let seen = bed.send("GET", "/api/v1/events.csv", &[key], "").await.text();
        let below = format!("/api/v1/events/{}/tasks", id(&event));
        let out = bed.send("GET", &format!("{below}.csv"), &[key], "").await;
        let into = bed.send("POST", &format!("{below}/import"), &[key, CSV], "title\nT\n").await;

        assert_eq!(counts(&answer), [1, 0, 0, 1], "their own `Mine` is new: {answer}");
        assert!(!seen.contains(&id(&event)) && seen.lines().count() == 2, "{seen}");
        assert_eq!((out.status, into.status), (404, 404));
        assert_eq!(bed.data(&format!("/api/v1/events/{}", id(&event))).await["title"], "Mine");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_is_sent_again_under_its_key_has_its_first_answer() {
    on_both(async |bed| {
        let sent = async |path: &str, table: &str| {
            bed.send("POST", path, &[OPERATOR, CSV, ("idempotency-key", "t-1")], table.to_owned()).await
        };
        let (path, table) = ("/api/v1/vendors/import", "name,category\nA,food\n");

        let first = sent(path, table).await;
        let again = sent(path, table).await;
        let other = sent(path, "name,category\nB,food\n").await;
        let tried = sent(&format!("{path}?dryRun=true"), table).await;

        assert_eq!(counts(&first.json()["data"]), [1, 0, 0, 0]);
        assert_eq!((again.json(), again.header("idempotency-replayed")), (first.json(), Some("true")));
        assert_eq!((other.status, code(&other).as_str()), (422, "UNPROCESSABLE"));
        assert_eq!((tried.status, code(&tried).as_str()), (422, "UNPROCESSABLE"));
        assert_eq!(bed.get("/api/v1/vendors?status=all").await.json()["meta"]["total"], 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_table_is_refused() {
    on_both(async |bed| {
        let path = "/api/v1/events/import";
        let json = bed.send("POST", path, &[OPERATOR, JSON], "[]").await;
        let empty = send(bed, path, "").await;
        let nameless = send(bed, path, "colour\nred\n").await;
        let odd = send(bed, &format!("{path}?dryRun=perhaps"), "title,startDate\n").await;

        assert_eq!((json.status, code(&json).as_str()), (415, "UNSUPPORTED_MEDIA_TYPE"));
        assert_eq!((empty.status, code(&empty).as_str()), (400, "BAD_REQUEST"));
        assert_eq!((nameless.status, code(&nameless).as_str()), (400, "VALIDATION_ERROR"));
        let fields = nameless.json()["error"]["details"].clone();
        assert_eq!((&fields[0]["field"], &fields[1]["field"]), (&json!("title"), &json!("startDate")));
        assert_eq!(odd.status, 400);
    })
    .await;
}
