//! The way out of the binary: through the operator's proxy, under the operator's authorities.
//!
//! Invariant: the address that is called is one of the documentation's networks, which only the proxy of the kit leads
//! anywhere from (to loopback).
//! Not here: what the client does with a proxy or a certificate (`crates/egress`).

use crate::support::{BINARY, Place};
use openevent_testkit::{ConnectProxy, HttpClient, Receiver, ServerCommand, ServerProcess, Tunnels, until};
use serde_json::{Value, json};

const BEYOND: &str = "203.0.113.7";
const AUTH: (&str, &str) = ("authorization", "Bearer dev-token");

/// A workflow that calls over http, and a webhook that is called over https.
struct Scene {
    place: Place,
    hooks: Receiver,
    calls: Receiver,
    proxy: ConnectProxy,
    client: HttpClient,
}

impl Scene {
    async fn with(tunnels: Tunnels) -> Self {
        let (hooks, calls) = (Receiver::start_tls(BEYOND).await, Receiver::start().await);
        let place = Place::new();
        place.write("ca.pem", hooks.certificate());
        std::fs::create_dir(place.path("workflows")).expect("the place can be written to");
        let workflow = format!(
            "document: {{dsl: '1.0.0', namespace: test, name: caller, version: '1.0.0'}}\n\
             schedule: {{on: {{one: {{with: {{type: order.paid}}}}}}}}\n\
             do:\n\
             - call: {{call: http, with: {{method: post, endpoint: 'http://{BEYOND}:{}/called'}}}}\n",
            calls.address().port()
        );
        place.write("workflows/caller.yaml", &workflow);
        Self { place, hooks, calls, proxy: ConnectProxy::start(tunnels).await, client: HttpClient::new() }
    }

    fn proxy(&self) -> String {
        format!("http://me:hush@{}", self.proxy.address())
    }

    async fn serve(&self) -> ServerProcess {
        let server = ServerCommand::new(BINARY)
            .env("OPENEVENT_DATA_DIR", self.place.path("data"))
            .env("OPENEVENT_WORKFLOWS", self.place.path("workflows"))
            .env("OPENEVENT_EGRESS_ALLOW", BEYOND)
            .env("OPENEVENT_EGRESS_PROXY", self.proxy())
            .env("OPENEVENT_EGRESS_CA_FILE", self.place.path("ca.pem"))
            .env("OPENEVENT_LOG", "debug");
        server.start().await
    }

    /// Makes a webhook and sends the signal that it and the workflow wait for; where its deliveries and its run are.
    async fn send(&self, server: &ServerProcess) -> (String, String) {
        let url = format!("https://{BEYOND}:{}/hook", self.hooks.address().port());
        let body = json!({"name": "hook", "url": url, "events": ["order.*"]});
        let made = self.client.post_json(&server.url("/api/v1/webhooks"), &[AUTH], &body).await.json();
        let webhook = made["data"]["id"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned();
        let signal = json!({"name": "order.paid"});
        let sent = self.client.post_json(&server.url("/api/v1/events"), &[AUTH], &signal).await.json();
        let run = sent["data"]["runs"][0]["run_id"].as_str().unwrap_or_else(|| panic!("{sent}"));
        (format!("/api/v1/webhooks/{webhook}/deliveries"), format!("/api/v1/runs/{run}"))
    }

    async fn wait(&self, server: &ServerProcess, path: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
        let question = async || {
            let data = self.client.get(&server.url(path), &[AUTH]).await.json()["data"].clone();
            is_wanted(&data).then_some(data)
        };
        until(path, question).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_and_workflows_go_through_the_proxy_and_trust_the_operators_authorities() {
    let scene = Scene::with(Tunnels::Open).await;
    let server = scene.serve().await;

    let (deliveries, run) = scene.send(&server).await;
    scene.wait(&server, &deliveries, |list| list[0]["status"] == "delivered").await;
    scene.wait(&server, &run, |run| run["status"] == "completed").await;

    assert_eq!((scene.hooks.count(), scene.calls.count()), (1, 1));
    let asked = scene.proxy.asked();
    for port in [scene.hooks.address().port(), scene.calls.address().port()] {
        let begins = format!("CONNECT {BEYOND}:{port} HTTP/1.1\r\n");
        let head = asked.iter().find(|head| head.starts_with(&begins)).unwrap_or_else(|| panic!("{asked:?}"));
        // base64 of "me:hush"
        assert!(head.contains("\r\nProxy-Authorization: Basic bWU6aHVzaA==\r\n"), "{head}");
    }
    assert!(!server.stderr().contains("hush") && !server.stderr().contains("bWU6"), "{}", server.stderr());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_refuses_is_a_failure_that_says_so_and_keeps_its_password() {
    const WHY: &str = "the proxy does not accept this server's credentials (407)";
    let scene = Scene::with(Tunnels::Refused(407)).await;
    let server = scene.serve().await;

    let (deliveries, run) = scene.send(&server).await;
    let list = scene.wait(&server, &deliveries, |list| list[0]["attemptCount"] == 1).await;
    let run = scene.wait(&server, &run, |run| run["status"] == "faulted").await;

    assert_eq!(list[0]["attempts"][0]["error"], WHY, "{list}");
    assert!(run["error"].to_string().contains(WHY), "{run}");
    assert_eq!((scene.hooks.count(), scene.calls.count()), (0, 0));
    assert!(!server.stderr().contains("hush") && !server.stderr().contains("bWU6"), "{}", server.stderr());
    assert!(!format!("{list} {run}").contains("hush"));
}

#[test]
fn the_doctor_shows_the_proxy_without_its_password() {
    let place = Place::new();
    let proxy = [("OPENEVENT_EGRESS_PROXY", "http://me:hush@proxy.corp:3128")];

    let ended = place.run_with(&["doctor", "--json"], &proxy);

    assert_eq!(ended.json()["settings"]["egress_proxy"], "http://***@proxy.corp:3128");
    assert!(!format!("{ended:?}").contains("hush"));
}

#[test]
fn a_server_does_not_begin_without_the_authorities_it_was_given() {
    let place = Place::new();
    let path = place.write("ca.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let file = [("OPENEVENT_EGRESS_CA_FILE", path.to_str().unwrap())];

    let ended = place.run_with(&["serve", "--listen", "127.0.0.1:0"], &file);

    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
    for expected in ["OPENEVENT_EGRESS_CA_FILE", path.to_str().unwrap(), "certificate 1 "] {
        assert!(ended.stderr.contains(expected), "{}", ended.stderr);
    }
}
