//! Calls through the operator's proxy.
//!
//! Invariant: the proxy of the kit connects to loopback whatever it is asked for, so an address from the documentation's
//! networks is reached through it or not at all.
//! Not here: how operators write proxies down (the binary's tests).

use std::{net::Ipv4Addr, sync::Arc};

use openevent_egress::{
    Client, Error, InvalidProxy, Limits, NoProxy, Phase, Proxy, ProxyFault, Setup, parse_roots,
};
use openevent_testkit::{Answer, BadReceiver, ConnectProxy, Misbehaviour, Receiver, Tunnels};
use tokio::net::TcpListener;

use crate::support::{FakeDns, allow, get, hasty};

/// An address that only the kit's proxy reaches, and the list that admits it.
const BEYOND: &str = "203.0.113.7";
const ALLOWED: &str = "203.0.113.0/24, 198.51.100.0/24, 127.0.0.1";

fn through(proxy: Proxy, dns: &FakeDns, pem: &str) -> Client {
    let setup = Setup {
        resolver: Some(Arc::new(dns.clone())),
        extra_roots: parse_roots(pem.as_bytes()).unwrap_or_default(),
        proxy: Some(proxy),
    };
    Client::with_setup(allow(ALLOWED), Limits::default(), setup)
}

fn at(proxy: &ConnectProxy) -> Proxy {
    Proxy::parse(&format!("http://{}", proxy.address())).expect("a proxy")
}

#[tokio::test]
async fn http_and_https_go_through_a_tunnel_to_the_address_that_was_checked() {
    let proxy = ConnectProxy::start(Tunnels::Open).await;
    let (plain, secure) = (Receiver::start().await, Receiver::start_tls("hooks.test").await);
    let dns = FakeDns::answering(&[&[BEYOND]]);
    let client = through(at(&proxy), &dns, secure.certificate());
    let (http, https) = (plain.address().port(), secure.address().port());

    for url in [format!("http://hooks.test:{http}/a"), format!("https://hooks.test:{https}/b")] {
        for _ in 0..2 {
            assert_eq!(client.send(get(&*url)).await.unwrap().status, 200, "{url}");
        }
    }

    let asked = proxy.asked();
    for (head, port) in asked.iter().zip([http, https]) {
        let address = format!("{BEYOND}:{port}");
        assert_eq!(*head, format!("CONNECT {address} HTTP/1.1\r\nHost: {address}\r\n\r\n"));
    }
    assert_eq!((asked.len(), dns.asked()), (2, 2), "a tunnel is kept for the next request");
    assert_eq!(plain.requests()[0].header("host"), Some(&*format!("hooks.test:{http}")));
    assert_eq!((plain.count(), secure.count()), (2, 2));
}

#[tokio::test]
async fn behind_a_proxy_the_policy_holds_as_before() {
    let proxy = ConnectProxy::start(Tunnels::Open).await;
    let dns = FakeDns::answering(&[&["10.0.0.1"], &["169.254.169.254"], &["127.0.0.2"]]);
    let known = Receiver::start_tls("b.test").await;
    let client = through(at(&proxy), &dns, known.certificate());

    for url in ["http://a.test/", "https://b.test/", "http://c.test/", "http://[::ffff:10.0.0.1]/"] {
        let error = client.send(get(url)).await.unwrap_err();
        assert!(matches!(error, Error::Refused(_)), "{url}: {error:?}");
    }

    assert_eq!(proxy.asked().len(), 0);
}

#[tokio::test]
async fn a_name_that_changes_its_answer_is_asked_of_nobody_else() {
    let proxy = ConnectProxy::start(Tunnels::Open).await;
    let receiver = Receiver::start().await;
    receiver.answer_with(|_, _| Answer::status(200).header("connection", "close"));
    let dns = FakeDns::answering(&[&[BEYOND], &["10.0.0.1"]]);
    let client = through(at(&proxy), &dns, "");
    let url = format!("http://rebind.test:{}/", receiver.address().port());

    let first = client.send(get(&*url)).await.unwrap();
    let second = client.send(get(&*url)).await.unwrap_err();

    assert!(matches!(second, Error::Refused(_)), "{second:?}");
    assert_eq!((first.status, proxy.asked().len(), receiver.count()), (200, 1, 1));
}

#[tokio::test]
async fn credentials_are_sent_to_the_proxy_and_shown_nowhere() {
    let proxy = ConnectProxy::start(Tunnels::Open).await;
    let receiver = Receiver::start().await;
    let named = Proxy::parse(&format!("http://m%40x:p%3Ass@{}", proxy.address())).unwrap();
    let shown = format!("{named} {named:?}");
    let dns = FakeDns::answering(&[]);
    let url = format!("http://{BEYOND}:{}/", receiver.address().port());

    through(named, &dns, "").send(get(url)).await.unwrap();

    // base64 of "m@x:p:ss"
    assert!(
        proxy.asked()[0].contains("\r\nProxy-Authorization: Basic bUB4OnA6c3M=\r\n"),
        "{:?}",
        proxy.asked()
    );
    assert_eq!(receiver.requests()[0].header("proxy-authorization"), None);
    assert!(shown.contains("http://***@127.0.0.1:"), "{shown}");
    assert!(!shown.contains("m@x") && !shown.contains("ss@") && !shown.contains("bUB4"), "{shown}");
}

#[tokio::test]
async fn what_a_proxy_does_instead_is_told_apart() {
    let dns = FakeDns::answering(&[&[BEYOND, "203.0.113.8"]]);
    let cases = [
        (Tunnels::Refused(407), ProxyFault::Credentials, 1),
        (Tunnels::Refused(403), ProxyFault::Refused(403), 2),
        (Tunnels::Refused(502), ProxyFault::Refused(502), 2),
        (Tunnels::NotHttp, ProxyFault::Nonsense, 2),
        (Tunnels::Talkative, ProxyFault::Nonsense, 2),
        (Tunnels::Closed, ProxyFault::Nonsense, 2),
    ];

    for (tunnels, expected, tried) in cases {
        let proxy = ConnectProxy::start(tunnels).await;
        let url = format!("http://me:hush@{}", proxy.address());
        let client = through(Proxy::parse(&url).unwrap(), &dns, "");
        let error = client.send(get("http://hooks.test/")).await.unwrap_err();
        assert!(matches!(error, Error::Proxy { fault, .. } if fault == expected), "{tunnels:?}: {error:?}");
        assert!(!format!("{error} {error:?}").contains("hush"));
        assert_eq!(proxy.asked().len(), tried, "{tunnels:?}: addresses that were tried");
    }
}

#[tokio::test]
async fn a_proxy_that_is_not_there_or_hangs_is_told_apart() {
    let unbound = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap();
    let silent = ConnectProxy::start(Tunnels::Silent).await;
    let deaf = BadReceiver::start(Misbehaviour::Silence).await;
    let dns = FakeDns::answering(&[]);
    let to = |address| Proxy::parse(&format!("http://{address}")).unwrap();
    let url = format!("http://{BEYOND}/");

    let gone = through(to(unbound), &dns, "").send(get(&*url)).await.unwrap_err();
    let unknown = Proxy::parse("http://proxy.test:3128").unwrap();
    let unknown = through(unknown, &dns, "").send(get(&*url)).await.unwrap_err();
    let hung = through(to(silent.address()), &dns, "").send(hasty(&*url)).await.unwrap_err();
    let unread = through(to(deaf.address()), &dns, "").send(hasty(&*url)).await.unwrap_err();

    for error in [gone, unknown] {
        assert!(matches!(error, Error::Proxy { fault: ProxyFault::Unreachable, .. }), "{error:?}");
    }
    for error in [hung, unread] {
        assert!(matches!(error, Error::Timeout { phase: Phase::Proxy }), "{error:?}");
    }
}

#[tokio::test]
async fn this_machine_is_reached_directly() {
    let proxy = ConnectProxy::start(Tunnels::Refused(403)).await;
    let receiver = Receiver::start().await;
    let client = through(at(&proxy), &FakeDns::answering(&[&["127.0.0.1"]]), "");
    let port = receiver.address().port();

    for host in ["127.0.0.1", "here.test"] {
        assert_eq!(client.send(get(format!("http://{host}:{port}/"))).await.unwrap().status, 200, "{host}");
    }

    assert_eq!(proxy.asked().len(), 0);
}

#[test]
fn what_is_no_proxy_is_refused_without_repeating_it() {
    for text in [
        "",
        "proxy",
        "proxy.test:3128",
        "https://proxy.test:3128",
        "socks5://proxy.test:1080",
        "http://",
        "http://me:hush@",
        "http://proxy.test/path",
        "http://proxy.test/?q",
    ] {
        assert_eq!(Proxy::parse(text).err(), Some(InvalidProxy), "{text}");
    }
    assert_eq!(Proxy::parse("http://proxy.test").unwrap().to_string(), "http://proxy.test:80");
    assert_eq!(Proxy::parse("http://:pw@[::1]:1").unwrap().to_string(), "http://***@[::1]:1");
}

#[test]
fn exemptions_read_back_as_they_are_and_name_what_they_cannot_read() {
    let list = NoProxy::parse("Intern.Example.org,.corp *.lan\n10.0.0.0/8, ::1").unwrap();

    assert_eq!(list.to_string(), "intern.example.org,.corp,.lan,10.0.0.0/8,::1/128");
    assert_eq!(NoProxy::parse(&list.to_string()), Ok(list));
    for entry in ["*", "a.*.b", "host:80", "10.0.0.0/40", "http://x"] {
        assert_eq!(NoProxy::parse(&format!("a,{entry}")).unwrap_err().entry, entry);
    }
}
