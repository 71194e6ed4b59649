//! A job's URLs as text: one a line, or the `url` column of a CSV file.

use super::error::{Code, Fault, Problem};
use crate::domain::url::PostUrl;

/// The column that holds the URLs.
const COLUMN: &str = "url";

struct Urls {
    urls: Vec<PostUrl>,
    faults: Vec<Fault>,
    count: usize,
    most: usize,
}

impl Urls {
    fn new(most: usize) -> Self {
        Self { urls: Vec::new(), faults: Vec::new(), count: 0, most }
    }

    fn fault(&mut self, line: u64, detail: impl std::fmt::Display) {
        self.faults.push(Fault { pointer: format!("/{line}"), detail: format!("line {line}: {detail}") });
    }

    /// Takes one; `false` where there are too many to go on.
    fn take(&mut self, text: &str, line: impl FnOnce() -> u64) -> bool {
        self.count += 1;
        if self.count > self.most {
            let detail = format!("at most {} URLs make a job", self.most);
            self.faults = vec![Fault { pointer: String::new(), detail }];
            return false;
        }
        match PostUrl::parse(text) {
            Ok(url) => self.urls.push(url),
            Err(error) => self.fault(line(), error),
        }
        true
    }

    fn done(mut self) -> Result<Vec<PostUrl>, Problem> {
        if self.count == 0 && self.faults.is_empty() {
            let detail = "at least one URL is needed".to_owned();
            self.faults.push(Fault { pointer: String::new(), detail });
        }
        if self.faults.is_empty() { Ok(self.urls) } else { Err(Problem::faults(self.faults)) }
    }
}

/// One URL a line; blank lines, and those that begin with `#`, are skipped.
pub(super) fn read_lines(body: &[u8], most: usize) -> Result<Vec<PostUrl>, Problem> {
    let mut urls = Urls::new(most);
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    if body.trim_ascii_start().starts_with(b"{") {
        let detail = "This looks like JSON: send it with `Content-Type: application/json`.";
        return Err(Problem::new(Code::UnsupportedMediaType, detail));
    }
    for (line, text) in (1..).zip(body.split(|byte| *byte == b'\n')) {
        let text = text.trim_ascii();
        if text.is_empty() || text.starts_with(b"#") {
            continue;
        }
        let goes_on = match std::str::from_utf8(text) {
            Ok(text) if holds_two(text) => {
                urls.count += 1;
                urls.fault(line, "more than one URL; curl keeps lines with --data-binary, not with -d");
                true
            }
            Ok(text) => urls.take(text, || line),
            Err(_) => urls.take("\0", || line),
        };
        if !goes_on {
            break;
        }
    }
    urls.done()
}

/// Whether a line holds more than one URL: together they would be taken, and paid, as one post that nobody has. One
/// that is another's parameter stands behind its `=`.
fn holds_two(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let starts = ["http://", "https://"].map(|scheme| lower.match_indices(scheme).map(|(start, _)| start));
    starts.into_iter().flatten().any(|start| start > 0 && !lower[..start].ends_with('='))
}

/// The column `url` of a CSV file with a head; other columns are no matter.
pub(super) fn read_csv(body: &[u8], most: usize) -> Result<Vec<PostUrl>, Problem> {
    let mut urls = Urls::new(most);
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let mut reader = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(body);
    let column = reader
        .byte_headers()
        .ok()
        .and_then(|head| head.iter().position(|name| name.eq_ignore_ascii_case(COLUMN.as_bytes())));
    let Some(column) = column else {
        urls.fault(1, format_args!("a head with a column `{COLUMN}`, cut by commas, is expected"));
        return urls.done();
    };
    for row in reader.byte_records() {
        // Reading bytes from memory with rows of any length can't fail.
        let Ok(row) = row else { continue };
        let start = row.position().map_or(0, csv::Position::byte);
        let text = row.get(column).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default();
        if !urls.take(text, || line_of(body, start)) {
            break;
        }
    }
    urls.done()
}

/// The line of what comes after this place; blank lines before it belong to nothing.
fn line_of(body: &[u8], start: u64) -> u64 {
    let start = usize::try_from(start).unwrap_or(usize::MAX).min(body.len());
    let blank = body[start..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    let before = body[..start + blank].iter().filter(|byte| **byte == b'\n').count();
    before as u64 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(read: Result<Vec<PostUrl>, Problem>) -> Vec<String> {
        read.unwrap().into_iter().map(|url| url.given).collect()
    }

    fn words(read: Result<Vec<PostUrl>, Problem>) -> String {
        format!("{:?}", read.unwrap_err())
    }

    #[test]
    fn lines_are_read_whatever_their_ends() {
        let body = b"\xef\xbb\xbf# my posts\r\n\r\n https://youtu.be/a \r\nhttps://youtu.be/b";
        assert_eq!(given(read_lines(body, 9)), ["https://youtu.be/a", "https://youtu.be/b"]);
    }

    #[test]
    fn a_fault_names_its_line() {
        let said = words(read_lines(b"https://youtu.be/a\n\nnonsense\n\xff\xfe\n", 9));
        assert!(said.contains("\"/3\"") && said.contains("line 3: not a URL"), "{said}");
        assert!(said.contains("\"/4\""), "{said}");
        assert!(words(read_lines(b"\n# nothing\n", 9)).contains("at least one"));
        assert!(words(read_lines(b"x\nx\nx\n", 2)).contains("at most 2 URLs"));
    }

    #[test]
    fn lines_that_were_joined_are_not_one_url() {
        for joined in [
            "https://www.youtube.com/watch?v=aHTTPS://www.youtube.com/watch?v=b",
            "https://www.instagram.com/p/a/http://www.instagram.com/p/b/",
            "https://youtu.be/a https://youtu.be/b",
        ] {
            let said = words(read_lines(format!("https://youtu.be/c\n{joined}\n").as_bytes(), 9));
            assert!(said.contains("line 2: more than one URL"), "{joined}: {said}");
        }
        let parameter = "https://l.example/?u=https://youtu.be/a";
        assert_eq!(given(read_lines(parameter.as_bytes(), 9)), [parameter]);
    }

    #[test]
    fn a_named_column_is_read_whatever_stands_beside_it() {
        let body = b"name, URL ,n\n\"a, b\",\"https://youtu.be/a\",1\nc,https://youtu.be/c\n";
        assert_eq!(given(read_csv(body, 9)), ["https://youtu.be/a", "https://youtu.be/c"]);
        assert!(words(read_csv(b"link\nhttps://youtu.be/a\n", 9)).contains("a column `url`"));
        assert!(words(read_csv(b"", 9)).contains("a column `url`"));
        let said = words(read_csv(b"url\nhttps://youtu.be/a\n\nnonsense\n", 9));
        assert!(said.contains("line 4: not a URL"), "{said}");
    }
}
