//! The policy's verdict on addresses, without a socket.
//!
//! Invariant: every range of the IANA special registries has its first and last address here.
//! Not here: how addresses are written in URLs (`ssrf.rs`).

use openevent_egress::{Loopback, Policy, Range, parse_allow_list};

use crate::support::{allow, ip};

pub(crate) const REFUSED: &[(&str, Range)] = &[
    ("0.0.0.0", Range::Unspecified),
    ("0.255.255.255", Range::Unspecified),
    ("10.0.0.0", Range::Private),
    ("10.255.255.255", Range::Private),
    ("100.64.0.0", Range::CarrierNat),
    ("100.127.255.255", Range::CarrierNat),
    ("100.100.100.200", Range::Metadata),
    ("127.0.0.1", Range::Loopback),
    ("127.255.255.255", Range::Loopback),
    ("169.254.0.0", Range::LinkLocal),
    ("169.254.169.254", Range::Metadata),
    ("169.254.170.2", Range::Metadata),
    ("169.254.255.255", Range::LinkLocal),
    ("168.63.129.16", Range::Metadata),
    ("172.16.0.0", Range::Private),
    ("172.31.255.255", Range::Private),
    ("192.0.0.0", Range::Reserved),
    ("192.0.0.192", Range::Metadata),
    ("192.0.0.255", Range::Reserved),
    ("192.0.2.1", Range::Documentation),
    ("192.88.99.1", Range::Tunnel),
    ("192.168.0.0", Range::Private),
    ("192.168.255.255", Range::Private),
    ("198.18.0.0", Range::Documentation),
    ("198.19.255.255", Range::Documentation),
    ("198.51.100.7", Range::Documentation),
    ("203.0.113.7", Range::Documentation),
    ("224.0.0.1", Range::Multicast),
    ("239.255.255.255", Range::Multicast),
    ("240.0.0.1", Range::Reserved),
    ("255.255.255.254", Range::Reserved),
    ("255.255.255.255", Range::Multicast),
    ("::", Range::Unspecified),
    ("::1", Range::Loopback),
    ("::127.0.0.1", Range::Tunnel),
    ("::8.8.8.8", Range::Tunnel),
    ("::ffff:127.0.0.1", Range::Loopback),
    ("::ffff:10.1.2.3", Range::Private),
    ("::ffff:169.254.169.254", Range::Metadata),
    ("::ffff:0:10.1.2.3", Range::Tunnel),
    ("64:ff9b::127.0.0.1", Range::Loopback),
    ("64:ff9b::10.0.0.1", Range::Private),
    ("64:ff9b::169.254.169.254", Range::Metadata),
    ("64:ff9b:1::8.8.8.8", Range::Tunnel),
    ("64:ff9b:1:ffff::", Range::Tunnel),
    ("100::1", Range::Reserved),
    ("2001::1", Range::Tunnel),
    ("2001:0:ffff:ffff::1", Range::Tunnel),
    ("2001:2::1", Range::Documentation),
    ("2001:20::1", Range::Reserved),
    ("2001:1ff:ffff::1", Range::Reserved),
    ("2001:db8::1", Range::Documentation),
    ("2001:db8:ffff::1", Range::Documentation),
    ("2002:7f00:1::", Range::Tunnel),
    ("2002:a00:1::1", Range::Tunnel),
    ("2002:c0a8:101::1", Range::Tunnel),
    ("2002:a9fe:a9fe::", Range::Tunnel),
    ("2a00:1450::5efe:a00:1", Range::Tunnel),
    ("3fff::1", Range::Documentation),
    ("3fff:fff::1", Range::Documentation),
    ("4000::1", Range::Reserved),
    ("5f00::1", Range::Reserved),
    ("fc00::1", Range::Private),
    ("fdff:ffff::1", Range::Private),
    ("fd00:ec2::254", Range::Metadata),
    ("fe80::1", Range::LinkLocal),
    ("febf::1", Range::LinkLocal),
    ("fec0::1", Range::Private),
    ("ff02::1", Range::Multicast),
    ("ffff::1", Range::Multicast),
];

#[test]
fn every_special_range_is_refused_for_what_it_is() {
    let policy = Policy::new(Vec::new(), Loopback::Refused);

    for (address, range) in REFUSED {
        let refused = policy.check(ip(address)).expect_err(address);

        assert_eq!((refused.address, refused.range), (ip(address), *range), "{address}");
    }
}

#[test]
fn public_addresses_and_the_neighbours_of_special_ranges_are_admitted() {
    let policy = Policy::new(Vec::new(), Loopback::Refused);
    let public = [
        "1.1.1.1",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "192.0.3.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2001:200::1",
        "2001:4860:4860::8888",
        "2606:4700::1111",
        "2a00:1450:4001::1",
        "2002:808:808::1",
        "64:ff9b::8.8.8.8",
        "::ffff:8.8.8.8",
        "3fff:1000::1",
    ];

    for address in public {
        assert_eq!(policy.check(ip(address)), Ok(()), "{address}");
    }
}

#[test]
fn development_admits_loopback_as_itself_and_nothing_else() {
    let policy = Policy::new(Vec::new(), Loopback::Allowed);

    for (address, range) in REFUSED {
        let plain = matches!(*address, "127.0.0.1" | "127.255.255.255" | "::1");
        assert_eq!(policy.check(ip(address)).is_ok(), plain, "{address} {range:?}");
    }
}

#[test]
fn the_operators_list_overrides_the_table_also_for_wrapped_addresses() {
    let policy = allow("10.1.0.0/16, fd12::/16");

    for admitted in ["10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::10.1.2.3", "fd12::7", "1.1.1.1"] {
        assert_eq!(policy.check(ip(admitted)), Ok(()), "{admitted}");
    }
    for refused in
        ["10.2.0.1", "::ffff:10.2.0.1", "64:ff9b::10.2.0.1", "2002:a01:203::1", "fd13::7", "127.0.0.1"]
    {
        assert!(policy.check(ip(refused)).is_err(), "{refused}");
    }
}

#[test]
fn the_message_of_a_refusal_names_the_range_and_hides_the_address() {
    let refused = allow("").check(ip("10.20.30.40")).unwrap_err();

    let message = refused.to_string();

    assert!(message.contains("private network") && !message.contains("10.20"), "{message}");
}

#[test]
fn allow_lists_take_networks_and_addresses_and_name_what_they_cannot_read() {
    let list = parse_allow_list(" 10.0.0.0/8,fd00::/8 , 127.0.0.1,\n").unwrap();
    let bad = parse_allow_list("10.0.0.0/8, 10.0.0.0/40").unwrap_err();

    assert_eq!(
        list.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["10.0.0.0/8", "fd00::/8", "127.0.0.1/32"]
    );
    assert_eq!(bad.entry, "10.0.0.0/40");
    assert_eq!(parse_allow_list("").unwrap(), []);
}
