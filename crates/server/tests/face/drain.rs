//! Stopping: what has begun is finished, nothing new is taken.

use crate::support::{OPERATOR, Place, fresh, settings};
use openevent_server::Settings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const BODY: &str = "{\"description\":\"late\"}";

/// Begins a PUT, and waits until the handler asks for its body.
async fn begin(address: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let (name, value) = OPERATOR;
    let head = format!(
        "PUT /api/v1/event-types/late HTTP/1.1\r\nhost: {address}\r\n{name}: {value}\r\nexpect: 100-continue\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        BODY.len()
    );
    stream.write_all(head.as_bytes()).await.expect("written");
    let mut answer = [0_u8; 25];
    stream.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream
}

#[tokio::test]
async fn a_request_under_way_is_finished_before_the_server_ends() {
    let (place, server) = fresh().await;
    let address = server.base.trim_start_matches("http://").to_owned();
    let mut stream = begin(&address).await;
    server.stop();
    stream.write_all(BODY.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    server.end().await;
    assert!(TcpStream::connect(&address).await.is_err());
    let stored = place.serve(settings()).await.get("/api/v1/event-types/late", &[OPERATOR]).await;
    assert_eq!(stored.status, 200);
}

#[tokio::test]
async fn a_request_that_never_ends_does_not_hold_the_server_up() {
    let place = Place::new();
    let server = place.serve(Settings { drain_ms_max: 1, ..settings() }).await;
    let _stuck = begin(server.base.trim_start_matches("http://")).await;
    assert!(!server.app.stopping.is_cancelled());
    let app = server.app.clone();
    server.end().await;
    assert!(app.stopping.is_cancelled(), "streams are told");
}

#[tokio::test]
async fn a_peer_that_never_ends_its_request_line_is_let_go() {
    let place = Place::new();
    let server = place.serve(Settings { head_ms_max: 1, ..settings() }).await;
    let mut stream = TcpStream::connect(server.base.trim_start_matches("http://")).await.unwrap();
    stream.write_all(b"GET /heal").await.unwrap();

    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer).await;

    assert!(read.is_err() || answer.is_empty(), "{}", String::from_utf8_lossy(&answer));
    server.end().await;
}
