//! What comes out of a pipe: the service's own values for programs, and quiet ends where nobody reads on.

use std::io::Read;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::binary::{Binary, run};
use crate::support::mixed_urls;
use crate::support::shop::Shop;

/// Runs it where nobody reads its standard output; gives the exit code and what it says.
fn unread(mut command: Command) -> (i32, String) {
    let (mut reader, stderr) = std::io::pipe().unwrap();
    let (gone, stdout) = std::io::pipe().unwrap();
    drop(gone);
    let (code, ..) = run(command.stdout(stdout).stderr(stderr));
    drop(command);
    let mut said = String::new();
    reader.read_to_string(&mut said).unwrap();
    (code, said)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_stops_reading_ends_it_quietly() {
    let shop = Shop::waiting().await;
    shop.service.submit(&mixed_urls(1)).await;
    let job = shop.service.items("/v1/jobs").await[0]["id"].as_str().unwrap().to_owned();
    for arguments in [
        vec!["jobs"],
        vec!["jobs", &job],
        vec!["tasks", "--json"],
        vec!["events", "--all"],
        vec!["events", "--follow", "--after", "0"],
        vec!["status", "--json"],
        vec!["submit", "https://youtu.be/a"],
        vec!["pause"],
        vec!["completions", "zsh"],
        vec!["jobs", "--help"],
    ] {
        let (code, said) = unread(shop.client.command(&arguments));
        assert!(!said.contains("panic") && !said.contains("scrapehook: "), "{arguments:?}: {said}");
        assert!(code == 0 || arguments[0] == "status", "{arguments:?}");
        // Nor is a closed standard error a reason to die.
        let (gone, closed) = std::io::pipe().unwrap();
        drop(gone);
        let (code, ..) = run(shop.client.command(&["jobs", "job_0"]).stderr(closed));
        assert_eq!(code, 1);
    }
    shop.service.stop().await;
}

#[test]
fn who_stops_reading_the_service_side_ends_it_quietly_too() {
    let configured = Binary::new();
    let serving = configured.serve(&[]);
    for arguments in [
        vec!["check-config"],
        vec!["health", "--url", &serving.base],
        vec!["demo", "--exit"],
        vec!["simulate", "--listen", "127.0.0.1:0"],
    ] {
        let (code, said) = unread(configured.command(&arguments));
        assert!(!said.contains("panic") && !said.contains("scrapehook: "), "{arguments:?}: {said}");
        assert_eq!(code, 0, "{arguments:?}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn json_is_the_services_own_value_and_steers_no_terminal() {
    let shop = Shop::waiting().await;
    shop.done(&["pause"]);
    let strange = "a\u{7f}b\u{9b}2Jc\u{85}d\u{1b}[2Je \u{e9}\n";
    let body = json!({ "video_urls": mixed_urls(1), "labels": { strange: strange } });
    let id = shop.service.submit_with(body).await;
    for arguments in [vec!["jobs"], vec!["jobs", &id], vec!["cancel", &id]] {
        let printed = shop.done(&[&arguments[..], &["--json"]].concat());
        let job: Value = serde_json::from_str(&printed).unwrap();
        assert_eq!(job["labels"], json!({ strange: strange }), "{arguments:?}");
        let line = printed.strip_suffix('\n').unwrap();
        assert!(!line.contains(char::is_control) && line.contains("\u{e9}"), "{line:?}");
    }
    let table = shop.done(&["jobs"]);
    assert!(!table.contains(|c: char| c.is_control() && c != '\n'), "{table:?}");
    shop.service.stop().await;
}

#[cfg(target_os = "linux")]
#[test]
fn a_result_that_can_not_be_written_is_a_failure() {
    for arguments in [["check-config"].as_slice(), &["completions", "fish"]] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let (code, _, said) = run(Binary::new().command(arguments).stdout(full));
        assert_eq!(code, 1, "{said}");
        assert!(said.starts_with("scrapehook: ") && said.lines().count() == 1, "{said}");
    }
}
