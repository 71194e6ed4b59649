//! The real binary on a disk that gives trouble on demand: `disk.c`, loaded by LD_PRELOAD, and a
//! small tmpfs that is really full.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use futures_util::future::join_all;
use scrapehook::simulator::{Faults, Settings};
use serde_json::Value;

use crate::support::DEADLINE;
use crate::support::binary::Binary;
use crate::support::process::Process;
use crate::support::process::{Sent, kept_in};

/// The compiled `disk.c`.
fn library() -> &'static str {
    static LIBRARY: LazyLock<String> = LazyLock::new(|| {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/store/disk.c");
        let library = concat!(env!("CARGO_TARGET_TMPDIR"), "/disk.so").to_owned();
        // Another run may have it loaded at this moment.
        let new = format!("{library}.{}", std::process::id());
        let mut compiler = Command::new("cc");
        let compiler = compiler.args(["-shared", "-fPIC", "-O1", "-o", &new, source]);
        assert!(compiler.status().expect("a C compiler").success());
        fs::rename(new, &library).unwrap();
        library
    });
    &LIBRARY
}

impl Binary {
    fn on_a_faulty_disk(self) -> Self {
        let folder = self.path("").canonicalize().unwrap();
        let path = |name| folder.join(name).display().to_string();
        self.variable("LD_PRELOAD", library())
            .variable("DISK_DATABASE", &path("scrapehook.db"))
            .variable("DISK_FAULT", &path("fault"))
            .variable("DISK_LOG", &path("disk.log"))
    }

    /// From now on the disk has this fault, and no other.
    fn fault(&self, name: &str) {
        fs::write(self.path("fault.new"), name).unwrap();
        fs::rename(self.path("fault.new"), self.path("fault")).unwrap();
    }

    fn disk_log(&self) -> String {
        fs::read_to_string(self.path("disk.log")).unwrap_or_default()
    }

    /// How many calls the fault has failed so far.
    fn failed(&self) -> usize {
        self.disk_log().lines().filter(|line| line.starts_with("failed ")).count()
    }

    async fn until_failed(&self, more: usize) {
        let wanted = self.failed() + more;
        let failed = async {
            while self.failed() < wanted {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(DEADLINE, failed).await.expect("the fault is hit");
    }

    /// After a failed fsync the system may drop what it could not write, and never say so again. This is that
    /// machine losing its power: every byte that was written while fsync failed and not again since is lost.
    fn lose_power(&self) {
        let mut doubtful: BTreeMap<String, Vec<bool>> = BTreeMap::new();
        for line in self.disk_log().lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let [from, count] = [words[2], words[3]].map(|number| number.parse::<usize>().unwrap());
            let bytes = doubtful.entry(words[1].replace("db", "scrapehook.db")).or_default();
            bytes.resize(bytes.len().max(from + count), false);
            if words[0] != "failed" {
                bytes[from..from + count].fill(words[0] == "doubtful");
            }
        }
        let mut lost = 0;
        for (name, bytes) in doubtful.into_iter().filter(|(_, bytes)| bytes.contains(&true)) {
            let file = File::options().write(true).open(self.path(&name)).unwrap();
            for (place, _) in bytes.iter().enumerate().filter(|(_, is_doubtful)| **is_doubtful) {
                file.write_all_at(&[0], place as u64).unwrap();
                lost += 1;
            }
        }
        assert!(lost > 0, "something is lost");
    }
}

/// A service lives through a fault, is killed in the middle of it, and lives on.
async fn lives_through(fault: &str, loses_power: bool) {
    let mut service = Process::start_as(1, Binary::on_a_faulty_disk).await;
    let mut sent = Sent::default();
    sent.each(&service, 5, 200).await;

    service.binary.fault(fault);
    sent.each(&service, 5, 503).await;
    assert_eq!(service.status_of("/readyz").await, 503);
    let why = match fault {
        "full" | "short" => "the disk is full",
        _ => "the system can't read or write the disk",
    };
    assert_eq!(service.why().await, why, "{fault}");
    assert_eq!(service.submit(2).await, 503);
    // More at a time than connections are open: some are opened only now.
    for status in join_all((0..8).map(|_| service.status_of("/v1/tasks"))).await {
        assert_eq!(status, 200, "what is there can still be read");
    }
    assert!(service.binary.failed() >= 7, "the fault was hit");

    service.binary.fault("none");
    sent.each(&service, 5, 200).await;
    assert_eq!(service.status_of("/readyz").await, 200);
    assert_eq!(service.kept().await, sent.answered(200));

    service.binary.fault(fault);
    sent.each(&service, 2, 503).await;
    let cut = 1_000..1_004;
    tokio::join!(join_all(cut.clone().map(|number| service.call(number))), async {
        service.serving.kill();
    });
    service.serving.end();
    if loses_power {
        service.binary.lose_power();
    }
    service.binary.fault("none");
    service.serving = service.binary.serve(&[]);
    sent.each(&service, 1, 200).await;
    let kept = service.kept().await;
    assert!(kept.is_superset(&sent.answered(200)), "{kept:?} {:?}", sent.0);
    let more: BTreeSet<_> = kept.difference(&sent.answered(200)).copied().collect();
    // Written, but for all anybody knew not for good: the process died before it could be overwritten.
    let doubtful: BTreeSet<u64> =
        if fault == "sync" && !loses_power { cut.chain([15, 16]).collect() } else { BTreeSet::new() };
    assert!(more.is_subset(&doubtful), "{more:?}");
    assert_eq!(service.serving.terminate().0, 0);
    println!(
        "{fault}: {} calls failed; kept though answered 503 or not at all: {more:?}",
        service.binary.failed()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_503_until_there_is_room() {
    lives_through("full", false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_on_write_is_503_until_it_ends() {
    lives_through("io", false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_on_fsync_is_503_until_it_ends() {
    lives_through("sync", false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_failed_fsync_dropped_is_nothing_that_was_acknowledged() {
    lives_through("sync", true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_turned_read_only_is_503_until_it_is_writable() {
    lives_through("readonly", false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_short_write_is_503_until_there_is_room() {
    lives_through("short", false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_in_trouble_at_the_start_is_one_line_that_names_the_file() {
    let binary = Binary::new().on_a_faulty_disk();
    assert_eq!(binary.serve(&[]).terminate().0, 0);
    for fault in ["full", "io", "sync", "readonly", "short"] {
        binary.fault(fault);
        let line = binary.refused(&["serve"]);
        assert!(line.contains("store.path") && line.contains("scrapehook.db"), "{fault}: {line}");
        println!("{fault}: {line}");
        binary.fault("none");
        assert_eq!(binary.serve(&[]).terminate().0, 0, "{fault}");
    }
}

/// How many bytes a file has; none where it is not there.
fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |file| file.len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_on_a_disk_in_trouble_leaves_the_log_and_loses_nothing() {
    for fault in ["full", "io", "sync", "readonly", "short"] {
        let service = Process::start_as(1, Binary::on_a_faulty_disk).await;
        let [database, log] = ["scrapehook.db", "scrapehook.db-wal"].map(|name| service.binary.path(name));
        let mut sent = Sent::default();
        sent.each(&service, 5, 200).await;
        // These callbacks were acknowledged, and they are in the log alone. The stop must keep them.
        let alone = service.binary.path("alone.db");
        fs::copy(&database, &alone).unwrap();
        assert_eq!(kept_in(&alone).await, BTreeSet::new(), "{fault}: nothing is copied out of the log yet");
        let written = length(&log);

        service.binary.fault(fault);
        // This one is written under the fault, so no fsync covers it, and a loss of power takes it.
        sent.each(&service, 1, 503).await;
        let (code, text) = service.serving.terminate();
        assert_eq!(code, 0, "{fault}: {text}");
        // A stop that meets no trouble copies the log into the database and removes it.
        assert!(length(&log) >= written, "{fault}: the log is left as it was: {text}");
        if fault == "sync" {
            service.binary.lose_power();
        }
        service.binary.fault("none");
        assert_eq!(service.binary.serve(&[]).terminate().0, 0);
        assert_eq!(length(&log), 0, "{fault}: a stop without trouble leaves no log");
        assert_eq!(kept_in(&database).await, sent.answered(200), "{fault}");
    }
}

/// Three tasks, the answer to each submit is slow, and the disk is full before the first one comes.
async fn full_under_a_submit() -> Process {
    let faults = Faults { slow: 1.0, slow_by: Duration::from_millis(300), ..Faults::default() };
    let settings = Settings { faults, ..Settings::default() };
    let service = Process::idle(settings, Binary::on_a_faulty_disk).await;
    assert_eq!(service.submit(3).await, 202);
    service.upstream.until(|upstream| !upstream.submits().is_empty()).await;
    service.binary.fault("full");
    service.binary.until_failed(2).await;
    assert_eq!(service.upstream.submits().len(), 1, "nothing is sent before the answer is written down");
    service
}

impl Process {
    async fn until_in(&self, state: &str, count: usize) {
        let url = format!("{}/v1/tasks?state={state}", self.serving.base);
        let reached = async {
            loop {
                let tasks: Value = self.client.get(&url).send().await.unwrap().json().await.unwrap();
                if tasks["items"].as_array().unwrap().len() == count {
                    return;
                }
            }
        };
        let reached = tokio::time::timeout(DEADLINE, reached).await;
        assert!(reached.is_ok(), "{count} tasks are {state}");
    }

    fn assert_sent_once(&self, tasks: usize) {
        assert_eq!(self.upstream.submits().len(), tasks);
        let charged = self.upstream.charged();
        assert_eq!(charged.len(), tasks);
        assert!(charged.values().all(|times| *times == 1), "{charged:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_finds_the_disk_full_is_written_down_later() {
    let service = full_under_a_submit().await;
    service.until_in("submitting", 1).await;
    service.binary.fault("none");
    service.until_in("accepted", 3).await;
    service.assert_sent_once(3);
    assert_eq!(service.serving.terminate().0, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_died_with_the_process_on_a_full_disk_is_not_asked_for_again() {
    let mut service = full_under_a_submit().await;
    service.serving.end();
    service.binary.fault("none");
    service.serving = service.binary.serve(&[]);
    service.until_in("accepted", 2).await;
    service.until_in("unconfirmed", 1).await;
    service.assert_sent_once(3);
    assert_eq!(service.serving.terminate().0, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_not_be_written_down_is_not_sent() {
    let set_up = |binary: Binary| binary.set("DISPATCH__MIN_INTERVAL", "500ms").on_a_faulty_disk();
    let service = Process::idle(Settings::default(), set_up).await;
    assert_eq!(service.submit(3).await, 202);
    service.until_in("accepted", 1).await;
    service.binary.fault("full");
    service.binary.until_failed(1).await;
    let sent = service.upstream.submits().len();
    service.binary.until_failed(2).await;
    assert_eq!(service.upstream.submits().len(), sent);
    service.binary.fault("none");
    service.until_in("accepted", 3).await;
    service.assert_sent_once(3);
    assert_eq!(service.serving.terminate().0, 0);
}

const MOUNT: &str = r#"mount -t tmpfs -o size=3m tmpfs "$0" && exec "$@""#;

/// A file of so many bytes, or of all that there is room for.
fn ballast(path: &Path, bytes: usize) {
    let mut file = File::create(path).unwrap();
    for _ in 0..bytes.div_ceil(4096) {
        if file.write_all(&[1; 4096]).is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_system_that_is_really_full_is_503_until_there_is_room() {
    let path = std::env::var("PATH").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let within = ["unshare", "-rm", "sh", "-c", MOUNT, folder];
    let tried = Command::new("unshare").args(&within[1..]).arg("true").output();
    if !tried.is_ok_and(|tried| tried.status.success()) {
        println!("this machine lets nobody mount: a file system that is really full is not tried");
        return;
    }
    let database = format!("{folder}/scrapehook.db");
    let service = Process::start_as(1, |binary| {
        binary.variable("PATH", &path).set("STORE__PATH", &database).within(&within)
    })
    .await;
    let mounted = format!("/proc/{}/root{folder}", service.serving.id());
    let mounted = Path::new(&mounted);
    ballast(&mounted.join("ballast"), 1 << 20);
    let mut sent = Sent::default();
    while sent.one(&service).await == Some(200) {
        assert!(sent.0.len() < 1_000, "it is full some time");
    }
    ballast(&mounted.join("more"), usize::MAX);
    sent.each(&service, 5, 503).await;
    // What is proven is a small commit: it finds a place a few times more.
    while service.status_of("/readyz").await == 200 {}
    sent.each(&service, 2, 503).await;
    assert_eq!(service.why().await, "the disk is full");
    assert_eq!(service.status_of("/v1/tasks").await, 200, "what is there can still be read");
    fs::remove_file(mounted.join("ballast")).unwrap();
    sent.each(&service, 5, 200).await;
    assert_eq!(service.status_of("/readyz").await, 200);
    // The file system goes with the process; a copy, for SQLite would follow the path out of it.
    for name in ["scrapehook.db", "scrapehook.db-wal"] {
        fs::copy(mounted.join(name), Path::new(folder).join(name)).unwrap();
    }
    assert_eq!(kept_in(Path::new(&database)).await, sent.answered(200));
    assert_eq!(service.serving.terminate().0, 0);
    println!("3 MiB were full after {} callbacks", sent.answered(200).len() - 5);
}
