//! `serve`: how it begins and ends.

use crate::support::{BINARY, Place};
use openevent_testkit::{Answer, Receiver, ServerCommand};
use serde_json::json;

fn server(place: &Place) -> ServerCommand {
    let server = ServerCommand::new(BINARY).arg("--data-dir").arg(place.path("data"));
    server.arg("--workflows").arg(place.path("workflows"))
}

#[tokio::test]
async fn it_says_where_it_listens_and_ends_well_on_sigterm() {
    let place = Place::new();

    let mut running = server(&place).start().await;
    running.terminate();
    let status = running.wait().await;

    assert_eq!(status.code(), Some(0), "{}", running.stderr());
    assert_eq!(running.stdout(), format!("listening on {}", running.base_url()));
}

#[tokio::test]
async fn a_port_in_use_is_refused_before_any_data_is_made() {
    let place = Place::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();

    let ended = place.run(&["serve", "--listen", &address]);

    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    assert!(ended.stderr.contains(&address) && ended.stderr.contains("--listen"), "{}", ended.stderr);
    assert!(!place.path("data").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_on_the_same_data_is_refused_until_the_first_is_gone() {
    let place = Place::new();
    let first = server(&place).start().await;

    let second = place.run(&["serve", "--listen", "127.0.0.1:0"]);
    first.kill().await;
    let third = server(&place).start().await;

    assert_eq!((second.code, second.stdout.as_str()), (Some(1), ""));
    assert!(second.stderr.contains("another server works on the data"), "{}", second.stderr);
    assert!(third.base_url().starts_with("http://"));
}

#[test]
fn a_token_that_looks_like_a_key_is_refused() {
    let place = Place::new();

    let ended =
        place.run_with(&["serve", "--listen", "127.0.0.1:0"], &[("COMPOZY_API_TOKEN", "oe_live_hush")]);

    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
    assert!(ended.stderr.contains("COMPOZY_API_TOKEN") && !ended.stderr.contains("hush"), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_made_while_it_runs_is_accepted() {
    let place = Place::new();
    let running = server(&place).start().await;

    let made = place.run(&["keys", "create", "--name", "a", "--scopes", "events:write", "--json"]).json();
    let key = made["key"].as_str().unwrap();
    let send = ["signals", "send", "order.created", "--url", running.base_url(), "--token", key, "--json"];

    assert!(place.run(&send).json()["data"]["event_id"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_runs_from_signal_to_output() {
    let place = Place::new();
    let example = include_str!("../../../../workflows/order-created.yaml");
    std::fs::create_dir(place.path("workflows")).unwrap();
    let receiver = Receiver::start().await;
    receiver.answer_with(|_, _| Answer::json(&json!({"status": "open"})));
    place.write("workflows/order-created.yaml", &example.replace("http://127.0.0.1:8080", &receiver.url("")));
    let running = server(&place).start().await;
    let url = ["--url", running.base_url()];

    let send = ["signals", "send", "order.created", "--payload", r#"{"orderId":"order_456"}"#, "--json"];
    let sent = place.run(&[&send[..], &url].concat()).json();
    let run_id = sent["data"]["runs"][0]["run_id"].as_str().unwrap_or_else(|| panic!("{sent}"));
    let shown = place.run(&[&["runs", "show", run_id, "--watch", "--json"], &url[..]].concat()).json();
    let tree = place.run(&[&["runs", "show", run_id], &url[..]].concat()).stdout;
    let listed = place.run(&[&["runs", "list", "--status", "completed"], &url[..]].concat()).stdout;

    assert_eq!(shown["data"]["status"], "completed", "{shown}");
    assert_eq!(shown["data"]["output"]["message"], "Order order_456 is confirmed.", "{shown}");
    assert_eq!(receiver.requests()[0].path(), "/health");
    assert!(tree.contains("├─ ✓ checkShop") && tree.contains("└─ ✓ confirm"), "{tree}");
    assert!(listed.contains(run_id), "{listed}");
}
