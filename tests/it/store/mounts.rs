//! Mounts: a database file that is mounted itself is refused, and a full disk is named with the file that it stops.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use crate::support::binary::{Binary, refusal};

/// Whether this machine lets us mount. If not, the test ends and says so.
fn may_mount() -> bool {
    let tried = Command::new("unshare").args(["-rm", "mount", "-t", "tmpfs", "tmpfs", "/tmp"]).output();
    let may = tried.is_ok_and(|tried| tried.status.success());
    if !may {
        eprintln!("this machine lets nobody mount: mounts are not tried");
    }
    may
}

/// Has each command started after this script, whose mounts end with the command.
fn after(binary: Binary, script: &str) -> Binary {
    let script = format!("{script} && exec \"$@\"");
    let binary = binary.variable("PATH", &std::env::var("PATH").unwrap());
    binary.within(&["unshare", "-rm", "sh", "-c", &script, "sh"])
}

/// A binary with a database that was served once.
fn at_rest() -> Binary {
    let binary = Binary::new();
    assert_eq!(binary.serve(&[]).terminate().0, 0);
    binary
}

#[test]
fn a_database_file_that_is_mounted_is_refused_by_every_command() {
    if !may_mount() {
        return;
    }
    let binary = at_rest();
    let [database, copy, new, link] =
        ["scrapehook.db", "copy.db", "new.db", "link.db"].map(|name| binary.path(name).display().to_string());
    assert_eq!(binary.run(&["backup", &copy]).0, 0);
    let before = fs::read(&database).unwrap();
    let folder = binary.path("other");
    fs::create_dir(&folder).unwrap();
    let mounted = folder.join("mounted.db").display().to_string();
    fs::write(&mounted, "").unwrap();
    symlink(&mounted, &link).unwrap();
    for path in [&mounted, &link] {
        let other = Binary::new().set("STORE__PATH", path);
        let other = other.set("UPSTREAM__BASE_URL", binary.value("UPSTREAM__BASE_URL"));
        let other = after(other, &format!("mount --bind {database} {mounted}"));
        for arguments in [&["serve"][..], &["backup", &new], &["restore", &copy]] {
            let line = refusal(other.run(arguments));
            assert!(line.contains(&format!("{mounted} is a mount point")), "{arguments:?}: {line}");
        }
        let (code, report, _) = other.run(&["doctor"]);
        assert!(code == 1 && report.contains("is a mount point"), "{report}");
    }
    let made: Vec<_> = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(made, ["mounted.db"], "nothing is made beside it");
    assert!(fs::read(&database).unwrap() == before, "the file is left as it was");
}

#[test]
fn a_start_and_a_copy_on_a_full_disk_say_so_once() {
    if !may_mount() {
        return;
    }
    let binary = at_rest();
    let database = binary.path("scrapehook.db").display().to_string();
    let disk = binary.path("disk").display().to_string();
    fs::create_dir(&disk).unwrap();
    let mount = format!("mount -t tmpfs -o size=1m tmpfs {disk}");
    let fill = format!("(cat /dev/zero >{disk}/ballast 2>/dev/null || true)");

    let small = Binary::new().set("STORE__PATH", &format!("{disk}/scrapehook.db"));
    let small = small.set("UPSTREAM__BASE_URL", binary.value("UPSTREAM__BASE_URL"));
    let small = after(small, &format!("{mount} && cp {database} {disk}/ && {fill}"));
    let line = refusal(small.run(&["serve"]));
    assert!(line.ends_with("/scrapehook.db can't be written: the disk is full"), "{line}");

    let copy = format!("{disk}/copy.db");
    let (code, _, said) = after(binary, &format!("{mount} && {fill}")).run(&["backup", &copy]);
    assert_eq!((code, &*said), (1, &*format!("scrapehook: can't write {copy}: the disk is full\n")));
}

#[test]
fn a_copy_that_may_not_grow_is_named_once_instead_of_the_database() {
    let binary = at_rest();
    let copy = binary.path("copy.db").display().to_string();
    // In blocks of 512 or 1,024 bytes: room for the index of the log, and none for a copy.
    let script = "trap '' XFSZ; ulimit -f 64; exec \"$@\"";
    let (code, _, said) = binary.within(&["/bin/sh", "-c", script, "sh"]).run(&["backup", &copy]);
    assert_eq!((code, &*said), (1, &*format!("scrapehook: can't write {copy}: disk I/O error\n")));
}
