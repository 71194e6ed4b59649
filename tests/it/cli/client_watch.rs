//! `watch` and `events --follow`: nothing is lost, and Ctrl-C is heard, whatever happens to the connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Child;
use std::sync::mpsc::{self, Receiver};
use std::thread;

use serde_json::Value;

use crate::support::binary::{Binary, signal};
use crate::support::shop::Shop;
use crate::support::{DEADLINE, Scene, mixed_urls};

/// A client that runs meanwhile; killed where a test fails.
struct Running {
    child: Child,
    out: Receiver<String>,
    err: Receiver<String>,
}

fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (tell, hear) = mpsc::channel();
    thread::spawn(move || {
        let lines = BufReader::new(stream).lines();
        lines.map_while(Result::ok).take_while(|line| tell.send(line.clone()).is_ok()).for_each(drop);
    });
    hear
}

impl Running {
    fn start(client: &Binary, arguments: &[&str]) -> Self {
        let mut child = client.command(arguments).spawn().unwrap();
        let (out, err) = (lines(child.stdout.take().unwrap()), lines(child.stderr.take().unwrap()));
        Self { child, out, err }
    }

    /// Waits until it says this on standard error; gives the line.
    fn says(&self, words: &str) -> String {
        let mut said = Vec::new();
        loop {
            let line = self.err.recv_timeout(DEADLINE).unwrap_or_else(|_| panic!("no `{words}` in {said:?}"));
            if line.contains(words) {
                return line;
            }
            said.push(line);
        }
    }

    /// Waits until it has ended; gives the exit code and what was not read of standard output and error.
    fn ended(mut self) -> (i32, Vec<String>, Vec<String>) {
        let rest = |lines: &Receiver<String>| {
            let next = || match lines.recv_timeout(DEADLINE) {
                Ok(line) => Some(line),
                Err(mpsc::RecvTimeoutError::Disconnected) => None,
                Err(mpsc::RecvTimeoutError::Timeout) => panic!("it does not end"),
            };
            std::iter::from_fn(next).collect::<Vec<_>>()
        };
        let (out, err) = (rest(&self.out), rest(&self.err));
        (self.child.wait().unwrap().code().unwrap_or(-1), out, err)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ctrl_c_leaves_the_job_running_and_says_how_to_come_back() {
    let shop = Shop::waiting().await;
    for arguments in [&["submit", "https://youtu.be/a", "--wait"][..], &["watch"]] {
        let jobs = shop.service.items("/v1/jobs").await;
        let job = jobs.first().map(|job| job["id"].as_str().unwrap().to_owned());
        let arguments: Vec<&str> = arguments.iter().copied().chain(job.as_deref()).collect();
        let running = Running::start(&shop.client, &arguments);
        running.says("is running");
        signal(running.child.id(), "-INT");
        running.says("Come back with:");
        let said = running.says("  scrapehook watch job_");
        let (code, out, _) = running.ended();
        assert_eq!((code, out.len()), (130, 0));
        let job = said.rsplit(' ').next().unwrap();
        assert_eq!(shop.service.job(job).await.state, "running");
    }
    shop.service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_watches_or_follows_comes_through_a_restart() {
    let (upstream, server) = Scene::new().downloads_nothing().binary().await;
    let mut serving = server.serve(&[]);
    let client = Binary::bare().set("URL", &serving.base);
    let follower = Running::start(&client, &["events", "--follow", "--after", "0", "--json"]);
    let (_, job, _) = client.run(&["submit", "https://youtu.be/a"]);
    let job = job.trim();
    upstream.until(|upstream| upstream.submitted() == 1).await;
    let watcher = Running::start(&client, &["watch", job]);
    watcher.says("is running");
    serving.stopped();
    follower.says("Trying again");
    watcher.says("Trying again");
    let again = server.serve(&[]);
    let url = upstream.submits()[0].body.callback_url.clone().unwrap();
    let told = scrapehook::tls::client()
        .build()
        .unwrap()
        .post(url)
        .body(r#"{"status":"FAILED"}"#)
        .send()
        .await
        .unwrap();
    assert_eq!(told.status(), 200);
    let (code, out, err) = watcher.ended();
    assert_eq!(code, 1);
    assert!(out[0].contains("is failed"), "{out:?}");
    assert!(err.iter().any(|line| line.contains("Connected again")), "{err:?}");
    // Not before something came: an open stream alone is no news.
    follower.says("Connected again");
    // Every event once, in order, up to the end of the job.
    for seq in 1.. {
        let line = follower.out.recv_timeout(DEADLINE).unwrap();
        let event: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(event["seq"], seq);
        if event["kind"] == "job.settled" {
            break;
        }
    }
    drop(again);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn following_starts_at_now_and_shows_what_comes() {
    let shop = Shop::waiting().await;
    shop.service.submit(&mixed_urls(1)).await;
    shop.task_in("accepted").await;
    let before = shop.service.items("/v1/events").await.len();
    let follower = Running::start(&shop.client, &["events", "--follow"]);
    let mut line = None;
    let hear = async {
        while line.is_none() {
            shop.service.pause().await;
            shop.service.resume().await;
            line = follower.out.try_recv().ok();
        }
    };
    tokio::time::timeout(DEADLINE, hear).await.expect("news in time");
    let line = line.unwrap();
    let seq: usize = line.split_whitespace().next().unwrap().parse().unwrap();
    assert!(seq > before && line.contains(" sending."), "{line}");
    shop.service.stop().await;
    follower.says("Trying again");
}

/// A service that is played by the test, and the client that asks it.
fn played() -> (TcpListener, Binary) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = Binary::bare().set("URL", &format!("http://{}", listener.local_addr().unwrap()));
    (listener, client)
}

/// Takes the next question, which has no body.
fn asked(listener: &TcpListener) -> TcpStream {
    let (stream, _) = listener.accept().unwrap();
    let head = BufReader::new(&stream).lines().map_while(Result::ok);
    assert!(head.take_while(|line| !line.is_empty()).count() > 0);
    stream
}

/// Answers it with a body that ends with the connection.
fn answer(mut stream: &TcpStream, kind: &str, body: &str) {
    write!(stream, "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\nconnection: close\r\n\r\n{body}").unwrap();
}

#[test]
fn ctrl_c_is_heard_before_the_first_answer() {
    let (listener, client) = played();
    let watcher = Running::start(&client, &["watch", "job_7"]);
    let silent = asked(&listener);
    signal(watcher.child.id(), "-INT");
    let (code, out, _) = watcher.ended();
    assert_eq!((code, out.len()), (130, 0));
    drop(silent);
}

#[test]
fn a_task_is_no_job_to_watch() {
    let (_listener, client) = played();
    let (code, _, said) = Running::start(&client, &["watch", "task_7"]).ended();
    assert_eq!(code, 2);
    assert!(said.concat().contains("events --task task_7 --follow"), "{said:?}");
}

#[test]
fn what_is_no_stream_of_events_is_not_followed() {
    const MANY: usize = 256;
    let line = "a".repeat(64 * 1024);
    for (kind, body, is_endless) in [
        ("text/html", "<p>hello</p>", false),
        ("application/json", "{}", false),
        ("text/event-stream; charset=utf-8", "data: ", true),
    ] {
        let (listener, client) = played();
        let line = line.clone();
        let player = thread::spawn(move || {
            let mut stream = asked(&listener);
            answer(&stream, kind, body);
            // A line that has no end, as far as somebody reads it.
            (0..MANY).all(|_| !is_endless || stream.write_all(line.as_bytes()).is_ok())
        });
        let (code, stdout, stderr) = client.run(&["events", "--follow", "--after", "0"]);
        assert_eq!((code, stdout.as_str()), (1, ""), "{stderr}");
        assert!(stderr.contains("it is not scrapehook") && !stderr.contains("Trying again"), "{stderr}");
        assert_ne!(player.join().unwrap(), is_endless, "{kind}: it was read to the end");
    }
}

#[test]
fn a_stream_that_only_opens_is_not_heard_of() {
    let (listener, client) = played();
    let player = thread::spawn(move || {
        let event = "id: 7\nevent: job.created\ndata: {\"seq\":7}\n\n";
        let streams = ["", ": hello\n", "", event].map(|body| {
            let stream = asked(&listener);
            answer(&stream, "text/event-stream", body);
            // Only the one with the event stays open.
            Some(stream).filter(|_| body == event)
        });
        streams.into_iter().flatten().next()
    });
    let follower = Running::start(&client, &["events", "--follow", "--after", "0", "--json"]);
    assert_eq!(follower.out.recv_timeout(DEADLINE).unwrap(), "{\"seq\":7}");
    signal(follower.child.id(), "-KILL");
    let (_, _, said) = follower.ended();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].contains("Trying again") && said[1] == "Connected again.", "{said:?}");
    drop(player.join().unwrap());
}
