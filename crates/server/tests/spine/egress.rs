//! Where webhooks must never lead, and receivers that are up to no good.
//!
//! Invariant: what must not be contacted is a trap on loopback that has heard nothing; whatever a receiver does, its
//! attempt fails with a reason and the others' deliveries arrive.
//! Not here: the client's own tests (`crates/egress`), the rules of registration (`domain::webhook::target`).

use crate::bed::Bed;
use crate::deliveries::{Webhook, all_are};
use openevent_egress::{
    Addresses, Client, Limits, Loopback, Policy, Proxy, Resolve, Setup, parse_allow_list, parse_roots,
};
use openevent_testkit::{Answer, BadReceiver, Misbehaviour, Receiver};
use serde_json::{Value, json};
use std::collections::{HashMap, VecDeque};
use std::io::ErrorKind;
use std::net::{IpAddr, TcpListener};
use std::sync::{Arc, Mutex};

/// Hosts as they can be written in a URL, and what is said of the address they lead to.
const WRITTEN: &[(&str, &str)] = &[
    ("127.0.0.1", "loopback"),
    ("127.1", "loopback"),
    ("2130706433", "loopback"),
    ("0x7f000001", "loopback"),
    ("0x7f.1", "loopback"),
    ("0177.0.0.1", "loopback"),
    ("017700000001", "loopback"),
    ("127.0.0.1.", "loopback"),
    ("%31%32%37.0.0.1", "loopback"),
    ("①②⑦.⓪.⓪.①", "loopback"),
    ("[::1]", "loopback"),
    ("[0:0:0:0:0:0:0:1]", "loopback"),
    ("[::ffff:127.0.0.1]", "loopback"),
    ("[::ffff:7f00:1]", "loopback"),
    ("[64:ff9b::7f00:1]", "loopback"),
    ("[::127.0.0.1]", "tunnel or embedded address"),
    ("[2002:7f00:1::]", "tunnel or embedded address"),
    ("[64:ff9b:1::7f00:1]", "tunnel or embedded address"),
    ("0", "unspecified"),
    ("0.0.0.0", "unspecified"),
    ("[::]", "unspecified"),
    ("10.0.0.1", "private network"),
    ("172.16.0.1", "private network"),
    ("192.168.0.1", "private network"),
    ("0xa000001", "private network"),
    ("012.0.0.1", "private network"),
    ("[::ffff:10.0.0.1]", "private network"),
    ("[64:ff9b::a00:1]", "private network"),
    ("[fd00::1]", "private network"),
    ("100.64.0.1", "carrier-grade NAT"),
    ("169.254.0.1", "link-local"),
    ("[fe80::1]", "link-local"),
    ("169.254.169.254", "cloud metadata"),
    ("2852039166", "cloud metadata"),
    ("0xa9fea9fe", "cloud metadata"),
    ("0251.0376.0251.0376", "cloud metadata"),
    ("[::ffff:169.254.169.254]", "cloud metadata"),
    ("[64:ff9b::a9fe:a9fe]", "cloud metadata"),
    ("[fd00:ec2::254]", "cloud metadata"),
    ("224.0.0.1", "multicast or broadcast"),
    ("255.255.255.255", "multicast or broadcast"),
    ("[ff02::1]", "multicast or broadcast"),
];

/// Names that lead there.
const NAMED: &[(&str, &str, &str)] = &[
    ("localhost", "127.0.0.1", "loopback"),
    ("loopback.test", "::1", "loopback"),
    ("mapped.test", "::ffff:127.0.0.1", "loopback"),
    ("translated.test", "64:ff9b::7f00:1", "loopback"),
    ("private.test", "10.0.0.1", "private network"),
    ("metadata.test", "169.254.169.254", "cloud metadata"),
    ("multicast.test", "224.0.0.1", "multicast or broadcast"),
];

/// A name server of the test's own: each question about a name takes its next answer, the last one stays.
#[derive(Clone, Default)]
struct Names(Arc<Mutex<HashMap<String, VecDeque<IpAddr>>>>);

impl Names {
    fn lead(self, name: &str, answers: &[&str]) -> Self {
        let answers = answers.iter().map(|text| text.parse().expect("an address")).collect();
        self.0.lock().expect("no test panics here").insert(name.to_owned(), answers);
        self
    }

    /// Answers that were not given yet.
    fn left(&self, name: &str) -> usize {
        self.0.lock().expect("no test panics here").get(name).map_or(0, VecDeque::len)
    }
}

impl Resolve for Names {
    fn resolve(&self, host: &str) -> Addresses {
        let mut names = self.0.lock().expect("no test panics here");
        let answers = names.get_mut(host);
        let answer =
            answers.and_then(|all| if all.len() > 1 { all.pop_front() } else { all.front().copied() });
        Box::pin(async move { answer.map(|ip| vec![ip]).ok_or_else(|| ErrorKind::NotFound.into()) })
    }
}

/// The way out in production, with these exceptions, names and authorities.
fn outside(allow: &str, names: &Names, pem: &str) -> Client {
    let policy = Policy::new(parse_allow_list(allow).expect("a list"), Loopback::Refused);
    let setup = Setup {
        resolver: Some(Arc::new(names.clone())),
        extra_roots: parse_roots(pem.as_bytes()).unwrap_or_default(),
        proxy: None,
    };
    Client::with_setup(policy, Limits::default(), setup)
}

async fn webhook(bed: &Bed, url: &str) -> Webhook {
    Webhook::made(bed, &json!({"name": url, "url": url, "events": ["order.*"]})).await
}

/// The first attempt of a webhook's only delivery.
async fn first_attempt(bed: &Bed, webhook: &Webhook) -> Value {
    let list = bed.until(&webhook.deliveries(), |list| list[0]["attemptCount"] == 1).await;
    assert_eq!(list[0]["status"], "pending", "it is tried again: {list}");
    list[0]["attempts"][0].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_that_are_not_public_are_never_contacted_however_they_are_written() {
    let trap = BadReceiver::start(Misbehaviour::Silence).await;
    let port = trap.address().port();
    let lead = |names: Names, &(name, ip, _): &(&str, &str, &str)| names.lead(name, &[ip]);
    let names = NAMED.iter().fold(Names::default(), lead);
    let known = Receiver::start_tls("any.test").await;
    let bed = Bed::reached_by_others(outside("", &names, known.certificate())).await;
    let named = NAMED.iter().map(|(name, _, range)| (*name, *range));
    let mut hooks = Vec::new();
    for (host, range) in WRITTEN.iter().copied().chain(named) {
        let plain = json!({"name": "n", "url": format!("http://{host}:{port}/"), "events": ["*"]});
        assert_eq!(bed.post("/api/v1/webhooks", &plain).await.status, 400, "{host}");
        hooks.push((host, range, webhook(&bed, &format!("https://{host}:{port}/")).await));
    }

    bed.signal("order.paid", json!({})).await;

    for (host, range, hook) in &hooks {
        let attempt = first_attempt(&bed, hook).await;
        let expected = format!("the address of the host is not allowed ({range})");
        assert_eq!((&attempt["error"], attempt.get("status")), (&json!(expected), None), "{host}");
    }
    assert_eq!(trap.connections(), 0);
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_changes_its_answer_is_called_where_it_was_checked_and_checked_again() {
    let good = Receiver::start_tls("rebind.test").await;
    good.answer_with(|_, _| Answer::status(500).header("connection", "close"));
    let port = good.address().port();
    let trap = TcpListener::bind(("127.0.0.2", port)).expect("the neighbour's port is free");
    trap.set_nonblocking(true).expect("a socket");
    let names = Names::default().lead("rebind.test", &["127.0.0.1", "127.0.0.2"]);
    let bed = Bed::reached_by_others(outside("127.0.0.1", &names, good.certificate())).await;
    let hook = webhook(&bed, &format!("https://rebind.test:{port}/")).await;

    bed.signal("order.paid", json!({})).await;
    let first = first_attempt(&bed, &hook).await;
    let asked_once = names.left("rebind.test");
    let list = bed.forward_until(60_000, &hook.deliveries(), |list| list[0]["attemptCount"] == 5).await;

    assert_eq!((&first["status"], asked_once), (&json!(500), 1));
    for attempt in &list[0]["attempts"].as_array().expect("attempts")[1..] {
        assert_eq!(attempt["error"], "the address of the host is not allowed (loopback)", "{list}");
    }
    assert_eq!(good.count(), 1);
    assert_eq!(trap.accept().map_err(|none| none.kind()).err(), Some(ErrorKind::WouldBlock));
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redirects_lead_nowhere() {
    let trap = BadReceiver::start(Misbehaviour::Silence).await;
    let door = Receiver::start().await;
    // In development, where the trap itself could be called: only that nothing is followed keeps it silent.
    let targets = [
        (301, trap.url("/")),
        (302, format!("//{}/", trap.address())),
        (303, format!("http://2130706433:{}/", trap.address().port())),
        (307, format!("http://[::ffff:127.0.0.1]:{}/", trap.address().port())),
        (308, "http://169.254.169.254/latest/meta-data/".to_owned()),
    ];
    let shown = targets.clone();
    door.answer_with(move |_, n| Answer::redirect(targets[n].0, targets[n].1.clone()));
    let bed = Bed::sqlite().await;
    let hook = webhook(&bed, &door.url("/hook")).await;

    bed.signal("order.paid", json!({})).await;
    let list = bed.forward_until(60_000, &hook.deliveries(), all_are("held", 1)).await;

    for (attempt, (status, target)) in list[0]["attempts"].as_array().expect("attempts").iter().zip(&shown) {
        assert_eq!(attempt["status"], *status, "{target}");
    }
    assert!(
        list[0]["reason"].as_str().is_some_and(|why| why.contains("redirects are not followed")),
        "{list}"
    );
    assert_eq!((door.count(), trap.connections()), (5, 0));
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receivers_that_break_http_are_failed_attempts_with_a_reason_and_nobody_elses_concern() {
    const CUT: &str = "the connection was closed before the answer was complete";
    const LONG: &str = "the answer is longer than 262144 bytes";
    const LATE: &str = "timed out while waiting for the answer";
    const NO_HTTP: &str = "the answer is not valid HTTP";
    let bed = Bed::sqlite().await;
    let good = Receiver::start().await;
    let mut hooks = Vec::new();
    for (how, expected) in [
        (Misbehaviour::Silence, LATE),
        (Misbehaviour::DripHead, LATE),
        (Misbehaviour::InformationalForever, LATE),
        (Misbehaviour::Drip, "timed out while reading the answer"),
        (Misbehaviour::Endless, LONG),
        (Misbehaviour::HugeLength, LONG),
        (Misbehaviour::EndlessHead, NO_HTTP),
        (Misbehaviour::NotHttp, NO_HTTP),
        (Misbehaviour::Http2Frames, NO_HTTP),
        (Misbehaviour::CloseAtOnce, CUT),
        (Misbehaviour::CloseMidChunk, CUT),
    ] {
        let receiver = BadReceiver::start(how).await;
        let hook = webhook(&bed, &receiver.url("/hook")).await;
        hooks.push((how, expected, receiver, hook));
    }
    let circle = BadReceiver::start(Misbehaviour::RedirectCircle).await;
    let circling = webhook(&bed, &circle.url("/hook")).await;
    let well = webhook(&bed, &good.url("/hook")).await;

    bed.signal("order.paid", json!({"n": 1})).await;
    bed.until(&well.deliveries(), all_are("delivered", 1)).await;

    for (how, expected, receiver, hook) in &hooks {
        let attempt = first_attempt(&bed, hook).await;
        assert_eq!((&attempt["error"], attempt.get("status")), (&json!(expected), None), "{how:?}");
        assert_eq!(bed.data(&hook.path).await["failureCount"], 1, "{how:?}");
        if *how != Misbehaviour::Silence {
            // What still comes in is nobody's: the flood ends with the attempt.
            receiver.wait_until_left().await;
        }
    }
    assert_eq!(first_attempt(&bed, &circling).await["status"], 302);
    assert_eq!((circle.connections(), good.count()), (1, 1));
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receivers_that_break_tls_are_failed_attempts_with_a_reason_and_nobody_elses_concern() {
    let (good, stranger) = (Receiver::start_tls("good.test").await, Receiver::start_tls("bad.test").await);
    let (plain, silent) = (Receiver::start().await, BadReceiver::start(Misbehaviour::Silence).await);
    let lead = |names: Names, name| names.lead(name, &["127.0.0.1"]);
    let names = ["good.test", "bad.test"].into_iter().fold(Names::default(), lead);
    let bed = Bed::reached_by_others(outside("127.0.0.1", &names, good.certificate())).await;
    let cases = [
        ("bad.test", stranger.address(), "the TLS handshake failed: the certificate is not trusted"),
        ("bad.test", good.address(), "the TLS handshake failed: the certificate is for another name"),
        ("bad.test", plain.address(), "the TLS handshake failed: the other side speaks no TLS that we do"),
        ("bad.test", silent.address(), "timed out while negotiating TLS"),
    ];
    let mut hooks = Vec::new();
    for (host, address, expected) in cases {
        hooks.push((expected, webhook(&bed, &format!("https://{host}:{}/", address.port())).await));
    }
    let well = webhook(&bed, &format!("https://good.test:{}/", good.address().port())).await;

    bed.signal("order.paid", json!({"n": 1})).await;
    bed.until(&well.deliveries(), all_are("delivered", 1)).await;

    for (expected, hook) in &hooks {
        assert_eq!(first_attempt(&bed, hook).await["error"], *expected);
    }
    assert_eq!((good.count(), stranger.count(), plain.count()), (1, 0, 0));
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_is_away_is_not_held_against_a_webhook() {
    let unbound = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("an address");
    let proxy = Proxy::parse(&format!("http://{unbound}")).expect("a proxy");
    let known = Receiver::start_tls("any.test").await;
    let extra_roots = parse_roots(known.certificate().as_bytes()).expect("a certificate");
    let setup = Setup { proxy: Some(proxy), extra_roots, resolver: None };
    let policy = Policy::new(parse_allow_list("203.0.113.7").expect("a list"), Loopback::Allowed);
    let bed = Bed::reached_by_others(Client::with_setup(policy, Limits::default(), setup)).await;
    let hook = webhook(&bed, "https://203.0.113.7/hook").await;

    for n in 0..6 {
        bed.signal("order.paid", json!({"n": n})).await;
    }
    let tried =
        |list: &Value| list.as_array().is_some_and(|all| all.iter().all(|one| one["attemptCount"] == 1));
    let list = bed.until(&hook.deliveries(), tried).await;

    for one in list.as_array().expect("a list") {
        assert_eq!(
            (&one["reason"], &one["status"]),
            (&json!("the proxy cannot be reached"), &json!("pending"))
        );
    }
    let shown = bed.data(&hook.path).await;
    assert_eq!((&shown["status"], &shown["failureCount"]), (&json!("active"), &json!(0)), "{shown}");
    bed.end().await;
}
