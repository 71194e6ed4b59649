//! The disk under the database: how much room it has, and whether it can be written.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::lock::{real_path, side_file};
use super::private;

/// Less room than this on the database's disk is worth a word.
pub const LITTLE_ROOM: u64 = 1024 * 1024 * 1024;

/// More than a disk without room takes.
const PROOF: [u8; 4096] = [0; 4096];

/// The folder in which the database and what belongs to it lie.
pub fn folder(database: &Path) -> PathBuf {
    let path = real_path(database);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new(".")).to_owned()
}

/// Bytes that are free where the database is; none where nobody can tell.
pub fn free_room(database: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(folder(database)).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Writes a file beside the database and takes it away again.
///
/// # Errors
/// What the system said.
pub fn prove_writable(database: &Path) -> io::Result<()> {
    let name = format!(".try-{}", uuid::Uuid::now_v7().simple());
    let path = side_file(&real_path(database), &name);
    let mut file = private::create_new(&path)?;
    let written = file.write_all(&PROOF).and_then(|()| file.sync_all());
    let removed = fs::remove_file(&path);
    written.and(removed)
}
