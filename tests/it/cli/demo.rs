//! `demo`: the first command of a newcomer shows each URL with its end, and explains how it went.

use crate::support::binary::Binary;

/// The rows of the table of URLs.
fn rows(shown: &str) -> Vec<&str> {
    shown.lines().filter(|line| line.starts_with(" https://")).collect()
}

#[test]
fn the_demo_shows_the_video_of_every_url() {
    let (code, shown, said) = Binary::bare().run(&["demo", "--exit"]);
    assert_eq!(code, 0, "{said}");
    let rows = rows(&shown);
    assert!(
        rows.len() == 20 && rows.iter().all(|row| row.contains(" VI") && row.contains(" indexed")),
        "{shown}"
    );
    assert!(shown.contains("How it went:") && shown.contains("0 of them twice"), "{shown}");
    assert!(!shown.contains("curl"), "nothing serves any more: {shown}");
}

#[test]
fn a_fault_that_fails_every_url_is_shown_for_every_url() {
    let (code, shown, said) = Binary::bare().run(&["demo", "--exit", "--fault", "fail-task"]);
    assert_eq!(code, 0, "{said}");
    let rows = rows(&shown);
    assert!(rows.len() == 20 && rows.iter().all(|row| row.contains("failed: task_failed")), "{shown}");
    assert!(shown.contains("Fault: fail-task: "), "{shown}");
}
