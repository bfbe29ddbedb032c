//! Requests per second of the client against a receiver on loopback, both in this process.
//!
//! `cargo run --release -p openevent-egress --example throughput [seconds] [in flight]`
//! Not here: verdicts. The numbers depend on the machine; see `docs/performance.md` for how they are kept.
#![expect(clippy::print_stdout, reason = "a program whose output is its purpose")]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use openevent_egress::{Client, Limits, Loopback, Policy, Request};
use tokio::{net::TcpListener, task::JoinSet};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut args = std::env::args().skip(1);
    let seconds = args.next().map_or(Ok(5), |text| text.parse())?;
    let in_flight = args.next().map_or(Ok(64), |text| text.parse())?;
    let socket = TcpListener::bind("127.0.0.1:0").await?;
    let url: Arc<str> = format!("http://{}/hook", socket.local_addr()?).into();
    let mut receiver = JoinSet::new();
    receiver.spawn(receive(socket));

    let client = Client::new(Policy::new(Vec::new(), Loopback::Allowed), Limits::default());
    let began = Instant::now();
    let until = began + Duration::from_secs(seconds);
    let mut senders = JoinSet::new();
    for _ in 0..in_flight {
        senders.spawn(send_until(client.clone(), Arc::clone(&url), until));
    }
    let mut latencies = Vec::new();
    while let Some(sent) = senders.join_next().await {
        latencies.extend(sent??);
    }

    latencies.sort_unstable();
    let at = |share: usize| latencies.get(latencies.len() * share / 100).copied().unwrap_or_default();
    let rate = latencies.len() as f64 / began.elapsed().as_secs_f64();
    println!("{rate:.0} requests/s, {in_flight} in flight, p50 {:?}, p99 {:?}", at(50), at(99));
    Ok(())
}

/// Signed-webhook-sized requests, one after the other.
async fn send_until(
    client: Client,
    url: Arc<str>,
    until: Instant,
) -> Result<Vec<Duration>, openevent_egress::Error> {
    let body = Bytes::from("x".repeat(512));
    let headers =
        ["x-webhook-id", "x-webhook-event", "x-webhook-timestamp", "x-webhook-signature", "content-type"];
    let headers: Vec<_> =
        headers.iter().map(|name| ((*name).to_owned(), "some value of usual size".to_owned())).collect();
    let mut latencies = Vec::new();
    while Instant::now() < until {
        let began = Instant::now();
        let request = Request {
            headers: headers.clone(),
            body: body.clone(),
            ..Request::new(http::Method::POST, &*url)
        };
        client.send(request).await?;
        latencies.push(began.elapsed());
    }
    Ok(latencies)
}

async fn receive(socket: TcpListener) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = socket.accept().await {
        let _ = stream.set_nodelay(true);
        connections.spawn(async move {
            // Ends when the client closes.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)).await;
        });
    }
}

async fn answer(_: http::Request<Incoming>) -> Result<http::Response<Full<Bytes>>, std::convert::Infallible> {
    Ok(http::Response::new(Full::new(Bytes::from_static(b"{\"ok\":true}"))))
}
