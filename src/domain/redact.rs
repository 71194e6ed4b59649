//! Secrets in texts of others, who may quote them.

/// A shorter part of a secret reveals nothing, and any text may end with it.
const TELLING: usize = 4;

/// The text without the secret, and without a part of it at the end of a cut text.
#[must_use]
pub fn without(text: &str, secret: &str, instead: &str) -> String {
    if secret.is_empty() {
        return text.to_owned();
    }
    let mut text = text.replace(secret, instead);
    let left = (TELLING..secret.len()).rev().find(|&length| {
        let part = secret.get(..length);
        part.is_some_and(|part| text.ends_with(part))
    });
    if let Some(length) = left {
        text.truncate(text.len() - length);
        text.push_str(instead);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_taken_out_whole_and_cut() {
        for (text, expected) in [
            ("bad key sk-abcdef, sk-abcdef", "bad key [s], [s]"),
            ("bad key sk-abcde", "bad key [s]"),
            ("bad key sk-a", "bad key [s]"),
            ("bad key sk-", "bad key sk-"),
            ("sk-abc is bad", "sk-abc is bad"),
            ("", ""),
        ] {
            assert_eq!(without(text, "sk-abcdef", "[s]"), expected);
        }
        assert_eq!(without("nothing", "", "[s]"), "nothing");
        assert_eq!(without("ends in ééé", "éééé", "[s]"), "ends in [s]");
    }
}
