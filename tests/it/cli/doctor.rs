//! `doctor`: what is wrong is named rightly, and nothing is changed.
//!
//! On Linux alone: elsewhere the environment can't say whom to trust.

use std::collections::BTreeMap;

use scrapehook::simulator::Simulator;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::binary::{API_KEY, Binary, CALLBACK_SECRET, Serving};
use crate::support::proxy::{Authority, OPEN, Proxy, Rule, self_signed};
use crate::support::{Scene, UPSTREAM_KEY};

/// What `doctor` said of each check, and its exit code.
struct Findings {
    code: i32,
    checks: BTreeMap<String, Value>,
    text: String,
}

impl Findings {
    /// Whether a check ended so, with these words.
    #[track_caller]
    fn assert(&self, check: &str, state: &str, words: &str) {
        let found = &self.checks[check];
        assert_eq!(found["state"], state, "{}", self.text);
        assert!(found["seen"].as_str().unwrap().contains(words), "{words}: {}", self.text);
        assert_eq!(found["action"].is_string(), ["failed", "not_proven"].contains(&state), "{}", self.text);
    }

    /// Whether nothing but this failed. How full the disk of the machine is that runs this is no matter.
    #[track_caller]
    fn assert_failed(&self, check: &str, words: &str) {
        self.assert(check, "failed", words);
        let failed: Vec<_> = self
            .checks
            .values()
            .filter(|found| found["state"] == "failed" && found["check"] != "disk")
            .collect();
        assert_eq!(failed.len(), 1, "{}", self.text);
        assert_eq!(self.code, 1, "{}", self.text);
    }

    #[track_caller]
    fn assert_nothing_failed(&self) {
        let failed = self.checks.values().filter(|found| found["state"] == "failed");
        let failed: Vec<_> = failed.filter(|found| found["check"] != "disk").collect();
        assert!(failed.is_empty(), "{}", self.text);
        let is_full = self.checks["disk"]["state"] == "failed";
        assert_eq!(self.code, i32::from(is_full), "{}", self.text);
    }
}

fn doctor(binary: &Binary) -> Findings {
    let (code, text, stderr) = binary.run(&["doctor", "--json"]);
    assert_eq!(stderr, "", "{text}");
    for secret in [UPSTREAM_KEY, API_KEY, CALLBACK_SECRET] {
        assert!(!text.contains(secret), "{text}");
    }
    let checks = text.lines().map(|line| {
        let check: Value = serde_json::from_str(line).unwrap();
        (check["check"].as_str().unwrap().to_owned(), check)
    });
    Findings { code, checks: checks.collect(), text: text.clone() }
}

/// A service that runs, and the binary to look at it.
struct Examined {
    upstream: Simulator,
    binary: Binary,
    serving: Serving,
}

impl Examined {
    async fn new() -> Self {
        let (upstream, binary) = Scene::new().binary().await;
        let binary = binary.set("AUTH__API_KEYS", &format!("x:write:{API_KEY}"));
        let serving = binary.serve(&[]);
        Self { upstream, binary, serving }
    }

    fn listen(&self) -> &str {
        self.serving.base.strip_prefix("http://").unwrap()
    }

    /// Looks with another public URL than the service was started with.
    fn doctor_at(mut self, public_url: &str) -> (Self, Findings) {
        self.binary = self.binary.set("SERVER__PUBLIC_URL", public_url);
        let findings = doctor(&self.binary);
        (self, findings)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_set_up_is_proven_from_end_to_end() {
    let scene = Examined::new().await;
    let authority = Authority::new("trusted");
    authority.write(&scene.binary.path("roots.pem"));
    let rule = Rule::Pass { below: "/hooks" };
    let proxy = Proxy::start(scene.listen(), rule, Some(authority.tls("localhost", false))).await;
    let roots = scene.binary.path("roots.pem").display().to_string();
    let binary = scene.binary.set("SERVER__PUBLIC_URL", &format!("{}/hooks/", proxy.https()));
    let binary = binary.variable("SSL_CERT_FILE", &roots);
    let findings = doctor(&binary);
    findings.assert_nothing_failed();
    findings.assert("configuration", "ok", "the environment, 1 API key");
    findings.assert("database", "ok", "An instance is running on it");
    findings.assert("permissions", "ok", "only the owner can access the database");
    findings.assert("upstream", "ok", &scene.upstream.url());
    findings.assert("key", "ok", "accepted");
    findings.assert("clock", "ok", "that of the memories.ai API");
    findings.assert("callbacks", "ok", "65536 bytes");
    let (_, text, _) = binary.run(&["doctor"]);
    assert_eq!(text.lines().filter(|line| line.starts_with("ok  ")).count(), 8, "{text}");

    let client = crate::support::client();
    let status = client.get(format!("{}/v1/status", scene.serving.base)).bearer_auth(API_KEY);
    let status: Value = status.send().await.unwrap().json().await.unwrap();
    assert_eq!(status["counts"]["quarantine"], 0, "nothing of a check is kept");
    assert_eq!(status["last_callback_at"], Value::Null);
    assert!(scene.upstream.submits().is_empty(), "nothing was sent that could be charged");
    let (code, log) = scene.serving.terminate();
    assert_eq!(code, 0, "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_proxy_does_wrong_is_named() {
    let mut scene = Examined::new().await;
    let proxy = Proxy::start(scene.listen(), OPEN, None).await;
    let answer = |status, location| Rule::Answer { status, location };
    for (rule, path, words) in [
        (Rule::Pass { below: "/hooks" }, "", "something else answers and does not know the path"),
        (Rule::Pass { below: "/callback" }, "", "received another path (HTTP 404)"),
        (OPEN, "/hooks", "received another path (HTTP 404)"),
        (Rule::Limit { most: 1_024, status: 413 }, "", "a proxy refuses a body of 65536 bytes (HTTP 413)"),
        (Rule::Limit { most: 1_024, status: 502 }, "", "a small one comes through (HTTP 502)"),
        (answer(301, "https://localhost/x"), "", "a redirect to https://localhost (HTTP 301)"),
        (answer(401, ""), "", "asks for a login"),
        (answer(429, ""), "", "limits the rate"),
        (answer(502, ""), "", "does not reach the service"),
        (answer(200, ""), "", "senders would mistake it for this service (HTTP 200)"),
        (answer(400, ""), "", "something else answers (HTTP 400)"),
        (Rule::Change, "", "was changed on its way"),
        (Rule::HangUp, "", "cut off before an answer"),
    ] {
        proxy.set(rule.clone());
        let (again, findings) = scene.doctor_at(&format!("{}{path}", proxy.http()));
        findings.assert_failed("callbacks", words);
        scene = again;
    }
    proxy.set(OPEN);
    let (_, findings) = scene.doctor_at(&proxy.http());
    findings.assert_nothing_failed();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_name_and_certificate_is_named() {
    let scene = Examined::new().await;
    let (trusted, other) = (Authority::new("trusted"), Authority::new("other"));
    trusted.write(&scene.binary.path("roots.pem"));
    let roots = scene.binary.path("roots.pem").display().to_string();
    let listen = scene.listen().to_owned();
    let mut scene = Examined { binary: scene.binary.variable("SSL_CERT_FILE", &roots), ..scene };
    for (tls, words) in [
        (trusted.tls("hooks.example.com", false), "the certificate is for another name (hooks.example.com)"),
        (trusted.tls("localhost", true), "the certificate has expired"),
        (other.tls("localhost", false), "issuer is not known"),
        (self_signed("localhost"), "the certificate is self-signed"),
    ] {
        let proxy = Proxy::start(&listen, OPEN, Some(tls)).await;
        let (again, findings) = scene.doctor_at(&proxy.https());
        findings.assert_failed("callbacks", words);
        scene = again;
    }
    let plain = scene.serving.base.replace("http:", "https:");
    let (scene, findings) = scene.doctor_at(&plain);
    findings.assert_failed("callbacks", "does not speak TLS");
    let (_, findings) = scene.doctor_at("https://hooks.invalid");
    findings.assert_failed("callbacks", "name can't be resolved");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hairpin_that_fails_proves_nothing() {
    let scene = Examined::new().await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (_, findings) = scene.doctor_at(&format!("http://{closed}"));
    findings.assert_nothing_failed();
    findings.assert("callbacks", "not_proven", "connection refused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_key_and_a_dead_upstream_are_named() {
    let scene = Examined::new().await;
    let binary = scene.binary.set("UPSTREAM__API_KEY", API_KEY);
    let findings = doctor(&binary);
    findings.assert_failed("key", "0401");
    findings.assert("upstream", "ok", "answers");
    scene.upstream.shutdown().await;
    let findings = doctor(&binary);
    findings.assert_failed("upstream", "connection refused");
    findings.assert("key", "skipped", "does not answer");
    findings.assert("clock", "skipped", "does not answer");
}

/// An upstream that answers everything with this.
async fn answering(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0; 4_096];
            let _ = stream.read(&mut head).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    format!("http://{address}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_off_and_an_upstream_that_is_none_are_named() {
    for (answer, check, state, words) in [
        (
            "HTTP/1.1 200 OK\r\nDate: Tue, 23 Sep 2025 13:30:37 GMT\r\nContent-Length: 15\r\n\r\n{\"code\":\"0001\"}",
            "clock",
            "failed",
            "ahead of that of the memories.ai API",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"code\":\"0001\"}",
            "clock",
            "not_proven",
            "has no date",
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>", "key", "not_proven", "does not show whether"),
        (
            "HTTP/1.1 404 Not Found\r\nContent-Length: 6\r\n\r\n<html>",
            "upstream",
            "failed",
            "not as the scrape API",
        ),
        ("SSH-2.0-OpenSSH\r\n", "upstream", "failed", "does not speak HTTP"),
        ("", "upstream", "failed", "cut off before an answer"),
    ] {
        let url = answering(answer).await;
        let findings = doctor(&Binary::new().set("UPSTREAM__BASE_URL", &url));
        findings.assert(check, state, words);
        findings.assert("configuration", "ok", "keyless: only requests with a loopback Host");
        findings.assert("callbacks", "skipped", "server.public_url is not set");
        findings.assert("database", "skipped", "does not exist yet");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_running_service_only_what_stands_before_it_is_judged() {
    let (_upstream, binary) =
        Scene::new().set("AUTH__API_KEYS", &format!("x:write:{API_KEY}")).binary().await;
    let name = |binary: Binary| binary.set("SERVER__PUBLIC_URL", "https://hooks.invalid");
    let proxy = Proxy::start("127.0.0.1:9", OPEN, None).await;

    let binary = name(binary);
    doctor(&binary).assert_failed("callbacks", "name can't be resolved");
    let binary = binary.set("SERVER__PUBLIC_URL", &proxy.http());
    let findings = doctor(&binary);
    findings.assert_nothing_failed();
    findings.assert("callbacks", "not_proven", "no callback secret yet");

    assert_eq!(binary.serve(&[]).terminate().0, 0);
    let before = files(&binary);
    let findings = doctor(&binary);
    findings.assert_nothing_failed();
    findings.assert("database", "ok", "No instance is running on it");
    findings.assert("callbacks", "not_proven", "no service runs on this database");
    doctor(&name(binary)).assert_failed("callbacks", "name can't be resolved");
    assert!(!before.is_empty());
}

/// The names and contents of what lies where the database is.
fn files(binary: &Binary) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(binary.path("")).unwrap().map(Result::unwrap);
    entries
        .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap()))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_at_the_database_changes_nothing() {
    let (_upstream, binary) = Scene::new().binary().await;
    assert_eq!(binary.serve(&[]).terminate().0, 0);
    let before = files(&binary);
    doctor(&binary).assert("database", "ok", "undamaged");
    assert!(files(&binary) == before, "left as it was");
    // After a crash the log holds what the file lacks.
    let mut serving = binary.serve(&[]);
    serving.end();
    let kept = |mut files: BTreeMap<String, Vec<u8>>| {
        files.retain(|name, _| !name.ends_with("-shm"));
        files
    };
    let before = kept(files(&binary));
    assert!(before.keys().any(|name| name.ends_with("-wal")), "{:?}", before.keys());
    doctor(&binary).assert("database", "ok", "No instance is running on it");
    assert!(kept(files(&binary)) == before, "left as it was");

    let other = binary.set("UPSTREAM__BASE_URL", "http://127.0.0.1:9");
    doctor(&other).assert("database", "failed", "belongs to");
    std::fs::write(other.path("scrapehook.db"), b"dear diary\n".repeat(1_000)).unwrap();
    doctor(&other).assert("database", "failed", "not a scrapehook database");
    let nowhere = other.set("STORE__PATH", "/nowhere/at/all.db");
    let findings = doctor(&nowhere);
    findings.assert("disk", "failed", "/nowhere/at is not a folder");
}

#[test]
fn a_wrong_configuration_is_exit_code_2() {
    for (key, value, wanted) in [
        ("UPSTREAM__API_KEY", "", "upstream.api_key"),
        ("SERVER__PUBLIC_URL", "hooks", "server.public_url"),
        ("SERVER__NOPE", "1", "nope"),
    ] {
        let findings = doctor(&Binary::new().set(key, value));
        findings.assert("configuration", "failed", wanted);
        assert_eq!((findings.code, findings.checks.len()), (2, 1), "{}", findings.text);
    }
    let findings = doctor(&Binary::new().variable("SSL_CERT_FILE", "/dev/null"));
    findings.assert("configuration", "failed", "No CA certificates");
    assert_eq!(findings.code, 2, "{}", findings.text);
}

#[test]
fn a_failure_that_nobody_reads_is_a_failure() {
    let binary = Binary::new();
    for arguments in [&["doctor"][..], &["doctor", "--json"]] {
        assert_eq!(binary.run(arguments).0, 1);
        assert_eq!(binary.run_unread(arguments), (1, String::new()));
    }
    let wrong = Binary::new().set("UPSTREAM__API_KEY", "");
    assert_eq!(wrong.run_unread(&["doctor"]).0, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_instance_behind_the_public_url_is_named() {
    let scene = Examined::new().await;
    let (_upstream, other) = Scene::new().start().await;
    let base = other.base.clone();
    let (_, findings) = scene.doctor_at(&base);
    findings.assert_failed("callbacks", "another callback secret");
    other.stop().await;
}
