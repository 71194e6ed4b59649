//! Paths of a database: the file after all links are resolved, and the files beside it. Must never let SQLite and the
//! system read a path as two files.

use std::path::{Path, PathBuf};

use crate::domain::file_path::check_file;
use crate::store::file::error::OpenError;

/// Refuses a path that SQLite and the system would not read as the same file.
pub(crate) fn check_path(path: &Path) -> Result<(), OpenError> {
    check_file(path).map_err(|fault| OpenError::Path { path: path.to_owned(), fault })
}

/// Returns an absolute path of the same file, with all links in its folder resolved. A link as the last part is not
/// followed.
pub(crate) fn real_folder(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match (folder.canonicalize(), path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => path.to_owned(),
    }
}

/// Returns the target of a path, even if there is no file yet.
pub(crate) fn real_path(path: &Path) -> PathBuf {
    /// The number of links that the system itself follows.
    const LINKS: usize = 40;
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        if let Ok(real) = path.canonicalize() {
            return real;
        }
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        match path.read_link() {
            Ok(target) => path = folder.join(target),
            Err(_) => return real_folder(&path),
        }
    }
    path
}

/// Returns the file beside `path` whose name ends in `suffix`.
pub(crate) fn side_file(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
