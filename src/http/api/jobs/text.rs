//! The URLs of a job as text: one URL per line, or the column `url` of a CSV file.
//!
//! Must never judge a URL. [`PostUrl::parse`] does that for every way in.

use std::fmt::Display;

use crate::domain::url::{InvalidUrl, PostUrl, seen};
use crate::http::edge::body::{is_gzip, is_utf16};
use crate::http::edge::problem::{Code, Faults, Problem};

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

    /// Takes the URL of a line. Returns `false` if there are too many URLs.
    fn take(&mut self, line: u64, url: Result<PostUrl, impl Display>) -> bool {
        self.count += 1;
        if self.count > self.most {
            self.faults = Faults::default();
            self.faults.push("", format_args!("a job takes at most {} URLs", self.most));
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

/// Reads one URL per line. Skips blank lines and lines that begin with `#`.
pub(in crate::http) fn read_lines(body: &[u8], most: usize) -> Result<Vec<PostUrl>, Problem> {
    let mut urls = Urls::new(most);
    check_encoding(body)?;
    if body.trim_ascii_start().starts_with(b"{") {
        let detail = "This looks like JSON. Send it with `Content-Type: application/json`.";
        return Err(Problem::new(Code::UnsupportedMediaType, detail));
    }
    let is_one_line = lines(body).filter(|line| !line.trim_ascii().is_empty()).count() == 1;
    for (number, line) in (1..).zip(lines(body)) {
        if let Some(url) = line_url(line, is_one_line)
            && !urls.take(number, url)
        {
            break;
        }
    }
    urls.done()
}

/// The URL of a line. Returns none for a blank line or a comment.
fn line_url(line: &[u8], is_one_line: bool) -> Option<Result<PostUrl, String>> {
    let Ok(text) = std::str::from_utf8(line) else { return Some(Err(NOT_UTF8.to_owned())) };
    let text = seen(text);
    if text.starts_with('#') {
        return None;
    }
    match PostUrl::parse(text) {
        Err(InvalidUrl::Empty) => None,
        Err(error @ InvalidUrl::MoreThanOne(place)) if is_one_line && is_joined(text, place) => {
            Some(Err(format!("{error}. {KEEP_LINES}")))
        }
        url => Some(url.map_err(|error| error.to_string())),
    }
}

/// Whether the URL at this character follows another one without a gap, as if two lines had been joined.
fn is_joined(text: &str, place: usize) -> bool {
    place.checked_sub(2).and_then(|before| text.chars().nth(before)).is_some_and(char::is_alphanumeric)
}

const NOT_UTF8: &str = "the text is not UTF-8";

const MORE_CELLS: &str = "the row has more cells than the header. Put a cell with a comma in quotation marks";

/// Advice for the most frequent cause of joined lines.
const KEEP_LINES: &str =
    "The line ends are missing. If you use curl, send the text with --data-binary, because -d removes them";

/// Refuses compressed text, and UTF-16, which some programs write. Otherwise every line would be a fault.
fn check_encoding(body: &[u8]) -> Result<(), Problem> {
    let detail = if is_gzip(body) {
        "the text is compressed with gzip, which is not supported"
    } else if is_utf16(body) {
        "the text is UTF-16. Save it as UTF-8 and send it again"
    } else {
        return Ok(());
    };
    let mut faults = Faults::default();
    faults.push("", detail);
    Err(Problem::faults(faults))
}

/// The lines of a text. A line ends with `\n`, `\r\n` or `\r`.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some(end) = text.iter().position(|byte| matches!(byte, b'\n' | b'\r')) else {
            rest = None;
            return Some(text);
        };
        let width = if text[end..].starts_with(b"\r\n") { 2 } else { 1 };
        rest = Some(&text[end + width..]);
        Some(&text[..end])
    })
}

/// Reads the column `url` of a CSV file with a header. Skips rows without text, even before the header. Ignores other
/// columns.
pub(in crate::http) fn read_csv(body: &[u8], most: usize) -> Result<Vec<PostUrl>, Problem> {
    let mut urls = Urls::new(most);
    check_encoding(body)?;
    let is_blank = |cell: &[u8]| std::str::from_utf8(cell).is_ok_and(|text| seen(text).is_empty());
    let mut reader = csv::ReaderBuilder::new();
    let mut reader = reader.has_headers(false).flexible(true).trim(csv::Trim::All).from_reader(body);
    // Reading bytes from memory with rows of any length can't fail.
    let mut rows = reader.byte_records().flatten().filter(|row| !row.iter().all(is_blank));
    let mut lines = Lines { body, at: 0, line: 1 };
    let mut line_of = |row: &csv::ByteRecord| lines.reach(row.position().map_or(0, csv::Position::byte));
    let header = rows.next().unwrap_or_default();
    let header_line = if header.is_empty() { 1 } else { line_of(&header) };
    let is_column =
        |name: &[u8]| std::str::from_utf8(name).is_ok_and(|name| seen(name).eq_ignore_ascii_case(COLUMN));
    let mut columns = header.iter().enumerate().filter(|(_, name)| is_column(name));
    let Some((column, _)) = columns.next() else {
        let detail = format_args!("a header with a column `{COLUMN}`, separated by commas, is expected");
        urls.fault(header_line, detail);
        return urls.done();
    };
    if columns.next().is_some() {
        urls.fault(header_line, format_args!("more than one column is named `{COLUMN}`"));
        return urls.done();
    }
    for row in rows {
        let line = line_of(&row);
        let has_more = row.iter().skip(header.len()).any(|cell| !is_blank(cell));
        let url = match std::str::from_utf8(row.get(column).unwrap_or_default()) {
            _ if has_more => Err(MORE_CELLS.to_owned()),
            Ok(text) => PostUrl::parse(text).map_err(|error| error.to_string()),
            Err(_) => Err(NOT_UTF8.to_owned()),
        };
        if !urls.take(line, url) {
            break;
        }
    }
    urls.done()
}

/// Counts lines on the way through a text. Reads each byte once.
struct Lines<'a> {
    body: &'a [u8],
    at: usize,
    line: u64,
}

impl Lines<'_> {
    /// The line of the row that begins at this byte or after the blank lines there. Rows must be asked for in order.
    fn reach(&mut self, place: u64) -> u64 {
        let place = usize::try_from(place).unwrap_or(usize::MAX).clamp(self.at, self.body.len());
        let blank = self.body[place..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let passed = &self.body[self.at..place + blank];
        // `lines` gives one more line than there are line ends.
        self.line += lines(passed).count() as u64 - 1;
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
            "https://youtu.be/a https://youtu.be/b",
        ] {
            let said = words(read_lines(format!("https://youtu.be/c\n{joined}\n").as_bytes(), 9));
            assert!(said.contains("line 2: more than one URL"), "{joined}: {said}");
            assert!(!said.contains("--data-binary"), "{said}");
        }
        let said = words(read_lines(b"\nhttps://youtu.be/ahttps://youtu.be/b", 9));
        assert!(said.contains("line 2: more than one URL") && said.contains("--data-binary"), "{said}");
        assert!(said.contains("The line ends are missing. If you use curl,"), "{said}");
        assert!(!words(read_lines(b"https://youtu.be/a https://youtu.be/b", 9)).contains("--data-binary"));
        let parameter = "https://l.example/?u=https://youtu.be/a";
        assert_eq!(given(read_lines(parameter.as_bytes(), 9)), [parameter]);
    }

    #[test]
    fn a_named_column_is_read_among_any_other_columns() {
        let body = b"name, URL ,n\n\"a, b\",\"https://youtu.be/a\",1\nc,https://youtu.be/c\n";
        assert_eq!(given(read_csv(body, 9)), ["https://youtu.be/a", "https://youtu.be/c"]);
        assert!(words(read_csv(b"link\nhttps://youtu.be/a\n", 9)).contains("a column `url`"));
        assert!(words(read_csv(b"", 9)).contains("a column `url`"));
        let said = words(read_csv(b"url\nhttps://youtu.be/a\n\nnonsense\n", 9));
        assert!(said.contains("line 4: not a URL"), "{said}");
    }

    #[test]
    fn rows_without_text_are_skipped_and_a_row_without_a_url_is_not() {
        let body = b"n,url\n , \n,\n1,https://youtu.be/a\n,,,\n";
        assert_eq!(given(read_csv(body, 9)), ["https://youtu.be/a"]);
        let said = words(read_csv(b"n,url\n,\n1,\n1\n2,\xff\n", 9));
        for words in ["line 3: the URL is empty", "line 4: the URL is empty", "line 5: the text is not UTF-8"]
        {
            assert!(said.contains(words), "{said}");
        }
    }

    #[test]
    fn rows_without_text_are_skipped_before_the_header_too() {
        for before in [",\n", "\n\n , \u{200b},\n", "\r\n,\r\n"] {
            let body = format!("{before}n,url\n1,https://youtu.be/a\n");
            assert_eq!(given(read_csv(body.as_bytes(), 9)), ["https://youtu.be/a"], "{before:?}");
        }
        for (body, line) in [
            ("\n\n,\n\nurl\n\nnope\n", 7),
            (",\nurl\nnope", 3),
            (",\n\nname\n", 3),
            ("\n,\nurl,url\n", 3),
            (",\n\n", 1),
        ] {
            let said = words(read_csv(body.as_bytes(), 9));
            assert!(said.contains(&format!("\"line {line}: ")), "{body:?}: {said}");
        }
    }

    #[test]
    fn a_row_that_is_not_utf_8_is_not_blank() {
        for row in [&b"\xe9"[..], b"\xff\xfe", b" \xe9 "] {
            let body = [b"url\nhttps://e.example/a\n", row, b"\n"].concat();
            let said = words(read_csv(&body, 9));
            assert!(said.contains("line 3: the text is not UTF-8"), "{said}");
            assert!(words(read_lines(&body[4..], 9)).contains("line 2: the text is not UTF-8"));
        }
        assert!(words(read_csv("url\n\u{fffd}\n".as_bytes(), 9)).contains("line 2: not a URL"));
        let body = b"url,caf\xe9\nhttps://e.example/a,\xe9\n";
        assert_eq!(given(read_csv(body, 9)), ["https://e.example/a"], "another column is ignored");
    }

    #[test]
    fn no_cell_of_a_row_is_lost() {
        let said = words(read_csv(b"url\nhttps://youtu.be/a,https://youtu.be/b\nhttps://youtu.be/c, ,\n", 9));
        assert!(said.contains("line 2: the row has more cells") && !said.contains("line 3"), "{said}");
        for header in ["url,url", "url,n,URL"] {
            let said = words(read_csv(format!("{header}\nhttps://youtu.be/a,b,c\n").as_bytes(), 9));
            assert!(said.contains("more than one column is named `url`"), "{said}");
        }
        let body = "\u{a0}URL\u{200b},n\n\u{a0},\u{200b}\nhttps://youtu.be/a,1\n";
        assert_eq!(given(read_csv(body.as_bytes(), 9)), ["https://youtu.be/a"]);
    }

    #[test]
    fn lines_may_end_in_carriage_returns_alone() {
        let said = words(read_csv(b"n,url\r1,https://youtu.be/a\r2,nope\r\r3,nope", 9));
        assert!(said.contains("line 3: not a URL") && said.contains("line 5: not a URL"), "{said}");
        let body = b"# mine\rhttps://youtu.be/a\r\rhttps://youtu.be/b\r";
        assert_eq!(given(read_lines(body, 9)), ["https://youtu.be/a", "https://youtu.be/b"]);
        assert!(words(read_lines(b"https://youtu.be/a\rnope", 9)).contains("line 2: not a URL"));
    }

    #[test]
    fn utf_16_and_gzip_are_named() {
        let gzip = b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xab\xae\x05\0";
        assert!(words(read_lines(gzip, 9)).contains("the text is compressed with gzip"));
        assert!(words(read_csv(gzip, 9)).contains("the text is compressed with gzip"));
        let little: Vec<u8> = "https://youtu.be/a".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = "url\nhttps://youtu.be/a".encode_utf16().flat_map(u16::to_be_bytes).collect();
        let marked = [b"\xff\xfe".as_slice(), &little].concat();
        for body in [&little, &big, &marked] {
            assert!(words(read_lines(body, 9)).contains("UTF-16"));
            assert!(words(read_csv(body, 9)).contains("UTF-16"));
        }
        assert!(words(read_lines(b"\xfe\xff", 9)).contains("UTF-16"));
        assert!(words(read_lines(b"\0\0", 9)).contains("line 1: not a URL"));
    }

    #[test]
    fn lines_that_hold_nothing_to_see_are_blank() {
        let body = "\u{a0}\n\u{feff}\u{200b}\n \u{2003}\u{200b}# mine\nhttps://youtu.be/a\u{200b}".as_bytes();
        assert_eq!(given(read_lines(body, 9)), ["https://youtu.be/a"]);
    }

    #[test]
    fn a_faulty_row_has_its_line_whatever_stands_before_it() {
        let body = b"n,url\r\n\"a\nb\",nope\n\r\n\n1,https://youtu.be/a\n2,nope\n\n\n\"c\n\n\",nope\n3,nope";
        let said = words(read_csv(body, 9));
        let lines: Vec<_> = said.split("line ").skip(1).map(|rest| rest.split(':').next().unwrap()).collect();
        assert_eq!(lines, ["2", "7", "10", "13"], "{said}");
    }
}
