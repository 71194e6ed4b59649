//! The permissions of the files of a database.
//!
//! Must never count a file that could not be examined as missing.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use crate::store::file::path::{real_path, side_file};
use crate::store::file::private::{SIDE_FILES, look_at};

/// The permissions of everybody but the owner.
const OTHERS: u32 = 0o077;

/// A file that users other than its owner can read or write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposed {
    /// The file.
    pub path: PathBuf,
    /// Its permission bits.
    pub mode: u32,
}

impl Exposed {
    /// The command that removes the access of others.
    pub fn remedy(&self) -> String {
        format!("chmod 600 {}", quoted(&self.path.display().to_string()))
    }
}

/// Quotes a path as one word of a shell.
fn quoted(path: &str) -> String {
    let path = if path.starts_with('-') { format!("./{path}") } else { path.to_owned() };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,:@%".contains(c);
    if !path.is_empty() && path.chars().all(is_plain) {
        return path;
    }
    format!("'{}'", path.replace('\'', r"'\''"))
}

impl fmt::Display for Exposed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} has mode {:04o}", self.path.display(), self.mode)
    }
}

/// Files whose permissions matter, as far as their folder could be listed.
#[derive(Debug)]
pub struct Listed {
    /// The files, whether or not they exist.
    pub paths: Vec<PathBuf>,
    /// The reason why there may be more files: the folder, and the error of the system.
    pub fault: Option<(PathBuf, io::Error)>,
}

/// The result of an examination of permissions.
#[derive(Debug, Default)]
pub struct Exposure {
    /// The files that users other than their owner can read or write.
    pub exposed: Vec<Exposed>,
    /// The number of examined files. Links do not count.
    pub checked: usize,
    /// The files that could not be examined, with the reasons.
    pub unknown: Vec<String>,
}

/// Finds the files among these that users other than their owner can read or write.
pub fn exposed(listed: impl IntoIterator<Item = Listed>) -> Exposure {
    let mut found = Exposure::default();
    for Listed { paths, fault } in listed {
        for path in paths {
            match look_at(&path) {
                Ok(Some(file)) if file.is_file() => {
                    found.checked += 1;
                    let mode = file.permissions().mode() & 0o7777;
                    if mode & OTHERS != 0 {
                        found.exposed.push(Exposed { path, mode });
                    }
                }
                Ok(_) => {}
                Err(error) => found.unknown.push(format!("{}: {error}", path.display())),
            }
        }
        found
            .unknown
            .extend(fault.map(|(folder, error)| format!("can't list {}: {error}", folder.display())));
    }
    found
}

/// Logs a warning for each of these files that users other than its owner can read or write, and for each that could
/// not be examined.
pub fn warn_of_exposed(listed: Listed) {
    let found = exposed([listed]);
    for file in found.exposed {
        tracing::warn!(
            "{file}: other users of this machine can read or write it, so they can forge callbacks or block commits, \
             run `{}`",
            file.remedy()
        );
    }
    for reason in found.unknown {
        tracing::warn!(
            "could not check whether other users of this machine can read files of the database: {reason}"
        );
    }
}

/// Lists the database at `database` and every file beside it whose name begins with its name, such as log, lock and
/// copies.
pub fn files_of(database: &Path) -> Listed {
    let path = real_path(database);
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Listed { paths: vec![path], fault: None };
    };
    let is_beside = |other: &OsStr| {
        let rest = other.as_bytes().strip_prefix(name.as_bytes());
        rest.is_some_and(|rest| rest.starts_with(b"-") || rest.starts_with(b"."))
    };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let mut listed = list(folder, is_beside);
    if listed.fault.is_some() {
        // These names are known without a list.
        listed.paths.extend(SIDE_FILES.map(|end| side_file(&path, end)));
    }
    listed.paths.push(path);
    listed.paths.sort();
    listed.paths.dedup();
    listed
}

/// Lists the files in a folder whose names satisfy `is_meant`. A missing folder has none.
pub fn list(folder: &Path, is_meant: impl Fn(&OsStr) -> bool) -> Listed {
    let mut listed = Listed { paths: Vec::new(), fault: None };
    let mut add = || {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if is_meant(&entry.file_name()) {
                listed.paths.push(entry.path());
            }
        }
        Ok(())
    };
    let done: io::Result<()> = add();
    let error = done.err().filter(|error| error.kind() != io::ErrorKind::NotFound);
    listed.fault = error.map(|error| (folder.to_owned(), error));
    listed
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn files_that_others_can_read_or_write_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for (name, mode) in [("own", 0o600), ("read", 0o644), ("group", 0o640), ("write", 0o602)] {
            fs::write(path(name), "x").unwrap();
            fs::set_permissions(path(name), Permissions::from_mode(mode)).unwrap();
        }
        symlink("read", path("link")).unwrap();
        let paths = ["own", "read", "group", "write", "link", "missing"].map(path).to_vec();
        let report = exposed([Listed { paths, fault: None }]);
        assert_eq!((report.checked, report.unknown.len()), (4, 0));
        let found = report.exposed;
        let modes: Vec<_> = found.iter().map(|file| file.mode).collect();
        assert_eq!(modes, [0o644, 0o640, 0o602]);
        let read = path("read").display().to_string();
        assert_eq!(found[0].to_string(), format!("{read} has mode 0644"));
        assert_eq!(found[0].remedy(), format!("chmod 600 {read}"));
    }

    #[test]
    fn a_remedy_is_quoted_for_the_shell() {
        for (path, word) in [
            ("/a/s.db-wal", "/a/s.db-wal"),
            ("/a b/s.db", "'/a b/s.db'"),
            ("s.db.x; touch INJECTED", "'s.db.x; touch INJECTED'"),
            ("$(x)`y`", "'$(x)`y`'"),
            ("it's", r"'it'\''s'"),
            ("-R", "./-R"),
        ] {
            let file = Exposed { path: path.into(), mode: 0o644 };
            assert_eq!(file.remedy(), format!("chmod 600 {word}"));
        }
    }

    #[test]
    fn a_file_that_cannot_be_examined_is_not_missing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "x").unwrap();
        let found = exposed([files_of(&file.join("a.db"))]);
        assert_eq!((found.checked, found.exposed.len()), (0, 0));
        assert!(found.unknown.iter().any(|reason| reason.contains("can't list")), "{found:?}");
        assert_eq!(found.unknown.len(), 6, "the database, four files beside it, and the folder: {found:?}");
        let missing = exposed([files_of(&folder.path().join("missing/a.db"))]);
        assert!(missing.unknown.is_empty(), "{missing:?}");
    }

    #[test]
    fn files_beside_a_database_begin_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().canonicalize().unwrap().join(name);
        for name in ["a.db", "a.db-wal", "a.db.lock", "a.db.before-1-2", "a.dbx", "b.db"] {
            fs::write(path(name), "x").unwrap();
        }
        let listed = files_of(&folder.path().join("a.db"));
        assert_eq!(listed.paths, ["a.db", "a.db-wal", "a.db.before-1-2", "a.db.lock"].map(path));
        assert!(listed.fault.is_none());
    }
}
