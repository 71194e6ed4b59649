//! Checks paths of database files and of folders for copies.
//!
//! SQLite does not read some names as paths. The system, the lock and SQLite must always mean the same
//! file, so such names are refused. Must never look at the disk.

use std::path::Path;

use thiserror::Error;

/// Names that SQLite reads as URIs, or that people copy from other programs' database URLs.
const URI_SCHEMES: [&str; 2] = ["file:", "sqlite:"];
/// SQLite and scrapehook keep files with these endings beside a database.
const RESERVED_ENDINGS: [&str; 5] = ["-wal", "-shm", "-journal", ".lock", ".part"];
/// SQLite's name for a database without a file.
const MEMORY: &str = ":memory:";

/// The reason why a path cannot be used.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum PathFault {
    /// It is empty or white space.
    #[error("the path of a file is needed")]
    Blank,
    /// SQLite would keep everything in memory and lose it.
    #[error("`:memory:` is not a file and keeps nothing. Use the path of a file")]
    Memory,
    /// SQLite would read it as a URI.
    #[error("a plain path is needed, not a URI")]
    Uri,
    /// It names a folder.
    #[error("it names a folder. Use the path of a file")]
    Folder,
    /// It would be taken for a file beside another database, and written over.
    #[error("names that end in -wal, -shm, -journal, .lock or .part are reserved")]
    Reserved,
    /// No file can have such a name.
    #[error("it contains a NUL character")]
    Nul,
    /// SQLite takes names in UTF-8.
    #[error("it is not valid UTF-8")]
    NotUtf8,
}

/// Checks the path of a database or of a copy.
///
/// # Errors
/// [`PathFault`] if the system and SQLite would not read it as the same regular file.
pub fn check_file(path: &Path) -> Result<(), PathFault> {
    let text = check_text(path)?;
    if text == MEMORY {
        return Err(PathFault::Memory);
    }
    // The last component is not enough, because `x.db/` and `x.db/.` also end in `x.db`.
    if path.file_name().is_none() || text.ends_with('/') || text.ends_with("/.") {
        return Err(PathFault::Folder);
    }
    if RESERVED_ENDINGS.iter().any(|ending| text.ends_with(ending)) {
        return Err(PathFault::Reserved);
    }
    Ok(())
}

/// Checks the path of a folder for copies. It may end in a slash, but SQLite must read the path of a file in it as the
/// system does.
///
/// # Errors
/// [`PathFault`] if it would not.
pub fn check_folder(path: &Path) -> Result<(), PathFault> {
    check_text(path).map(|_| ())
}

fn check_text(path: &Path) -> Result<&str, PathFault> {
    let text = path.to_str().ok_or(PathFault::NotUtf8)?;
    if text.trim().is_empty() {
        return Err(PathFault::Blank);
    }
    if text.contains('\0') {
        return Err(PathFault::Nul);
    }
    let begins_with =
        |scheme: &&str| text.get(..scheme.len()).is_some_and(|head| head.eq_ignore_ascii_case(scheme));
    if URI_SCHEMES.iter().any(begins_with) {
        return Err(PathFault::Uri);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn a_path_that_sqlite_reads_differently_is_refused() {
        for (path, fault) in [
            ("", PathFault::Blank),
            (" \t", PathFault::Blank),
            (":memory:", PathFault::Memory),
            ("file:x.db", PathFault::Uri),
            ("file:///var/lib/x.db?mode=memory", PathFault::Uri),
            ("FILE:x.db", PathFault::Uri),
            ("sqlite://x.db", PathFault::Uri),
            ("x.db/", PathFault::Folder),
            ("x.db//", PathFault::Folder),
            ("x.db/.", PathFault::Folder),
            ("x/..", PathFault::Folder),
            (".", PathFault::Folder),
            ("/", PathFault::Folder),
            ("x.db-wal", PathFault::Reserved),
            ("folder/x-shm", PathFault::Reserved),
            ("x.db-journal", PathFault::Reserved),
            ("x.db.lock", PathFault::Reserved),
            ("folder/x.part", PathFault::Reserved),
            ("a\0b.db", PathFault::Nul),
        ] {
            assert_eq!(check_file(Path::new(path)), Err(fault), "{path:?}");
        }
        let path = Path::new(OsStr::from_bytes(b"x\xff.db"));
        assert_eq!(check_file(path), Err(PathFault::NotUtf8));
    }

    #[test]
    fn every_other_path_is_a_file() {
        for path in [
            "x.db",
            "./file:x.db",
            "./:memory:",
            "a/../x.db",
            "/x",
            "ä x?#%41.db",
            "wal",
            "lock",
            "x.db-wal.db",
            "x.part.db",
            "~",
        ] {
            assert_eq!(check_file(Path::new(path)), Ok(()), "{path}");
        }
    }

    #[test]
    fn a_folder_may_end_in_a_slash() {
        for path in ["copies/", ".", "/srv/copies", "..", "x-wal"] {
            assert_eq!(check_folder(Path::new(path)), Ok(()), "{path}");
        }
        for (path, fault) in
            [("", PathFault::Blank), ("file:copies", PathFault::Uri), ("a\0", PathFault::Nul)]
        {
            assert_eq!(check_folder(Path::new(path)), Err(fault), "{path:?}");
        }
    }
}
