//! Sources: other people's servers, configured in the file, whose messages become signals.

use crate::support::{BINARY, Place};
use http::Method;
use openevent_domain::webhook::Signer;
use openevent_testkit::{HttpClient, RedisServer, ServerCommand, ServerProcess, postgres_url, until};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const AUTH: (&str, &str) = ("authorization", "Bearer dev-token");

/// A server with this file of settings.
fn server(place: &Place, settings: &str) -> ServerCommand {
    let file = place.write("openevent.toml", settings);
    let server = ServerCommand::new(BINARY).arg("--config").arg(file);
    server.arg("--data-dir").arg(place.path("data")).arg("--workflows").arg(place.path("workflows"))
}

/// All signals of a name, oldest first.
async fn signals(server: &ServerProcess, name: &str) -> Vec<Value> {
    let (client, mut all, mut cursor) = (HttpClient::new(), Vec::new(), String::new());
    loop {
        let path = format!("/api/v1/signals?name={name}&sort=receivedAt&limit=100&cursor={cursor}");
        let page = client.get(&server.url(&path), &[AUTH]).await.json();
        all.extend(page["data"].as_array().cloned().unwrap_or_default());
        match page["meta"]["nextCursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => return all,
        }
    }
}

/// Waits for so many signals of a name.
async fn signals_of(server: &ServerProcess, name: &str, count: usize) -> Vec<Value> {
    until(&format!("{count} signals {name}"), async || {
        let all = signals(server, name).await;
        (all.len() >= count).then_some(all)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_redis_become_signals_that_say_where_they_came_from() {
    let (place, redis) = (Place::new(), RedisServer::start_with_password("hush").await);
    let settings = "[sources.orders]\nkind = \"redis\"\nurl_env = \"ORDERS_REDIS_URL\"\n\
                    channels = [\"orders\"]\nstreams = [\"ledger\"]\n";
    let url = redis.url().replace("redis://", "redis://:hush@");
    let running = server(&place, settings).env("ORDERS_REDIS_URL", &url).start().await;

    until("the server listens", async || {
        (redis.ask(&["PUBLISH", "orders", r#"{"orderId":"1"}"#]).await != "0").then_some(())
    })
    .await;
    let entry = redis.ask(&["XADD", "ledger", "*", "data", r#"{"total":5}"#]).await;
    redis.ask(&["XADD", "ledger", "*", "data", "[[[".repeat(30).as_str()]).await;

    let heard = signals_of(&running, "queue.orders", 1).await;
    let consumed = signals_of(&running, "queue.ledger", 2).await;
    assert_eq!(heard[0]["payload"], json!({"orderId": "1"}));
    assert_eq!(consumed[0]["payload"], json!({"total": 5}));
    let attributes =
        json!({"source": "sources/orders", "subject": "ledger", "id": format!("ledger/{entry}")});
    assert_eq!(consumed[0]["attributes"], attributes);
    let measured = HttpClient::new().get(&running.url("/metrics"), &[AUTH]).await.text();
    let counted = r#"openevent_source_messages_total{source="orders",outcome="accepted"} 3"#;
    assert!(measured.contains(counted), "{measured}");
    assert!(!running.stderr().contains("hush"), "{}", running.stderr());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_a_schema_refuses_is_acknowledged_counted_and_logged() {
    let (place, redis, client) = (Place::new(), RedisServer::start().await, HttpClient::new());
    let settings = format!("[sources.a]\nkind = \"redis\"\nurl = \"{}\"\nstreams = \"s\"\n", redis.url());
    let running = server(&place, &settings).start().await;
    let schema = json!({"schema": {"type": "object", "required": ["n"]}}).to_string();
    let put = [AUTH, ("content-type", "application/json")];
    let url = running.url("/api/v1/event-types/queue.s");
    assert!(client.request(Method::PUT, &url, &put, schema).await.status < 300);

    redis.ask(&["XADD", "s", "*", "m", "hush"]).await;
    redis.ask(&["XADD", "s", "*", "n", "1"]).await;

    let taken = signals_of(&running, "queue.s", 1).await;
    assert_eq!((taken.len(), &taken[0]["payload"]), (1, &json!({"n": "1"})));
    let measured = client.get(&running.url("/metrics"), &[AUTH]).await.text();
    let counted = r#"openevent_source_messages_total{source="a",outcome="refused"} 1"#;
    assert!(measured.contains(counted), "{measured}");
    let log = running.stderr();
    assert!(log.contains("can never become signals") && !log.contains("hush"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_of_a_stream_count_once_however_often_the_server_is_killed() {
    const COUNT: usize = 1_500;
    let (place, redis) = (Place::new(), RedisServer::start().await);
    let settings = format!("[sources.a]\nkind = \"redis\"\nurl = \"{}\"\nstreams = \"s\"\n", redis.url());
    let command = server(&place, &settings);
    let script = "for n = 1, ARGV[1] do redis.call('XADD', KEYS[1], '*', 'n', string.format('%d', n)) end";
    redis.ask(&["EVAL", script, "1", "s", &COUNT.to_string()]).await;

    for kill in 1..=4 {
        let running = command.start().await;
        signals_of(&running, "queue.s", kill * 150).await;
        running.kill().await;
    }
    let running = command.start().await;
    until("all is acknowledged", async || {
        let group = redis.ask(&["XINFO", "GROUPS", "s"]).await;
        let lines: Vec<&str> = group.lines().collect();
        let value = |name: &str| lines.iter().position(|line| *line == name).map(|at| lines[at + 1]);
        (value("pending") == Some("0") && value("lag") == Some("0")).then_some(())
    })
    .await;

    let all = signals(&running, "queue.s").await;
    let numbers: BTreeSet<_> = all.iter().filter_map(|one| one["payload"]["n"].as_str()).collect();
    assert_eq!((all.len(), numbers.len()), (COUNT, COUNT));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_asks_the_sources_and_shows_no_password() {
    let (place, redis) = (Place::new(), RedisServer::start_with_password("right").await);
    let settings = |name: &str, password: &str| {
        let url = redis.url().replace("redis://", &format!("redis://:{password}@"));
        format!("[sources.{name}]\nkind = \"redis\"\nurl = \"{url}\"\nchannels = \"x\"\n")
    };

    place.write("openevent.toml", &settings("good", "right"));
    let well = place.run(&["doctor"]);
    place.write("openevent.toml", &[settings("good", "right"), settings("bad", "hush")].concat());
    let ill = place.run(&["doctor", "--json"]);

    let address = redis.address().to_string();
    assert_eq!(well.code, Some(0), "{well:?}");
    assert!(well.stdout.contains(&format!("good: redis at {address}, channels x")), "{well:?}");
    assert_eq!(ill.code, Some(1), "{ill:?}");
    assert!(ill.stdout.contains("the server refuses the user or the password"), "{ill:?}");
    assert!(!ill.stdout.contains("hush") && !ill.stdout.contains("right"), "{ill:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_an_outbox_count_once_however_often_the_server_is_killed() {
    const COUNT: usize = 1_500;
    let (place, shop) = (Place::new(), postgres_url().await);
    shop.run(&place.run(&["sources", "outbox-sql"]).stdout).await;
    shop.run(&format!(
        "INSERT INTO openevent_outbox (name, payload) \
         SELECT 'order.created', jsonb_build_object('n', n) FROM generate_series(1, {COUNT}) n"
    ))
    .await;
    let settings = format!(
        "[sources.shop]\nkind = \"postgres\"\nurl = \"{}\"\noutbox = \"openevent_outbox\"\n",
        shop.url()
    );
    let command = server(&place, &settings);

    for kill in 1..=4 {
        let running = command.start().await;
        signals_of(&running, "order.created", kill * 150).await;
        running.kill().await;
    }
    let running = command.start().await;
    signals_of(&running, "order.created", COUNT).await;
    shop.run("INSERT INTO openevent_outbox (name) VALUES ('order.last')").await;
    signals_of(&running, "order.last", 1).await;

    let all = signals(&running, "order.created").await;
    let numbers: BTreeSet<_> = all.iter().filter_map(|one| one["payload"]["n"].as_i64()).collect();
    assert_eq!((all.len(), numbers.len()), (COUNT, COUNT));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_dies_is_followed_by_another() {
    let (place, redis, shared) = (Place::new(), RedisServer::start().await, postgres_url().await);
    let settings = format!("[sources.a]\nkind = \"redis\"\nurl = \"{}\"\nstreams = \"s\"\n", redis.url());
    let command = server(&place, &settings).env("DATABASE_URL", shared.url());
    let add = async |n: &str| redis.ask(&["XADD", "s", "*", "n", n]).await;
    let (first, second) = (command.start().await, command.start().await);
    add("1").await;
    signals_of(&second, "queue.s", 1).await;

    first.kill().await;
    add("2").await;

    let all = signals_of(&second, "queue.s", 2).await;
    assert_eq!((&all[0]["payload"]["n"], &all[1]["payload"]["n"]), (&json!("1"), &json!("2")));
}

#[test]
fn the_sql_of_an_outbox_is_printed_for_any_table() {
    let place = Place::new();
    let printed = place.run(&["sources", "outbox-sql", "--table", "app.events"]);
    assert!(printed.stdout.contains("CREATE TABLE IF NOT EXISTS \"app\".\"events\""), "{printed:?}");
    assert!(printed.stdout.contains("pg_notify('app.events', '')"), "{printed:?}");

    let refused = place.run(&["sources", "outbox-sql", "--table", "a;b"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configured_sender_of_webhooks_is_taken_in_and_stays_the_same_over_a_restart() {
    let (place, client) = (Place::new(), HttpClient::new());
    let settings = "[sources.crm]\nkind = \"hook\"\npreset = \"standard-webhooks\"\nsecret_env = \"CRM_SECRET\"\n\
                    event_name = '\"crm.\" + .type'\npayload = \".data\"\n";
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let start = async || server(&place, settings).env("CRM_SECRET", secret).start().await;
    let source = async |running: &ServerProcess| {
        let list = client.get(&running.url("/api/v1/sources"), &[AUTH]).await.json();
        list["data"].as_array().expect("a list").clone()
    };
    let mut running = start().await;
    let made = source(&running).await;
    assert_eq!((made.len(), &made[0]["name"], &made[0]["hasSecret"]), (1, &json!("crm"), &json!(true)));

    let body = r#"{"type": "lead", "data": {"name": "Ada"}}"#;
    let at = crate::webhooks::now_ms() / 1_000;
    let signature = Signer::of(secret).standard("msg_1", at, body.as_bytes());
    let (at, url) = (at.to_string(), running.url("/api/v1/hooks/crm"));
    let headers = [("webhook-id", "msg_1"), ("webhook-timestamp", &*at), ("webhook-signature", &*signature)];
    let taken = client.request(Method::POST, &url, &headers, body).await;
    let refused = client.request(Method::POST, &url, &headers, "{}").await;

    assert_eq!((taken.status, refused.status), (202, 401), "{}", taken.text());
    assert_eq!(signals(&running, "crm.lead").await[0]["payload"], json!({"name": "Ada"}));
    assert!(!running.stderr().contains("whsec_"));
    running.terminate();
    running.wait().await;
    let again = start().await;
    assert_eq!(source(&again).await, made, "nothing was changed");
}

#[test]
fn a_sender_of_webhooks_that_cannot_be_is_told_at_start() {
    let place = Place::new();
    let file = place
        .write("openevent.toml", "[sources.crm]\nkind = \"hook\"\npreset = \"fax\"\nevent_name = \".a[\"\n");
    let (file, data) = (file.display().to_string(), place.path("data").display().to_string());
    let ended = place.run(&["--config", &file, "serve", "--listen", "127.0.0.1:0", "--data-dir", &data]);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("[sources.crm] is not usable: `preset`"), "{}", ended.stderr);
}
