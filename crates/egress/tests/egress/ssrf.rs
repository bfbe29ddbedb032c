//! Ways to make a server call what its operator did not want called, each tried on the real client.
//!
//! Invariant: whatever a URL, a name server or a redirect says, the trap on loopback hears nothing.
//! Not here: the table of ranges (`addresses.rs`).

use std::{net::Ipv4Addr, time::Duration};

use openevent_egress::{Error, Loopback, Policy};
use openevent_testkit::{Answer, BadReceiver, Misbehaviour, Receiver};
use tokio::net::TcpListener;

use crate::{
    addresses::REFUSED,
    support::{FakeDns, allow, following, get, ip, strict, with_dns},
};

#[tokio::test]
async fn every_refused_address_is_refused_as_a_literal_and_as_the_answer_of_a_name() {
    let answers: Vec<[&str; 1]> = REFUSED.iter().map(|(address, _)| [*address]).collect();
    let dns = FakeDns::answering(&answers.iter().map(<[&str; 1]>::as_slice).collect::<Vec<_>>());
    let client = with_dns(allow(""), &dns);

    for (address, range) in REFUSED {
        let literal = if address.contains(':') { format!("[{address}]") } else { (*address).to_owned() };
        for url in
            [format!("http://{literal}/"), format!("https://{literal}/"), "http://name.test/".to_owned()]
        {
            let error = client.send(get(&*url)).await.unwrap_err();
            let refused =
                matches!(&error, Error::Refused(why) if why.range == *range && ip(address) == why.address);
            assert!(refused, "{url} {address}: {error:?}");
        }
    }

    assert_eq!(dns.asked(), REFUSED.len());
}

#[tokio::test]
async fn loopback_in_any_spelling_is_never_contacted() {
    let trap = BadReceiver::start(Misbehaviour::Silence).await;
    let port = trap.address().port();
    let spellings = [
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0x7f.0x0.0x0.0x1",
        "0177.0.0.1",
        "0177.0.0.01",
        "017700000001",
        "127.0.0.1.",
        "%31%32%37.0.0.1",
        "１２７.0.0.1",
        "①②⑦.⓪.⓪.①",
        "0",
        "0.0.0.0",
        "localhost",
        "LOCALHOST",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[0:0:0:0:0:0:0:1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
    ];

    for host in spellings {
        let error = strict().send(get(format!("http://{host}:{port}/"))).await.unwrap_err();
        assert!(matches!(error, Error::Refused(_)), "{host}: {error:?}");
    }

    assert_eq!(trap.connections(), 0);
}

#[tokio::test]
async fn urls_that_hide_their_host_are_not_sent() {
    let trap = BadReceiver::start(Misbehaviour::Silence).await;
    let at = trap.address();
    let urls = [
        format!("http://example.com@{at}/"),
        format!("http://:secret@{at}/"),
        format!("http://user:secret@{at}/"),
        format!("ftp://{at}/"),
        format!("gopher://{at}/_GET"),
        "file:///etc/passwd".to_owned(),
        format!("//{at}/"),
        "http://".to_owned(),
        "http://[fe80::1%25eth0]/".to_owned(),
        "http://exa mple.com/".to_owned(),
        String::new(),
    ];

    for url in urls {
        let error = strict().send(get(&*url)).await.unwrap_err();
        assert!(matches!(error, Error::InvalidUrl(_)), "{url}: {error:?}");
    }

    assert_eq!(trap.connections(), 0);
}

#[tokio::test]
async fn a_name_that_changes_its_answer_after_the_check_is_connected_where_it_was_checked() {
    let wanted = Receiver::start().await;
    let port = wanted.address().port();
    let trap = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 2), port)).await.unwrap();
    let dns = FakeDns::answering(&[&["127.0.0.1"], &["127.0.0.2"]]);
    let client = with_dns(allow("127.0.0.1"), &dns);

    let answered = client.send(get(format!("http://rebind.test:{port}/"))).await.unwrap();

    assert_eq!((answered.status, dns.asked(), wanted.count()), (200, 1, 1));
    assert!(nobody_knocked(&trap).await);
}

#[tokio::test]
async fn a_name_that_changes_its_answer_for_the_next_connection_is_checked_again() {
    let wanted = Receiver::start().await;
    wanted.answer_with(|_, _| Answer::status(200).header("connection", "close"));
    let port = wanted.address().port();
    let trap = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 2), port)).await.unwrap();
    let dns = FakeDns::answering(&[&["127.0.0.1"], &["127.0.0.2"]]);
    let client = with_dns(allow("127.0.0.1"), &dns);
    let url = format!("http://rebind.test:{port}/");

    client.send(get(&*url)).await.unwrap();
    let error = client.send(get(&*url)).await.unwrap_err();

    assert!(matches!(&error, Error::Refused(why) if why.address == ip("127.0.0.2")), "{error:?}");
    assert!(nobody_knocked(&trap).await);
}

#[tokio::test]
async fn of_a_mixed_answer_only_admitted_addresses_are_tried() {
    let wanted = Receiver::start().await;
    let port = wanted.address().port();
    let trap = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 2), port)).await.unwrap();
    let dns = FakeDns::answering(&[&["127.0.0.2", "10.0.0.1", "127.0.0.1", "::1"]]);
    let client = with_dns(allow("127.0.0.1"), &dns);

    let answered = client.send(get(format!("http://mixed.test:{port}/"))).await.unwrap();

    assert_eq!(answered.status, 200);
    assert!(nobody_knocked(&trap).await);
}

#[tokio::test]
async fn a_redirect_to_a_refused_address_or_name_is_not_followed() {
    let trap = BadReceiver::start(Misbehaviour::Silence).await;
    let door = Receiver::start().await;
    let inner = trap.address().port();
    // The door is admitted as itself; all the other spellings of this machine are not.
    let client = with_dns(allow("127.0.0.1"), &FakeDns::answering(&[&["127.0.0.2"]]));
    let targets = [
        format!("http://127.0.0.2:{inner}/"),
        format!("http://2130706434:{inner}/"),
        format!("http://inner.test:{inner}/"),
        format!("//inner.test:{inner}/"),
        format!("http://[::1]:{inner}/"),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "https://10.0.0.1/".to_owned(),
    ];

    for (status, target) in [301, 302, 303, 307, 308].into_iter().cycle().zip(&targets) {
        let location = target.clone();
        door.answer_with(move |_, _| Answer::redirect(status, location.clone()));
        let error = client.send(following(door.url("/"))).await.unwrap_err();
        assert!(matches!(error, Error::Refused(_)), "{target}: {error:?}");
    }

    assert_eq!(trap.connections(), 0);
}

#[tokio::test]
async fn a_redirect_to_another_scheme_or_with_credentials_is_not_followed() {
    let door = Receiver::start().await;
    let client = with_dns(Policy::new(Vec::new(), Loopback::Allowed), &FakeDns::answering(&[]));

    for target in ["file:///etc/passwd", "ftp://127.0.0.1/", "http://user:secret@127.0.0.1/", "http://["] {
        door.answer_with(move |_, _| Answer::redirect(302, target));
        let error = client.send(following(door.url("/"))).await.unwrap_err();
        assert!(matches!(error, Error::InvalidUrl(_)), "{target}: {error:?}");
    }
}

/// Whether no connection waits on `trap`. Loopback connections are queued before `connect` returns, so an
/// accept that is not ready at once has nothing to find.
async fn nobody_knocked(trap: &TcpListener) -> bool {
    tokio::time::timeout(Duration::from_millis(20), trap.accept()).await.is_err()
}
