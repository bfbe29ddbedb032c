//! `serve`: how it begins and ends.

use crate::support::{BINARY, Place};
use openevent_testkit::ServerCommand;

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

#[test]
fn a_token_that_looks_like_a_key_is_refused() {
    let place = Place::new();

    let ended =
        place.run_with(&["serve", "--listen", "127.0.0.1:0"], &[("COMPOZY_API_TOKEN", "oe_live_hush")]);

    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
    assert!(ended.stderr.contains("COMPOZY_API_TOKEN") && !ended.stderr.contains("hush"), "{}", ended.stderr);
}

#[tokio::test]
async fn keys_are_made_while_it_runs() {
    let place = Place::new();
    let running = server(&place).start().await;

    let made = place.run(&["keys", "create", "--name", "a", "--scopes", "*", "--json"]).json();

    assert!(made["key"].is_string());
    let mut running = running;
    running.terminate();
    assert_eq!(running.wait().await.code(), Some(0));
}
