//! A run that uses a secret everywhere: only the service it calls ever sees the value.
//!
//! Invariant: everything that is kept, answered or logged is searched.
//! Not here: the sealed rows (`openevent-store`), the single replacements (`openevent-engine`).

use crate::bed::{Bed, JSON, OPERATOR, on_both, workflow};
use openevent_domain::id::RunId;
use openevent_testkit::{Answer, Receiver};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::io;
use std::sync::Arc;

/// Values that are written differently in JSON, in addresses and in base64.
const VALUES: [&str; 5] =
    ["sk_live_51hush", "p\"a\\ss/w?rd&=%", "zwölf Käse\u{1f512}", "12345678", "{\"a\":1}"];

/// Everything that was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn listen_to_the_log() -> Log {
    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone());
    subscriber.init();
    log
}

/// Answers everything it was sent.
async fn mirror() -> Receiver {
    let receiver = Receiver::start().await;
    receiver.answer_with(|request, _| {
        let headers = ["authorization", "x-key"].map(|name| {
            let value = request.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
            (name.to_owned(), json!(value))
        });
        let body = String::from_utf8_lossy(&request.body).into_owned();
        let echo = json!({"target": request.target, "headers": Value::from_iter(headers), "body": body, "json": request.json()});
        Answer::json(&echo)
    });
    receiver
}

fn everywhere(receiver: &Receiver) -> String {
    let rest = format!(
        r"use:
  secrets: [ key, account ]
  authentications: {{ mine: {{ basic: {{ use: account }} }} }}
do:
- ask:
    input: {{ from: '${{ {{ k: $secrets.key }} }}' }}
    call: http
    with:
      method: post
      endpoint: {{ uri: '{}', authentication: {{ use: mine }} }}
      query: {{ key: '${{ $secrets.key }}' }}
      headers: {{ X-Key: '${{ $secrets.account.username }}' }}
      body: {{ nested: [ '${{ $secrets.key }}' ], text: '${{ (chr(60)) + $secrets.key }}' }}
- keep:
    set: {{ copied: '${{ $secrets.key }}', all: '${{ $secrets }}', echo: '${{ . }}', auth: '${{ $authorization }}' }}
- tell:
    emit: {{ event: {{ with: {{ type: told, source: https://shop.test, data: {{ copied: '${{ .copied }}' }} }} }} }}
",
        receiver.url("/{k}")
    );
    workflow("everywhere", "", &rest.replace("(chr(60))", "\"<\""))
}

async fn put(bed: &Bed, name: &str, value: &Value) {
    let body = json!({"value": value}).to_string();
    let reply = bed.send("PUT", &format!("/api/v1/secrets/{name}"), &[OPERATOR, JSON], body).await;
    assert!(matches!(reply.status, 200 | 201), "{}", reply.text());
}

/// The spellings of a value that a careless copy would have.
fn spellings(value: &str) -> Vec<String> {
    let encoded: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
    let in_json = Value::from(value).to_string();
    vec![value.to_owned(), encoded, in_json.trim_matches('"').to_owned()]
}

fn assert_hidden(value: &str, what: &str, text: &str) {
    for spelling in spellings(value) {
        assert!(!text.contains(&spelling), "{spelling} in {what}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_used_everywhere_is_seen_by_the_service_alone() {
    let log = listen_to_the_log();
    on_both(async |bed| {
        let receiver = mirror().await;
        let put_definition = bed.put("everywhere", &everywhere(&receiver)).await;
        assert_eq!(put_definition.status, 201, "{}", put_definition.text());
        for value in VALUES {
            put(bed, "key", &json!(value)).await;
            // A header takes no letter beyond ASCII but as bytes.
            put(bed, "account", &json!({"username": value, "password": value})).await;
            let run = bed.post("/api/v1/workflows/shop/everywhere/runs?wait=30s", &json!({})).await;
            let shown = run.json()["data"].clone();
            assert_eq!(shown["status"], "completed", "{shown}");

            let seen = receiver.requests().pop().unwrap();
            assert_eq!(seen.json(), json!({"nested": [value], "text": format!("<{value}")}));
            assert_eq!(shown["output"]["data"], json!({"copied": "***"}));
            let id = RunId::parse(shown["id"].as_str().unwrap()).unwrap();
            let tenant = &bed.app.keyring.operator().tenant;
            let row = bed.app.store.run(tenant, &id).await.unwrap().unwrap();
            let journal = bed.app.store.journal(&id).await.unwrap();
            assert!(!journal.is_empty());
            assert_hidden(value, "the run's row", &format!("{row:?}"));
            for entry in &journal {
                assert_hidden(value, "the journal", &entry.input);
            }
            for path in [
                format!("/api/v1/runs/{id}"),
                "/api/v1/runs".into(),
                "/api/v1/signals".into(),
                "/api/v1/secrets".into(),
            ] {
                let text = bed.get(&path).await.text();
                assert_hidden(value, &path, &text);
                assert!(!text.contains('\u{27e6}'), "a stand-in in {path}: {text}");
            }
        }
    })
    .await;
    let logged = String::from_utf8_lossy(&log.0.lock()).into_owned();
    assert!(!logged.is_empty());
    for value in VALUES {
        assert_hidden(value, "the log", &logged);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stand_in_sent_from_outside_is_text() {
    on_both(async |bed| {
        let receiver = mirror().await;
        let rest = format!(
            "use: {{ secrets: [ key ] }}\ndo:\n- ask:\n    call: http\n    with: {{ method: post, endpoint: '{}', body: '${{ . }}' }}\n",
            receiver.url("/")
        );
        assert_eq!(bed.put("pass", &workflow("pass", "", &rest)).await.status, 201);
        put(bed, "key", &json!("sk_live_51hush")).await;
        let guesses = json!({
            "a": "\u{27e6}secret:0000000000000000:key\u{27e7}", "b": "***", "c": "\u{27e6}secret:key\u{27e7}",
        });

        let run = bed.post("/api/v1/workflows/shop/pass/runs?wait=30s", &json!({"input": guesses})).await;

        assert_eq!(run.json()["data"]["status"], "completed", "{}", run.text());
        assert_eq!(receiver.requests()[0].json(), guesses);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_is_not_there_faults_who_reads_it_and_nobody_else() {
    on_both(async |bed| {
        let with = |task: &str| {
            format!("use: {{ secrets: [ absent ] }}\ndo:\n- note: {{ set: {{ n: '{task}' }} }}\n")
        };
        assert_eq!(bed.put("reads", &workflow("reads", "", &with("${ $secrets.absent }"))).await.status, 201);
        assert_eq!(bed.put("idle", &workflow("idle", "", &with("${ 1 }"))).await.status, 201);

        let reads = bed.post("/api/v1/workflows/shop/reads/runs?wait=30s", &json!({})).await.json();
        let idle = bed.post("/api/v1/workflows/shop/idle/runs?wait=30s", &json!({})).await.json();

        assert_eq!(
            (&reads["data"]["status"], &reads["data"]["error"]["status"]),
            (&json!("faulted"), &json!(403))
        );
        assert_eq!(idle["data"]["output"], json!({"n": 1}));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_can_be_a_secret_as_a_whole() {
    on_both(async |bed| {
        let receiver = Receiver::start().await;
        let hook = receiver.url("/services/T0/hush");
        put(bed, "hook", &json!(hook)).await;
        let rest = "use: { secrets: [ hook ] }\ndo:\n- ask:\n    call: http\n    with: { method: post, endpoint: '${ $secrets.hook }', query: { a: b }, body: {}, output: response }\n";
        assert_eq!(bed.put("hook", &workflow("hook", "", rest)).await.status, 201);

        let run = bed.post("/api/v1/workflows/shop/hook/runs?wait=30s", &json!({})).await;

        assert_eq!(run.json()["data"]["status"], "completed", "{}", run.text());
        assert_eq!(receiver.requests()[0].target, "/services/T0/hush?a=b");
        assert_hidden(&hook, "the answer", &run.text());
    })
    .await;
}
