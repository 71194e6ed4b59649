//! The byte order mark that some editors and libraries put before a text.

/// The mark in UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// The text without the byte order mark before it. JSON must not begin with one, but a reader may ignore it
/// (RFC 8259, section 8.1), and the text means the same with it.
pub fn strip(text: &[u8]) -> &[u8] {
    text.strip_prefix(MARK).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_mark_before_the_text_is_cut() {
        assert_eq!(strip(b"\xef\xbb\xbf{}"), b"{}");
        for text in
            [&b""[..], b"{}", b"\xef\xbb", b"{\"a\":\"\xef\xbb\xbf\"}", b" \xef\xbb\xbf{}", b"\xff\xfe{"]
        {
            assert_eq!(strip(text), text);
        }
    }
}
