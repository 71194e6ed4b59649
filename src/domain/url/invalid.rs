//! Reasons why a text is not the URL of one post, explained for the person who wrote it.

use thiserror::Error;

use super::characters::{MAX_URL_CHARS, is_unseen};

/// The reason why a text is not a post URL. Places count characters from 1.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum InvalidUrl {
    /// It is empty or white space.
    #[error("the URL is empty")]
    Empty,
    /// It is longer than [`MAX_URL_CHARS`].
    #[error("the URL is longer than {MAX_URL_CHARS} characters")]
    TooLong,
    /// It does not resemble a URL.
    #[error("not a URL: it must begin with http:// or https://")]
    NotAUrl,
    /// It begins with a host.
    #[error("the scheme is missing. Write https:// in front of the URL")]
    NoScheme,
    /// It has a scheme other than `http` and `https`.
    #[error("the scheme is `{0}`, but only http and https URLs can be scraped")]
    Scheme(String),
    /// Its scheme is not followed by exactly two slashes. Programs repair that in different ways.
    #[error("exactly two slashes must follow the scheme, as in https://")]
    Slashes,
    /// It is wrapped in quotation marks.
    #[error("the URL is in quotation marks. Remove them")]
    Quoted,
    /// It is wrapped in brackets.
    #[error("the URL is in brackets. Remove them")]
    Bracketed,
    /// It has something before it, such as a list marker.
    #[error("text stands before the URL, which begins at character {0}. Remove the text")]
    TextBefore(usize),
    /// A second URL begins in it. Both would be paid for as one post that does not exist.
    #[error("more than one URL: another one begins at character {0}")]
    MoreThanOne(usize),
    /// It holds white space.
    #[error("white space at character {0} is not allowed in a URL. Remove it and any text after the URL")]
    WhiteSpace(usize),
    /// It holds an invisible character, or one without a fixed meaning.
    #[error(
        "the {kind} U+{code:04X} at character {place} is not allowed in a URL. Remove it, or copy the URL again",
        kind = kind(*.found),
        code = u32::from(*.found)
    )]
    Invisible {
        /// The character.
        found: char,
        /// Its place.
        place: usize,
    },
    /// It holds a character that programs escape in different ways.
    #[error(
        "`{found}` at character {place} is not allowed in a URL. Write it as %{code:02X}",
        code = u32::from(*.found)
    )]
    Forbidden {
        /// The character.
        found: char,
        /// Its place.
        place: usize,
    },
    /// It ends with punctuation of the text that it was taken from.
    #[error(
        "the URL ends with `{0}`, which belongs to no post. Remove it, or write it as {escape}",
        escape = escape(*.0)
    )]
    Trailing(char),
    /// Its id is followed by characters that no id holds.
    #[error(
        "{found} follows the id, but no id contains it. Remove it and everything after it",
        found = shown(*.0)
    )]
    AfterId(char),
    /// Its host can't be read, or programs read it in different ways.
    #[error("the host `{0}` is invalid or written in an unusual form")]
    Host(String),
    /// Its host is a bare name, which upstream can't reach.
    #[error("the host `{0}` has no domain")]
    BareHost(String),
    /// It carries a user name or a password, which would be stored and handed on.
    #[error("the URL contains a user name or a password. Remove it")]
    Credentials,
}

/// A character as a URL can hold it.
fn escape(c: char) -> String {
    c.encode_utf8(&mut [0; 4]).bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// The description of a character that must not be shown.
fn kind(c: char) -> &'static str {
    match c {
        char::REPLACEMENT_CHARACTER => "incorrectly decoded character",
        '\u{E000}'..='\u{F8FF}' | '\u{F0000}'..='\u{10FFFF}' => "private-use character",
        _ => "invisible character",
    }
}

/// A character as a person can see it.
fn shown(c: char) -> String {
    match c {
        c if c.is_control() || c.is_whitespace() => escape(c),
        c if is_unseen(c) => format!("U+{:04X}", u32::from(c)),
        c => format!("`{c}`"),
    }
}
