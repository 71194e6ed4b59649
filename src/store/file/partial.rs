//! The partial file: an unfinished copy with a temporary name, which gets its final name at the end.
//!
//! Must never be taken for a copy, and never write over another file.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

#[cfg(any(target_os = "linux", target_os = "macos"))]
use rustix::fs::CWD;

use crate::store::file::error::BackupError;
use crate::store::file::path::side_file;
use crate::store::file::private::{self, identity};

/// The files that a killed process may leave: the partial file, and SQLite's files beside it.
const LEFT_BEHIND: [&str; 4] = ["", "-journal", "-wal", "-shm"];

/// The first bytes of SQLite's files: a database, its journal, and its log in both byte orders.
const HEADS: [&[u8]; 4] = [
    b"SQLite format 3\0",
    &[0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7],
    &[0x37, 0x7f, 0x06, 0x82],
    &[0x37, 0x7f, 0x06, 0x83],
];
/// The length of the longest of them, in bytes.
const HEAD: u64 = 16;

/// Removes the file when it is dropped. Only a kill leaves it behind.
#[derive(Debug)]
pub(crate) struct PartialFile {
    path: PathBuf,
    /// The partial file itself. It must not be closed while SQLite has it open.
    file: File,
    /// The locked file. The partial file itself is not locked, because on a network file system that lock would
    /// exclude SQLite.
    lock: PathBuf,
    _locked: File,
}

impl PartialFile {
    /// Makes an empty file at `path`, and removes the leftovers of a copy that was killed.
    ///
    /// The file will hold the callback secret, so it is for its owner alone, whatever the mode of the database.
    pub(crate) fn begin(path: &Path) -> Result<Self, BackupError> {
        let unwritable = |source| BackupError::Unwritable { path: path.to_owned(), source };
        let lock = side_file(path, ".lock");
        let locked = private::open_or_create(&lock);
        let (locked, is_lock_new) =
            locked.map_err(|source| BackupError::Unwritable { path: lock.clone(), source })?;
        match locked.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(BackupError::InProgress(path.to_owned())),
            Err(TryLockError::Error(source)) => return Err(unwritable(source)),
        }
        // The previous holder of the lock may have removed the file meanwhile.
        let ours = identity(&locked.metadata().map_err(unwritable)?);
        if fs::symlink_metadata(&lock).map(|file| identity(&file)).ok() != Some(ours) {
            return Err(BackupError::InProgress(path.to_owned()));
        }
        let made = remove_left_behind(path, !is_lock_new)
            .and_then(|()| private::create_new(path).map_err(unwritable));
        match made {
            Ok(file) => Ok(Self { path: path.to_owned(), file, lock, _locked: locked }),
            Err(error) => {
                // An old lock file shows that the partial file is scrapehook's.
                if is_lock_new {
                    let _ = remove(&lock);
                }
                Err(error)
            }
        }
    }

    /// The path until it is finished.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the file to the owner of its folder. Must come before SQLite opens it.
    pub(crate) fn give_to_owner_of_folder(&self) {
        private::give_to_owner_of_folder(&self.file, &self.path);
    }

    /// Syncs the partial file to the disk and gives it its final name.
    pub(crate) fn finish(self, to: &Path) -> Result<(), BackupError> {
        let unwritable = |source| BackupError::Unwritable { path: to.to_owned(), source };
        self.file.sync_all().map_err(unwritable)?;
        let written = self.file.metadata().map(|file| identity(&file)).map_err(unwritable)?;
        if fs::symlink_metadata(&self.path).map(|file| identity(&file)).map_err(unwritable)? != written {
            return Err(unwritable(io::Error::other(
                "another file has taken the place of the unfinished copy",
            )));
        }
        // None of these overwrites a file that has appeared meanwhile. Not every disk supports them, or links.
        rename_to_new(&self.path, to)
            .or_else(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => Err(error),
                _ => fs::hard_link(&self.path, to),
            })
            .or_else(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => Err(error),
                _ if fs::symlink_metadata(to).is_ok() => Err(io::ErrorKind::AlreadyExists.into()),
                _ => fs::rename(&self.path, to),
            })
            .map_err(|source| match source.kind() {
                io::ErrorKind::AlreadyExists => BackupError::Exists(to.to_owned()),
                _ => unwritable(source),
            })?;
        drop(self);
        let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(unwritable)
    }
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        // The lock is still held, so the partial file is the one of this call.
        let _ = remove(&self.path);
        let _ = remove(&self.lock);
    }
}

/// Renames a file. Unlike with a link, the file never has two names, with which a database would be refused.
#[cfg(any(target_os = "linux", target_os = "macos"))]
fn rename_to_new(from: &Path, to: &Path) -> io::Result<()> {
    Ok(rustix::fs::renameat_with(CWD, from, CWD, to, rustix::fs::RenameFlags::NOREPLACE)?)
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
fn rename_to_new(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Removes the leftovers of a killed copy at `path`. If one of the files may belong to another program, it removes
/// none.
fn remove_left_behind(path: &Path, is_lock_left: bool) -> Result<(), BackupError> {
    let files = LEFT_BEHIND.map(|end| side_file(path, end));
    for file in &files {
        match is_left_behind(file, is_lock_left) {
            Ok(true) => {}
            Ok(false) => return Err(BackupError::InTheWay(file.clone())),
            Err(source) => return Err(BackupError::Unwritable { path: file.clone(), source }),
        }
    }
    let removed = files.iter().try_for_each(|file| remove(file));
    removed.map_err(|source| BackupError::Unwritable { path: path.to_owned(), source })
}

/// Whether the file is missing, or is one that a killed copy may have left.
fn is_left_behind(path: &Path, is_lock_left: bool) -> io::Result<bool> {
    if fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        return Ok(true);
    }
    if !private::is_regular(path)? || private::check_side_file(path).is_err() {
        return Ok(false);
    }
    let mut head = Vec::new();
    private::open(path, OpenOptions::new().read(true))?.take(HEAD).read_to_end(&mut head)?;
    // SQLite writes the head last.
    let is_blank = head.iter().all(|byte| *byte == 0);
    Ok(head.is_empty() || HEADS.iter().any(|known| head.starts_with(known)) || (is_lock_left && is_blank))
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_part_belongs_to_one_at_a_time_and_what_a_killed_one_left_is_thrown_away() {
        let folder = tempfile::tempdir().unwrap();
        let (path, to) = (folder.path().join("a.part"), folder.path().join("a.db"));
        fs::write(&path, HEADS[0]).unwrap();
        fs::write(side_file(&path, "-journal"), HEADS[1]).unwrap();
        let partial = PartialFile::begin(&path).unwrap();
        assert!(matches!(PartialFile::begin(&path), Err(BackupError::InProgress(_))));
        for made in [&path, &side_file(&path, ".lock")] {
            let found = fs::metadata(made).unwrap();
            assert_eq!((found.len(), found.permissions().mode() & 0o7777), (0, 0o600), "{}", made.display());
        }
        assert!(!side_file(&path, "-journal").exists());
        fs::write(&to, "somebody else's").unwrap();
        assert!(matches!(partial.finish(&to), Err(BackupError::Exists(_))));
        assert_eq!(fs::read(&to).unwrap(), b"somebody else's");
        assert!(!path.exists(), "nothing is left");
        drop(PartialFile::begin(&path).unwrap());
        assert!(!path.exists(), "nor where it was given up");
        assert!(!side_file(&path, ".lock").exists(), "nor of the lock");
    }

    #[test]
    fn a_file_of_somebody_else_is_left_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.part");
        let (journal, lock) = (side_file(&path, "-journal"), side_file(&path, ".lock"));
        let refused = |file: &Path| {
            let refused = PartialFile::begin(&path).unwrap_err();
            assert!(matches!(&refused, BackupError::InTheWay(named) if named == file), "{refused}");
        };
        for content in [&b"mine"[..], &[0; 4_096]] {
            fs::write(&path, content).unwrap();
            refused(&path);
            assert_eq!(fs::read(&path).unwrap(), content);
            assert!(!lock.exists());
        }
        // SQLite writes the head last, so a file with a blank head counts as a leftover if the lock is there, too.
        fs::write(&lock, "").unwrap();
        drop(PartialFile::begin(&path).unwrap());
        fs::write(&path, HEADS[0]).unwrap();
        fs::write(&journal, "mine").unwrap();
        refused(&journal);
        assert_eq!(
            (fs::read(&path).unwrap(), fs::read(&journal).unwrap()),
            (HEADS[0].into(), b"mine".into())
        );
        fs::remove_file(&journal).unwrap();
        fs::hard_link(&path, folder.path().join("other")).unwrap();
        refused(&path);
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("other", &path).unwrap();
        refused(&path);
    }

    #[test]
    fn the_part_itself_is_not_locked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.part");
        let _partial = PartialFile::begin(&path).unwrap();
        // On a network file system, SQLite's own lock is of this kind.
        File::open(&path).unwrap().try_lock().unwrap();
    }
}
