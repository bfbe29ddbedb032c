//! Clients, requests and a name server for the tests.
//!
//! Invariant: the fake name server counts every question.
//! Not here: assertions.

use std::{
    collections::VecDeque,
    io,
    net::IpAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use openevent_egress::{
    Addresses, Client, Limits, Loopback, Policy, Redirects, Request, Resolve, Setup, parse_allow_list,
};

/// Long enough for anything that works, on any machine.
pub(crate) const AMPLE: Duration = Duration::from_secs(30);

/// Short, for exchanges that must run into it.
pub(crate) const SHORT: Duration = Duration::from_millis(300);

pub(crate) fn allow(list: &str) -> Policy {
    Policy::new(parse_allow_list(list).expect("a valid list"), Loopback::Refused)
}

/// What development mode uses.
pub(crate) fn local() -> Client {
    Client::new(Policy::new(Vec::new(), Loopback::Allowed), Limits::default())
}

/// What production uses.
pub(crate) fn strict() -> Client {
    Client::new(Policy::new(Vec::new(), Loopback::Refused), Limits::default())
}

pub(crate) fn with_dns(policy: Policy, dns: &FakeDns) -> Client {
    let setup = Setup { resolver: Some(Arc::new(dns.clone())), ..Setup::default() };
    Client::with_setup(policy, Limits::default(), setup)
}

pub(crate) fn get(url: impl Into<String>) -> Request {
    Request { deadline: AMPLE, ..Request::new(http::Method::GET, url) }
}

pub(crate) fn following(url: impl Into<String>) -> Request {
    Request { redirects: Redirects::Follow, ..get(url) }
}

pub(crate) fn hasty(url: impl Into<String>) -> Request {
    Request { deadline: SHORT, ..get(url) }
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().expect("a valid address")
}

/// A name server under the control of the test: each question takes the next answer, the last one stays.
#[derive(Clone)]
pub(crate) struct FakeDns {
    answers: Arc<Mutex<VecDeque<Vec<IpAddr>>>>,
    asked: Arc<AtomicUsize>,
}

impl FakeDns {
    pub(crate) fn answering(answers: &[&[&str]]) -> Self {
        let answers = answers.iter().map(|answer| answer.iter().map(|text| ip(text)).collect()).collect();
        Self { answers: Arc::new(Mutex::new(answers)), asked: Arc::default() }
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Resolve for FakeDns {
    fn resolve(&self, _: &str) -> Addresses {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut answers = self.answers.lock().expect("no test panics here");
        let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        Box::pin(async move { answer.ok_or_else(|| io::ErrorKind::NotFound.into()) })
    }
}

/// A name server that never answers.
pub(crate) struct SilentDns;

impl Resolve for SilentDns {
    fn resolve(&self, _: &str) -> Addresses {
        Box::pin(std::future::pending())
    }
}
