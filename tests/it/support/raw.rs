//! HTTP by hand: what a well-behaved client would never send.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::{DEADLINE, Service};

pub async fn connect(service: &Service) -> TcpStream {
    TcpStream::connect(service.base.strip_prefix("http://").unwrap()).await.unwrap()
}

/// Reads to the end of the answer's head; gives its status and the whole text so far.
pub async fn answer(stream: &mut TcpStream) -> (u16, String) {
    let read = async {
        let mut text = Vec::new();
        while !text.windows(4).any(|window| window == b"\r\n\r\n") {
            let count = stream.read_buf(&mut text).await.unwrap();
            assert!(count > 0, "closed without an answer: {}", String::from_utf8_lossy(&text));
        }
        String::from_utf8_lossy(&text).into_owned()
    };
    let text = timeout(DEADLINE, read).await.expect("an answer in time");
    (text.split(' ').nth(1).unwrap().parse().unwrap(), text)
}

/// Waits until the other side has closed; gives what it said before.
pub async fn until_closed(stream: &mut TcpStream) -> Vec<u8> {
    let mut said = Vec::new();
    // A reset is a close, too.
    let _ = timeout(DEADLINE, stream.read_to_end(&mut said)).await.expect("closed in time");
    said
}

/// Sends these bytes on a connection of their own, and gives the status.
pub async fn status_of(service: &Service, bytes: &[u8]) -> u16 {
    status_at(service.base.trim_start_matches("http://"), bytes).await
}

/// The same from who listens on this address.
pub async fn status_at(address: &str, bytes: &[u8]) -> u16 {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    answer(&mut stream).await.0
}

/// A POST with this path, as it is.
pub async fn post(service: &Service, path: &str, body: &str) -> u16 {
    post_to(service.base.trim_start_matches("http://"), path, body).await
}

/// The same to who listens on this address.
pub async fn post_to(address: &str, path: &str, body: &str) -> u16 {
    let length = body.len();
    let request = format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{body}");
    status_at(address, request.as_bytes()).await
}
