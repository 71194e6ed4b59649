//! An unfinished copy: a file with a temporary name, which gets its final name at the end.
//!
//! Must never be taken for a copy, and never write over another file.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::backup::BackupError;
use super::lock::side_file;
use super::private::{self, identity};

/// What a killed process may leave: the part, and SQLite's files beside it.
const LEFT_BEHIND: [&str; 4] = ["", "-journal", "-wal", "-shm"];

/// Belongs to the call that made it, and goes with it unless the process is killed.
#[derive(Debug)]
pub(super) struct Part {
    path: PathBuf,
    /// The part itself. Must not be closed while SQLite has it open.
    file: File,
    /// Locked. The part itself is not: on a network file system that lock would shut SQLite out.
    lock: PathBuf,
    _locked: File,
}

impl Part {
    /// Makes an empty file at `path`, and removes the leftovers of a copy that was killed.
    ///
    /// It will hold the callback secret, so it is for its owner alone, whoever may read the database.
    pub(super) fn begin(path: &Path) -> Result<Self, BackupError> {
        let unwritable = |source| BackupError::Unwritable { path: path.to_owned(), source };
        let lock = side_file(path, ".lock");
        let locked = private::open_or_create(&lock);
        let (locked, _) = locked.map_err(|source| BackupError::Unwritable { path: lock.clone(), source })?;
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
        let made = remove_left_behind(path).and_then(|()| private::create_new(path));
        match made {
            Ok(file) => Ok(Self { path: path.to_owned(), file, lock, _locked: locked }),
            Err(source) => {
                let _ = remove(&lock);
                Err(unwritable(source))
            }
        }
    }

    /// Where it is until it is whole.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives it to the owner of its folder. Must come before SQLite opens it.
    pub(super) fn give_to_owner_of_folder(&self) {
        private::give_to_owner_of_folder(&self.file, &self.path);
    }

    /// Syncs the part to the disk and gives it its final name.
    pub(super) fn finish(self, to: &Path) -> Result<(), BackupError> {
        let unwritable = |source| BackupError::Unwritable { path: to.to_owned(), source };
        self.file.sync_all().map_err(unwritable)?;
        let written = self.file.metadata().map(|file| identity(&file)).map_err(unwritable)?;
        if fs::symlink_metadata(&self.path).map(|file| identity(&file)).map_err(unwritable)? != written {
            return Err(unwritable(io::Error::other(
                "another file has taken the place of the unfinished copy",
            )));
        }
        // Unlike a rename, a link does not overwrite a file that has appeared meanwhile. Not every disk has links.
        fs::hard_link(&self.path, to)
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

impl Drop for Part {
    fn drop(&mut self) {
        // The lock is still held, so this is our own part.
        let _ = remove(&self.path);
        let _ = remove(&self.lock);
    }
}

fn remove_left_behind(path: &Path) -> io::Result<()> {
    LEFT_BEHIND.iter().try_for_each(|end| remove(&side_file(path, end)))
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
        fs::write(&path, "half").unwrap();
        fs::write(side_file(&path, "-journal"), "of the half").unwrap();
        let part = Part::begin(&path).unwrap();
        assert!(matches!(Part::begin(&path), Err(BackupError::InProgress(_))));
        for made in [&path, &side_file(&path, ".lock")] {
            let found = fs::metadata(made).unwrap();
            assert_eq!((found.len(), found.permissions().mode() & 0o7777), (0, 0o600), "{}", made.display());
        }
        assert!(!side_file(&path, "-journal").exists());
        fs::write(&to, "somebody else's").unwrap();
        assert!(matches!(part.finish(&to), Err(BackupError::Exists(_))));
        assert_eq!(fs::read(&to).unwrap(), b"somebody else's");
        assert!(!path.exists(), "nothing is left");
        drop(Part::begin(&path).unwrap());
        assert!(!path.exists(), "nor where it was given up");
        assert!(!side_file(&path, ".lock").exists(), "nor of the lock");
    }

    #[test]
    fn the_part_itself_is_not_locked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.part");
        let _part = Part::begin(&path).unwrap();
        // On a network's file system SQLite's own lock is of this kind.
        File::open(&path).unwrap().try_lock().unwrap();
    }
}
