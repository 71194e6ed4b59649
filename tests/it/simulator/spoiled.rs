//! Faults that carry a request out, and then spoil its answer.

use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

fn job() -> String {
    json!({ "video_urls": [URL] }).to_string()
}

#[tokio::test]
async fn a_hanging_submit_is_charged_and_never_answered() {
    let talk = Conversation::with_faults(Faults { hang: 1.0, ..Faults::default() }).await;
    let submit = tokio::spawn(talk.request(Method::POST, SUBMIT_PRIVATE).body(job()).send());
    soon(talk.simulator.until(|simulator| simulator.charged().get(URL) == Some(&1))).await;
    assert!(!submit.is_finished());
    soon(talk.simulator.shutdown()).await;
    assert!(soon(submit).await.unwrap().is_err(), "it ends with the simulator");
}

#[tokio::test]
async fn a_dripping_answer_comes_byte_by_byte() {
    let talk = Conversation::with_faults(Faults { drip: 1.0, ..Faults::default() }).await;
    let mut answer = talk.submit_raw(SUBMIT_PRIVATE, job()).await;
    assert_eq!((answer.status().as_u16(), talk.simulator.charged()[URL]), (200, 1));
    let begun = Instant::now();
    for byte in ["{", "\""] {
        assert_eq!(soon(answer.chunk()).await.unwrap().unwrap(), byte);
    }
    assert!(begun.elapsed() > Duration::from_millis(900));
}

#[tokio::test]
async fn a_page_of_html_comes_on_http_200() {
    let talk = Conversation::with_faults(Faults { html: 1.0, ..Faults::default() }).await;
    for answer in [talk.submit_raw(SUBMIT_PRIVATE, job()).await, talk.poll_raw("any").await] {
        assert_eq!((answer.status().as_u16(), &answer.headers()["content-type"]), (200, &HTML));
        assert_eq!(Envelope::parse(&soon(answer.bytes()).await.unwrap()), None);
    }
    assert_eq!(talk.simulator.charged()[URL], 1);
}

const HTML: axum::http::HeaderValue = axum::http::HeaderValue::from_static("text/html; charset=utf-8");

#[tokio::test]
async fn a_huge_answer_is_the_right_one_in_10_mib() {
    let talk = Conversation::with_faults(Faults { huge: 1.0, ..Faults::default() }).await;
    let answer = soon(talk.submit_raw(SUBMIT_PRIVATE, job()).await.bytes()).await.unwrap();
    assert!((10 << 20..11 << 20).contains(&answer.len()), "{}", answer.len());
    assert_eq!(Envelope::parse(&answer).unwrap().task_id(), talk.simulator.submits()[0].task_id);
}

#[tokio::test]
async fn wrong_types_are_drawn_from_the_seed() {
    let mut runs = Vec::new();
    for seed in [7, 7, 8] {
        let faults = Faults { wrong_types: 1.0, ..Faults::default() };
        let talk = Conversation::with(Settings { seed, faults, ..Settings::default() }).await;
        let mut run = Vec::new();
        for _ in 0..12 {
            let answer: Value = talk.submit_raw(SUBMIT_PRIVATE, job()).await.json().await.unwrap();
            assert!(answer["msg"].is_array() && answer["success"].is_string(), "{answer}");
            run.push(answer);
        }
        runs.push(run);
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
}

#[tokio::test]
async fn who_follows_a_redirect_is_charged_twice() {
    let talk = Conversation::with_faults(Faults { redirect: 1.0, ..Faults::default() }).await;
    let careful =
        scrapehook::tls::client().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let submit = |client: &Client| {
        let url = format!("{}{SUBMIT_PRIVATE}", talk.simulator.url());
        soon(client.post(url).header("Authorization", "simulator").body(job()).send())
    };
    let answer = submit(&careful).await.unwrap();
    assert_eq!((answer.status().as_u16(), talk.simulator.charged()[URL]), (307, 1));
    let careless = reqwest::redirect::Policy::limited(1);
    let careless = scrapehook::tls::client().no_proxy().redirect(careless).build().unwrap();
    assert!(submit(&careless).await.unwrap_err().is_redirect());
    assert_eq!(talk.simulator.charged()[URL], 3);
}

#[tokio::test]
async fn a_connection_that_is_cut_unread_charges_nothing() {
    let talk = Conversation::with_faults(Faults { cut_unread: 1.0, ..Faults::default() }).await;
    let address = talk.simulator.url().replace("http://", "");
    let mut stream = soon(TcpStream::connect(&address)).await.unwrap();
    let head = format!("POST {SUBMIT_PRIVATE} HTTP/1.1\r\nHost: x\r\nAuthorization: simulator\r\n");
    let request = format!("{head}Content-Length: {}\r\n\r\n{}", job().len(), job());
    // Either can fail where the connection is gone already: what counts is that no byte comes back.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = soon(stream.read_to_end(&mut answer)).await;
    assert!(answer.is_empty());
    assert_eq!((talk.simulator.connections(), talk.simulator.submits().len()), (1, 0));

    talk.simulator.set_faults(Faults::default());
    assert_eq!(talk.submit(json!({ "video_urls": [URL] })).await.code, "0000");
    assert_eq!((talk.simulator.connections(), talk.simulator.charged()[URL]), (2, 1));
}

#[tokio::test]
async fn an_answer_is_spoiled_once_and_told_of() {
    let (narrator, mut lines) = tokio::sync::mpsc::unbounded_channel();
    let faults = Faults { html: 1.0, redirect: 1.0, ..Faults::default() };
    let settings = Settings { faults, narrate: Some(narrator), ..Settings::default() };
    let talk = Conversation::with(settings).await;
    assert_eq!(talk.submit_raw(SUBMIT_PRIVATE, job()).await.status(), 200);
    drop(talk);
    let mut told = Vec::new();
    while let Some(line) = soon(lines.recv()).await {
        told.extend(match line {
            scrapehook::simulator::Line::Fault { fault, on } => Some((fault, on)),
            _ => None,
        });
    }
    assert_eq!(told, [("html", "submit".to_owned())]);
}

#[tokio::test]
async fn a_spoiled_answer_changes_no_other_luck() {
    let mut ids = Vec::new();
    for html in [0.0, 1.0] {
        let faults = Faults { html, second_video: 0.5, ..Faults::default() };
        let talk = Conversation::with_faults(faults).await;
        for _ in 0..4 {
            talk.submit_raw(SUBMIT_PRIVATE, job()).await;
        }
        let submits = talk.simulator.submits();
        ids.push(submits.into_iter().map(|submit| submit.task_id).collect::<Vec<_>>());
    }
    assert_eq!(ids[0], ids[1]);
}
