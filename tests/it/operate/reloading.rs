//! SIGHUP: keys, secrets and the log level change while the service runs, and nothing is lost.

use std::fs;
use std::process::Command;

use reqwest::{Client, StatusCode};
use serde_json::json;

use crate::support::binary::{Binary, Serving, signal};
use crate::support::{Scene, mixed_urls};

const TAKEN_OVER: &str = "reloaded API keys, secrets, subscribers and log level";
const REFUSED: &str = "reload failed, so API keys, secrets, subscribers and log level stay as they are";

async fn asked(client: &Client, serving: &Serving, key: &str) -> StatusCode {
    client.get(format!("{}/v1/jobs", serving.base)).bearer_auth(key).send().await.unwrap().status()
}

fn reload(serving: &Serving, message: &str) {
    signal(serving.id(), "-HUP");
    assert!(serving.hear(message).is_some(), "it does not say: {message}");
}

#[tokio::test]
async fn keys_and_secrets_are_rotated_and_callbacks_in_flight_count() {
    let (upstream, binary) = Scene::new().downloads_nothing().binary().await;
    let (keys, secrets) = (binary.path("keys"), binary.path("secrets"));
    fs::write(&keys, "one:write:the-first-key\n").unwrap();
    fs::write(&secrets, "the-first-secret-of-all\n").unwrap();
    let binary = binary
        .set("AUTH__API_KEYS_FILE", &keys.display().to_string())
        .set("CALLBACK__SECRET_FILE", &secrets.display().to_string());
    let serving = binary.serve(&[]);
    let client = crate::support::client();
    let submit = async |key: &str, urls: &[String]| {
        let request = client.post(format!("{}/v1/jobs", serving.base)).bearer_auth(key);
        request.json(&json!({ "video_urls": urls })).send().await.unwrap().status()
    };
    let urls = mixed_urls(6);
    assert_eq!(submit("the-first-key", &urls[..1]).await, 202);
    upstream.until(|upstream| upstream.submits().len() == 1).await;

    // Both are good while callers change over.
    fs::write(&keys, "one:write:the-first-key\ntwo:write:the-second-key\n").unwrap();
    fs::write(&secrets, "the-second-secret-of-all\nthe-first-secret-of-all\n").unwrap();
    reload(&serving, TAKEN_OVER);
    assert_eq!(asked(&client, &serving, "the-first-key").await, 200);
    assert_eq!(submit("the-second-key", &urls[3..4]).await, 202);
    upstream.until(|upstream| upstream.submits().len() == 2).await;
    fs::write(&keys, "two:write:the-second-key\n").unwrap();
    reload(&serving, TAKEN_OVER);
    assert_eq!(asked(&client, &serving, "the-first-key").await, 401);
    assert_eq!(asked(&client, &serving, "the-second-key").await, 200);

    // What the first secret signed and what the second one did: both are callbacks, not hints.
    let urls: Vec<String> =
        upstream.submits().iter().map(|submit| submit.body.callback_url.clone().unwrap()).collect();
    let answers = async |expected: [u16; 2]| {
        for (url, expected) in urls.iter().zip(expected) {
            let answer = client.post(url).body(r#"{"status":"SUCCEEDED"}"#).send().await.unwrap();
            assert_eq!(answer.status(), expected);
        }
    };
    answers([200, 200]).await;
    // A secret that is gone makes hints of what it signed.
    fs::write(&secrets, "the-second-secret-of-all\n").unwrap();
    reload(&serving, TAKEN_OVER);
    answers([202, 200]).await;
    let (code, log) = serving.terminate();
    assert_eq!(code, 0, "{log}");
    for secret in ["the-first-key", "the-second-key", "secret-of-all"] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[tokio::test]
async fn a_configuration_that_is_wrong_changes_nothing() {
    let binary = Binary::new().set("SERVER__LISTEN", "127.0.0.1:0");
    let file = binary.path("config.toml");
    let keys = |keys: &str| format!("[auth]\napi_keys = [{keys}]\n");
    let good = r#"{ name = "a", key = "the-good-key", role = "read" }"#;
    fs::write(&file, keys(good)).unwrap();
    let serving = binary.serve(&["--config", &file.display().to_string()]);
    let client = crate::support::client();
    for wrong in [
        keys(r#"{ name = "a", key = "short", role = "read" }"#),
        "[auth".to_owned(),
        "[log]\nlevel = \"scrapehook=loudly\"".to_owned(),
        "[unknown]\na = 1".to_owned(),
        // The last key stays, even on loopback and if keyless operation is asked for.
        keys(""),
        keys("") + "keyless = true\n",
        String::new(),
    ] {
        fs::write(&file, wrong).unwrap();
        reload(&serving, REFUSED);
        assert_eq!(asked(&client, &serving, "the-good-key").await, 200);
    }
    fs::remove_file(&file).unwrap();
    reload(&serving, REFUSED);
    assert_eq!(asked(&client, &serving, "the-good-key").await, 200);
    assert_eq!(serving.terminate().0, 0);
}

#[tokio::test]
async fn a_file_of_keys_that_is_emptied_lets_nobody_in() {
    let binary = Binary::new();
    let keys = binary.path("keys");
    fs::write(&keys, "one:write:the-only-key\n").unwrap();
    let binary = binary
        .set("SERVER__LISTEN", "0.0.0.0:0")
        .set("CALLBACK__LISTEN", "127.0.0.1:0")
        .set("AUTH__API_KEYS_FILE", &keys.display().to_string());
    let serving = binary.serve(&[]);
    let client = crate::support::client();
    for text in ["", "\n", "\u{feff}", ","] {
        fs::write(&keys, text).unwrap();
        reload(&serving, REFUSED);
        let jobs = format!("{}/v1/jobs", serving.base);
        let without = client.get(&jobs).header("host", "localhost").send().await.unwrap().status();
        assert_eq!(without, 401, "{text:?}");
        assert_eq!(client.get(&jobs).bearer_auth("the-only-key").send().await.unwrap().status(), 200);
    }
    let (code, log) = serving.terminate();
    assert_eq!(code, 0);
    assert!(log.contains("auth.api_keys (SCRAPEHOOK_AUTH__API_KEYS_FILE)"), "{log}");
}

#[tokio::test]
async fn the_last_secret_stays_until_the_restart() {
    let (upstream, binary) = Scene::new().downloads_nothing().binary().await;
    let file = binary.path("config.toml");
    let secret = |secret: &str| format!("[callback]\nsecret = [\"{secret}\"]\n");
    fs::write(&file, "").unwrap();
    let serving = binary.serve(&["--config", &file.display().to_string()]);
    // Without one before, there is none to lose; one that a reload brought counts as one from the start.
    reload(&serving, TAKEN_OVER);
    fs::write(&file, secret("a-secret-of-the-file")).unwrap();
    reload(&serving, TAKEN_OVER);
    let client = crate::support::client();
    let job = json!({ "video_urls": mixed_urls(1) });
    client.post(format!("{}/v1/jobs", serving.base)).json(&job).send().await.unwrap();
    upstream.until(|upstream| upstream.submits().len() == 1).await;
    let url = upstream.submits()[0].body.callback_url.clone().unwrap();
    for text in ["", "[callback]\nsecret = []\n"] {
        fs::write(&file, text).unwrap();
        reload(&serving, REFUSED);
        let answer = client.post(&url).body(r#"{"status":"SUCCEEDED"}"#).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{text:?}");
    }
    // Another one in its place is an operator's decision.
    fs::write(&file, secret("another-secret-of-the-file")).unwrap();
    reload(&serving, TAKEN_OVER);
    let (code, log) = serving.terminate();
    assert!(code == 0 && log.contains("callback.secret: no secret is left"), "{log}");
}

#[tokio::test]
async fn a_service_without_keys_takes_some_over_and_keeps_them() {
    let binary = Binary::new();
    let file = binary.path("config.toml");
    fs::write(&file, "").unwrap();
    let serving = binary.serve(&["--config", &file.display().to_string()]);
    let client = crate::support::client();
    assert_eq!(asked(&client, &serving, "").await, 200);
    fs::write(&file, "[auth]\napi_keys = [{ name = \"a\", key = \"the-good-key\" }]\n").unwrap();
    reload(&serving, TAKEN_OVER);
    assert_eq!(asked(&client, &serving, "").await, 401);
    assert_eq!(asked(&client, &serving, "the-good-key").await, 200);
    fs::write(&file, "").unwrap();
    reload(&serving, REFUSED);
    assert_eq!(asked(&client, &serving, "").await, 401);
    assert_eq!(asked(&client, &serving, "the-good-key").await, 200);
    assert_eq!(serving.terminate().0, 0);
}

#[tokio::test]
async fn the_log_says_more_or_less_from_now_on() {
    let binary = Binary::new();
    let file = binary.path("config.toml");
    let level = |level: &str| fs::write(&file, format!("[log]\nlevel = \"{level}\"\n")).unwrap();
    level("info");
    let serving = binary.serve(&["--config", &file.display().to_string()]);
    let client = crate::support::client();
    assert_eq!(asked(&client, &serving, "").await, 200);
    level("debug");
    reload(&serving, TAKEN_OVER);
    assert_eq!(client.get(format!("{}/healthz", serving.base)).send().await.unwrap().status(), 200);
    let line = serving.hear("answered").unwrap();
    assert_eq!((&line["route"], &line["client"]), (&json!("/healthz"), &json!("127.0.0.1")));
    level("info");
    reload(&serving, TAKEN_OVER);
    assert_eq!(asked(&client, &serving, "").await, 200);
    let (code, log) = serving.terminate();
    assert_eq!((code, log.matches("\"answered\"").count()), (0, 1), "{log}");
}

#[tokio::test]
async fn a_named_pipe_is_refused_and_the_next_reload_is_heard() {
    let binary = Binary::new();
    let keys = binary.path("keys");
    fs::write(&keys, "one:write:the-first-key\n").unwrap();
    let binary = binary.set("AUTH__API_KEYS_FILE", &keys.display().to_string());
    let serving = binary.serve(&[]);
    let client = crate::support::client();
    fs::remove_file(&keys).unwrap();
    assert!(Command::new("mkfifo").arg(&keys).status().unwrap().success());
    reload(&serving, REFUSED);
    assert_eq!(asked(&client, &serving, "the-first-key").await, 200);
    fs::remove_file(&keys).unwrap();
    fs::write(&keys, "two:write:the-second-key\n").unwrap();
    reload(&serving, TAKEN_OVER);
    assert_eq!(asked(&client, &serving, "the-second-key").await, 200);
    assert_eq!(serving.terminate().0, 0);
}
