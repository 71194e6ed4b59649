//! The nearest known word for a mistyped one. It must not guess, so a word that resembles no other has none.

/// The most characters that differ in a mistyped word. They are no more than a quarter of it, and two that are swapped
/// count as one.
const MOST: usize = 2;

/// The known word that was mistyped as this one. None if it resembles no known word.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = word.chars().count();
    let most = MOST.min(length / 4);
    let word = word.to_lowercase();
    // Words of another length need no comparison, which takes as long as both are long.
    let near = known.into_iter().filter(|known| known.chars().count().abs_diff(length) <= most);
    let near = near.map(|known| (strsim::damerau_levenshtein(&word, known), known));
    near.filter(|(distance, _)| *distance <= most).min().map(|(_, known)| known)
}

/// The text, such as "unknown field", and the nearest known word if there is one.
pub fn unknown<'a>(text: &str, word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    match nearest(word, known) {
        Some(known) => format!("{text}, did you mean `{known}`?"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 4] = ["video_urls", "unique_id", "priority", "force"];

    #[test]
    fn a_slip_is_recognized_and_another_word_is_not() {
        for (word, known) in [
            ("vidoe_urls", Some("video_urls")),
            ("video_url", Some("video_urls")),
            ("Priority", Some("priority")),
            ("forced", Some("force")),
            ("urls", None),
            ("foo", None),
            ("", None),
            ("something_else", None),
        ] {
            assert_eq!(nearest(word, KNOWN), known, "{word}");
        }
        assert_eq!(unknown("unknown field", "forse", KNOWN), "unknown field, did you mean `force`?");
        assert_eq!(unknown("unknown field", "labels", KNOWN), "unknown field");
    }

    #[test]
    fn a_very_long_word_is_no_slip() {
        assert_eq!(nearest(&"x".repeat(100_000), KNOWN), None);
    }
}
