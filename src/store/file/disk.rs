//! The disk under the database: its free room, and whether it can be written. Must never leave a file behind.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::store::file::path::{real_path, side_file};
use crate::store::file::private;

/// The free bytes on the database's disk below which the status reports a problem.
pub const LITTLE_ROOM: u64 = 1024 * 1024 * 1024;

/// More bytes than fit on a full disk.
const PROOF: [u8; 4096] = [0; 4096];

/// Returns the folder of the database and the files beside it.
pub fn folder(database: &Path) -> PathBuf {
    let path = real_path(database);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new(".")).to_owned()
}

/// Returns the free bytes on the database's disk. None if the system does not report them.
pub fn free_room(database: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(folder(database)).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Writes a file beside `database`, whether or not that exists, and removes it again.
///
/// # Errors
/// The error of the system.
pub fn prove_writable(database: &Path) -> io::Result<()> {
    let name = format!(".try-{}", uuid::Uuid::now_v7().simple());
    let path = side_file(&real_path(database), &name);
    let mut file = private::create_new(&path)?;
    let written = file.write_all(&PROOF).and_then(|()| file.sync_all());
    let removed = fs::remove_file(&path);
    written.and(removed)
}
