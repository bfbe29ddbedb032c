//! The catalogue of signal names.

use crate::support::{OPERATOR, Server, code, fresh};
use openevent_domain::signal::BUILT_IN;
use openevent_domain::tenant::Tenant;
use openevent_domain::told::told;
use openevent_flow::Schema;
use serde_json::{Value, json};

const JSON: (&str, &str) = ("content-type", "application/json");
const ORDER: &str = "/api/v1/event-types/order.created";

fn schema() -> Value {
    json!({"type": "object", "required": ["orderId"], "properties": {"orderId": {"type": "string"}}})
}

fn tenant(server: &Server) -> Tenant {
    server.app.keyring.operator().tenant.clone()
}

async fn list(server: &Server, query: &str) -> Value {
    server.get(&format!("/api/v1/event-types{query}"), &[OPERATOR]).await.json()
}

#[tokio::test]
async fn the_built_in_names_are_always_there() {
    let (_place, server) = fresh().await;
    let body = list(&server, "").await;
    assert_eq!(body["meta"]["total"], 12);
    for (name, words) in BUILT_IN {
        let one = server.get(&format!("/api/v1/event-types/{name}"), &[OPERATOR]).await.json();
        let data = &one["data"];
        assert_eq!(
            (&data["name"], &data["description"], &data["builtIn"]),
            (&name.into(), &words.into(), &true.into())
        );
        assert_eq!((&data["id"], &data["_id"]), (&name.into(), &name.into()));
        let schema = Schema::compile(&data["schema"]).expect(name);
        assert_eq!(schema.check(&data["example"]), Ok(()), "{name}");
        assert!(schema.check(&json!({})).is_err(), "{name}");
    }
}

#[tokio::test]
async fn a_built_in_schema_describes_and_refuses_nothing_until_somebody_puts_one() {
    let (_place, server) = fresh().await;
    let path = "/api/v1/event-types/task.created";
    let body = json!({"name": "task.created", "payload": {"mine": 1}});
    let send =
        async || server.send("POST", "/api/v1/events", &[OPERATOR, JSON], &body.to_string()).await.status;

    let described = send().await;
    let worded = server.put(path, &json!({"description": "Ours"})).await;
    let still = send().await;
    let strict = server.put(path, &json!({"schema": {"required": ["taskId"]}})).await;
    let refused = send().await;

    assert_eq!((described, still, refused), (202, 202, 400));
    assert_eq!((worded.status, &worded.json()["data"]["description"]), (201, &json!("Ours")));
    assert_eq!(worded.json()["data"]["schema"]["properties"]["taskId"]["type"], "string");
    assert_eq!(strict.json()["data"]["schema"], json!({"required": ["taskId"]}));
    assert_eq!(strict.json()["data"].get("example"), None);
}

/// `docs/signals.md` has a heading with the name of each signal, and under it the schema.
#[test]
fn the_page_about_signals_shows_the_schemas_as_they_are() {
    let page = include_str!("../../../../docs/signals.md");
    for (name, _) in BUILT_IN {
        let (_, after) = page.split_once(&format!("### `{name}`\n")).expect(name);
        let (_, block) = after.split_once("```json\n").expect(name);
        let (block, _) = block.split_once("```").expect(name);
        let shown: Value = serde_json::from_str(block).expect(name);
        let mut schema = told(name).expect(name).schema;
        schema.as_object_mut().expect(name).remove("$schema");
        assert_eq!(shown, schema, "{name}");
    }
}

#[tokio::test]
async fn a_name_is_put_read_replaced_and_deleted() {
    let (_place, server) = fresh().await;
    let created = server
        .put(ORDER, &json!({"description": " A new order ", "schema": schema(), "example": {"orderId": "1"}}))
        .await;
    assert_eq!((created.status, created.header("location")), (201, Some(ORDER)));
    assert_eq!(created.json()["data"]["description"], "A new order");
    assert_eq!(server.get(ORDER, &[OPERATOR]).await.json()["data"]["schema"], schema());
    let replaced = server.put(ORDER, &json!({"description": "Other"})).await;
    assert_eq!((replaced.status, replaced.header("location")), (200, None));
    assert_eq!(replaced.json()["data"].get("schema"), None);
    assert_eq!(list(&server, "").await["meta"]["total"], 13);
    let deleted = server.send("DELETE", ORDER, &[OPERATOR], "").await;
    assert_eq!((deleted.status, deleted.json()), (200, json!({"success": true, "data": {"deleted": true}})));
    assert_eq!(server.get(ORDER, &[OPERATOR]).await.status, 404);
    assert_eq!(server.send("DELETE", ORDER, &[OPERATOR], "").await.status, 404);
}

#[tokio::test]
async fn names_with_slashes_and_letters_of_all_languages_work() {
    let (_place, server) = fresh().await;
    for name in ["shop/eu/order:created", "a", "gr%C3%B6%C3%9Fe.ge%C3%A4ndert"] {
        let path = format!("/api/v1/event-types/{name}");
        let created = server.put(&path, &json!({})).await;
        assert_eq!((created.status, created.header("location")), (201, Some(path.as_str())));
        assert_eq!(server.get(&path, &[OPERATOR]).await.status, 200);
    }
    let long = "n".repeat(256);
    for name in ["a%20b", "%20", "a%00b", long.as_str(), "a,b"] {
        let reply = server.put(&format!("/api/v1/event-types/{name}"), &json!({})).await;
        assert_eq!((reply.status, code(&reply).as_str()), (400, "VALIDATION_ERROR"), "{name}");
    }
}

#[tokio::test]
async fn a_bad_schema_and_an_example_that_does_not_fit_are_refused() {
    let (_place, server) = fresh().await;
    let cases = [
        (json!({"schema": {"type": "nonsense"}}), "schema"),
        (json!({"schema": "text"}), "schema"),
        (json!({"schema": {"$ref": "https://example.com/schema.json"}}), "schema"),
        (json!({"description": 7}), "description"),
        (json!({"description": "x".repeat(1001)}), "description"),
        (json!({"description": "a\u{0}b"}), "description"),
        (json!({"example": []}), "example"),
        (json!({"schema": schema(), "example": {"orderId": 1}}), "example/orderId"),
    ];
    for (body, field) in cases {
        let reply = server.put(ORDER, &body).await;
        assert_eq!((reply.status, code(&reply).as_str()), (400, "VALIDATION_ERROR"), "{body}");
        assert_eq!(reply.json()["error"]["details"][0]["field"], field, "{}", reply.text());
    }
    assert_eq!(server.get(ORDER, &[OPERATOR]).await.status, 404, "nothing was stored");
}

#[tokio::test]
async fn a_built_in_name_takes_a_schema_and_loses_only_that() {
    let (_place, server) = fresh().await;
    let path = "/api/v1/event-types/event.created";
    let untouched = server.send("DELETE", path, &[OPERATOR], "").await;
    assert_eq!((untouched.status, code(&untouched).as_str()), (400, "BAD_REQUEST"));
    let put = server.put(path, &json!({"schema": schema()})).await;
    let data = put.json()["data"].clone();
    assert_eq!(
        (put.status, &data["builtIn"], &data["description"]),
        (201, &true.into(), &"New event created".into())
    );
    assert_eq!(list(&server, "").await["meta"]["total"], 12);
    assert_eq!(server.send("DELETE", path, &[OPERATOR], "").await.status, 200);
    let ours = told("event.created").expect("a description").schema;
    assert_eq!(server.get(path, &[OPERATOR]).await.json()["data"]["schema"], ours);
}

#[tokio::test]
async fn the_schema_book_follows_every_change_also_of_other_processes() {
    let (place, server) = fresh().await;
    let (tenant, book) = (tenant(&server), &server.app.schemas);
    server.put(ORDER, &json!({"schema": schema()})).await;
    let compiled = book.schema(&tenant, "order.created").expect("a schema");
    assert!(compiled.check(&json!({})).is_err() && compiled.check(&json!({"orderId": "1"})).is_ok());
    let elsewhere = place.app(crate::support::settings()).await;
    assert!(elsewhere.schemas.schema(&tenant, "order.created").is_some(), "loaded at start");
    server.send("DELETE", ORDER, &[OPERATOR], "").await;
    assert!(book.schema(&tenant, "order.created").is_none());
    elsewhere.schemas.refresh(&elsewhere.store).await.expect("a refresh");
    assert!(elsewhere.schemas.schema(&tenant, "order.created").is_none(), "seen at the next refresh");
}

#[tokio::test]
async fn an_unchanged_name_is_304_and_a_stale_change_412() {
    let (_place, server) = fresh().await;
    let first = server.put(ORDER, &json!({"description": "one"})).await;
    let tag = first.header("etag").expect("an ETag").to_owned();
    let same = server.get(ORDER, &[OPERATOR, ("if-none-match", &tag)]).await;
    assert_eq!((same.status, same.body.len(), same.header("etag")), (304, 0, Some(tag.as_str())));
    assert_eq!(server.get(ORDER, &[OPERATOR, ("if-none-match", "\"other\"")]).await.status, 200);
    let json_type = ("content-type", "application/json");
    let change = |tag: String| {
        let server = &server;
        async move {
            let headers = [OPERATOR, json_type, ("if-match", tag.as_str())];
            server.send("PUT", ORDER, &headers, r#"{"description":"two"}"#).await
        }
    };
    assert_eq!(change(tag.clone()).await.status, 200);
    let stale = change(tag.clone()).await;
    assert_eq!((stale.status, code(&stale).as_str()), (412, "PRECONDITION_FAILED"));
    let stale = server.send("DELETE", ORDER, &[OPERATOR, ("if-match", &tag)], "").await;
    assert_eq!(stale.status, 412);
    let absent =
        server.send("PUT", "/api/v1/event-types/new", &[OPERATOR, json_type, ("if-match", "*")], "{}").await;
    assert_eq!(absent.status, 412);
}

#[tokio::test]
async fn pages_of_the_catalogue_fit_together() {
    let (_place, server) = fresh().await;
    let mut names = Vec::new();
    for page in 1..=4 {
        let body = list(&server, &format!("?limit=5&page={page}")).await;
        assert_eq!(body["meta"]["hasMore"], page < 3, "{body}");
        names.extend(
            body["data"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()),
        );
    }
    assert_eq!(names.len(), 12);
    assert!(names.is_sorted());
    let cut = list(&server, "?fields=name&limit=1").await;
    assert_eq!(
        cut["data"],
        json!([{"_id": "event.created", "id": "event.created", "name": "event.created"}])
    );
}

#[tokio::test]
async fn reading_and_writing_need_their_scopes() {
    let (_place, server) = fresh().await;
    let (reader, _) = server.key(&["workflows:read"], None).await;
    assert_eq!(server.get("/api/v1/event-types", &[("x-api-key", &reader)]).await.status, 200);
    for method in ["PUT", "DELETE"] {
        let reply = server.send(method, ORDER, &[("x-api-key", &reader)], "").await;
        assert_eq!((reply.status, code(&reply).as_str()), (403, "FORBIDDEN"));
        assert!(reply.text().contains("workflows:write"));
    }
}
