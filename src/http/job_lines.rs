//! A job's URLs as text: one a line, or the `url` column of a CSV file.

use std::fmt::Display;

use super::error::{Code, Faults, Problem};
use crate::domain::url::{InvalidUrl, PostUrl};

/// The column that holds the URLs.
const COLUMN: &str = "url";

struct Urls {
    urls: Vec<PostUrl>,
    faults: Faults,
    count: usize,
    most: usize,
}

impl Urls {
    fn new(most: usize) -> Self {
        Self { urls: Vec::new(), faults: Faults::default(), count: 0, most }
    }

    fn fault(&mut self, line: u64, detail: impl Display) {
        self.faults.push(format_args!("/{line}"), format_args!("line {line}: {detail}"));
    }

    /// Takes what stands in a line; `false` where there are too many to go on.
    fn take(&mut self, line: u64, url: Result<PostUrl, impl Display>) -> bool {
        self.count += 1;
        if self.count > self.most {
            self.faults = Faults::default();
            self.faults.push("", format_args!("at most {} URLs make a job", self.most));
            return false;
        }
        match url {
            Ok(url) => self.urls.push(url),
            Err(error) => self.fault(line, error),
        }
        true
    }

    fn done(mut self) -> Result<Vec<PostUrl>, Problem> {
        if self.count == 0 && self.faults.is_empty() {
            self.faults.push("", "at least one URL is needed");
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
        let url = match std::str::from_utf8(text) {
            Ok(text) if holds_two(text) => {
                Err("more than one URL; curl keeps lines with --data-binary, not with -d".to_owned())
            }
            Ok(text) => PostUrl::parse(text).map_err(|error| error.to_string()),
            Err(_) => Err(InvalidUrl::NotAUrl.to_string()),
        };
        if !urls.take(line, url) {
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
    let mut lines = Lines { body, at: 0, line: 1 };
    for row in reader.byte_records() {
        // Reading bytes from memory with rows of any length can't fail.
        let Ok(row) = row else { continue };
        let line = lines.reach(row.position().map_or(0, csv::Position::byte));
        let text = row.get(column).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default();
        if !urls.take(line, PostUrl::parse(text)) {
            break;
        }
    }
    urls.done()
}

/// Counts lines on the way through a text, each byte once.
struct Lines<'a> {
    body: &'a [u8],
    at: usize,
    line: u64,
}

impl Lines<'_> {
    /// The line of what comes after this place, which lies behind all that were asked for; blank lines before it
    /// belong to nothing.
    fn reach(&mut self, place: u64) -> u64 {
        let place = usize::try_from(place).unwrap_or(usize::MAX).clamp(self.at, self.body.len());
        let blank = self.body[place..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let passed = &self.body[self.at..place + blank];
        self.line += passed.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.at = place + blank;
        self.line
    }
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

    #[test]
    fn a_faulty_row_has_its_line_whatever_stands_before_it() {
        let body = b"n,url\r\n\"a\nb\",nope\n\r\n\n1,https://youtu.be/a\n2,nope\n\n\n\"c\n\n\",nope\n3,nope";
        let said = words(read_csv(body, 9));
        let lines: Vec<_> = said.split("line ").skip(1).map(|rest| rest.split(':').next().unwrap()).collect();
        assert_eq!(lines, ["2", "7", "10", "13"], "{said}");
    }
}
