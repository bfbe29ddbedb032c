//! The proxy's four states.

use std::time::Duration;

use openevent_testkit::{ChaosProxy, Receiver};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

const ASK: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

async fn asked(stream: &mut TcpStream) -> std::io::Result<usize> {
    stream.write_all(ASK).await?;
    stream.read(&mut [0; 1024]).await
}

async fn proxied() -> (Receiver, ChaosProxy, TcpStream) {
    let receiver = Receiver::start().await;
    let proxy = ChaosProxy::start(receiver.address()).await;
    let stream = TcpStream::connect(proxy.address()).await.expect("the proxy listens");
    (receiver, proxy, stream)
}

#[tokio::test]
async fn bytes_pass_both_ways_until_the_connection_is_cut() {
    let (receiver, proxy, mut stream) = proxied().await;

    assert!(asked(&mut stream).await.unwrap() > 0);
    proxy.cut().await;

    assert!(matches!(asked(&mut stream).await, Ok(0) | Err(_)));
    let mut again = TcpStream::connect(proxy.address()).await.unwrap();
    assert!(asked(&mut again).await.unwrap() > 0);
    assert_eq!(receiver.count(), 2);
}

#[tokio::test]
async fn a_refusing_proxy_has_no_port_until_it_is_restored() {
    let (_receiver, proxy, mut stream) = proxied().await;
    assert!(asked(&mut stream).await.unwrap() > 0);

    proxy.refuse().await;
    let refused = TcpStream::connect(proxy.address()).await;
    proxy.restore().await;
    let mut again = TcpStream::connect(proxy.address()).await.unwrap();

    assert_eq!(refused.unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
    assert!(matches!(asked(&mut stream).await, Ok(0) | Err(_)));
    assert!(asked(&mut again).await.unwrap() > 0);
}

#[tokio::test]
async fn a_black_hole_holds_bytes_back_and_lets_them_go_when_restored() {
    let (receiver, proxy, mut stream) = proxied().await;
    assert!(asked(&mut stream).await.unwrap() > 0);

    proxy.black_hole().await;
    let held = timeout(Duration::from_millis(50), asked(&mut stream)).await;
    let mut later = TcpStream::connect(proxy.address()).await.unwrap();
    let held_too = timeout(Duration::from_millis(50), asked(&mut later)).await;
    assert!(held.is_err() && held_too.is_err());
    assert_eq!(receiver.count(), 1);
    proxy.restore().await;

    assert!(stream.read(&mut [0; 1024]).await.unwrap() > 0);
    assert!(later.read(&mut [0; 1024]).await.unwrap() > 0);
    assert_eq!(receiver.count(), 3);
}
