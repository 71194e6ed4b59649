//! What a service manager hears: ready once requests are answered, alive as long as the writer answers, stopping.

#[cfg(target_os = "linux")]
use std::os::linux::net::SocketAddrExt;
#[cfg(target_os = "linux")]
use std::os::unix::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use sqlx::Connection;

use crate::support::DEADLINE;
use crate::support::binary::{Binary, Serving};
use crate::support::database::open;

const ALIVE: &str = "WATCHDOG=1";

/// A manager that listens.
struct Manager(UnixDatagram);

impl Manager {
    /// At the path that the binary will be told.
    fn of(binary: Binary) -> (Self, Binary) {
        let path = binary.path("notify");
        let manager = Self(UnixDatagram::bind(&path).unwrap());
        (manager, binary.variable("NOTIFY_SOCKET", &path.display().to_string()))
    }

    fn try_hear(&self, deadline: Duration) -> Option<String> {
        self.0.set_read_timeout(Some(deadline)).unwrap();
        let mut message = [0; 256];
        let length = self.0.recv(&mut message).ok()?;
        Some(String::from_utf8(message[..length].to_vec()).unwrap())
    }

    fn hear(&self) -> String {
        self.try_hear(DEADLINE).expect("the manager is told in time")
    }

    /// All that was said and not heard so far.
    fn rest(&self) -> Vec<String> {
        std::iter::from_fn(|| self.try_hear(Duration::from_millis(1))).collect()
    }
}

fn ready(serving: &Serving) -> String {
    format!("READY=1\nSTATUS=serving on {}", serving.base.trim_start_matches("http://"))
}

#[tokio::test]
async fn ready_is_said_once_requests_are_answered_and_stopping_when_a_stop_begins() {
    let (manager, binary) = Manager::of(Binary::new().set("UPSTREAM__TIMEOUT", "20s"));
    let serving = binary.serve(&[]);
    assert_eq!(manager.hear(), ready(&serving));
    let client = crate::support::client();
    assert_eq!(client.get(format!("{}/readyz", serving.base)).send().await.unwrap().status(), 200);
    assert_eq!(serving.terminate().0, 0);
    assert_eq!(manager.rest(), ["STOPPING=1\nSTATUS=stopping\nEXTEND_TIMEOUT_USEC=50000000"]);
}

#[test]
fn who_can_not_start_is_never_ready() {
    let (manager, binary) = Manager::of(Binary::new().set("STORE__PATH", "no/such/folder/scrapehook.db"));
    binary.refused(&["serve"]);
    assert_eq!(manager.rest(), Vec::<String>::new());
}

#[tokio::test]
async fn signs_of_life_wait_for_the_writer() {
    let (manager, binary) = Manager::of(Binary::new().variable("WATCHDOG_USEC", "100000"));
    let serving = binary.serve(&[]);
    assert_eq!(manager.hear(), ready(&serving));
    for _ in 0..5 {
        assert_eq!(manager.hear(), ALIVE);
    }
    let mut other = open(&binary.path("scrapehook.db")).await;
    let locked = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    manager.rest();
    assert!(serving.hear("a commit failed").is_some(), "the writer waits for the lock, in vain");
    assert_eq!(manager.hear(), ALIVE);
    let signs = 1 + manager.rest().len();
    locked.rollback().await.unwrap();
    assert_eq!(manager.hear(), ALIVE);
    let (code, log) = serving.terminate();
    assert_eq!(code, 0, "{log}");
    // One could be on its way when the lock was taken, and the last one came after it. Each of the others had to wait
    // until the writer gave up.
    let failures = log.matches("a commit failed").count();
    assert!(signs <= failures + 1, "{signs} signs of life, {failures} failed commits");
}

#[cfg(target_os = "linux")]
#[test]
fn a_watchdog_is_for_the_process_that_it_names() {
    let binary = || Binary::new().variable("WATCHDOG_USEC", "100000");
    let (manager, ours) = Manager::of(binary().within(&["sh", "-c", "WATCHDOG_PID=$$ exec \"$@\"", "sh"]));
    let _serving = ours.serve(&[]);
    assert!(manager.hear().starts_with("READY=1"));
    assert_eq!(manager.hear(), ALIVE);
    let (manager, other) = Manager::of(binary().variable("WATCHDOG_PID", "1"));
    assert_eq!(other.serve(&[]).terminate().0, 0);
    assert!(!manager.rest().contains(&ALIVE.to_owned()));
}

#[cfg(target_os = "linux")]
#[test]
fn a_socket_may_have_an_abstract_name() {
    let name = format!("scrapehook-notify-{}", std::process::id());
    let manager = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    let serving = Binary::new().variable("NOTIFY_SOCKET", &format!("@{name}")).serve(&[]);
    assert_eq!(Manager(manager).hear(), ready(&serving));
}

#[test]
fn a_manager_that_is_gone_is_no_hindrance() {
    let binary = Binary::new().variable("NOTIFY_SOCKET", "/nowhere/notify");
    let (code, log) = binary.serve(&[]).terminate();
    assert_eq!(code, 0, "{log}");
    assert!(log.contains("could not notify the service manager"), "{log}");
}

#[test]
fn a_manager_that_never_listens_is_no_hindrance() {
    let (_manager, binary) = Manager::of(Binary::new().variable("WATCHDOG_USEC", "2"));
    let serving = binary.serve(&[]);
    assert!(serving.hear("could not notify the service manager").is_some());
    let (code, log) = serving.terminate();
    assert_eq!(code, 0, "{log}");
}
