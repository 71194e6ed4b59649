//! What came of attempts, against receivers that listen on this machine.

mod receiver;

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use receiver::{Behavior, Receiver, answer};
use sha2::Sha256;

use super::*;
use crate::domain::time::Timestamp;
use crate::domain::webhook::secret::Secret;

/// 13:30:37 on Tuesday, 23 September 2025.
const AT: Timestamp = Timestamp::from_millis(1_758_634_237_659);
const BODY: &str = r#"{"type":"job.settled","data":"é"}"#;
/// Everything here is allowed but https that nobody trusts.
const OPEN: Settings = Settings { allow_private: true, allow_http: true, timeout: Duration::from_secs(30) };
/// Private addresses are not allowed.
const STRICT: Settings = Settings { allow_private: false, ..OPEN };

fn none() -> Matcher {
    Matcher::builder().build()
}

/// Resolves each name to the next of these addresses, the last one again and again, and counts the lookups.
fn resolving(answers: &'static [&'static [&'static str]]) -> (Lookup, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let lookup: Lookup = Arc::new(move |_| {
        let place = counted.fetch_add(1, Ordering::SeqCst);
        let found = answers[place.min(answers.len() - 1)];
        let found = found.iter().map(|address| (address.parse::<IpAddr>().unwrap(), 0).into()).collect();
        Box::pin(async move { Ok(found) })
    });
    (lookup, count)
}

/// A sender without a proxy, to which all names lead to 127.0.0.1, and no rules but those of `settings` hold.
fn sender(settings: Settings) -> Sender {
    let (lookup, _) = resolving(&[&["127.0.0.1"]]);
    let is_allowed = if settings.allow_private { |_| true } else { is_public };
    by(lookup, is_allowed, settings)
}

fn by(lookup: Lookup, is_allowed: fn(IpAddr) -> bool, settings: Settings) -> Sender {
    let proxied = crate::tls::client().no_proxy();
    Sender::by(Route { lookup, is_allowed, proxies: none(), proxied }, settings).unwrap()
}

fn secrets() -> [Secret; 2] {
    [[1; 32], [2; 32]].map(|key| Secret::parse(&format!("whsec_{}", STANDARD.encode(key))).unwrap())
}

async fn send(sender: &Sender, url: &str) -> Attempt {
    let target = Target::from_stored(url).unwrap();
    let message = Message {
        id: "msg_1",
        attempted_at: AT,
        target: &target,
        secrets: &secrets(),
        content_type: "application/json",
        headers: &[],
        body: Bytes::from_static(BODY.as_bytes()),
    };
    sender.send(message).await
}

/// What a sender that may do everything says of a receiver with this behavior.
async fn attempt(behavior: Behavior) -> Attempt {
    let receiver = Receiver::start(behavior).await;
    send(&sender(OPEN), &receiver.url("hooks.example", "/hook")).await
}

fn failed(status: impl Into<Option<u16>>, reason: &str) -> Attempt {
    Attempt::Failed { status: status.into(), reason: reason.to_owned(), retry_after: None }
}

#[tokio::test]
async fn a_webhook_arrives_with_its_headers_and_signatures() {
    let receiver = Receiver::start(Behavior::Answer(answer("204 No Content", "", 0))).await;
    let url = receiver.url("user:pass@hooks.example", "/hook?token=1");
    assert_eq!(send(&sender(OPEN), &url).await, Attempt::Delivered { status: 204 });
    let [arrived] = &receiver.requests()[..] else { panic!("one request") };
    assert!(arrived.head.starts_with("POST /hook?token=1 HTTP/1.1\r\n"), "{}", arrived.head);
    assert_eq!(arrived.body, BODY.as_bytes());
    let user_agent = concat!("scrapehook/", env!("CARGO_PKG_VERSION"));
    for (name, value) in [
        ("content-type", "application/json"),
        ("user-agent", user_agent),
        ("webhook-id", "msg_1"),
        ("webhook-timestamp", "1758634237"),
        ("authorization", "Basic dXNlcjpwYXNz"),
    ] {
        assert_eq!(arrived.header(name), Some(value), "{name}");
    }
    let signed = [b"msg_1.1758634237.", &arrived.body[..]].concat();
    let expected = [[1; 32], [2; 32]].map(|key| {
        let mac = Hmac::<Sha256>::new_from_slice(&key).unwrap().chain_update(&signed);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    });
    assert_eq!(arrived.header("webhook-signature"), Some(&*expected.join(" ")));
}

#[tokio::test]
async fn a_webhook_without_a_secret_has_no_signature() {
    let receiver = Receiver::start(Behavior::Answer(answer("200 OK", "", 2))).await;
    let target = Target::from_stored(&receiver.url("hooks.example", "/")).unwrap();
    let (id, content_type, body) = ("msg_1", "text/plain", Bytes::new());
    let headers = &[("title", "scrapehook")];
    let message =
        Message { id, attempted_at: AT, target: &target, secrets: &[], content_type, headers, body };
    assert_eq!(sender(OPEN).send(message).await, Attempt::Delivered { status: 200 });
    assert_eq!(receiver.requests()[0].header("webhook-signature"), None);
    assert_eq!(receiver.requests()[0].header("title"), Some("scrapehook"));
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let receiver = Receiver::start(Behavior::Answer(answer("200 OK", "", 2))).await;
    let sender = sender(OPEN);
    for _ in 0..2 {
        let attempt = send(&sender, &receiver.url("hooks.example", "/hook")).await;
        assert_eq!(attempt, Attempt::Delivered { status: 200 });
    }
    assert_eq!((receiver.connections(), receiver.requests().len()), (1, 2));
}

#[tokio::test]
async fn a_name_that_turns_private_is_refused_when_it_does() {
    // The second answer of a name server that attacks by rebinding. 127.0.0.1 stands for a public address.
    let (lookup, lookups) = resolving(&[&["127.0.0.1"], &["127.0.0.2"]]);
    let sender = by(lookup, |address| address == IpAddr::from([127, 0, 0, 1]), STRICT);
    let closing = answer("200 OK", "connection: close\r\n", 0);
    let receiver = Receiver::start(Behavior::Close(closing)).await;
    let url = receiver.url("rebinding.example", "/hook");
    assert_eq!(send(&sender, &url).await, Attempt::Delivered { status: 200 });
    assert_eq!(lookups.load(Ordering::SeqCst), 1, "the address that was checked is the one that is used");
    assert_eq!(send(&sender, &url).await, failed(None, "the name leads to a private address"));
    assert_eq!((receiver.connections(), lookups.load(Ordering::SeqCst)), (1, 2));
}

#[tokio::test]
async fn only_allowed_addresses_of_a_name_are_connected_to() {
    let (lookup, _) = resolving(&[&["127.0.0.2", "::1", "127.0.0.1"]]);
    let sender = by(lookup, |address| address == IpAddr::from([127, 0, 0, 1]), STRICT);
    let receiver = Receiver::start(Behavior::Answer(answer("200 OK", "", 0))).await;
    let attempt = send(&sender, &receiver.url("hooks.example", "/hook")).await;
    assert_eq!(attempt, Attempt::Delivered { status: 200 });
}

#[tokio::test]
async fn nobody_is_connected_to_at_a_private_address() {
    let receiver = Receiver::start(Behavior::Answer(answer("200 OK", "", 0))).await;
    let sender = sender(STRICT);
    let by_name = send(&sender, &receiver.url("hooks.example", "/hook")).await;
    assert_eq!(by_name, failed(None, "the name leads to a private address"));
    for host in ["127.0.0.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "localhost", "a.localhost."] {
        let attempt = send(&sender, &receiver.url(host, "/hook")).await;
        let reason = "the host is a private address, and forward.allow_private is not set";
        assert_eq!(attempt, failed(None, reason), "{host}");
    }
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn http_is_refused_before_each_attempt() {
    let strict = sender(Settings { allow_http: false, ..OPEN });
    let attempt = send(&strict, "http://hooks.example/hook").await;
    assert_eq!(attempt, failed(None, "the URL must begin with https:// unless forward.allow_http is set"));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let location = "location: http://169.254.169.254/latest/meta-data?secret\r\n";
    let receiver = Receiver::start(Behavior::Answer(answer("307 Temporary Redirect", location, 0))).await;
    let attempt = send(&sender(OPEN), &receiver.url("hooks.example", "/hook")).await;
    assert_eq!(attempt, failed(307, "redirect to http://169.254.169.254, which is not followed"));
    assert_eq!(receiver.requests().len(), 1);
    let attempt = attempt_of("304 Not Modified").await;
    assert_eq!(attempt, failed(304, "HTTP 304"));
}

async fn attempt_of(status: &str) -> Attempt {
    attempt(Behavior::Answer(answer(status, "", 0))).await
}

#[tokio::test]
async fn a_status_decides() {
    for (status, expected) in [
        ("200 OK", Attempt::Delivered { status: 200 }),
        ("202 Accepted", Attempt::Delivered { status: 202 }),
        ("299 Odd", Attempt::Delivered { status: 299 }),
        ("400 Bad Request", failed(400, "HTTP 400")),
        ("404 Not Found", failed(404, "HTTP 404")),
        ("500 Internal Server Error", failed(500, "HTTP 500")),
        ("410 Gone", Attempt::Gone),
    ] {
        assert_eq!(attempt_of(status).await, expected);
    }
}

#[tokio::test]
async fn a_receiver_says_when_to_come_again() {
    for (header, seconds) in [("120", Some(120)), ("Tue, 23 Sep 2025 13:31:37 GMT", Some(59)), ("soon", None)]
    {
        let header = format!("retry-after: {header}\r\n");
        let attempt = attempt(Behavior::Answer(answer("503 Service Unavailable", &header, 0))).await;
        let Attempt::Failed { status: Some(503), reason, retry_after } = attempt else {
            panic!("{attempt:?}")
        };
        assert_eq!((&*reason, retry_after.map(|wait| wait.as_secs())), ("HTTP 503", seconds));
    }
}

#[tokio::test]
async fn an_answer_is_read_to_its_limit() {
    let of = |body| attempt(Behavior::Answer(answer("200 OK", "", body)));
    assert_eq!(of(64 * 1024).await, Attempt::Delivered { status: 200 });
    assert_eq!(of(64 * 1024 + 1).await, failed(200, "HTTP 200, but the answer is longer than 64 KiB"));
    let endless = Behavior::Drip(format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(64 * 1024)));
    assert_eq!(attempt(endless).await, failed(200, "HTTP 200, but the answer is longer than 64 KiB"));
}

#[tokio::test]
async fn a_dripping_answer_ends_with_the_time() {
    let short = sender(Settings { timeout: Duration::from_secs(1), ..OPEN });
    let late = "HTTP 200, but the answer was not complete within 1s";
    for (behavior, expected) in [
        (Behavior::Drip("HTTP/1.1 200 OK\r\ncontent-length: 99999\r\n\r\n".to_owned()), failed(200, late)),
        (Behavior::Drip("HTTP/1.1 200 OK\r\nx: ".to_owned()), failed(None, "no answer within 1s")),
        (Behavior::Silence, failed(None, "no answer within 1s")),
    ] {
        let receiver = Receiver::start(behavior).await;
        assert_eq!(send(&short, &receiver.url("hooks.example", "/hook")).await, expected);
    }
}

#[tokio::test]
async fn a_cut_is_a_failure() {
    let cut = Behavior::Close("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx".to_owned());
    let reason = "HTTP 200, but the connection was cut before the end of the answer";
    assert_eq!(attempt(cut).await, failed(200, reason));
    let reason = "connected, but was cut off before an answer";
    assert_eq!(attempt(Behavior::Close(String::new())).await, failed(None, reason));
    let reason = "connected, but the other side does not speak HTTP";
    assert_eq!(attempt(Behavior::Close("220 mail\r\n\r\n".to_owned())).await, failed(None, reason));
}

#[tokio::test]
async fn a_certificate_that_nobody_trusts_is_refused() {
    let receiver = Receiver::untrusted("hooks.example", Behavior::Answer(answer("200 OK", "", 0))).await;
    let url = receiver.url("hooks.example", "/hook").replace("http:", "https:");
    assert_eq!(send(&sender(OPEN), &url).await, failed(None, "the certificate is not trusted"));
    assert_eq!(receiver.requests().len(), 0);
    let plain = Receiver::start(Behavior::Greet("HTTP/1.1 400 Bad Request\r\n\r\n".to_owned())).await;
    let url = plain.url("hooks.example", "/hook").replace("http:", "https:");
    assert_eq!(send(&sender(OPEN), &url).await, failed(None, "the other side does not speak TLS"));
}

#[tokio::test]
async fn a_name_that_nobody_knows_is_a_failure() {
    let unknown: Lookup = Arc::new(|_| Box::pin(async { Err(io::Error::other("no such name")) }));
    let attempt = send(&by(unknown, is_public, OPEN), "https://hooks.example/hook").await;
    assert_eq!(attempt, failed(None, "the host's name can't be resolved (no such name)"));
    let (empty, _) = resolving(&[&[]]);
    let attempt = send(&by(empty, is_public, OPEN), "https://hooks.example/hook").await;
    assert_eq!(attempt, failed(None, "the host's name can't be resolved (the name has no address)"));
}

#[tokio::test]
async fn a_proxy_resolves_the_name_and_the_host_as_written_is_checked() {
    let proxy = Receiver::start(Behavior::Answer(answer("200 OK", "", 0))).await;
    let to = format!("http://{}", proxy.address);
    let (lookup, lookups) = resolving(&[&["127.0.0.1"]]);
    let route = Route {
        lookup,
        is_allowed: is_public,
        proxies: Matcher::builder().all(to.clone()).no("direct.example").build(),
        proxied: crate::tls::client().no_proxy().proxy(reqwest::Proxy::all(to).unwrap()),
    };
    let sender = Sender::by(route, STRICT).unwrap();
    assert_eq!(send(&sender, "http://hooks.example/hook").await, Attempt::Delivered { status: 200 });
    assert_eq!(lookups.load(Ordering::SeqCst), 0);
    assert!(proxy.requests()[0].head.starts_with("POST http://hooks.example/hook HTTP/1.1\r\n"));
    let refused = "the host is a private address, and forward.allow_private is not set";
    assert_eq!(send(&sender, "http://169.254.169.254/").await, failed(None, refused));
    let direct = send(&sender, "http://direct.example/").await;
    assert_eq!(direct, failed(None, "the name leads to a private address"));
    assert_eq!(proxy.requests().len(), 1);
}

#[tokio::test]
async fn the_system_resolves_names() {
    let found = resolver::system()("localhost".to_owned()).await.unwrap();
    assert!(!found.is_empty() && found.iter().all(|address| address.ip().is_loopback()), "{found:?}");
}

#[test]
fn a_sender_is_made_from_the_environment() {
    assert_eq!(Sender::new(STRICT).unwrap().settings, STRICT);
}

#[tokio::test]
async fn no_reason_shows_a_secret() {
    let secret = "secret-user:secret-password@hooks.example";
    let (path, mut attempts) = ("/secret-path?secret-query", Vec::new());
    for behavior in [
        Behavior::Answer(answer("404 Not Found", "", 0)),
        Behavior::Answer(answer("302 Found", "location: /secret-path?secret-query\r\n", 0)),
        Behavior::Close(String::new()),
        Behavior::Close("not HTTP\r\n\r\n".to_owned()),
    ] {
        let receiver = Receiver::start(behavior).await;
        attempts.push(send(&sender(OPEN), &receiver.url(secret, path)).await);
        attempts.push(send(&sender(STRICT), &receiver.url(secret, path)).await);
    }
    for receiver in [
        Receiver::start(Behavior::Greet("not TLS\r\n".to_owned())).await,
        Receiver::untrusted("other.example", Behavior::Silence).await,
    ] {
        let url = receiver.url(secret, path).replace("http:", "https:");
        attempts.push(send(&sender(OPEN), &url).await);
    }
    let url = format!("http://secret-user:secret-password@127.0.0.1{path}");
    attempts.push(send(&sender(STRICT), &url).await);
    for attempt in attempts {
        let shown = format!("{attempt:?}");
        assert!(shown.starts_with("Failed") && !shown.contains("secret"), "{shown}");
    }
}
