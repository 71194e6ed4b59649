//! Names of files: links beside the database are not followed, and no two names lead to two instances.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use scrapehook::simulator::Settings;

use crate::support::binary::Binary;
use crate::support::process::Process;

/// A file that no command may touch, and what would show that one did.
fn outsider(binary: &Binary) -> (std::path::PathBuf, (Vec<u8>, u32, u32)) {
    let path = binary.path("outsider");
    fs::write(&path, "not yours").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    let state = state(&path);
    (path, state)
}

fn state(path: &Path) -> (Vec<u8>, u32, u32) {
    let found = fs::metadata(path).unwrap();
    (fs::read(path).unwrap(), found.permissions().mode(), found.uid())
}

/// A binary whose database is there, at rest, with a copy of it.
fn at_rest() -> (Binary, String) {
    let binary = Binary::new();
    assert_eq!(binary.serve(&[]).terminate().0, 0);
    let copy = binary.path("copy.db").display().to_string();
    assert_eq!(binary.run(&["backup", &copy]).0, 0);
    (binary, copy)
}

#[test]
fn a_link_beside_the_database_is_named_and_not_followed() {
    for end in [".lock", "-wal", "-shm", "-journal"] {
        let (binary, _) = at_rest();
        let (outsider, before) = outsider(&binary);
        let beside = binary.path(&format!("scrapehook.db{end}"));
        for target in ["outsider", "nowhere"] {
            let _ = fs::remove_file(&beside);
            symlink(target, &beside).unwrap();
            let line = binary.refused(&["serve"]);
            assert!(line.contains(beside.to_str().unwrap()) && line.contains("a symbolic link"), "{line}");
            assert!(fs::symlink_metadata(&beside).unwrap().is_symlink(), "{end} is left as it was");
        }
        assert_eq!(state(&outsider), before, "{end}");
        assert!(!binary.path("nowhere").exists(), "{end}");
    }
}

#[test]
fn a_hard_link_beside_the_database_is_named_and_its_file_is_not_written_to() {
    for end in [".lock", "-wal", "-shm", "-journal"] {
        let (binary, _) = at_rest();
        let (outsider, before) = outsider(&binary);
        let beside = binary.path(&format!("scrapehook.db{end}"));
        let _ = fs::remove_file(&beside);
        fs::hard_link(&outsider, &beside).unwrap();
        let line = binary.refused(&["serve"]);
        assert!(line.contains(beside.to_str().unwrap()) && line.contains("2 names (hard links)"), "{line}");
        assert_eq!(state(&outsider), before, "{end}");
    }
}

#[test]
fn what_is_no_file_is_named_and_nobody_waits_for_it() {
    for end in [".lock", "-wal"] {
        let (binary, _) = at_rest();
        let beside = binary.path(&format!("scrapehook.db{end}"));
        let _ = fs::remove_file(&beside);
        fs::create_dir(&beside).unwrap();
        let line = binary.refused(&["serve"]);
        assert!(line.contains(beside.to_str().unwrap()) && line.contains("a folder"), "{line}");
        fs::remove_dir(&beside).unwrap();
        assert!(Command::new("mkfifo").arg(&beside).status().unwrap().success());
        let line = binary.refused(&["serve"]);
        assert!(line.contains(beside.to_str().unwrap()) && line.contains("a FIFO"), "{line}");
    }
    let line = Binary::new().set("STORE__PATH", "/dev/null").refused(&["serve"]);
    assert!(line.contains("/dev/null") && line.contains("a device"), "{line}");
}

#[test]
fn copies_and_restores_follow_no_link() {
    let (binary, copy) = at_rest();
    let (outsider, before) = outsider(&binary);
    let new = binary.path("new.db").display().to_string();
    for end in [".part", ".part-journal", ".part-wal"] {
        let link = binary.path(&format!("new.db{end}"));
        symlink("outsider", &link).unwrap();
        let (code, _, said) = binary.run(&["backup", &new]);
        assert!(code == 1 && said.contains(link.to_str().unwrap()) && said.contains("in the way"), "{said}");
        fs::remove_file(link).unwrap();
    }
    assert_eq!(binary.run(&["backup", &new]).0, 0);
    symlink("outsider", binary.path("newer.db.part.lock")).unwrap();
    let (code, _, said) = binary.run(&["backup", binary.path("newer.db").to_str().unwrap()]);
    assert!(code == 1 && said.contains("newer.db.part.lock") && said.contains("a symbolic link"), "{said}");
    symlink("outsider", binary.path("newest.db")).unwrap();
    let (code, _, said) = binary.run(&["backup", binary.path("newest.db").to_str().unwrap()]);
    assert!(code == 1 && said.contains("already exists"), "{said}");

    for end in [".lock", ".part", ".part.lock", "-wal", "-shm"] {
        let restored = Binary::new();
        let beside = restored.path(&format!("scrapehook.db{end}"));
        symlink(&outsider, &beside).unwrap();
        let (code, _, said) = restored.run(&["restore", &copy]);
        assert!(code == 1 && said.contains(beside.to_str().unwrap()), "{said}");
        assert!(said.matches("a symbolic link").count() <= 1, "{said}");
        assert!(!restored.path("scrapehook.db").exists());
    }
    assert_eq!(state(&outsider), before);
}

#[test]
fn a_path_that_sqlite_reads_differently_is_refused_and_makes_nothing() {
    let (binary, copy) = at_rest();
    let names = |binary: &Binary| -> Vec<_> {
        let mut names: Vec<_> =
            fs::read_dir(binary.path("")).unwrap().map(|file| file.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = names(&binary);
    for path in [
        "file:x.db",
        "file:///tmp/x.db",
        "FILE:scrapehook.db?mode=memory",
        ":memory:",
        "x.db/",
        "x.db/.",
        "y/..",
        "x.db-wal",
        "x.db.lock",
        "x.db.part",
    ] {
        let other = Binary::new().set("STORE__PATH", path);
        for arguments in [&["serve"][..], &["check-config"], &["backup", "new.db"], &["restore", &copy]] {
            let line = other.refused(arguments);
            assert!(line.contains("store.path") && line.contains(path), "{arguments:?} {path}: {line}");
        }
        for command in ["backup", "restore"] {
            let line = binary.refused(&[command, path]);
            assert!(line.contains("FILE") && line.contains(path), "{command} {path}: {line}");
        }
        assert!(names(&other).is_empty(), "{path}: {:?}", names(&other));
    }
    for folder in ["file:copies", "sqlite:copies"] {
        let line = Binary::new().set("BACKUP__FOLDER", folder).refused(&["serve"]);
        assert!(line.contains("backup.folder") && line.contains(folder), "{line}");
    }
    for value in ["", " ", "a\\u0000b.db"] {
        fs::write(binary.path("wrong.toml"), format!("[store]\npath = \"{value}\"\n")).unwrap();
        let line =
            Binary::bare().refused(&["serve", "--config", binary.path("wrong.toml").to_str().unwrap()]);
        assert!(line.contains("store.path"), "{value:?}: {line}");
    }
    fs::remove_file(binary.path("wrong.toml")).unwrap();
    assert_eq!(names(&binary), before);
}

#[test]
fn a_path_with_unusual_characters_is_one_file_for_everybody() {
    for name in ["a b?c#d%41.db", "./file:x.db", "ä.db"] {
        let binary = Binary::new();
        let binary = binary.set("STORE__PATH", name);
        let serving = binary.serve(&[]);
        let line = binary.refused(&["serve"]);
        assert!(line.contains("in use by another instance"), "{line}");
        assert_eq!(binary.run(&["backup", "copy.db"]).0, 0, "{name}");
        assert_eq!(serving.terminate().0, 0);
        assert!(binary.path(name).exists() && binary.path(&format!("{name}.lock")).exists(), "{name}");
        let files = fs::read_dir(binary.path("")).unwrap().count();
        assert_eq!(files, 3, "{name}: the database, its lock and the copy");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hard_link_to_the_database_starts_no_second_instance() {
    let mut service = Process::idle(Settings::default(), |binary| binary).await;
    fs::create_dir(service.binary.path("elsewhere")).unwrap();
    let link = service.binary.path("elsewhere/link.db");
    fs::hard_link(service.binary.path("scrapehook.db"), &link).unwrap();
    let other = Binary::new().set("STORE__PATH", link.to_str().unwrap());
    let other = other.set("UPSTREAM__BASE_URL", service.binary.value("UPSTREAM__BASE_URL"));
    let line = other.refused(&["serve"]);
    assert!(line.contains("store.path") && line.contains("another process has it open"), "{line}");
    assert!(line.contains("hard link") && line.contains(link.to_str().unwrap()), "{line}");
    // A copy of that name would lack what only the other name's log has.
    let copy = service.binary.path("copy.db").display().to_string();
    let (code, _, said) = other.run(&["backup", &copy]);
    assert!(code == 1 && said.contains("hard link"), "{said}");
    let (code, report, _) = other.run(&["doctor"]);
    assert!(code == 1 && report.contains("hard link"), "{report}");
    // Nothing of that stands in the way of the instance, or of commands that look at it by its own name.
    assert_eq!(service.submit(3).await, 202);
    assert_eq!(service.binary.run(&["backup", &copy]).0, 0);
    let (code, report, _) = service.binary.run(&["doctor"]);
    assert!(code == 1 && report.contains("2 names (hard links)"), "the next start is refused: {report}");
    let files: BTreeMap<_, _> =
        fs::read_dir(link.parent().unwrap()).unwrap().map(|file| (file.unwrap().file_name(), ())).collect();
    assert!(files.keys().all(|name| !name.to_string_lossy().contains("-wal")), "{files:?}");

    // A kill ends the lock. What was acknowledged is in the log beside the first name, so no other is served.
    service.serving.end();
    for binary in [&other, &service.binary] {
        let line = binary.refused(&["serve"]);
        assert!(line.contains("2 names (hard links)"), "{line}");
        for (command, file) in [("backup", binary.path("new.db")), ("restore", copy.clone().into())] {
            let (code, _, said) = binary.run(&[command, file.to_str().unwrap()]);
            assert!(code == 1 && said.contains("2 names (hard links)"), "{command}: {said}");
        }
        let (code, report, _) = binary.run(&["doctor"]);
        assert!(code == 1 && report.contains("2 names (hard links)"), "{report}");
    }
    assert!(!link.with_file_name("link.db-wal").exists(), "no log is begun beside the other name");
    fs::remove_file(&link).unwrap();
    let serving = service.binary.serve(&[]);
    let jobs = crate::support::client().get(format!("{}/v1/jobs", serving.base)).send().await.unwrap();
    let jobs: serde_json::Value = jobs.json().await.unwrap();
    assert_eq!(jobs["items"].as_array().unwrap().len(), 1, "what was acknowledged is there");
    assert_eq!(serving.terminate().0, 0);
}
