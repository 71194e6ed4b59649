//! Shapes: the spellings under which a platform shows one post, and the form of its ids.
//!
//! Must never take a word for an id. A URL that does not fit exactly has no known shape.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use url::form_urlencoded;

use super::invalid::InvalidUrl;
use super::parts::Parts;

/// One kind of post, with all its spellings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// The canonical form, with `{id}` in it.
    pub(super) canonical: &'static str,
    pub(super) id: Form,
    /// Patterns, separated by white space. Each has the host that represents its mobile ones, then literal segments,
    /// `*` for any name, or `{id}` with text around it, or else the query parameter with the id. A `*` beside `{id}` is
    /// any text, and `{code}` the four characters that LinkedIn puts behind an id. `{key}` is the first of `keeps`.
    pub(super) spellings: &'static str,
    /// Query parameters that tell posts with the same id apart, separated by blanks.
    pub(super) keeps: &'static str,
    /// Words that are pages of the platform and not names, separated by blanks.
    pub(super) reserved: &'static str,
}

/// The form of ids.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    pub(super) of: Characters,
    /// Least and most characters.
    pub(super) length: (usize, usize),
    /// Words of this form that are not ids, separated by blanks.
    pub(super) except: &'static str,
    /// Whether a post has only one of them. A post can have many codes of short links.
    pub(super) names_post: bool,
}

/// The parts of a URL of a shape.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) id: String,
    pub(super) canonical: String,
}

/// The characters of an id.
#[derive(Clone, Copy, Debug)]
pub(super) enum Characters {
    /// `0-9`
    Digits,
    /// `0-9a-z`
    Base36,
    /// `0-9A-Za-z`
    Alphanumeric,
    /// `0-9A-Za-z_-`
    Base64,
}

impl Form {
    fn fits(&self, text: &str) -> bool {
        let is_of = |c: char| match self.of {
            Characters::Digits => c.is_ascii_digit(),
            Characters::Base36 => c.is_ascii_digit() || c.is_ascii_lowercase(),
            Characters::Alphanumeric => c.is_ascii_alphanumeric(),
            Characters::Base64 => is_of_a_word(c),
        };
        let (least, most) = self.length;
        (least..=most).contains(&text.len()) && text.chars().all(is_of) && !names(self.except, text)
    }

    /// Whether the text is an id.
    ///
    /// # Errors
    /// [`InvalidUrl::AfterId`] if characters follow that no id holds.
    fn read(&self, text: &str) -> Result<bool, InvalidUrl> {
        let Some((end, found)) = text.char_indices().find(|(_, c)| !is_of_a_word(*c)) else {
            return Ok(self.fits(text));
        };
        let is_after_id = self.fits(&text[..end]) && !is_ending(&text[end..]);
        if is_after_id { Err(InvalidUrl::AfterId(found)) } else { Ok(false) }
    }
}

/// Whether a text goes on like the ending of a name, such as `.json`.
fn is_ending(text: &str) -> bool {
    text.strip_prefix('.').is_some_and(|rest| rest.starts_with(char::is_alphabetic))
}

fn is_of_a_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_')
}

/// Whether a word is one of a list's.
fn names(list: &str, word: &str) -> bool {
    list.split(' ').any(|listed| listed == word)
}

impl Shape {
    /// The canonical form of a URL of this shape. None if it has another one. `host` represents the URL's host.
    ///
    /// # Errors
    /// [`InvalidUrl::AfterId`] if characters follow the id that no id holds.
    pub(super) fn canonical(&self, host: &str, url: &Parts<'_>) -> Result<Option<String>, InvalidUrl> {
        Ok(self.read(host, url)?.map(|reading| reading.canonical))
    }

    /// The id and the canonical form of a URL of this shape. None if it has another one.
    ///
    /// # Errors
    /// [`InvalidUrl::AfterId`] if characters follow the id that no id holds.
    pub(super) fn read(&self, host: &str, url: &Parts<'_>) -> Result<Option<Reading>, InvalidUrl> {
        let at_host =
            |spelling: &'static str| spelling.strip_prefix(host).filter(|path| path.starts_with('/'));
        let mut patterns = self.spellings.split_whitespace().filter_map(at_host).peekable();
        if patterns.peek().is_none() {
            return Ok(None);
        }
        let Some(segments) = decoded_segments(url.slashless_path()) else { return Ok(None) };
        let shorter = without_punctuation(&segments);
        let mut refused = None;
        for pattern in patterns {
            let Some((id, key)) = self.found(pattern, &segments, url.query) else {
                // Of a pattern with a query, the path holds no id that something could follow.
                for (segments, after) in shorter.iter().filter(|_| !pattern.contains('?')) {
                    let id = self.found(pattern, segments, None).filter(|(id, _)| self.id.fits(id));
                    refused = id.map(|_| InvalidUrl::AfterId(*after)).or(refused);
                }
                continue;
            };
            match self.id.read(&id) {
                Ok(true) => {
                    let canonical = self.told_apart(&id, key, url.query);
                    return Ok(canonical.map(|canonical| Reading { id: id.into_owned(), canonical }));
                }
                Ok(false) => {}
                Err(error) => refused = Some(error),
            }
        }
        refused.map_or(Ok(None), Err)
    }

    /// The texts in the places of the id and of the key.
    fn found<'s>(
        &self,
        pattern: &str,
        segments: &'s [Cow<'_, str>],
        query: Option<&str>,
    ) -> Option<(Cow<'s, str>, Option<&'s str>)> {
        let (path, parameter) =
            pattern.split_once('?').map_or((pattern, None), |(path, pair)| (path, Some(pair)));
        let tokens: Vec<&str> = path.split('/').skip(1).filter(|token| !token.is_empty()).collect();
        if tokens.len() != segments.len() {
            return None;
        }
        let (mut id, mut key) = (None, None);
        for (token, segment) in tokens.iter().zip(segments) {
            match *token {
                "*" => self.is_name(segment).then_some(())?,
                "{key}" if segment.chars().all(|c| c.is_ascii_alphanumeric()) => key = Some(&**segment),
                "@*" => self.is_name(segment.strip_prefix('@')?).then_some(())?,
                token if token.contains("{id}") => id = Some(Cow::Borrowed(within(token, segment)?)),
                token => (token == segment).then_some(())?,
            }
        }
        if let Some((name, token)) = parameter.and_then(|pair| pair.split_once('=')) {
            id = Some(Cow::Owned(within(token, &only_value(query?, name)?)?.to_owned()));
        }
        Some((id?, key))
    }

    fn is_name(&self, segment: &str) -> bool {
        let is_reserved = self.reserved.split(' ').any(|word| word.eq_ignore_ascii_case(segment));
        !segment.is_empty() && !is_reserved
    }

    /// The canonical form with the parameters that tell posts apart. None if one has two values.
    fn told_apart(&self, id: &str, key: Option<&str>, query: Option<&str>) -> Option<String> {
        let mut canonical = self.canonical.replace("{id}", id);
        let mut key = key;
        for name in self.keeps.split(' ').filter(|name| !name.is_empty()) {
            let mut values = Vec::new();
            for pair in query.unwrap_or_default().split('&') {
                let (given, value) =
                    pair.split_once('=').map_or((pair, None), |(name, value)| (name, Some(value)));
                if percent_decode_str(given).decode_utf8().is_ok_and(|given| given == name) {
                    values.push(value?);
                }
            }
            values.extend(key.take());
            values.dedup();
            match *values {
                [] => {}
                [value] => {
                    canonical.push(if canonical.contains('?') { '&' } else { '?' });
                    canonical.push_str(&format!("{name}={value}"));
                }
                _ => return None,
            }
        }
        Some(canonical)
    }
}

/// The segments of a path without their escapes. None if one holds a character that only an escape can bring in, or
/// leads to another folder.
fn decoded_segments(path: &str) -> Option<Vec<Cow<'_, str>>> {
    let decode = |segment| {
        let decoded = percent_decode_str(segment).decode_utf8().ok()?;
        (!decoded.contains('/') && !matches!(&*decoded, "." | "..")).then_some(decoded)
    };
    path.split('/').skip(1).map(decode).collect()
}

/// The segments without punctuation in the last one and the text after it, each time with its first character. Once the
/// cut is at the first punctuation, once at the punctuation that ends the segment.
fn without_punctuation<'s>(segments: &'s [Cow<'_, str>]) -> Vec<(Vec<Cow<'s, str>>, char)> {
    let Some((last, before)) = segments.split_last() else { return Vec::new() };
    let is_punctuation = |c: char| !is_of_a_word(c) && !c.is_alphanumeric();
    let mut places = last.char_indices().filter(|(_, c)| is_punctuation(*c)).map(|(place, _)| place);
    let first = places.find(|place| !is_ending(&last[*place..])).filter(|place| *place > 0);
    let shorter = [first, Some(last.trim_end_matches(is_punctuation).len())].into_iter().flatten();
    let cut = shorter.filter_map(|end| Some((&last[..end], last[end..].chars().next()?)));
    cut.map(|(word, after)| {
        let kept = before.iter().map(|segment| &**segment).chain((!word.is_empty()).then_some(word));
        (kept.map(Cow::Borrowed).collect(), after)
    })
    .collect()
}

/// Characters of the code that LinkedIn puts behind an id.
const CODE_CHARS: usize = 4;

/// The part of a text in the place of `{id}`.
fn within<'t>(token: &str, text: &'t str) -> Option<&'t str> {
    let (before, after) = token.split_once("{id}")?;
    let text = match before.strip_prefix('*') {
        Some(before) => text.rsplit_once(before).filter(|(rest, _)| !rest.is_empty())?.1,
        None => text.strip_prefix(before)?,
    };
    if let Some(after) = after.strip_suffix("{code}") {
        let (text, code) = text.split_at_checked(text.len().checked_sub(CODE_CHARS)?)?;
        return text.strip_suffix(after).filter(|_| code.chars().all(is_of_a_word));
    }
    match after.strip_suffix('*') {
        Some(after) => text.split_once(after).filter(|(_, rest)| !rest.is_empty()).map(|(id, _)| id),
        None => text.strip_suffix(after),
    }
}

/// The decoded value of a parameter. None if it has two.
fn only_value(query: &str, name: &str) -> Option<String> {
    let mut values = form_urlencoded::parse(query.as_bytes()).filter(|(given, _)| given == name);
    let value = values.next()?.1;
    values.all(|(_, other)| other == value).then(|| value.into_owned())
}

#[cfg(test)]
mod tests;
