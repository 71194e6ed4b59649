//! One URL out of a text. All ways in read post URLs here.
//!
//! Must never change the URL, except for white space and meaningless characters around it. The compared text must be
//! the text that upstream receives.

use super::characters::{MAX_URL_CHARS, SCHEMES, is_meaningless, is_unseen};
use super::invalid::InvalidUrl;
use super::known::platform_of;

/// The URL in a text, without invisible characters around it.
pub(super) fn only_url(text: &str) -> Result<&str, InvalidUrl> {
    let url = seen(text);
    if url.is_empty() {
        return Err(InvalidUrl::Empty);
    }
    if url.chars().count() > MAX_URL_CHARS {
        return Err(InvalidUrl::TooLong);
    }
    let start = begin(url)?;
    if let Some(place) = second_url(url, start) {
        return Err(InvalidUrl::MoreThanOne(character(url, place)));
    }
    for (place, c) in (1..).zip(url.chars()) {
        match c {
            c if c.is_whitespace() => return Err(InvalidUrl::WhiteSpace(place)),
            c if c.is_control() || is_unseen(c) => return Err(InvalidUrl::Invisible { found: c, place }),
            '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}' => {
                return Err(InvalidUrl::Forbidden { found: c, place });
            }
            _ => {}
        }
    }
    match url.chars().next_back() {
        Some(last) if is_of_the_text(url, last) => Err(InvalidUrl::Trailing(last)),
        _ => Ok(url),
    }
}

/// A text without white space and meaningless invisible characters around it.
pub fn seen(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || is_meaningless(c))
}

/// Whether a text that begins with a scheme holds another URL.
pub(super) fn holds_second_url(url: &str) -> bool {
    begin(url).is_ok_and(|start| second_url(url, start).is_some())
}

/// The end of the scheme of a URL, in bytes.
fn begin(url: &str) -> Result<usize, InvalidUrl> {
    let lower = url.to_ascii_lowercase();
    if let Some(scheme) = SCHEMES.iter().find(|scheme| lower.starts_with(*scheme)) {
        let is_third = url[scheme.len()..].starts_with(['/', '\\']);
        return if is_third { Err(InvalidUrl::Slashes) } else { Ok(scheme.len()) };
    }
    if lower.starts_with("http:") || lower.starts_with("https:") {
        return Err(InvalidUrl::Slashes);
    }
    let inner = SCHEMES.iter().filter_map(|scheme| lower.find(scheme)).min();
    Err(match (url.chars().next(), inner) {
        (Some('"' | '\'' | '`' | '“' | '”' | '„' | '‘' | '’' | '«' | '»'), _) => {
            InvalidUrl::Quoted
        }
        (Some('<' | '(' | '[' | '{'), _) => InvalidUrl::Bracketed,
        _ => without_scheme(url, inner),
    })
}

/// The fault of a text that does not begin with `http` or `https`.
fn without_scheme(url: &str, inner: Option<usize>) -> InvalidUrl {
    let word = url.split(char::is_whitespace).next().unwrap_or_default();
    let host = word.split(['/', '?', '#', ':']).next().unwrap_or_default();
    let is_host = host.contains('.') && !host.starts_with('.') && !host.ends_with('.');
    let scheme = url.split_once(':').map(|(scheme, _)| scheme).filter(|scheme| {
        let is_of_a_scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(is_of_a_scheme)
    });
    match (is_host, scheme, inner) {
        (true, ..) => InvalidUrl::NoScheme,
        (_, _, Some(place)) => InvalidUrl::TextBefore(character(url, place)),
        (_, Some(scheme), None) => InvalidUrl::Scheme(scheme.to_owned()),
        (_, None, None) => InvalidUrl::NotAUrl,
    }
}

/// The start of a second URL, in bytes, if there is one.
///
/// A URL after a slash, an equals sign or an escape is part of the first one, as in an archive or a redirect.
fn second_url(url: &str, start: usize) -> Option<usize> {
    let lower = url.to_ascii_lowercase();
    let with_scheme = SCHEMES.iter().flat_map(|scheme| lower.match_indices(scheme)).map(|(place, _)| place);
    let apart = with_scheme.filter(|place| *place >= start && !is_inside(&lower[..*place])).min();
    let separated = lower[start..]
        .char_indices()
        .filter(|(_, c)| c.is_whitespace() || matches!(c, ',' | ';' | '|'))
        .map(|(place, separator)| start + place + separator.len_utf8())
        .find(|place| platform_of(host_at(&lower[*place..])).is_some());
    [apart, separated].into_iter().flatten().min()
}

/// Whether text that follows this is part of the same URL.
fn is_inside(before: &str) -> bool {
    let is_escape =
        |end: &[u8]| matches!(end, [b'%', high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit());
    before.ends_with(['/', '=']) || before.as_bytes().last_chunk::<3>().is_some_and(|end| is_escape(end))
}

/// The host that a text without a scheme would begin with.
fn host_at(text: &str) -> &str {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-')));
    &text[..end.unwrap_or(text.len())]
}

/// Whether the last character is punctuation of the text that a URL was taken from.
fn is_of_the_text(url: &str, last: char) -> bool {
    let is_unopened = |open: char, close: char| url.matches(close).count() > url.matches(open).count();
    match last {
        ',' | ';' | '.' | '\'' => true,
        ')' => is_unopened('(', ')'),
        ']' => is_unopened('[', ']'),
        '…' | '“' | '”' | '„' | '‘' | '’' | '«' | '»' | '‹' | '›' => true,
        '。' | '、' | '，' | '．' | '；' | '：' | '！' | '？' | '）' | '】' | '》' | '〉' | '」' | '』' => {
            true
        }
        _ => false,
    }
}

/// The number of the character at this byte, from 1.
fn character(text: &str, place: usize) -> usize {
    text[..place].chars().count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> InvalidUrl {
        only_url(text).expect_err(text)
    }

    #[test]
    fn what_surrounds_a_url_invisibly_is_cut() {
        for text in [
            "https://youtu.be/a",
            " \t\u{feff}\u{200b}https://youtu.be/a\u{200b} \u{a0}\r\n",
            "\u{3000}\u{2028}https://youtu.be/a\u{85}\u{ad}\u{2060}",
        ] {
            assert_eq!(only_url(text), Ok("https://youtu.be/a"), "{text:?}");
        }
        for text in ["", " \u{200b}\n", "\u{feff}"] {
            assert_eq!(fault(text), InvalidUrl::Empty, "{text:?}");
        }
    }

    #[test]
    fn what_may_be_part_of_a_name_is_not_cut() {
        let part_of_emoji = ['\u{fe0f}', '\u{fe00}', '\u{e0020}', '\u{e007f}', '\u{e0100}'];
        let private = ['\u{e000}', '\u{f8ff}', '\u{f0000}', '\u{10ffff}'];
        let other = ['\u{fffd}', '\u{fffc}', '\u{34f}', '\u{180b}', '\u{2800}', '\u{3164}'];
        for found in [&part_of_emoji[..], &private, &other].concat() {
            let text = format!("https://e.com/a{found}");
            let fault = fault(&text);
            assert_eq!(fault, InvalidUrl::Invisible { found, place: 16 });
            assert!(fault.to_string().contains(&format!("U+{:04X}", u32::from(found))), "{fault}");
            assert!(only_url(&format!("{found}https://e.com/a")).is_err(), "{found:?}");
            assert_eq!(seen(&format!(" {found}\u{200b}")), found.to_string());
        }
    }

    #[test]
    fn every_invisible_character_is_known() {
        for (first, last) in [
            ('\u{AD}', '\u{AD}'),
            ('\u{34F}', '\u{34F}'),
            ('\u{600}', '\u{605}'),
            ('\u{61C}', '\u{61C}'),
            ('\u{70F}', '\u{70F}'),
            ('\u{2800}', '\u{2800}'),
            ('\u{E000}', '\u{F8FF}'),
            ('\u{FFF9}', '\u{FFFF}'),
            ('\u{1BCA0}', '\u{1BCA3}'),
            ('\u{1D173}', '\u{1D17A}'),
            ('\u{115F}', '\u{1160}'),
            ('\u{17B4}', '\u{17B5}'),
            ('\u{180B}', '\u{180F}'),
            ('\u{200B}', '\u{200F}'),
            ('\u{202A}', '\u{202E}'),
            ('\u{2060}', '\u{206F}'),
            ('\u{3164}', '\u{3164}'),
            ('\u{FE00}', '\u{FE0F}'),
            ('\u{FEFF}', '\u{FEFF}'),
            ('\u{FFA0}', '\u{FFA0}'),
            ('\u{E0000}', '\u{10FFFF}'),
        ] {
            for found in [first, last] {
                let text = format!("https://youtu.be/{found}a");
                assert_eq!(fault(&text), InvalidUrl::Invisible { found, place: 18 });
            }
        }
        assert_eq!(only_url("https://youtu.be/é日"), Ok("https://youtu.be/é日"));
    }

    #[test]
    fn a_url_of_the_largest_length_is_taken_and_a_longer_one_is_not() {
        let longest = format!("https://e.com/é{}", "a".repeat(MAX_URL_CHARS - 15));
        assert_eq!(longest.chars().count(), MAX_URL_CHARS);
        assert_eq!(only_url(&longest), Ok(&*longest));
        assert_eq!(fault(&format!("{longest}a")), InvalidUrl::TooLong);
        assert_eq!(only_url(&format!("  {longest}  ")), Ok(&*longest));
    }

    #[test]
    fn two_slashes_follow_the_scheme() {
        for text in [
            "https:/youtu.be/a",
            "https:youtu.be/a",
            "http:youtu.be/a",
            "https:\\\\youtu.be\\a",
            "HTTPS:/youtu.be/a",
            "https:///youtu.be/a",
            "http:///youtu.be/a",
            "https://\\youtu.be/a",
            "https:",
            "http:",
        ] {
            assert_eq!(fault(text), InvalidUrl::Slashes, "{text}");
        }
        assert_eq!(only_url("HtTpS://youtu.be/a"), Ok("HtTpS://youtu.be/a"));
    }

    #[test]
    fn what_stands_before_a_url_is_named() {
        for quote in ['"', '\'', '`', '“', '”', '„', '‘', '’', '«', '»'] {
            assert_eq!(fault(&format!("{quote}https://youtu.be/a{quote}")), InvalidUrl::Quoted);
        }
        for bracket in ['<', '(', '[', '{'] {
            assert_eq!(fault(&format!("{bracket}https://youtu.be/a")), InvalidUrl::Bracketed);
        }
        for (text, place) in [
            ("- https://youtu.be/a", 3),
            ("•\thttp://youtu.be/a", 3),
            ("1. https://youtu.be/a", 4),
            ("see https://youtu.be/a", 5),
            ("video: HTTPS://youtu.be/a", 8),
            ("é é https://youtu.be/a http://youtu.be/b", 5),
            ("view-source:https://youtu.be/a", 13),
            (".x https://youtu.be/a", 4),
        ] {
            assert_eq!(fault(text), InvalidUrl::TextBefore(place), "{text}");
        }
    }

    #[test]
    fn what_has_no_scheme_that_can_be_scraped_is_named() {
        for text in [
            "youtu.be/a",
            "www.example.com",
            "example.com:8080/a",
            "e.com?a",
            "e.com#a",
            "e.com https://e.com/a",
        ] {
            assert_eq!(fault(text), InvalidUrl::NoScheme, "{text}");
        }
        for (text, scheme) in [
            ("ftp://example.com/a", "ftp"),
            ("javascript:alert(1)", "javascript"),
            ("a+b-c:x y", "a+b-c"),
            ("s3://bucket", "s3"),
        ] {
            assert_eq!(fault(text), InvalidUrl::Scheme(scheme.to_owned()), "{text}");
        }
        for text in ["hello", "/watch?v=1", "a b:c", "3a:b", ".a", "a.", "é:b"] {
            assert_eq!(fault(text), InvalidUrl::NotAUrl, "{text}");
        }
    }

    #[test]
    fn a_second_url_is_seen_however_it_is_cut_off() {
        for (text, place) in [
            ("https://youtu.be/a https://youtu.be/b", 20),
            ("https://youtu.be/a,https://youtu.be/b", 20),
            ("https://youtu.be/a;  HTTP://youtu.be/b", 22),
            ("https://youtu.be/a\u{2003}http://youtu.be/b", 20),
            ("https://youtu.be/ahttps://youtu.be/b", 19),
            ("https://youtu.be/éhttps://youtu.be/b", 19),
            ("https://youtu.be/a youtu.be/b", 20),
            ("https://youtu.be/a, www.youtube.com/watch?v=b", 21),
            ("https://youtu.be/a|TikTok.com/b", 20),
            ("https://example.com/a;x.com", 23),
            ("https://example.com/a?b&https://example.com/c", 25),
            ("https://example.com/%2https://example.com/c", 23),
            ("https://example.com/%zzhttps://example.com/c", 24),
            ("https://example.com/%2zhttps://example.com/c", 24),
            ("https://example.com/x2Fhttps://example.com/c", 24),
            ("https://youtu.be/a https://youtu.be/b https://youtu.be/c", 20),
            ("https://youtu.be/a youtu.be/b https://youtu.be/c", 20),
            ("https://youtu.be/a https://youtu.be/b youtu.be/c", 20),
        ] {
            assert_eq!(fault(text), InvalidUrl::MoreThanOne(place), "{text}");
        }
    }

    #[test]
    fn a_url_may_carry_another_one() {
        for text in [
            "https://web.archive.org/web/2020/https://www.youtube.com/watch?v=A",
            "https://l.example/?u=https://youtu.be/a",
            "https://l.example/?u%3Dhttps://youtu.be/a",
            "https://l.example/%2fhttp://youtu.be/a",
            "https://l.example/?u=https%3A%2F%2Fyoutu.be%2Fa",
            "https://example.com/a,b;c",
            "https://example.com/a,notyoutube.com/b",
            "https://example.com/a,youtube.com-is-down",
            "https://example.com/youtube.com",
        ] {
            assert_eq!(only_url(text), Ok(text));
        }
    }

    #[test]
    fn what_programs_escape_in_different_ways_is_refused() {
        for found in ['"', '<', '>', '\\', '^', '`', '{', '|', '}'] {
            let text = format!("https://youtu.be/é{found}a");
            assert_eq!(fault(&text), InvalidUrl::Forbidden { found, place: 19 });
        }
        assert_eq!(fault("https://youtu.be/a # the best"), InvalidUrl::WhiteSpace(19));
        assert_eq!(fault("https://youtu.be/a\u{3000}b"), InvalidUrl::WhiteSpace(19));
        assert_eq!(fault("https://you\u{1}tu.be/"), InvalidUrl::Invisible { found: '\u{1}', place: 12 });
        let text = "https://e.com/!$&'()*+,;=:@-._~%20[]/?a=[1]#x";
        assert_eq!(only_url(text), Ok(text));
    }

    #[test]
    fn punctuation_of_the_text_around_it_is_no_part_of_a_url() {
        for last in ",;.')]…“”„‘’«»‹›。、，．；：！？）】》〉」』".chars() {
            assert_eq!(fault(&format!("https://example.com/a{last}")), InvalidUrl::Trailing(last));
        }
        for text in ["https://e.com/a_(b)", "https://e.com/?a[]", "https://e.com/a!", "https://e.com/a-"] {
            assert_eq!(only_url(text), Ok(text));
        }
        assert_eq!(fault("https://e.com/a_(b))"), InvalidUrl::Trailing(')'));
        assert_eq!(fault("https://e.com/a[b]]"), InvalidUrl::Trailing(']'));
    }
}
