//! Files beside the database: made for their owner alone, and never reached through a link.
//!
//! They hold the callback secret, or keep other processes out. Must never change the mode or the owner of a file that
//! another call has made.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, openat};

use crate::store::file::path::{real_path, side_file};

/// Access for the owner alone.
const MODE: u32 = 0o600;
/// The endings of the names of the files that a service writes beside its database.
pub(crate) const SIDE_FILES: [&str; 4] = [".lock", "-wal", "-shm", "-journal"];
/// Without these flags, opening a FIFO would wait for its other end.
const OPEN_FLAGS: OFlags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// Makes a file of mode 0600 and opens it for reading and writing.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] if the name exists, even as a link that leads nowhere.
pub(crate) fn create_new(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(MODE).open(path)?;
    // The umask can only remove permissions, but it may have removed the owner's.
    file.set_permissions(Permissions::from_mode(MODE))?;
    Ok(file)
}

/// Opens a regular file.
///
/// # Errors
/// The error of the system, or the type of a file that is not regular.
pub(crate) fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    if let Some(found) = look_at(path)? {
        expect_regular(&found)?;
    }
    let file = options.custom_flags(OPEN_FLAGS.bits().cast_signed()).open(path)?;
    // The file may have been replaced since it was examined.
    expect_regular(&file.metadata()?)?;
    Ok(file)
}

/// Opens a file beside a database for reading and writing, or makes it. Returns whether this call has made it.
///
/// # Errors
/// The error of the system, or the type of a file that is not regular or has several names.
pub(crate) fn open_or_create(path: &Path) -> io::Result<(File, bool)> {
    match create_new(path) {
        Ok(file) => Ok((file, true)),
        // A folder that can't be written may still hold a file that can.
        Err(_) if fs::symlink_metadata(path).is_ok() => {
            check_side_file(path)?;
            let file = open(path, OpenOptions::new().read(true).write(true))?;
            expect_single_name(&file.metadata()?)?;
            Ok((file, false))
        }
        Err(error) => Err(error),
    }
}

/// Whether the file `path` beside a database exists, such as its log, its lock, or another file that SQLite or
/// scrapehook overwrites.
///
/// # Errors
/// The error of the system, or the type of a file that is not regular or has several names.
pub(crate) fn check_side_file(path: &Path) -> io::Result<bool> {
    match look_at(path)? {
        Some(found) => expect_regular(&found).and_then(|()| expect_single_name(&found)).map(|()| true),
        None => Ok(false),
    }
}

/// Whether there is a regular file at `path`. Nothing else counts, and no link is followed.
///
/// # Errors
/// The error of the system.
pub(crate) fn is_regular(path: &Path) -> io::Result<bool> {
    Ok(look_at(path)?.is_some_and(|found| found.is_file()))
}

/// Examines the file at `path` without following a link. Returns none if there is none.
pub(crate) fn look_at(path: &Path) -> io::Result<Option<fs::Metadata>> {
    match fs::symlink_metadata(path) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Refuses a hard link, because writing to it would destroy the file with the other name.
fn expect_single_name(found: &fs::Metadata) -> io::Result<()> {
    match found.nlink() {
        0 | 1 => Ok(()),
        names => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("it has {names} names (hard links), but only a file with one name can be written here"),
        )),
    }
}

fn expect_regular(found: &fs::Metadata) -> io::Result<()> {
    let kind = found.file_type();
    let what = if kind.is_file() {
        return Ok(());
    } else if kind.is_symlink() {
        "a symbolic link"
    } else if kind.is_dir() {
        "a folder"
    } else if kind.is_fifo() {
        "a FIFO"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    };
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("it is {what}, but only a regular file can be opened here"),
    ))
}

/// The identity of a file: its device and its inode.
pub(crate) fn identity(found: &fs::Metadata) -> (u64, u64) {
    (found.dev(), found.ino())
}

/// Gives a file that this call has made to the owner of its folder, so that the service's user can use a file that
/// root has restored.
///
/// This goes by descriptors alone, so a name that is replaced meanwhile changes nothing. Only root can give files
/// away, and nobody else needs to, so a failure is no error.
pub(crate) fn give_to_owner_of_folder(made: &File, path: &Path) {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let Ok(folder) = File::open(folder) else { return };
    let (Ok(owner), Ok(made_as)) = (folder.metadata(), made.metadata()) else { return };
    let there = openat(&folder, name, OPEN_FLAGS | OFlags::CLOEXEC, Mode::empty());
    let Some(there) = there.ok().and_then(|there| File::from(there).metadata().ok()) else { return };
    // If the folder was replaced since the file was made, its owner was somebody else's choice.
    if identity(&there) == identity(&made_as) {
        let _ = fchown(made, Some(owner.uid()), Some(owner.gid()));
    }
}

/// Whether the database and the existing files beside it can be written. Writes nothing.
///
/// Must not be called while this process has the database open.
///
/// # Errors
/// The first file that can't be written, and the reason.
pub(crate) fn check_writable(database: &Path) -> Result<(), (PathBuf, io::Error)> {
    let path = real_path(database);
    for file in [path.clone()].into_iter().chain(SIDE_FILES.map(|end| side_file(&path, end))) {
        match open(&file, OpenOptions::new().read(true).write(true)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err((file, error)),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use rustix::fs::{CWD, FileType, mknodat};
    use std::os::unix::fs::chown;

    use super::*;

    #[test]
    fn a_new_file_is_for_its_owner_alone_and_a_link_is_no_place_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let (file, is_new) = open_or_create(&path).unwrap();
        assert!(is_new);
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o7777, 0o600);
        assert!(!open_or_create(&path).unwrap().1);
        let link = folder.path().join("link");
        symlink("nowhere", &link).unwrap();
        assert_eq!(create_new(&link).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert!(!folder.path().join("nowhere").exists());
    }

    #[test]
    fn what_is_no_regular_file_is_named_and_waited_for_by_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let [link, fifo, inner] = ["link", "fifo", "inner"].map(|name| folder.path().join(name));
        fs::write(folder.path().join("target"), "x").unwrap();
        symlink("target", &link).unwrap();
        mknodat(CWD, &fifo, FileType::Fifo, Mode::RWXU, 0).unwrap();
        fs::create_dir(&inner).unwrap();
        for (path, word) in [(link, "a symbolic link"), (fifo, "a FIFO"), (inner, "a folder")] {
            let error = open_or_create(&path).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
            assert!(check_side_file(&path).is_err());
        }
    }

    #[test]
    fn a_hard_link_beside_a_database_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let [path, link] = ["a", "b"].map(|name| folder.path().join(name));
        fs::write(&path, "x").unwrap();
        fs::hard_link(&path, &link).unwrap();
        for error in [open_or_create(&link).unwrap_err(), check_side_file(&link).unwrap_err()] {
            assert!(error.to_string().contains("2 names (hard links)"), "{error}");
        }
        assert!(!check_side_file(&folder.path().join("missing")).unwrap());
        fs::remove_file(&path).unwrap();
        assert!(check_side_file(&link).unwrap());
    }

    #[test]
    fn a_file_that_was_replaced_is_not_given_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let replaced = create_new(&path).unwrap();
        if replaced.metadata().unwrap().uid() != 0 {
            println!("only root can give files away: this is not tried");
            return;
        }
        chown(folder.path(), Some(4_711), Some(4_712)).unwrap();
        fs::remove_file(&path).unwrap();
        symlink(folder.path().join("target"), &path).unwrap();
        let target = create_new(&folder.path().join("target")).unwrap();
        give_to_owner_of_folder(&replaced, &path);
        assert_eq!((replaced.metadata().unwrap().uid(), target.metadata().unwrap().uid()), (0, 0));
        fs::remove_file(&path).unwrap();
        let made = create_new(&path).unwrap();
        give_to_owner_of_folder(&made, &path);
        let made = made.metadata().unwrap();
        assert_eq!((made.uid(), made.gid()), (4_711, 4_712));
    }
}
