//! The instance lock: one process per database file, whatever names the file has.
//!
//! It consists of two locks. One is on a side file, so that it can be taken before there is a database. The other is
//! on the database's inode, which a hard link shares although its side file is another one. Must never close a
//! descriptor of the database while SQLite has it open, because that would release SQLite's own locks.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::{io, thread};

#[cfg(target_os = "linux")]
use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
use rustix::fs::{FlockOperation, fcntl_lock};

use crate::store::file::error::OpenError;
use crate::store::file::path::{real_path, side_file};
use crate::store::file::private;

/// The most attempts while processes that only check the lock are in the way.
const TRIES: u32 = 10_000;

/// The lock is held while the store is open. The system releases it when the process dies.
#[derive(Debug)]
pub(crate) struct InstanceLock {
    /// The database, after all links are resolved.
    path: PathBuf,
    side: File,
    /// Whether this process has made the side file now.
    is_side_new: bool,
    /// The locked database. None if there is no database yet, or if SQLite needs the file's only lock.
    database: Option<File>,
}

impl Drop for InstanceLock {
    /// Unlocks the files explicitly. A child process that was just started holds copies of the descriptors until it
    /// runs its own program, so closing the descriptors alone would leave the locks until then.
    fn drop(&mut self) {
        for file in self.database.iter().chain([&self.side]) {
            // If this fails, closing the last descriptor releases the lock.
            let _ = file.unlock();
        }
    }
}

/// The holder of the lock of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    Nobody,
    /// An instance that uses this path.
    Instance,
    /// An instance that uses another name of the same file.
    InstanceElsewhere,
}

impl InstanceLock {
    /// Takes the lock of the database at `path`.
    ///
    /// # Errors
    /// [`OpenError`] says why it can't be taken, and who holds it.
    pub(crate) fn take(path: &Path) -> Result<Self, OpenError> {
        // Symbolic links are resolved, because none of them may lead past the file's lock.
        let path = real_path(path);
        if path.is_dir() {
            let source = io::ErrorKind::IsADirectory.into();
            return Err(OpenError::Unwritable { path, reason: source });
        }
        check_not_mounted(&path)?;
        let side_path = side_file(&path, ".lock");
        let unwritable = |source| OpenError::Unwritable { path: side_path.clone(), reason: source };
        let (side, is_side_new) = private::open_or_create(&side_path).map_err(unwritable)?;
        if !lock_alone(&side).map_err(unwritable)? {
            return Err(OpenError::InUse { path });
        }
        let mut lock = Self { path, side, is_side_new, database: None };
        // The file is opened for writing, too. SQLite would open a file that it can't write, and leave a log of the
        // same mode beside it.
        match private::open(&lock.path, OpenOptions::new().read(true).write(true)) {
            Ok(database) => lock.hold(database)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(OpenError::Unwritable { path: lock.path.clone(), reason: source }),
        }
        Ok(lock)
    }

    /// The path of the database, after all links are resolved.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes an empty database for its owner alone, if there is none.
    ///
    /// SQLite would make it with the permissions of the umask, and gives its log the mode of the database.
    pub(crate) fn make_database(&mut self) -> Result<(), OpenError> {
        match private::create_new(&self.path) {
            Ok(database) => self.hold(database),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(source) => Err(OpenError::Unwritable { path: self.path.clone(), reason: source }),
        }
    }

    /// Gives the side file to the owner of its folder if this process has made it now.
    pub(crate) fn give_to_owner_of_folder(&self) {
        if self.is_side_new {
            private::give_to_owner_of_folder(&self.side, &side_file(&self.path, ".lock"));
        }
    }

    /// Locks the database's inode, which another instance may have open under another name.
    fn hold(&mut self, database: File) -> Result<(), OpenError> {
        let has_two_kinds = has_two_kinds_of_locks(&side_file(&self.path, ".lock"));
        self.hold_where(has_two_kinds, database)
    }

    /// Does the same on a file system with or without two kinds of locks.
    fn hold_where(&mut self, has_two_kinds: bool, database: File) -> Result<(), OpenError> {
        let unwritable = |source| OpenError::Unwritable { path: self.path.clone(), reason: source };
        // Without a second kind, this lock would exclude SQLite.
        if has_two_kinds && !lock_alone(&database).map_err(unwritable)? {
            return Err(OpenError::InUseElsewhere { path: self.path.clone() });
        }
        // A crash may have left commits in the log beside the other name.
        let names = database.metadata().map_err(unwritable)?.nlink();
        if names > 1 {
            return Err(OpenError::Linked { path: self.path.clone(), names });
        }
        self.database = has_two_kinds.then_some(database);
        Ok(())
    }

    /// Returns the holder of the lock of the database at `path`, as far as it can be found.
    ///
    /// Must not be called while this process has the database open.
    pub(crate) fn holder(path: &Path) -> Holder {
        let path = real_path(path);
        let is_locked = |path: &Path| {
            let file = private::open(path, OpenOptions::new().read(true)).ok()?;
            Some((
                matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)),
                file.metadata().ok()?.nlink(),
            ))
        };
        if let Some((true, _)) = is_locked(&side_file(&path, ".lock")) {
            return Holder::Instance;
        }
        match is_locked(&path) {
            // A file with one name has no instance elsewhere. On a file system with only one kind of lock, the lock
            // may be one of SQLite's.
            Some((true, 2..)) => Holder::InstanceElsewhere,
            _ => Holder::Nobody,
        }
    }
}

/// Locks a file unless another instance has locked it. Waits for processes that only check the lock.
fn lock_alone(file: &File) -> io::Result<bool> {
    for _ in 0..TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            // A process that only checks the lock is in the way for a moment.
            Err(TryLockError::WouldBlock) if file.try_lock_shared().is_ok() => {
                file.unlock()?;
                thread::yield_now();
            }
            Err(TryLockError::WouldBlock) => return Ok(false),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Ok(false)
}

/// Whether scrapehook's locks (`flock`) and SQLite's locks (`fcntl`) ignore each other on this file system. On NFS
/// and some other network file systems, they are the same.
///
/// The test uses a side file that is already locked.
fn has_two_kinds_of_locks(locked: &Path) -> bool {
    let Ok(again) = private::open(locked, OpenOptions::new().read(true).write(true)) else { return false };
    fcntl_lock(&again, FlockOperation::NonBlockingLockExclusive).is_ok()
}

/// Refuses a database with several names, which are hard links or mounts of the file. A missing database is accepted.
///
/// # Errors
/// [`OpenError::Linked`] or [`OpenError::Mounted`], or [`OpenError::Unwritable`] if it can't be examined.
pub(crate) fn check_single_name(path: &Path) -> Result<(), OpenError> {
    check_not_mounted(path)?;
    let path = real_path(path);
    match path.symlink_metadata() {
        Ok(found) if found.is_file() && found.nlink() > 1 => {
            Err(OpenError::Linked { path, names: found.nlink() })
        }
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(OpenError::Unwritable { path, reason: source })
        }
        _ => Ok(()),
    }
}

/// Refuses a database file that is itself mounted, as with `docker -v ./x.db:/data/x.db`. Its log would be beside the
/// mount point, and not beside the mounted file.
///
/// # Errors
/// [`OpenError::Mounted`].
pub(crate) fn check_not_mounted(path: &Path) -> Result<(), OpenError> {
    let path = real_path(path);
    if path.is_file() && is_mount_point(&path) { Err(OpenError::Mounted { path }) } else { Ok(()) }
}

/// Whether this path, which is no link, is a mount point. False if the system does not report it.
#[cfg(target_os = "linux")]
fn is_mount_point(path: &Path) -> bool {
    let found = statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::empty());
    found.is_ok_and(|found| says_mounted(found.stx_attributes_mask, found.stx_attributes))
}

#[cfg(not(target_os = "linux"))]
fn is_mount_point(_: &Path) -> bool {
    false
}

/// Older kernels do not report this attribute. They leave it out of the mask.
#[cfg(target_os = "linux")]
fn says_mounted(reported: StatxAttributes, attributes: StatxAttributes) -> bool {
    reported.intersection(attributes).contains(StatxAttributes::MOUNT_ROOT)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn an_instance_keeps_others_out_and_who_only_looks_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scrapehook.db");
        assert_eq!(InstanceLock::holder(&path), Holder::Nobody);
        assert!(!side_file(&path, ".lock").exists(), "to look makes nothing");
        let mut lock = InstanceLock::take(&path).unwrap();
        lock.make_database().unwrap();
        assert_eq!(InstanceLock::holder(&path), Holder::Instance);
        assert!(matches!(InstanceLock::take(&path), Err(OpenError::InUse { .. })));
        drop(lock);
        assert_eq!(InstanceLock::holder(&path), Holder::Nobody);
        let looks = thread::spawn({
            let path = path.clone();
            move || (0..1_000).filter(|_| InstanceLock::holder(&path) != Holder::Nobody).count()
        });
        while !looks.is_finished() {
            drop(InstanceLock::take(&path).unwrap());
        }
        looks.join().unwrap();
    }

    #[test]
    fn a_hard_link_leads_to_the_same_lock() {
        let folder = tempfile::tempdir().unwrap();
        let [path, link] = ["scrapehook.db", "link.db"].map(|name| folder.path().join(name));
        let mut lock = InstanceLock::take(&path).unwrap();
        lock.make_database().unwrap();
        fs::hard_link(&path, &link).unwrap();
        assert_eq!(InstanceLock::holder(&link), Holder::InstanceElsewhere);
        assert!(matches!(InstanceLock::take(&link), Err(OpenError::InUseElsewhere { .. })));
        check_single_name(&folder.path().join("missing.db")).unwrap();
        drop(lock);
        for path in [&path, &link] {
            assert!(matches!(InstanceLock::take(path), Err(OpenError::Linked { names: 2, .. })));
            assert!(matches!(check_single_name(path), Err(OpenError::Linked { names: 2, .. })));
        }
        // A file that was renamed while it is served has one name, and is still locked.
        fs::remove_file(&link).unwrap();
        let lock = InstanceLock::take(&path).unwrap();
        fs::rename(&path, &link).unwrap();
        assert!(matches!(InstanceLock::take(&link), Err(OpenError::InUseElsewhere { .. })));
        drop(lock);
        InstanceLock::take(&link).unwrap();
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_mount_point_is_told_where_the_system_reports_it() {
        let mount_root = StatxAttributes::MOUNT_ROOT;
        assert!(says_mounted(mount_root, mount_root));
        assert!(!says_mounted(StatxAttributes::empty(), mount_root), "an older kernel reports nothing");
        assert!(!says_mounted(mount_root, StatxAttributes::empty()));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scrapehook.db");
        fs::write(&path, "").unwrap();
        assert!(!is_mount_point(&path) && !is_mount_point(&folder.path().join("missing")));
        assert!(is_mount_point(Path::new("/proc")), "/proc is always mounted");
        check_not_mounted(Path::new("/proc")).unwrap();
    }

    #[test]
    fn where_sqlite_has_the_only_lock_it_is_left_to_sqlite_and_a_second_name_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scrapehook.db");
        let mut lock = InstanceLock::take(&path).unwrap();
        let database = private::create_new(&path).unwrap();
        lock.hold_where(false, database).unwrap();
        assert!(lock.database.is_none());
        File::open(&path).unwrap().try_lock().unwrap();
        fs::hard_link(&path, folder.path().join("link.db")).unwrap();
        let refused = lock.hold_where(false, File::open(&path).unwrap()).unwrap_err();
        assert!(matches!(refused, OpenError::Linked { names: 2, .. }), "{refused}");
    }

    #[test]
    fn both_kinds_of_locks_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let (file, _) = private::open_or_create(&path).unwrap();
        assert!(lock_alone(&file).unwrap());
        assert!(has_two_kinds_of_locks(&path), "this file system is no network's");
        // SQLite locks in this way, and must get its locks beside scrapehook's.
        fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive).unwrap();
    }
}
