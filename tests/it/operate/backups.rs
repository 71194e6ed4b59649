//! Backups: whole although they are made under load, and what becomes of a service that lives on in one.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use scrapehook::config::Live;
use scrapehook::simulator::{Faults, Settings};
use scrapehook::store::{self, BackupError, Binding, CopyPaths, LastBackup, Store};
use scrapehook::workers::{Backups, Schedule, Step, Worker};
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use tokio_util::sync::CancellationToken;

use crate::support::aftermath::kept;
use crate::support::binary::{Binary, Serving};
use crate::support::database::read;
use crate::support::file::{HOUR, MINUTE, POLICY, at};
use crate::support::recompute::assert_states_follow_from_facts;
use crate::support::{DEADLINE, Scene, simulator};

async fn submit(client: &Client, serving: &Serving, round: u32) {
    // Every unknown host is a platform, and so a task, of its own.
    let urls: Vec<_> = (0..8).map(|n| format!("https://host{n}.example/round{round}")).collect();
    let jobs = format!("{}/v1/jobs", serving.base);
    let job = client.post(jobs).json(&json!({ "video_urls": urls })).send().await.unwrap();
    assert_eq!(job.status(), 202);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_taken_under_load_has_all_that_was_acknowledged_before() {
    let faults = Faults { duplicate: 0.3, early_callback: 0.3, ..Faults::default() };
    let index_delay = Duration::from_millis(40);
    let (upstream, binary) =
        Scene::new().faults(faults).index_delay(index_delay).set("RECONCILE__AFTER", "100ms").binary().await;
    let client = crate::support::client();
    let mut serving = binary.serve(&[]);
    let mut checked = 0;
    for round in 0..5 {
        submit(&client, &serving, round).await;
        let before = upstream.called_back();
        upstream.until(|upstream| upstream.called_back() > before + 3).await;
        let acknowledged: BTreeSet<_> = upstream
            .callbacks_sent()
            .into_iter()
            .filter(|callback| callback.answer == Some(200))
            .map(|callback| (callback.task_id, serde_json::to_string(&callback.body).unwrap()))
            .collect();
        let copy = binary.path(&format!("backup-{round}.db"));
        let (code, said, error) = binary.run(&["backup", copy.to_str().unwrap()]);
        assert_eq!(code, 0, "{error}");
        assert!(said.contains("bytes, undamaged"), "{said}");
        let mut file = read(&copy).await;
        let kept = kept(&mut file).await;
        let missing: Vec<_> = acknowledged.difference(&kept).collect();
        assert!(missing.is_empty(), "round {round}: answered 200 and not in the backup: {missing:?}");
        checked += acknowledged.len();
    }
    serving.end();

    // A new machine: the last copy alone is left of the old one.
    let restored = Binary::new().set("UPSTREAM__BASE_URL", &upstream.url());
    let copy = binary.path("backup-4.db");
    assert_eq!(restored.run(&["restore", copy.to_str().unwrap()]).0, 0);
    let serving = restored.serve(&[]);
    let status: Value =
        client.get(format!("{}/v1/status", serving.base)).send().await.unwrap().json().await.unwrap();
    assert_eq!(status["problems"][0]["code"], "sending_paused", "{status}");
    assert!(status["problems"][0]["detail"].as_str().unwrap().contains("restored"), "{status}");
    assert_eq!(serving.terminate().0, 0);
    assert_states_follow_from_facts(&restored.path("scrapehook.db")).await;
    println!("5 backups, {checked} acknowledged callbacks looked for");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_the_loss_of_the_machine_nothing_is_paid_twice_and_nothing_is_lost_that_upstream_knows() {
    let upstream =
        simulator(Settings { index_delay: Duration::from_millis(20), ..Settings::default() }).await;
    let binary = Binary::with_upstream(&upstream.url()).set("RECONCILE__AFTER", "100ms");
    let client = crate::support::client();
    let mut serving = binary.serve(&[]);
    submit(&client, &serving, 0).await;
    // What waits when the backup is made is sent before the machine is lost.
    let call = async |path: &str| {
        let url = format!("{}{path}", binary.value("SERVER__PUBLIC_URL"));
        client.post(url).send().await.unwrap().json::<Value>().await.unwrap()
    };
    upstream.until(|upstream| upstream.submitted() == 8).await;
    call("/v1/pause").await;
    submit(&client, &serving, 1).await;
    let copy = binary.path("backup.db");
    assert_eq!(binary.run(&["backup", copy.to_str().unwrap()]).0, 0);
    call("/v1/resume").await;
    upstream.until(|upstream| upstream.submitted() == 16).await;
    submit(&client, &serving, 2).await;
    upstream.until(|upstream| upstream.submitted() == 24).await;
    serving.end();
    for name in ["scrapehook.db", "scrapehook.db-wal", "scrapehook.db-shm"] {
        let _ = fs::remove_file(binary.path(name));
    }

    assert_eq!(binary.run(&["restore", copy.to_str().unwrap()]).0, 0);
    let serving = binary.serve(&[]);
    let get = async |path: &str| -> Value {
        let url = format!("{}{path}", binary.value("SERVER__PUBLIC_URL"));
        client.get(url).send().await.unwrap().json().await.unwrap()
    };
    let waiting = get("/v1/jobs?state=running").await["items"].as_array().unwrap().clone();
    assert!(waiting.iter().any(|job| job["progress"]["waiting"] == 8), "{waiting:?}");
    // Upstream's late callbacks prove what was sent since. The file knows no task of it: they are made anew, and polls
    // bring their URLs.
    for submit in upstream.submits() {
        let body = json!({ "taskId": submit.task_id, "status": "SUCCEEDED" });
        let callback = client.post(submit.body.callback_url.unwrap()).json(&body).send().await.unwrap();
        assert_eq!(callback.status(), 200);
    }
    let found = async {
        loop {
            let tasks = get("/v1/tasks?limit=100").await["items"].as_array().unwrap().clone();
            if tasks.len() == 24 && tasks.iter().all(|task| task["state"] == "indexed") {
                return tasks;
            }
        }
    };
    let tasks = tokio::time::timeout(DEADLINE, found).await.expect("all is found again");
    let recovered = tasks.iter().filter(|task| task["job_id"].is_null()).count();
    assert_eq!(recovered, 16, "what was sent after the backup");
    // The queue looks again before it pays: what waited in the backup has an attempt by now.
    call("/v1/resume").await;
    let settled = async { while get("/v1/jobs?state=running").await["items"][0].is_object() {} };
    tokio::time::timeout(DEADLINE, settled).await.expect("no job waits any longer");
    let jobs = get("/v1/jobs").await["items"].as_array().unwrap().clone();
    assert_eq!(jobs.len(), 2);
    assert!(jobs.iter().all(|job| job["progress"]["indexed"] == 8), "{jobs:?}");
    assert_eq!(upstream.submitted(), 24);
    assert_eq!(serving.terminate().0, 0);
    // The bodies of callbacks that came after the backup are lost with the machine; what they said is not.
    let charged = upstream.charged();
    assert!(charged.len() == 24 && charged.values().all(|times| *times == 1), "{charged:?}");
    assert_states_follow_from_facts(&binary.path("scrapehook.db")).await;
    println!(
        "the drill: {} URLs charged once each, {recovered} tasks made anew from their callbacks",
        charged.len()
    );
}

#[tokio::test]
async fn a_backup_writes_over_nothing_and_a_restore_neither() {
    let binary = Binary::new();
    let serving = binary.serve(&[]);
    let (database, copy) = (binary.path("scrapehook.db"), binary.path("copy.db"));
    fs::set_permissions(&database, fs::Permissions::from_mode(0o600)).unwrap();
    let copy = copy.to_str().unwrap();
    assert_eq!(binary.run(&["backup", copy]).0, 0);
    assert_eq!(
        fs::metadata(copy).unwrap().permissions().mode() & 0o777,
        0o600,
        "it holds the callback secret"
    );
    let bytes = fs::read(copy).unwrap();
    let (code, _, said) = binary.run(&["backup", copy]);
    assert_eq!((code, fs::read(copy).unwrap() == bytes), (1, true), "{said}");
    assert!(said.contains("already exists"), "{said}");

    let (code, _, said) = binary.run(&["restore", copy]);
    assert!(code == 1 && said.contains("in use by another instance"), "{said}");
    assert_eq!(serving.terminate().0, 0);
    let (code, _, said) = binary.run(&["restore", copy]);
    assert!(code == 1 && said.contains("already exists"), "{said}");
    assert!(!binary.path("copy.db.part").exists());
}

#[tokio::test]
async fn what_is_no_whole_database_of_ours_is_not_restored() {
    let binary = Binary::new();
    assert_eq!(binary.serve(&[]).terminate().0, 0);
    let copy = binary.path("copy.db");
    assert_eq!(binary.run(&["backup", copy.to_str().unwrap()]).0, 0);
    let bytes = fs::read(&copy).unwrap();
    for name in ["scrapehook.db", "scrapehook.db-wal", "scrapehook.db-shm"] {
        let _ = fs::remove_file(binary.path(name));
    }
    let wrong = binary.path("wrong.db");
    let mut garbage = bytes.clone();
    garbage[8_192..12_288].fill(0xa5);
    for (content, word) in [
        (&b"no database at all, though long enough to be one"[..], "not a scrapehook database"),
        (&bytes[..bytes.len() / 2], "damaged"),
        (&garbage[..], "damaged"),
        (b"", "is empty"),
    ] {
        fs::write(&wrong, content).unwrap();
        let (code, _, said) = binary.run(&["restore", wrong.to_str().unwrap()]);
        assert!(code == 1 && said.contains(word), "{word}: {said}");
        assert!(!said.contains("store.path"), "it is about the copy: {said}");
        assert_eq!(fs::read(&wrong).unwrap(), content, "left as it was");
        assert!(!binary.path("scrapehook.db").exists());
    }
    let (code, _, said) = binary.run(&["restore", "nowhere.db"]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("nowhere.db"), "{said}");
    // Without its database a log would be lost, and a journal would be rolled back into the copy.
    for left in ["scrapehook.db-wal", "scrapehook.db-journal"] {
        fs::write(binary.path(left), b"x").unwrap();
        let (code, _, said) = binary.run(&["restore", copy.to_str().unwrap()]);
        assert!(code == 1 && said.contains(&format!("{left} already exists")), "{said}");
        fs::remove_file(binary.path(left)).unwrap();
    }
}

#[tokio::test]
async fn scheduled_backups_are_made_and_the_oldest_go() {
    let folder = tempfile::tempdir().unwrap();
    let copies = folder.path().join("copies");
    let database = folder.path().join("scrapehook.db");
    let (store, writer) =
        Store::open(&database, Binding::to("http://upstream"), POLICY, at(0)).await.unwrap();
    let running = tokio::spawn(writer.run());
    let last = Arc::<Live<LastBackup>>::default();
    let stop = CancellationToken::new();
    let mut worker =
        Backups::new(database, copies.clone(), Schedule { every: HOUR, keep: 2 }, last.clone(), stop.clone());
    let names = || {
        let mut names: Vec<_> = fs::read_dir(&copies)
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    // There is no folder yet: that is told, and tried again later.
    assert_eq!(worker.step(at(0)).await.unwrap(), Step::Worked);
    assert!(last.get().failure.as_ref().unwrap().1.contains("copies"), "{last:?}");
    assert_eq!(worker.step(at(1)).await.unwrap(), Step::WaitUntil(at(300_000)));
    fs::create_dir(&copies).unwrap();
    fs::write(copies.join("scrapehook.db-mine.db"), "not one of its own").unwrap();
    for hour in 0..4 {
        let now = at(300_000).after(HOUR * hour);
        assert_eq!(worker.step(now).await.unwrap(), Step::Worked);
        assert!(last.get().failure.is_none() && last.get().at == Some(now), "{last:?}");
        assert_eq!(worker.step(now.after(MINUTE)).await.unwrap(), Step::WaitUntil(now.after(HOUR)));
    }
    assert_eq!(
        names(),
        ["scrapehook.db-20270115T100500Z.db", "scrapehook.db-20270115T110500Z.db", "scrapehook.db-mine.db"]
    );
    // A clock that was set back: what lies in the future does not hold it up.
    assert_eq!(worker.step(at(0)).await.unwrap(), Step::Worked);
    assert_eq!(last.get().at, Some(at(0)), "{last:?}");
    assert_eq!(worker.step(at(1)).await.unwrap(), Step::WaitUntil(at(0).after(HOUR)));
    assert_eq!(names().len(), 4, "those of the future stay");
    // What a copy that was killed left is gone with the next one; one that is to stop leaves nothing, and is no fault.
    fs::write(copies.join("scrapehook.db-next.part"), b"SQLite format 3\0 and half a copy").unwrap();
    assert_eq!(worker.step(at(0).after(HOUR)).await.unwrap(), Step::Worked);
    let whole = names();
    assert!(!whole.contains(&"scrapehook.db-next.part".to_owned()), "{whole:?}");
    stop.cancel();
    assert_eq!(worker.step(at(0).after(HOUR * 2)).await.unwrap(), Step::Idle);
    assert!(last.get().failure.is_none() && names() == whole, "{:?}", names());
    store.close();
    running.await.unwrap();
}

#[tokio::test]
async fn two_databases_share_a_folder_of_copies_and_foreign_files_in_it_stay() {
    let folder = tempfile::tempdir().unwrap();
    let copies = folder.path().join("copies");
    fs::create_dir(&copies).unwrap();
    let names: BTreeSet<_> = ["app.db", "app.sqlite", "app"].into();
    let copy = |name: &str, time: &str| copies.join(format!("{name}-20270115T{time}Z.db"));
    // The name of an older copy, but not the mark of one.
    let foreign = ["app.db", "app.sqlite"].map(|name| copy(name, "070000"));
    fs::write(&foreign[0], "somebody else's").unwrap();
    let options = SqliteConnectOptions::new().filename(&foreign[1]).create_if_missing(true);
    let mut file = options.connect().await.unwrap();
    sqlx::raw_sql("CREATE TABLE meta (key, value); INSERT INTO meta VALUES ('backup', 'x')")
        .execute(&mut file)
        .await
        .unwrap();
    file.close().await.unwrap();
    let before = foreign.clone().map(|path| fs::read(path).unwrap());
    for hour in 0..3 {
        for name in &names {
            let database = folder.path().join(name);
            let now = at(0).after(HOUR * hour);
            let (store, writer) =
                Store::open(&database, Binding::to("http://upstream"), POLICY, now).await.unwrap();
            let running = tokio::spawn(writer.run());
            let last = Arc::<Live<LastBackup>>::default();
            let stop = CancellationToken::new();
            let mut worker =
                Backups::new(database, copies.clone(), Schedule { every: HOUR, keep: 1 }, last.clone(), stop);
            assert_eq!(worker.step(now).await.unwrap(), Step::Worked);
            assert_eq!(last.get().at, Some(now), "{name}: {last:?}");
            store.close();
            running.await.unwrap();
        }
    }
    let found: BTreeSet<_> = fs::read_dir(&copies).unwrap().map(|file| file.unwrap().path()).collect();
    let newest = names.iter().map(|name| copy(name, "100000"));
    assert_eq!(found, newest.chain(foreign.clone()).collect());
    assert_eq!(foreign.map(|path| fs::read(path).unwrap()), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_is_to_stop_is_given_up_in_the_middle() {
    let folder = tempfile::tempdir().unwrap();
    let [from, to, part] = ["a.db", "b.db", "b.part"].map(|name| folder.path().join(name));
    let mut file =
        SqliteConnectOptions::new().filename(&from).create_if_missing(true).connect().await.unwrap();
    sqlx::raw_sql(
        "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT);
         CREATE TABLE rows (word TEXT);
         INSERT INTO rows WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 500000)
           SELECT hex(randomblob(50)) FROM n;",
    )
    .execute(&mut file)
    .await
    .unwrap();
    file.close().await.unwrap();
    let stop = CancellationToken::new();
    let copying = tokio::spawn({
        let (from, to, part, stop) = (from.clone(), to.clone(), part.clone(), stop.clone());
        async move { store::copy(CopyPaths { from: &from, to: &to, partial: &part }, at(0), &stop).await }
    });
    while fs::metadata(&part).map_or(0, |part| part.len()) == 0 {
        assert!(!copying.is_finished(), "it takes longer");
        tokio::task::yield_now().await;
    }
    // In the middle of it nobody else writes to the same part.
    let other =
        store::copy(CopyPaths { from: &from, to: &to, partial: &part }, at(0), &CancellationToken::new())
            .await;
    assert!(matches!(other, Err(BackupError::InProgress(_))), "{other:?}");
    stop.cancel();
    let given_up = copying.await.unwrap();
    assert!(matches!(given_up, Err(BackupError::Stopped(_))), "{given_up:?}");
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(left, ["a.db"]);
    store::copy(CopyPaths { from: &from, to: &to, partial: &part }, at(0), &CancellationToken::new())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_backup_that_fails_is_a_problem_of_the_service() {
    let binary = Binary::new();
    let folder = binary.path("copies");
    let binary = binary.set("BACKUP__FOLDER", folder.to_str().unwrap());
    let serving = binary.serve(&[]);
    let problem = async {
        loop {
            let status = reqwest::get(format!("{}/v1/status", serving.base)).await.unwrap();
            let status: Value = status.json().await.unwrap();
            if status["problems"][0].is_object() {
                return status["problems"][0].clone();
            }
        }
    };
    let problem = tokio::time::timeout(DEADLINE, problem).await.expect("it is told");
    assert_eq!(problem["code"], "backup_failed", "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("copies"), "{problem}");
    assert_eq!(serving.terminate().0, 0);
    fs::create_dir(&folder).unwrap();
    let serving = binary.serve(&[]);
    let copied = async {
        loop {
            let copy = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path());
            if let Some(copy) = copy.into_iter().find(|path| path.extension().is_some_and(|end| end == "db"))
            {
                return copy;
            }
            tokio::task::yield_now().await;
        }
    };
    let copied = tokio::time::timeout(DEADLINE, copied).await.expect("a copy");
    assert_eq!(serving.terminate().0, 0);
    let restored = Binary::new();
    assert_eq!(restored.run(&["restore", copied.to_str().unwrap()]).0, 0);
}
