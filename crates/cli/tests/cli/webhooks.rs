//! Checking signatures: our own command, and the code that receivers copy.
//!
//! Invariant: each accepts what we sign and nothing else. A language whose tool is not installed is left out.
//! Not here: Rust's (the domain's tests).

use crate::support::{BINARY, Place};
use openevent_domain::webhook::{DeliveryId, Signer, headers};
use openevent_testkit::{HttpClient, Receiver, ServerCommand};
use serde_json::json;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const BODY: &str = r#"{"id":"wh_1_a","event":"order.paid","timestamp":1,"data":{"a":"ü"}}"#;

#[expect(clippy::disallowed_methods, reason = "receivers look at the real clock")]
pub(crate) fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as i64
}

/// A language: its tool, how that says its version, and the program that reads a body from standard input.
fn languages(place: &Place) -> Vec<(&'static str, &'static str, Vec<PathBuf>)> {
    let receivers = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/receivers"));
    let path = |name: &str| receivers.join(name).display().to_string();
    let (js, py) = (path("verify.js"), path("verify.py"));
    let js = format!(
        "const {{ verify }} = require('{js}')\nconst [secret, at, signature] = process.argv.slice(2)\n\
         process.exit(verify(secret, at, signature, require('fs').readFileSync(0)) ? 0 : 1)\n"
    );
    let py = format!(
        "import sys\nexec(open('{py}').read())\n\
         sys.exit(0 if verify(*sys.argv[1:4], sys.stdin.buffer.read()) else 1)\n"
    );
    let go = "package main\n\nimport (\n\t\"io\"\n\t\"os\"\n)\n\nfunc main() {\n\tbody, _ := io.ReadAll(os.Stdin)\n\t\
              if !verify(os.Args[1], os.Args[2], os.Args[3], body) {\n\t\tos.Exit(1)\n\t}\n}\n";
    let go = place.write("main.go", go);
    vec![
        ("node", "--version", vec![place.write("check.js", &js)]),
        ("python3", "--version", vec![place.write("check.py", &py)]),
        ("go", "version", vec!["run".into(), go, receivers.join("verify.go")]),
    ]
}

fn is_there(tool: &str, version: &str) -> bool {
    let asked = Command::new(tool).arg(version).stdout(Stdio::null()).stderr(Stdio::null()).status();
    asked.is_ok_and(|status| status.success())
}

fn accepts(tool: &str, program: &[PathBuf], args: [&str; 3], body: &str) -> bool {
    let mut child = Command::new(tool)
        .args(program)
        .args(args)
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    child.stdin.take().expect("an input").write_all(body.as_bytes()).expect("it reads");
    child.wait().expect("it ends").success()
}

#[test]
fn the_code_that_receivers_copy_accepts_what_we_sign_and_nothing_else() {
    let place = Place::new();
    let signer = Signer::of(SECRET);
    let (at, old) = (now_ms(), now_ms() - 301_000);
    let signature = signer.documented(at, BODY.as_bytes());
    let stale = signer.documented(old, BODY.as_bytes());
    let (at, old) = (at.to_string(), old.to_string());
    for (tool, version, program) in languages(&place) {
        if !is_there(tool, version) {
            continue;
        }
        let accepts = |args, body| accepts(tool, &program, args, body);
        assert!(accepts([SECRET, &at, &signature], BODY), "{tool}");
        assert!(!accepts(["whsec_other", &at, &signature], BODY), "{tool}");
        assert!(!accepts([SECRET, &at, &signature], "{}"), "{tool}");
        assert!(!accepts([SECRET, &at, &stale], BODY), "{tool}");
        assert!(!accepts([SECRET, &old, &stale], BODY), "{tool}");
    }
}

/// The programs that ask an official library: `secret body`, with the three headers in the environment.
fn libraries(place: &Place) -> Vec<(PathBuf, PathBuf)> {
    let js = "const { Webhook } = require('standardwebhooks')\nconst e = process.env\n\
              new Webhook(process.argv[2]).verify(process.argv[3], { 'webhook-id': e.ID, 'webhook-timestamp': e.AT, 'webhook-signature': e.SIGNATURE })\n";
    let py = "import os, sys\nfrom standardwebhooks.webhooks import Webhook\ne = os.environ\n\
              Webhook(sys.argv[1]).verify(sys.argv[2], {'webhook-id': e['ID'], 'webhook-timestamp': e['AT'], 'webhook-signature': e['SIGNATURE']})\n";
    let mut libraries = vec![(variable("OPENEVENT_TEST_PYTHON"), place.write("library.py", py))];
    if !variable("OPENEVENT_TEST_NODE_PATH").as_os_str().is_empty() {
        libraries.push(("node".into(), place.write("library.js", js)));
    }
    libraries
}

/// What `cargo xtask test` says of what it installed.
fn variable(name: &str) -> PathBuf {
    std::env::var_os(name).expect("run by `cargo xtask test`").into()
}

#[test]
fn the_official_libraries_accept_what_we_sign_and_nothing_else() {
    let (place, at, id) = (Place::new(), now_ms(), DeliveryId::trusted("wh_1_a".into()));
    let other = "whsec_b3RoZXI=";
    let overlapping = [Signer::of(SECRET), Signer::of(other)];
    let made = headers(&id, "order.paid", overlapping.iter(), BODY.as_bytes(), at);
    let of = |name: &str| made.iter().find(|(known, _)| known == name).expect("a header").1.clone();
    let signed = ["webhook-id", "webhook-timestamp", "webhook-signature"].map(|name| (name, of(name)));

    for (tool, program) in libraries(&place) {
        let accepts = |secret: &str, body: &str| {
            let mut command = Command::new(&tool);
            command.arg(&program).args([secret, body]).stdout(Stdio::null()).stderr(Stdio::null());
            command.env("NODE_PATH", variable("OPENEVENT_TEST_NODE_PATH"));
            let names = ["ID", "AT", "SIGNATURE"].into_iter().zip(&signed);
            command.envs(names.map(|(name, (_, value))| (name, value)));
            command.status().expect("it runs").success()
        };
        assert!(accepts(SECRET, BODY) && accepts(other, BODY), "{}", tool.display());
        assert!(!accepts("whsec_c3RyYW5nZXI=", BODY) && !accepts(SECRET, "{}"), "{}", tool.display());
    }
    let sent: http::HeaderMap = signed
        .iter()
        .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().expect("a value")))
        .collect();
    for (secret, body, is_good) in [(SECRET, BODY, true), (other, BODY, true), (SECRET, "{}", false)] {
        let library = standardwebhooks::Webhook::new(secret).expect("a secret");
        assert_eq!(library.verify(body.as_bytes(), &sent).is_ok(), is_good, "{secret} {body}");
    }
}

#[test]
fn our_command_checks_both_kinds_of_signature() {
    let place = Place::new();
    let body = place.write("body.json", BODY);
    let (body, at) = (body.to_str().expect("UTF-8"), "1700000000");
    let signer = Signer::of(SECRET);
    let documented = signer.documented(1_700_000_000, BODY.as_bytes());
    let standard = format!("v1,bm8= {}", signer.standard("wh_1_a", 1_700_000_000, BODY.as_bytes()));
    let verify = |secret: &str, signature: &str| {
        let args = ["webhooks", "verify", "--secret", secret, "--timestamp", at, "--signature", signature];
        place.run(&[args.as_slice(), &["--id", "wh_1_a", "--body", body]].concat())
    };

    assert_eq!(verify(SECRET, &documented).code, Some(0));
    assert_eq!(verify(SECRET, &standard).code, Some(0));
    let other = verify("whsec_other", &documented);
    assert!(other.code == Some(1) && !other.stderr.contains("whsec_"), "{other:?}");
}

/// A process that ends with the test.
struct Listening(std::process::Child);

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn live_signals_are_forwarded_to_a_program_on_this_machine_signed_and_in_order() {
    let (place, client, receiver) = (Place::new(), HttpClient::new(), Receiver::start().await);
    let server = ServerCommand::new(BINARY).arg("--data-dir").arg(place.path("data"));
    let server = server.arg("--workflows").arg(place.path("workflows")).start().await;
    let auth = ("authorization", "Bearer dev-token");
    let send = async |name: &str, n: i64| {
        let body = json!({"name": name, "payload": {"n": n}});
        let reply = client.post_json(&server.url("/api/v1/events"), &[auth], &body).await;
        reply.json()["event_id"].as_str().expect("an id").to_owned()
    };
    let first = send("order.paid", 1).await;
    send("order.paid", 2).await;
    send("other.thing", 3).await;
    let listening = Command::new(BINARY)
        .args([
            "listen",
            "--forward-to",
            &receiver.url("/hook"),
            "--events",
            "order.*,never",
            "--secret",
            SECRET,
        ])
        .args(["--since", &first, "--url", &server.url("")])
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts");
    let _listening = Listening(listening);

    receiver.wait_for(1).await;
    send("order.sent", 4).await;
    let got = receiver.wait_for(2).await;

    let told: Vec<_> = got
        .iter()
        .map(|request| (request.json()["event"].clone(), request.json()["data"]["n"].clone()))
        .collect();
    assert_eq!(told, [(json!("order.paid"), json!(2)), (json!("order.sent"), json!(4))]);
    for request in got {
        let header = |name: &str| request.header(name).expect("a header").to_owned();
        let at = header("x-openevent-timestamp").parse().expect("a number");
        assert_eq!(header("x-openevent-signature"), Signer::of(SECRET).documented(at, &request.body));
    }
}
