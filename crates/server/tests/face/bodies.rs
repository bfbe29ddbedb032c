//! Bodies nobody should send.

use crate::support::{OPERATOR, Server, code, fresh};
use openevent_testkit::Reply;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const PATH: &str = "/api/v1/event-types/order.created";
const JSON: (&str, &str) = ("content-type", "application/json");

async fn put(server: &Server, body: &str) -> Reply {
    server.send("PUT", PATH, &[OPERATOR, JSON], body).await
}

#[tokio::test]
async fn broken_json_is_400_with_its_place() {
    let (_place, server) = fresh().await;
    for body in [
        "",
        "{",
        "{\"a\":}",
        "[1,]",
        "nul",
        "{\"a\":1}x",
        "{'a':1}",
        "\u{feff}{}",
        "{\"description\":\"\0\"}",
    ] {
        let reply = put(&server, body).await;
        assert_eq!((reply.status, code(&reply).as_str()), (400, "BAD_REQUEST"), "{body:?}");
    }
    let reply = put(&server, "{\n  \"schema\": truu\n}").await;
    assert!(reply.json()["error"]["message"].as_str().unwrap().contains("line 2"), "{}", reply.text());
}

#[tokio::test]
async fn a_body_that_is_no_object_is_400() {
    let (_place, server) = fresh().await;
    for body in ["null", "[]", "1", "\"x\"", "true"] {
        let reply = put(&server, body).await;
        assert_eq!((reply.status, code(&reply).as_str()), (400, "VALIDATION_ERROR"), "{body}");
    }
}

#[tokio::test]
async fn bytes_that_are_no_text_are_400() {
    let (_place, server) = fresh().await;
    let reply = server
        .client
        .request(
            http::Method::PUT,
            &server.url(PATH),
            &[OPERATOR, JSON],
            vec![b'{', b'"', 0xff, 0xfe, b'"', b':', b'1', b'}'],
        )
        .await;
    assert_eq!((reply.status, code(&reply).as_str()), (400, "BAD_REQUEST"));
}

#[tokio::test]
async fn a_deep_body_is_400() {
    let (_place, server) = fresh().await;
    for levels in [65, 10_000, 500_000] {
        let body = format!("{{\"example\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
        let reply = put(&server, &body).await;
        assert_eq!((reply.status, code(&reply).as_str()), (400, "BAD_REQUEST"), "{levels}");
    }
}

#[tokio::test]
async fn another_content_type_is_415() {
    let (_place, server) = fresh().await;
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/yaml",
        "x",
    ] {
        let reply = server.send("PUT", PATH, &[OPERATOR, ("content-type", kind)], "{}").await;
        assert_eq!((reply.status, code(&reply).as_str()), (415, "UNSUPPORTED_MEDIA_TYPE"), "{kind}");
    }
    let missing = server.send("PUT", PATH, &[OPERATOR], "{}").await;
    assert!(missing.status < 300, "a body that does not say what it is is read as JSON: {}", missing.text());
    let missing = server.send("PUT", PATH, &[OPERATOR], "{").await;
    assert_eq!((missing.status, code(&missing).as_str()), (400, "BAD_REQUEST"));
    for kind in ["application/json", "APPLICATION/JSON; charset=utf-8", "application/merge-patch+json"] {
        let reply = server.send("PUT", PATH, &[OPERATOR, ("content-type", kind)], "{}").await;
        assert!(reply.status < 300, "{kind}: {}", reply.text());
    }
}

#[tokio::test]
async fn a_body_of_one_mebibyte_is_read_and_one_byte_more_is_413() {
    let (_place, server) = fresh().await;
    let body = |bytes: usize| {
        let frame = r#"{"description":"x","filler":""}"#.len();
        format!(r#"{{"description":"x","filler":"{}"}}"#, "y".repeat(bytes - frame))
    };
    assert_eq!(put(&server, &body(1024 * 1024)).await.status, 201);
    for bytes in [1024 * 1024 + 1, 5 * 1024 * 1024] {
        let reply = put(&server, &body(bytes)).await;
        assert_eq!((reply.status, code(&reply).as_str()), (413, "PAYLOAD_TOO_LARGE"), "{bytes}");
    }
    assert_eq!(put(&server, "{}").await.status, 200, "the server is well");
}

#[tokio::test]
async fn a_chunked_body_is_limited_too() {
    let (_place, server) = fresh().await;
    let address = server.base.trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(&address).await.unwrap();
    let head = format!(
        "PUT {PATH} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer s3cret\r\ncontent-type: application/json\r\n\
         transfer-encoding: chunked\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    for _ in 0..20 {
        stream.write_all(chunk.as_bytes()).await.unwrap();
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("PAYLOAD_TOO_LARGE"), "{answer}");
}

#[tokio::test]
async fn a_body_that_breaks_off_leaves_nothing_behind() {
    let (_place, server) = fresh().await;
    let address = server.base.trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(&address).await.unwrap();
    let head = format!(
        "PUT {PATH} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer s3cret\r\ncontent-type: application/json\r\n\
         content-length: 100\r\n\r\n{{\"description\":"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    drop(stream);
    let reply = server.get("/api/v1/event-types/order.created", &[OPERATOR]).await;
    assert_eq!(reply.status, 404);
}
