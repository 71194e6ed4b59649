//! The characters of URLs: how many there may be, how a URL begins, and which ones nobody can see.

/// The most characters of a URL.
pub const MAX_URL_CHARS: usize = 2_048;

/// The schemes of URLs that can be scraped.
pub(super) const SCHEMES: [&str; 2] = ["http://", "https://"];

pub(super) fn starts_with_ignoring_case(text: &str, start: &str) -> bool {
    text.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start))
}

/// Characters that people copy along with a text and never see: soft hyphens, spaces and joiners without width, marks
/// of direction, and the byte order mark. At the end of a name, none of them makes it another name.
pub(super) fn is_meaningless(c: char) -> bool {
    matches!(c,
        '\u{AD}' | '\u{61C}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}')
}

/// Characters that a person can't see or tell apart: those without width, marks of direction, selectors of a variant,
/// private ones, and the replacement for unreadable ones. Some may be part of a name.
pub(super) fn is_unseen(c: char) -> bool {
    let may_mean_something = matches!(c,
        '\u{34F}' | '\u{600}'..='\u{605}' | '\u{70F}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
        | '\u{180B}'..='\u{180F}' | '\u{2800}' | '\u{3164}' | '\u{E000}'..='\u{F8FF}' | '\u{FE00}'..='\u{FE0F}'
        | '\u{FFA0}' | '\u{FFF9}'..='\u{FFFF}' | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}'
        | '\u{E0000}'..='\u{10FFFF}');
    may_mean_something || is_meaningless(c)
}
