//! The form of an `Idempotency-Key`. Clients send one of two spellings: `abc`, or `"abc"` as a string of structured
//! fields (RFC 9651), which is the form in the IETF's draft.

use thiserror::Error;

/// The most characters of a key.
pub const KEY_CHARS: usize = 255;

/// The reason why a text is not a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidKey {
    /// It is empty, or has only blanks.
    #[error("it is empty")]
    Empty,
    /// It has more than [`KEY_CHARS`] characters.
    #[error("it is longer than {KEY_CHARS} characters")]
    TooLong,
    /// A line end, a tab, or another control character is in it.
    #[error("it contains a line end or another control character")]
    Control,
    /// It has characters that a header can't carry.
    #[error("it contains a character that is not ASCII")]
    NotAscii,
    /// It begins with a quotation mark, and does not go on as a quoted string.
    #[error(
        "it begins with a quotation mark but is not a complete quoted string (`\"…\"`, with `\\\"` and `\\\\`)"
    )]
    Quotes,
}

/// Reads a key: `abc` and `"abc"` are the same one. Blanks around it do not count.
///
/// # Errors
/// [`InvalidKey`] if it is not a key.
pub fn read(text: &[u8]) -> Result<String, InvalidKey> {
    // Only blanks are cut. A line end is a mistake of the client that made the key.
    let is_text = |byte: &u8| *byte != b' ';
    let Some(start) = text.iter().position(is_text) else { return Err(InvalidKey::Empty) };
    let end = text.iter().rposition(is_text).unwrap_or(start);
    let text = &text[start..=end];
    if text.iter().any(u8::is_ascii_control) {
        return Err(InvalidKey::Control);
    }
    let text = std::str::from_utf8(text).ok().filter(|text| text.is_ascii()).ok_or(InvalidKey::NotAscii)?;
    let key = match text.strip_prefix('"') {
        Some(quoted) => unquoted(quoted).ok_or(InvalidKey::Quotes)?,
        None => text.to_owned(),
    };
    match key.len() {
        _ if key.trim().is_empty() => Err(InvalidKey::Empty),
        ..=KEY_CHARS => Ok(key),
        _ => Err(InvalidKey::TooLong),
    }
}

/// The other spelling of a key, which has only one.
pub fn quoted(key: &str) -> String {
    format!("\"{}\"", key.replace('\\', r"\\").replace('"', "\\\""))
}

/// The text between the quotation marks. The first mark is read already.
fn unquoted(quoted: &str) -> Option<String> {
    let mut key = String::with_capacity(quoted.len());
    let mut rest = quoted.chars();
    loop {
        match rest.next()? {
            '"' => return rest.as_str().is_empty().then_some(key),
            '\\' => key.push(rest.next().filter(|escaped| matches!(escaped, '"' | '\\'))?),
            character => key.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_in_quotes_is_the_same_key() {
        for (text, key) in [
            ("abc", "abc"),
            ("\"abc\"", "abc"),
            ("  abc ", "abc"),
            (" \"abc\" ", "abc"),
            ("\"a b\"", "a b"),
            (r#""a\"b\\c""#, r#"a"b\c"#),
            (r#"a"b\c"#, r#"a"b\c"#),
            ("'abc'", "'abc'"),
            ("abc\"", "abc\""),
        ] {
            assert_eq!(read(text.as_bytes()), Ok(key.to_owned()), "{text}");
            assert_eq!(read(quoted(key).as_bytes()), Ok(key.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_no_key_says_why() {
        for (text, why) in [
            (&b""[..], InvalidKey::Empty),
            (b"  ", InvalidKey::Empty),
            (b"\"\"", InvalidKey::Empty),
            (b"\" \"", InvalidKey::Empty),
            (b"abc\n", InvalidKey::Control),
            (b"\nabc", InvalidKey::Control),
            (b"a\r\nb", InvalidKey::Control),
            (b"a\tb", InvalidKey::Control),
            (b"a\x7f", InvalidKey::Control),
            ("schl\u{fc}ssel".as_bytes(), InvalidKey::NotAscii),
            (b"\xff", InvalidKey::NotAscii),
            (b"\"abc", InvalidKey::Quotes),
            (b"\"", InvalidKey::Quotes),
            (b"\"a\"b\"", InvalidKey::Quotes),
            (b"\"a\\b\"", InvalidKey::Quotes),
            (b"\"a\\\"", InvalidKey::Quotes),
            (b"\"a\";b=1", InvalidKey::Quotes),
        ] {
            assert_eq!(read(text), Err(why), "{}", String::from_utf8_lossy(text));
        }
        let longest = "k".repeat(KEY_CHARS);
        assert_eq!(
            read(quoted(&longest).as_bytes()),
            Ok(longest.clone()),
            "the quotation marks do not count"
        );
        assert_eq!(read(format!("{longest}k").as_bytes()), Err(InvalidKey::TooLong));
        assert_eq!(read(quoted(&format!("{longest}k")).as_bytes()), Err(InvalidKey::TooLong));
    }
}
