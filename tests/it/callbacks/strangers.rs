//! Clients that hold connections open: each is cut in time, and keeps nobody else out.

use std::time::Duration;

use reqwest::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::raw;
use crate::support::{DEADLINE, Scene};

#[tokio::test]
async fn a_silent_client_is_cut() {
    let (_upstream, service) = Scene::new().set("SERVER__HEADER_TIMEOUT", "200ms").start().await;
    let mut silent = raw::connect(&service).await;
    let mut half = raw::connect(&service).await;
    half.write_all(b"POST /callback HTTP/1.1\r\nHost: x\r\nContent-Le").await.unwrap();
    // The service runs on this thread, so the request is there before the service can start its timer.
    let mut kept_alive = std::net::TcpStream::connect(service.base.strip_prefix("http://").unwrap()).unwrap();
    std::io::Write::write_all(&mut kept_alive, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    kept_alive.set_nonblocking(true).unwrap();
    let mut kept_alive = TcpStream::from_std(kept_alive).unwrap();
    assert_eq!(raw::answer(&mut kept_alive).await.0, 200);
    for stream in [&mut silent, &mut half, &mut kept_alive] {
        raw::until_closed(stream).await;
    }
    service.stop().await;
}

#[tokio::test]
async fn a_head_that_drips_is_cut() {
    let (_upstream, service) = Scene::new().set("SERVER__HEADER_TIMEOUT", "200ms").start().await;
    let (mut read, mut write) = raw::connect(&service).await.into_split();
    let drip = async {
        // Each byte is well within the deadline, the head as a whole is not: a pause is what is tested.
        let mut pause = tokio::time::interval(Duration::from_millis(20));
        write.write_all(b"GET /healthz HTTP/1.1\r\nX: ").await.unwrap();
        loop {
            pause.tick().await;
            if write.write_all(b"x").await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    let cut = async {
        let mut said = Vec::new();
        let _ = read.read_to_end(&mut said).await;
    };
    let cut = async {
        tokio::select! {
            () = drip => {}
            () = cut => {}
        }
    };
    tokio::time::timeout(DEADLINE, cut).await.expect("cut in time");
    service.stop().await;
}

#[tokio::test]
async fn a_body_that_is_late_is_not_waited_for() {
    let (_upstream, service) = Scene::new().set("SERVER__BODY_TIMEOUT", "200ms").start().await;
    let host = service.base.strip_prefix("http://").unwrap();
    for (path, status) in [("/v1/jobs", 408), ("/callback", 503), ("/callback/x", 503)] {
        let mut stream = raw::connect(&service).await;
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{{"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let (found, text) = raw::answer(&mut stream).await;
        assert_eq!(found, status, "{path}");
        assert_eq!(text.to_ascii_lowercase().contains("retry-after: "), status == 503, "{text}");
        raw::until_closed(&mut stream).await;
    }
    assert!(service.items("/v1/quarantine").await.is_empty());
    service.stop().await;
}

#[tokio::test]
async fn a_body_that_is_cut_off_is_not_kept() {
    let (_upstream, service) = Scene::new().start().await;
    let mut stream = raw::connect(&service).await;
    stream.write_all(b"POST /callback HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{}").await.unwrap();
    stream.shutdown().await.unwrap();
    raw::until_closed(&mut stream).await;
    assert!(service.items("/v1/quarantine").await.is_empty());
    service.stop().await;
}

#[tokio::test]
async fn who_still_sends_a_body_that_nobody_reads_hears_the_answer() {
    let (_upstream, service) = Scene::new().set("AUTH__API_KEYS", "me:write:key-of-a-caller").start().await;
    let body = vec![b'x'; 5 * 1024 * 1024];
    let key = "Authorization: Bearer key-of-a-caller\r\n";
    for (path, headers, status) in [
        ("/v1/jobs", "", 401),
        ("/v1/nope", key, 404),
        ("/v1/jobs", key, 415),
        ("/v1/jobs?nope=1", &format!("{key}Content-Type: text/plain\r\n"), 400),
        ("/v1/pause", key, 413),
        ("/callback", "", 413),
    ] {
        let length = body.len();
        let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {length}\r\n\r\n");
        let mut stream = raw::connect(&service).await;
        stream.write_all(head.as_bytes()).await.unwrap();
        // As simple clients do: all of the body first, then the answer. A reset would cut both.
        stream.write_all(&body).await.unwrap_or_else(|error| panic!("{path}: {error}"));
        let said = String::from_utf8(raw::until_closed(&mut stream).await).unwrap();
        assert!(
            said.starts_with(&format!("HTTP/1.1 {status} ")) && said.contains("request_id"),
            "{path}: {said}"
        );
    }
    service.stop().await;
}

#[tokio::test]
async fn who_never_sends_the_rest_of_a_body_is_closed_and_does_not_hold_up_the_stop() {
    let (_upstream, service) = Scene::new().set("SERVER__HEADER_TIMEOUT", "1h").start().await;
    let mut stream = raw::connect(&service).await;
    stream
        .write_all(b"POST /v1/nope HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999\r\n\r\nx")
        .await
        .unwrap();
    assert_eq!(raw::answer(&mut stream).await.0, 404);
    raw::until_closed(&mut stream).await;
    // The other side still reads, until it stops.
    service.stop().await;
    // A reset, or an end: nobody is there any more.
    let gone = async { while stream.write_all(&[b'x'; 1024]).await.is_ok() {} };
    tokio::time::timeout(DEADLINE, gone).await.expect("closed with the stop");

    let (_upstream, service) = Scene::new().set("SERVER__HEADER_TIMEOUT", "200ms").start().await;
    let mut stream = raw::connect(&service).await;
    stream
        .write_all(b"POST /v1/nope HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999\r\n\r\nx")
        .await
        .unwrap();
    assert_eq!(raw::answer(&mut stream).await.0, 404);
    let gone = async { while stream.write_all(&[b'x'; 1024]).await.is_ok() {} };
    tokio::time::timeout(DEADLINE, gone).await.expect("closed at a limit");
    service.stop().await;
}

#[tokio::test]
async fn what_is_not_http_is_closed() {
    let (_upstream, service) = Scene::new().start().await;
    for bytes in [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".as_slice(),
        b"\0\0\0\0\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /callback HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        b"POST /callback HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /callback HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ] {
        let mut stream = raw::connect(&service).await;
        stream.write_all(bytes).await.unwrap();
        let said = String::from_utf8_lossy(&raw::until_closed(&mut stream).await).into_owned();
        assert!(!said.contains(" 200 ") && !said.contains(" 202 "), "{said}");
    }
    assert!(service.items("/v1/quarantine").await.is_empty());
    service.stop().await;
}

#[tokio::test]
async fn what_hyper_refuses_by_itself_is_a_problem_too() {
    let (_upstream, service) = Scene::new().start().await;
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(70_000));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(150));
    let wrong = "POST /callback HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n".to_owned();
    for (request, expected) in [(long, 414), (many, 431), (wrong, 400)] {
        let mut stream = raw::connect(&service).await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let said = String::from_utf8(raw::until_closed(&mut stream).await).unwrap();
        let (head, body) = said.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("application/problem+json"), "{head}");
        let problem: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!((&problem["status"], &problem["code"]), (&expected.into(), &"bad_request".into()));
        assert!(head.contains(problem["request_id"].as_str().unwrap()));
    }
    service.stop().await;
}

#[tokio::test]
async fn an_answer_that_looks_like_a_refusal_in_its_middle_arrives_whole() {
    let (_upstream, service) = Scene::new().start().await;
    // 1.7 MB: strangers may send 2 MiB at once.
    let hint = "HTTP/1.1 400 Bad Request\r\n\r\n".repeat(2_000);
    for n in 0..30 {
        assert_eq!(service.post_callback("/callback", format!("{hint}{n}")).await, 202);
    }
    for _ in 0..5 {
        assert_eq!(service.items("/v1/quarantine?limit=500").await.len(), 30);
    }
    service.stop().await;
}

#[tokio::test]
async fn a_client_that_has_closed_its_side_still_hears_the_answer() {
    let (_upstream, service) = Scene::new().start().await;
    for n in 0..20 {
        let mut stream = raw::connect(&service).await;
        let body = format!("hint {n}");
        let head = format!("POST /callback HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        assert_eq!(raw::answer(&mut stream).await.0, 202);
    }
    assert_eq!(service.items("/v1/quarantine").await.len(), 20);
    service.stop().await;
}

#[tokio::test]
async fn at_the_cap_the_longest_silent_connection_makes_room() {
    let (_upstream, service) =
        Scene::new().set("SERVER__MAX_CONNECTIONS", "8").set("SERVER__HEADER_TIMEOUT", "1h").start().await;
    let mut strangers = Vec::new();
    for _ in 0..8 {
        strangers.push(raw::connect(&service).await);
    }
    // The last one has its answer, so all were accepted; then the first: the second is silent for longest.
    for place in [7, 0] {
        strangers[place].write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        assert_eq!(raw::answer(&mut strangers[place]).await.0, 200);
    }
    let answer = service.request(Method::GET, "/healthz").send();
    let answer = tokio::time::timeout(DEADLINE, answer).await.expect("answered in time").unwrap();
    assert_eq!(answer.status(), 200);
    raw::until_closed(&mut strangers[1]).await;
    strangers[0].write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert_eq!(raw::answer(&mut strangers[0]).await.0, 200, "who talked last is still there");
    service.stop().await;
}

#[tokio::test]
async fn open_connections_do_not_hold_up_the_stop() {
    let (_upstream, service) = Scene::new().set("SERVER__HEADER_TIMEOUT", "1h").start().await;
    let mut idle = raw::connect(&service).await;
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert_eq!(raw::answer(&mut idle).await.0, 200);
    let mut silent = raw::connect(&service).await;
    assert_eq!(service.post_callback("/callback", "x").await, 202);
    service.stop().await;
    raw::until_closed(&mut idle).await;
    raw::until_closed(&mut silent).await;
}

#[tokio::test]
async fn a_half_sent_head_does_not_hold_up_the_stop() {
    let (_upstream, service) = Scene::new().set("SERVER__HEADER_TIMEOUT", "1h").start().await;
    let mut half = raw::connect(&service).await;
    half.write_all(b"GET /healthz HTTP/1.1\r\nHo").await.unwrap();
    assert_eq!(service.post_callback("/callback", "x").await, 202);
    service.stop().await;
    raw::until_closed(&mut half).await;
}

#[tokio::test]
async fn a_client_that_reads_no_answers_does_not_hold_up_the_stop() {
    let (_upstream, service) = Scene::new().start().await;
    let mut deaf = raw::connect(&service).await;
    let requests = b"GET /nope HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1000);
    // Until both ways are full: the service can't send, so it reads no more.
    let fill = async { while deaf.write_all(&requests).await.is_ok() {} };
    let _ = tokio::time::timeout(Duration::from_secs(2), fill).await;
    service.stop().await;
}
