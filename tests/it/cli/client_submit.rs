//! `submit`: one job at most, whatever happens to the connection, and every fault told before it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::thread;

use scrapehook::simulator::{Faults, Settings};
use serde_json::{Value, json};

use crate::support::Scene;
use crate::support::binary::{Binary, run};
use crate::support::shop::Shop;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_submit_prints_the_jobs_id_and_how_to_follow_it() {
    let shop = Shop::waiting().await;
    shop.done(&["pause"]);
    let (code, stdout, stderr) = shop.client.run(&["submit", "https://youtu.be/a", "https://youtu.be/b"]);
    assert_eq!(code, 0, "{stderr}");
    let id = stdout.strip_suffix('\n').unwrap();
    assert_eq!(shop.service.items("/v1/jobs").await[0]["id"], id);
    assert!(stderr.contains("2 URLs") && stderr.contains(&format!("scrapehook watch {id}")), "{stderr}");
    let elsewhere = ["submit", "https://youtu.be/a", "--server", &shop.service.base];
    let (_, _, stderr) = run(&mut Binary::bare().command(&elsewhere));
    assert!(stderr.contains(&format!("--server {}", shop.service.base)), "{stderr}");
    let job = &shop.json(&["submit", "https://youtu.be/c"])[0];
    assert_eq!(*job, shop.service.get(&format!("/v1/jobs/{}", job["id"].as_str().unwrap())).await);
    shop.service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_jobs_id_is_not_lost_with_standard_output() {
    let shop = Shop::waiting().await;
    for arguments in [&["submit", "https://youtu.be/a"][..], &["submit", "https://youtu.be/b", "--json"]] {
        let (code, stderr) = shop.client.run_unread(arguments);
        let id = shop.service.items("/v1/jobs").await[0]["id"].as_str().unwrap().to_owned();
        assert_eq!((code, stderr), (0, format!("The job is {id}.\n")));
    }
    shop.service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_setting_arrives_from_arguments_files_and_standard_input() {
    let shop = Shop::waiting().await;
    let posts = ["https://youtu.be/a", "https://youtu.be/b"];
    std::fs::write(shop.client.path("urls.txt"), format!("# mine\n{}\n", posts.join("\n"))).unwrap();
    std::fs::write(shop.client.path("urls.csv"), format!("n,url\n1,{}\n2,{}\n", posts[0], posts[1])).unwrap();
    let settings = [
        "--folder-id",
        "-1",
        "--quality",
        "720",
        "--library",
        "private",
        "--label",
        "a=b=c",
        "--label",
        "d=",
        "--force",
    ];
    let check = |job: &Value| {
        let expected = json!([-1, "720", "private", { "a": "b=c", "d": "" }, 2]);
        let fields = ["folder_id", "quality", "library", "labels"].map(|name| job[name].clone());
        assert_eq!(json!([fields[0], fields[1], fields[2], fields[3], job["progress"]["urls"]]), expected);
    };
    for from in [&posts[..], &["--file", "urls.txt"], &["--file", "urls.csv"]] {
        check(&shop.json(&[&["submit"], from, &settings].concat())[0]);
    }
    for (more, file) in [
        (&["-", "--json"][..], "urls.txt"),
        (&["-", "--json", "--csv"], "urls.csv"),
        (&["--file", "-", "--json"], "urls.txt"),
        (&["--file", "-", "--json", "--csv"], "urls.csv"),
    ] {
        let mut command = shop.client.command(&[&["submit"], &settings[..], more].concat());
        let input = std::fs::File::open(shop.client.path(file)).unwrap();
        let (code, stdout, stderr) = run(command.stdin(Stdio::from(input)));
        assert_eq!(code, 0, "{stderr}");
        check(&serde_json::from_str(&stdout).unwrap());
    }
    let (code, _, stderr) = shop.client.run(&["submit", "https://youtu.be/z", "--library", "public"]);
    assert!(code == 0 && stderr.contains("open to everyone. Nothing can ever be removed"), "{stderr}");
    let named = &shop.json(&["submit", "https://youtu.be/z", "--unique-id", "mine"])[0];
    assert_eq!(named["unique_id"], "mine");
    shop.service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_tells_and_does_nothing_and_a_key_makes_one_job() {
    let shop = Shop::waiting().await;
    let plan = shop.json(&["submit", "https://youtu.be/a", "https://x.com/a/status/1", "--dry-run"]);
    assert_eq!((&plan[0]["urls"], plan[0]["tasks"].as_array().unwrap().len()), (&json!(2), 2));
    let told = shop.done(&["submit", "https://youtu.be/a", "--dry-run"]);
    assert!(told.starts_with("1 URL: ") && told.contains("youtube"), "{told}");
    assert!(shop.service.items("/v1/jobs").await.is_empty());
    let once = ["submit", "https://youtu.be/a", "--idempotency-key", "tonight"];
    let first = shop.done(&once);
    let (code, again, said) = shop.client.run(&once);
    assert_eq!((code, again), (0, first));
    assert!(said.contains("Nothing new"), "{said}");
    let (code, said) = shop.not_done(&["submit", "https://youtu.be/b", "--idempotency-key", "tonight"]);
    assert!(code == 2 && said.contains("different Idempotency-Key"), "{said}");
    assert_eq!(shop.service.items("/v1/jobs").await.len(), 1);
    shop.service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_is_told_and_none_is_sent() {
    let shop = Shop::waiting().await;
    std::fs::write(shop.client.path("bad.txt"), "https://youtu.be/a\nnonsense\n\nftp://x.example/y\n")
        .unwrap();
    std::fs::write(shop.client.path("bad.csv"), "link\nhttps://youtu.be/a\n").unwrap();
    std::fs::write(shop.client.path("empty.txt"), "").unwrap();
    let body = "\u{feff} {\"video_urls\": [\"https://youtu.be/a\"]}";
    std::fs::write(shop.client.path("job.json"), body).unwrap();
    std::fs::write(shop.client.path("large.txt"), "x".repeat(9 << 20)).unwrap();
    for (arguments, wanted) in [
        (
            &["submit", "https://youtu.be/a", "nonsense", "http://me:secret@x.example/"][..],
            &["URL 2: not a URL", "URL 3: the URL contains a user name or a password"][..],
        ),
        (&["submit", "--file", "bad.txt"], &["\n  line 2: not a URL", "\n  line 4: the scheme is `ftp`"]),
        (&["submit", "--file", "bad.csv"], &["a column `url`"]),
        (&["submit", "--file", "missing.txt"], &["--file missing.txt: "]),
        (&["submit", "-"], &["at least one URL"]),
        (&["submit", "--file", "-"], &["at least one URL"]),
        (&["submit", "--file", "empty.txt"], &["at least one URL"]),
        (&["submit", "--file", "job.json"], &["--file job.json: this is JSON", "`POST /v1/jobs`"]),
        (&["submit", "-", "https://youtu.be/a"], &["only argument"]),
        (&["submit", "https://youtu.be/a", "--csv"], &["--csv"]),
        (
            &["submit", "https://youtu.be/a", "--label", "a=1", "--label", "a=2"],
            &["`a` is given more than once"],
        ),
        (&["submit", "https://youtu.be/a", "--unique-id", " "], &["unique_id: must not be empty"]),
        (&["submit", "--file", "bad.csv", "--unique-id", ""], &["unique_id: must not be empty"]),
    ] {
        let (code, said) = shop.not_done(arguments);
        assert_eq!(code, 2, "{said}");
        assert!(wanted.iter().all(|words| said.contains(words)) && !said.contains("secret"), "{said}");
    }
    let (code, said) = shop.not_done(&["submit", "--file", "."]);
    assert!(code == 2 && said.contains("--file .: "), "{said}");
    let (code, said) = shop.not_done(&["submit", "--file", "large.txt"]);
    assert!(code == 2 && said.contains("--file large.txt: a job has at most 8388608 bytes"), "{said}");
    for arguments in [
        &["submit"][..],
        &["submit", "https://youtu.be/a", "--file", "x"],
        &["submit", "x", "--label", "a"],
        &["submit", "x", "--label", "a:b=c"],
        &["submit", "x", "--quality", "4k"],
        &["submit", "x", "--unique-id", "a", "--folder-id", "1"],
    ] {
        assert_eq!(shop.client.run(arguments).0, 2, "{arguments:?}");
    }
    assert!(shop.service.items("/v1/jobs").await.is_empty());
    shop.service.stop().await;
}

#[test]
fn a_key_that_no_header_can_carry_is_refused_at_once_with_the_true_reason() {
    // Whoever connected here would be heard: nothing is sent.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let client = Binary::bare().set("URL", &format!("http://{}", listener.local_addr().unwrap()));
    for (key, why) in [
        ("nightly\n", "line end"),
        ("\nnightly", "line end"),
        ("a\r\nb: c", "line end"),
        ("a\tb", "control character"),
        ("n\u{e4}chtlich", "not ASCII"),
        ("", "empty"),
        (" ", "empty"),
        ("\"nightly", "quoted string"),
        (&"k".repeat(256), "255 characters"),
    ] {
        let (code, stdout, stderr) =
            client.run(&["submit", "https://youtu.be/AAAAAAAAAAA", "--idempotency-key", key]);
        assert_eq!((code, stdout.as_str()), (2, ""), "{key:?}: {stderr}");
        assert!(stderr.contains("--idempotency-key: ") && stderr.contains(why), "{key:?}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endless_input_is_read_no_further_than_a_job_may_be_long() {
    let client = Binary::bare().set("URL", "http://127.0.0.1:9");
    for arguments in [&["submit", "-"][..], &["submit", "--file", "-"], &["submit", "--file", "/dev/zero"]] {
        let zeros = std::fs::File::open("/dev/zero").unwrap();
        let (code, _, stderr) = run(client.command(arguments).stdin(Stdio::from(zeros)));
        assert!(code == 2 && stderr.contains("at most 8388608 bytes"), "{stderr}");
    }
}

/// Reads a request whole; gives its key.
fn read_request(stream: &mut TcpStream) -> String {
    let mut reader = BufReader::new(stream);
    let (mut key, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        match line.trim_end().split_once(": ") {
            Some(("idempotency-key", value)) => key = value.to_owned(),
            Some(("content-length", value)) => length = value.parse().unwrap(),
            _ if line.trim_end().is_empty() => break,
            _ => {}
        }
    }
    reader.read_exact(&mut vec![0; length]).unwrap();
    key
}

#[test]
fn a_submit_whose_answer_is_lost_is_sent_again_with_the_same_key() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = Binary::bare().set("URL", &format!("http://{}", listener.local_addr().unwrap()));
    let keys = thread::spawn(move || {
        let cut = read_request(&mut listener.accept().unwrap().0);
        let (mut busy, _) = listener.accept().unwrap();
        let second = read_request(&mut busy);
        busy.write_all(b"HTTP/1.1 503 Not now\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
        let (mut answered, _) = listener.accept().unwrap();
        let third = read_request(&mut answered);
        let body = r#"{"id":"job_7","state":"running","progress":{"urls":1,"sent":1}}"#;
        let head = format!("HTTP/1.1 202 Accepted\r\ncontent-length: {}\r\n\r\n", body.len());
        answered.write_all(format!("{head}{body}").as_bytes()).unwrap();
        [cut, second, third]
    });
    let (code, stdout, stderr) = client.run(&["submit", "https://youtu.be/a"]);
    assert_eq!((code, stdout.as_str()), (0, "job_7\n"), "{stderr}");
    assert!(stderr.contains("Sending it again with the same Idempotency-Key"), "{stderr}");
    let [first, second, third] = keys.join().unwrap();
    assert!(first.len() > 30 && first == second && second == third, "{first} {second} {third}");
}

#[test]
fn a_submit_that_is_never_answered_says_how_to_go_on() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = Binary::bare().set("URL", &format!("http://{}", listener.local_addr().unwrap()));
    let cut = thread::spawn(move || read_request(&mut listener.accept().unwrap().0));
    let (code, stdout, stderr) = client.run(&["submit", "https://youtu.be/a"]);
    assert_eq!((code, stdout.as_str()), (1, ""), "{stderr}");
    assert!(stderr.contains(&format!("--idempotency-key {}", cut.join().unwrap())), "{stderr}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_ends_with_how_the_job_went() {
    let shop = Shop::open(Settings::default()).await;
    let (code, stdout, stderr) = shop.client.run(&["submit", "https://youtu.be/a", "--wait"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("is done. 1 URL: 1 indexed"), "{stdout}");
    assert!(stderr.contains("is running. 1 URL: ") && !stderr.contains('█'), "{stderr}");
    let job = shop.json(&["submit", "https://youtu.be/a", "--wait"]).remove(0);
    assert_eq!((&job["state"], &job["progress"]["known"]), (&json!("done"), &json!(1)));
    assert_eq!(shop.json(&["watch", job["id"].as_str().unwrap()])[0]["id"], job["id"]);

    shop.upstream.set_faults(Faults { fail_task: 1.0, ..Faults::default() });
    let (code, stdout, _) = shop.client.run(&["submit", "https://youtu.be/b", "--wait"]);
    assert!(code == 1 && stdout.contains("is failed") && stdout.contains("https://youtu.be/b"), "{stdout}");
    let failed = shop.service.items("/v1/jobs?state=failed").await[0]["id"].as_str().unwrap().to_owned();
    let (code, stdout, _) = shop.client.run(&["watch", &failed, "--json"]);
    let job: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &job["state"]), (1, &json!("failed")));
    shop.service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_video_that_failed_beside_an_indexed_one_is_told_and_counts() {
    let faults = Faults { second_video: 1.0, fail_video: 0.5, ..Faults::default() };
    let (_upstream, service) = Scene::new().faults(faults).set("RECONCILE__AFTER", "20ms").start().await;
    let client = Binary::bare().set("URL", &service.base);
    // One in two posts has one of each.
    let is_told = (0..50).any(|n| {
        let (code, stdout, _) = client.run(&["submit", &format!("https://youtu.be/post{n}"), "--wait"]);
        let is_done = stdout.contains("is done");
        let failed = stdout.lines().any(|line| line.starts_with("VI") && line.contains("failed"));
        assert_eq!(code == 0, is_done && !failed, "{stdout}");
        is_done && failed
    });
    assert!(is_told);
    service.stop().await;
}
