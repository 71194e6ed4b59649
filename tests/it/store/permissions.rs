//! Files are for their owner alone from the moment they are made, and a database that others can read is named.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use crate::support::DEADLINE;
use crate::support::binary::Binary;

/// Starts the binary with this umask.
fn with_umask(binary: Binary, umask: &str) -> Binary {
    binary.within(&["sh", "-c", &format!("umask {umask}; exec \"$0\" \"$@\"")])
}

/// The permission bits of each file in a folder.
fn modes(folder: &Path) -> BTreeMap<String, u32> {
    let files = fs::read_dir(folder).unwrap().map(Result::unwrap);
    let files = files.filter(|file| file.file_type().unwrap().is_file());
    let mode =
        |file: &fs::DirEntry| file.metadata().map_or(0o600, |found| found.permissions().mode() & 0o7777);
    files.map(|file| (file.file_name().into_string().unwrap(), mode(&file))).collect()
}

#[track_caller]
fn assert_private(folder: &Path, expected: &[&str]) {
    let modes = modes(folder);
    let others: Vec<_> = modes.iter().map(|(name, mode)| format!("{name} {mode:o}")).collect();
    assert!(modes.values().all(|mode| *mode == 0o600), "{others:?}");
    assert!(expected.iter().all(|name| modes.contains_key(*name)), "{others:?}");
}

/// Waits until there are so many scheduled copies, and looks at everything that is there meanwhile.
async fn until_copied(folder: &Path, count: usize, look: impl Fn()) {
    let made = async {
        while modes(folder).keys().filter(|name| name.ends_with("Z.db")).count() < count {
            look();
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, made).await.expect("a copy is made");
}

#[tokio::test]
async fn every_file_is_for_its_owner_alone_whatever_the_umask() {
    for umask in ["022", "000", "0777"] {
        let binary = with_umask(Binary::new(), umask);
        let copies = binary.path("copies");
        fs::create_dir(&copies).unwrap();
        let binary = binary.set("BACKUP__FOLDER", copies.to_str().unwrap());
        let folder = binary.path("");
        let mut serving = binary.serve(&[]);
        assert_private(
            &folder,
            &["scrapehook.db", "scrapehook.db-wal", "scrapehook.db-shm", "scrapehook.db.lock"],
        );
        // With this umask a file has no permissions at all for a moment.
        let look = || assert!(modes(&copies).values().all(|mode| mode & 0o077 == 0), "{:?}", modes(&copies));
        until_copied(&copies, 1, look).await;
        let copy = binary.path("copy.db");
        assert_eq!(binary.run(&["backup", copy.to_str().unwrap()]).0, 0);
        assert_private(&folder, &["copy.db"]);
        // What a kill leaves, and a start beside it.
        serving.end();
        assert_private(&folder, &["scrapehook.db-wal"]);
        assert_eq!(binary.serve(&[]).terminate().0, 0);
        assert_private(&copies, &[]);

        let upstream = binary.value("UPSTREAM__BASE_URL");
        let restored = with_umask(Binary::new(), umask).set("UPSTREAM__BASE_URL", upstream);
        assert_eq!(restored.run(&["restore", copy.to_str().unwrap()]).0, 0);
        assert_private(&restored.path(""), &["scrapehook.db", "scrapehook.db.lock"]);
        assert_eq!(restored.serve(&[]).terminate().0, 0);
        assert_private(&restored.path(""), &["scrapehook.db"]);
    }
}

#[test]
fn a_copy_is_private_even_if_the_database_is_not() {
    let binary = Binary::new();
    let serving = binary.serve(&[]);
    fs::set_permissions(binary.path("scrapehook.db"), Permissions::from_mode(0o644)).unwrap();
    let copy = binary.path("copy");
    assert_eq!(binary.run(&["backup", copy.to_str().unwrap()]).0, 0);
    assert_eq!(modes(&binary.path(""))["copy"], 0o600);
    assert_eq!(serving.terminate().0, 0);
}

#[tokio::test]
async fn files_that_others_can_read_are_named_with_the_remedy() {
    let binary = Binary::new();
    let copies = binary.path("copies");
    fs::create_dir(&copies).unwrap();
    let binary = binary.set("BACKUP__FOLDER", copies.to_str().unwrap());
    let (_, report, _) = binary.run(&["doctor", "--json"]);
    assert!(report.contains(r#"{"check":"permissions","state":"skipped""#), "{report}");
    let serving = binary.serve(&[]);
    let (_, report, _) = binary.run(&["doctor", "--json"]);
    assert!(report.contains(r#"{"check":"permissions","state":"ok""#), "{report}");
    assert_eq!(serving.terminate().0, 0);
    fs::remove_dir_all(&copies).unwrap();
    fs::create_dir(&copies).unwrap();
    let exposed = [
        ("scrapehook.db", 0o644),
        ("scrapehook.db.lock", 0o666),
        ("scrapehook.db.before-1-1", 0o640),
        ("copies/scrapehook.db-20260101T000000Z.db", 0o604),
    ];
    for (name, mode) in exposed {
        let path = binary.path(name);
        fs::OpenOptions::new().append(true).create(true).open(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    }
    let (code, report, _) = binary.run(&["doctor", "--json"]);
    let finding =
        report.lines().find(|line| line.contains(r#""permissions","state":"failed""#)).expect(&report);
    assert_eq!(code, 1);
    let serving = binary.serve(&[]);
    for beside in ["scrapehook.db-wal", "scrapehook.db-shm"] {
        assert_eq!(modes(&binary.path(""))[beside], 0o644, "SQLite gives them the database's mode");
    }
    let (_, beside_it, _) = binary.run(&["doctor", "--json"]);
    assert!(beside_it.contains("scrapehook.db-wal has mode 0644"), "{beside_it}");
    // The copies are looked at beside the rest of the start, before the one that is due is made.
    until_copied(&copies, 2, || ()).await;
    let log = serving.terminate().1;
    for (name, mode) in exposed {
        let path = binary.path(name).display().to_string();
        let (named, remedy) = (format!("{path} has mode {mode:04o}"), format!("chmod 600 {path}"));
        assert!(finding.contains(&named) && finding.contains(&remedy), "{finding}");
        let warned =
            log.lines().any(|line| line.contains("WARN") && line.contains(&named) && line.contains(&remedy));
        assert!(warned, "{named}: {log}");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o7777,
            mode,
            "it is left to its owner"
        );
    }
}

#[test]
fn what_root_restores_belongs_to_the_owner_of_the_folder_and_nothing_else_does() {
    let binary = Binary::new();
    if fs::metadata(binary.path("")).unwrap().uid() != 0 {
        println!("only root can give files away: this is not tried");
        return;
    }
    assert_eq!(binary.serve(&[]).terminate().0, 0);
    let copy = binary.path("copy.db");
    assert_eq!(binary.run(&["backup", copy.to_str().unwrap()]).0, 0);
    let owner = |path: &Path| {
        let found = fs::symlink_metadata(path).unwrap();
        (found.uid(), found.gid())
    };
    let service = Binary::new();
    chown(service.path(""), Some(4_711), Some(4_712)).unwrap();
    // A restore that fails leaves no lock that the service can't open.
    assert_eq!(service.run(&["restore", service.path("missing.db").to_str().unwrap()]).0, 1);
    assert_eq!(owner(&service.path("scrapehook.db.lock")), (4_711, 4_712));
    fs::remove_file(service.path("scrapehook.db.lock")).unwrap();
    // A lock of somebody else's stays theirs.
    fs::write(service.path("scrapehook.db.lock"), "").unwrap();
    chown(service.path("scrapehook.db.lock"), Some(4_713), Some(4_714)).unwrap();
    assert_eq!(service.run(&["restore", copy.to_str().unwrap()]).0, 0);
    assert_eq!(owner(&service.path("scrapehook.db")), (4_711, 4_712));
    assert_eq!(owner(&service.path("scrapehook.db.lock")), (4_713, 4_714));
    assert_eq!(owner(&copy), (0, 0));
}

/// Has the binary obey permissions, even if these tests run as root.
fn obeying(binary: Binary) -> Binary {
    match fs::metadata(binary.path("")).unwrap().uid() {
        0 => binary.within(&["setpriv", "--bounding-set=-all"]),
        _ => binary,
    }
}

/// Runs `doctor`, whose report must have these words, and gives its exit code.
#[track_caller]
fn doctor(binary: &Binary, words: &[&str]) -> i32 {
    let (code, report, _) = binary.run(&["doctor", "--json"]);
    for word in words {
        assert!(report.contains(word), "{word}: {report}");
    }
    code
}

#[test]
fn doctor_proves_nothing_by_what_it_can_not_look_at() {
    let binary = Binary::new();
    fs::create_dir(binary.path("data")).unwrap();
    let binary = binary.set("STORE__PATH", "data/scrapehook.db").set("BACKUP__FOLDER", "copies");
    assert_eq!(
        doctor(&binary, &[r#""backups","state":"failed""#, "copies can't be listed: No such file"]),
        1
    );
    fs::create_dir(binary.path("copies")).unwrap();
    assert_eq!(binary.serve(&[]).terminate().0, 0);
    doctor(&binary, &[r#""backups","state":"ok""#, r#""permissions","state":"ok""#]);
    let binary = obeying(binary);
    let set = |name: &str, mode: u32| {
        fs::set_permissions(binary.path(name), Permissions::from_mode(mode)).unwrap();
    };
    let unlisted = r#""permissions","state":"not_proven""#;
    set("copies", 0o300);
    assert_eq!(doctor(&binary, &[unlisted, "can't list copies", r#""backups","state":"failed""#]), 1);
    set("copies", 0o500);
    assert_eq!(doctor(&binary, &[r#""permissions","state":"ok""#, "copies can't be written"]), 1);
    set("copies", 0o700);
    set("data", 0o000);
    assert_eq!(
        doctor(
            &binary,
            &[unlisted, "data/scrapehook.db: Permission denied", r#""database","state":"failed""#]
        ),
        1
    );
    set("data", 0o700);
    for name in ["data/scrapehook.db", "data/scrapehook.db.lock"] {
        set(name, 0o400);
        assert_eq!(
            doctor(&binary, &[r#""database","state":"failed""#, &format!("{name}: Permission denied")]),
            1
        );
        let line = binary.refused(&["serve"]);
        assert!(line.contains(name), "{line}");
        set(name, 0o600);
    }
    doctor(&binary, &[r#""database","state":"ok""#, r#""permissions","state":"ok""#]);
}
