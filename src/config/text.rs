//! The text of configuration and secret files, and the marks that editors and shells leave in it.
//!
//! It must never quote the text, because a file can hold a secret.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

/// The most bytes that are read. No configuration is this large, but a device such as `/dev/zero` never ends.
const MOST_BYTES: u64 = 1024 * 1024;

const BYTE_ORDER_MARK: char = '\u{feff}';

/// Reads a file of at most 1 MiB of UTF-8, without a byte order mark at its start.
///
/// # Errors
/// The text says why the file can't be read, without its name.
pub(super) fn read(path: &Path) -> Result<String, String> {
    if is_named_pipe(path) {
        return Err("it is a named pipe, which scrapehook would wait for. Use a regular file".to_owned());
    }
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    decode(bytes)
}

/// Whether a path leads to a named pipe, which can't be opened until another program writes to it, perhaps never. A
/// shell's `<(…)` is none, because `/dev/fd/N` leads to a pipe without a path.
fn is_named_pipe(path: &Path) -> bool {
    let found = path.canonicalize().and_then(fs::metadata);
    found.is_ok_and(|found| found.file_type().is_fifo())
}

fn decode(bytes: Vec<u8>) -> Result<String, String> {
    if bytes.len() as u64 > MOST_BYTES {
        return Err("the file is larger than 1 MiB".to_owned());
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err("the file is UTF-16. Save it as UTF-8".to_owned());
    }
    let text = String::from_utf8(bytes).map_err(|_| "the file is not UTF-8".to_owned())?;
    Ok(without_mark(&text).to_owned())
}

/// Returns the text without a byte order mark at its start.
pub(super) fn without_mark(text: &str) -> &str {
    text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text)
}

/// Whether a pair of quotes surrounds the text, as `docker run --env-file` leaves it.
pub fn is_in_quotes(text: &str) -> bool {
    let text = text.trim();
    let is_between = |quote| text.strip_prefix(quote).is_some_and(|rest| rest.ends_with(quote));
    is_between('"') || is_between('\'')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_stripped_once_and_at_the_start_alone() {
        assert_eq!(decode("\u{feff}key".into()).unwrap(), "key");
        assert_eq!(decode("key".into()).unwrap(), "key");
        assert_eq!(decode("a\u{feff}b".into()).unwrap(), "a\u{feff}b");
        assert_eq!(without_mark("\u{feff}\u{feff}x"), "\u{feff}x");
    }

    #[test]
    fn another_encoding_is_named() {
        assert!(decode(vec![0xff, 0xfe, b'a', 0]).unwrap_err().contains("UTF-16"));
        assert!(decode(vec![0xfe, 0xff, 0, b'a']).unwrap_err().contains("UTF-16"));
        assert_eq!(decode(vec![b'a', 0xff]).unwrap_err(), "the file is not UTF-8");
    }

    #[test]
    fn a_file_ends_at_one_mebibyte() {
        let most = usize::try_from(MOST_BYTES).unwrap();
        assert_eq!(most, 1_048_576);
        assert_eq!(decode(vec![b'a'; most]).unwrap().len(), most);
        assert!(decode(vec![b'a'; most + 1]).unwrap_err().contains("1 MiB"));
        assert!(read(Path::new("/dev/zero")).unwrap_err().contains("1 MiB"));
    }

    #[test]
    fn a_file_is_read_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, vec![b'a'; 1_048_576]).unwrap();
        assert_eq!(read(&path).unwrap().len(), 1_048_576);
        assert!(read(&folder.path().join("missing")).unwrap_err().contains("No such file"));
        assert!(read(folder.path()).unwrap_err().contains("directory"));
    }

    #[test]
    fn a_named_pipe_is_not_waited_for_and_a_pipe_of_a_shell_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let [path, link] = ["fifo", "link"].map(|name| folder.path().join(name));
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        std::os::unix::fs::symlink(&path, &link).unwrap();
        for path in [&path, &link] {
            assert!(read(path).unwrap_err().contains("a named pipe"), "{}", path.display());
        }
        let (reader, mut writer) = std::io::pipe().unwrap();
        std::io::Write::write_all(&mut writer, b"key").unwrap();
        drop(writer);
        let number = std::os::fd::AsRawFd::as_raw_fd(&reader);
        assert_eq!(read(Path::new(&format!("/dev/fd/{number}"))).unwrap(), "key");
    }

    #[test]
    fn quotes_count_in_pairs() {
        for text in ["\"a\"", "'a'", "\"\"", "''", " \"a b\" \n"] {
            assert!(is_in_quotes(text), "{text}");
        }
        for text in ["", "a", "\"", "'", "\"a", "a\"", "'a\"", "a\"b\"", "\"a'"] {
            assert!(!is_in_quotes(text), "{text}");
        }
    }
}
