//! Reading tables row by row, without a store.
//!
//! Invariant: what is in flight is counted, not timed.
//! Not here: what becomes of rows (the suite of the server).

use super::super::Column;
use super::*;
use crate::face::problem::Code;
use futures::StreamExt as _;
use openevent_domain::planning::sheet::Kind;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const LAYOUT: Layout = Layout {
    what: "things",
    columns: &[Column::new("name", Kind::Text), Column::new("size", Kind::Number)],
    shown: &[("createdAt", Kind::Time)],
    key: &["name"],
};

/// Keeps count of what is in flight.
#[derive(Default)]
struct Counted {
    sent: Arc<AtomicUsize>,
    taken: usize,
    in_flight_max: usize,
    batches: Vec<usize>,
}

impl Table for Counted {
    const LAYOUT: &'static Layout = &LAYOUT;

    async fn take(&mut self, rows: &[Row], _effect: Effect) -> Result<Vec<Verdict>, Problem> {
        self.in_flight_max =
            self.in_flight_max.max(self.sent.load(Ordering::SeqCst).saturating_sub(self.taken));
        self.taken += rows.len();
        self.batches.push(rows.len());
        let verdict = |row: &Row| match row.fields.get("size") {
            Some(Value::Number(_)) => Verdict::Created(row.line.to_string()),
            _ => Verdict::Refused(vec![FieldIssue::new("size", "must be a number")]),
        };
        Ok(rows.iter().map(verdict).collect())
    }
}

async fn import(text: &str, effect: Effect) -> Result<Value, Problem> {
    let reply = run(&mut Counted::default(), effect, Body::from(text.to_owned()), 1_000_000).await?;
    Ok(serde_json::from_slice::<Value>(&reply.body).unwrap()["data"].clone())
}

#[tokio::test]
async fn a_hundred_thousand_rows_pass_with_no_more_than_a_batch_of_them_in_memory() {
    const ROWS: usize = 100_000;
    let mut table = Counted::default();
    let sent = Arc::clone(&table.sent);
    let head = futures::stream::iter([Ok::<_, std::io::Error>("name,size\n".to_owned())]);
    let rows = futures::stream::iter(0..ROWS).map(move |n| {
        sent.fetch_add(1, Ordering::SeqCst);
        Ok(format!("thing {n},{n}\n"))
    });
    let body = Body::from_stream(head.chain(rows));

    let reply = run(&mut table, Effect::Written, body, u64::MAX).await.unwrap();

    let answer: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!((&answer["data"]["rows"], &answer["data"]["created"]), (&json!(ROWS), &json!(ROWS)));
    assert_eq!(table.taken, ROWS);
    assert!(table.in_flight_max <= BATCH_ROWS, "{}", table.in_flight_max);
    assert!(table.batches.iter().all(|rows| *rows <= BATCH_ROWS));
    assert!(reply.body.len() < 1_000, "the answer does not grow with the table");
}

#[tokio::test]
async fn every_bad_row_is_named_by_its_line_and_stops_no_other() {
    let text = "\u{feff}name,size,colour\r\na,1,red\r\nb,x,red\r\n,,\r\nc,1\r\na,2,\"re\nd\"\r\nd,4,blue\r\n";

    let answer = import(text, Effect::Written).await.unwrap();

    let lines: Vec<_> = answer["errors"].as_array().unwrap().iter().map(|one| one["line"].clone()).collect();
    assert_eq!(lines, [3, 5, 6]);
    assert_eq!((&answer["rows"], &answer["created"], &answer["refused"]), (&json!(5), &json!(2), &json!(3)));
    assert_eq!((&answer["complete"], &answer["ignoredColumns"]), (&json!(true), &json!(["colour"])));
    let doubled = "is that of an earlier row";
    assert_eq!(answer["errors"][2]["issues"][0]["issue"], doubled);
}

#[tokio::test]
async fn a_table_that_is_cut_off_leaves_whole_batches() {
    let head = futures::stream::iter([Ok("name,size\n".to_owned())]);
    let rows = futures::stream::iter(0..BATCH_ROWS * 2 + 50).map(|n| Ok(format!("thing {n},{n}\n")));
    let cut = futures::stream::iter([Err(std::io::Error::other("cut"))]);
    let mut table = Counted::default();

    let problem =
        run(&mut table, Effect::Written, Body::from_stream(head.chain(rows).chain(cut)), u64::MAX).await;

    assert_eq!(problem.unwrap_err().code(), Code::BadRequest);
    assert_eq!(table.batches, [BATCH_ROWS, BATCH_ROWS]);
}

#[tokio::test]
async fn a_trial_names_what_would_become_of_each_row() {
    let answer = import("name,size\na,1\nb,x\n", Effect::Tried).await.unwrap();

    assert_eq!(answer["plan"], json!([{"line": 2, "action": "create"}, {"line": 3, "action": "refuse"}]));
    assert_eq!(answer["dryRun"], true);
}

#[tokio::test]
async fn all_or_nothing_is_refused_with_every_mistake() {
    let problem = import("name,size\na,1\nb,x\nc\n", Effect::AllOrNothing).await.unwrap_err();
    let fields: Vec<_> = problem.issues().unwrap().iter().map(|issue| issue.field.as_str()).collect();
    assert_eq!(fields, ["3.size", "4.row"]);
    let many = (0..=ATOMIC_ROWS_MAX).map(|n| format!("{n},1\n")).collect::<Vec<_>>().concat();
    let problem = import(&format!("name,size\n{many}"), Effect::AllOrNothing).await.unwrap_err();
    assert_eq!(problem.code(), Code::BadRequest);
}

#[tokio::test]
async fn a_table_without_its_columns_is_refused() {
    for (text, field) in
        [("size\n1\n", Some("name")), ("name,NAME\n", Some("NAME")), ("", None), ("\n\n", None)]
    {
        let problem = import(text, Effect::Written).await.unwrap_err();
        let found = problem.issues().and_then(|issues| issues.first()).map(|issue| issue.field.clone());
        assert_eq!(found.as_deref(), field, "{text:?}");
    }
    assert!(import("id,size\n", Effect::Written).await.is_ok(), "ids tell rows apart");
}

#[tokio::test]
async fn what_was_read_before_a_table_breaks_stands() {
    let text = format!("name,size\na,1\n\"{}", "x\n".repeat(600_000));
    let reply = run(&mut Counted::default(), Effect::Written, Body::from(text), u64::MAX).await.unwrap();
    let answer: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!((&answer["data"]["created"], &answer["data"]["complete"]), (&json!(1), &json!(false)));
    assert_eq!(answer["data"]["errors"][0]["line"], 3);
    let large =
        run(&mut Counted::default(), Effect::Written, Body::from("name,size\na,1\n"), 5).await.unwrap();
    assert!(String::from_utf8_lossy(&large.body).contains("larger than 5 bytes"));
}
