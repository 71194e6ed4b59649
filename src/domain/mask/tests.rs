//! Tests of the mask: tokens that it finds, and texts that it leaves as they are.

use base64::Engine;
use base64::prelude::{BASE64_STANDARD as STANDARD, BASE64_STANDARD_NO_PAD as STANDARD_NO_PAD};
use base64::prelude::{BASE64_URL_SAFE as URL_SAFE, BASE64_URL_SAFE_NO_PAD as URL_SAFE_NO_PAD};

use super::*;
use crate::domain::id::TaskId;
use crate::domain::time::Timestamp;
use crate::domain::token::Claims;

/// The claims of both kinds of token about a task.
fn both(task: TaskId) -> [Claims; 2] {
    let (destination, quality) = ([0x5a; 8], Quality::P1080);
    [Claims::of(task), Claims { task, destination: Some(destination), quality: Some(quality) }]
}

/// A token of each kind.
fn tokens(keys: &TokenKeys) -> [String; 2] {
    both(TaskId::new(Timestamp::from_millis(7))).map(|claims| keys.issue(claims).unwrap())
}

/// Every character as a URL escape.
fn in_url(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

/// Every character as an escape of JSON.
fn in_json(text: &str) -> String {
    text.bytes().map(|byte| format!("\\u{byte:04X}")).collect()
}

#[test]
fn a_token_is_masked_wherever_it_stands() {
    let keys = TokenKeys::new(["new", "old"]);
    for token in [tokens(&keys), tokens(&TokenKeys::new(["old"]))].concat() {
        for (before, after) in [
            ("", ""),
            ("https://Hooks.EXAMPLE.com/callback/", "?x=1"),
            ("https:\\/\\/hooks.example.com\\/callback\\/", "\""),
            ("https%3A%2F%2Fhooks.example.com%2Fcallback%2F", "%22"),
            ("{\"", "\":1}"),
            ("AZ", "zz"),
            ("%", "%"),
            ("100%2", "4"),
            ("ä\u{fffd}", "ö"),
            ("-_-", "-_-"),
            ("\\", "\\u00"),
        ] {
            let text = format!("{before}{token}{after}");
            assert_eq!(keys.masked(&text), format!("{before}[token]{after}"));
        }
    }
}

#[test]
fn an_escaped_token_is_masked() {
    let keys = TokenKeys::new(["secret"]);
    for token in tokens(&keys) {
        let dashes = token.replace('-', "%2D").replace('_', "\\u005f");
        let middle = format!("{}%{:02X}{}", &token[..20], token.as_bytes()[20], &token[21..]);
        let url_twice = in_url(&in_url(&token));
        let json_twice = in_json(&token).replace('\\', "\\\\");
        let json_of_url = in_json(&in_url(&token));
        for text in [in_url(&token), in_json(&token), dashes, middle, url_twice, json_twice, json_of_url] {
            assert_eq!(keys.masked(&format!("callback/{text}\"")), "callback/[token]\"", "{text}");
        }
    }
}

#[test]
fn a_token_is_masked_whatever_wrote_it() {
    let keys = TokenKeys::new(["secret"]);
    tokens(&keys).iter().for_each(|token| assert_masked_whatever_wrote_it(&keys, token));
}

fn assert_masked_whatever_wrote_it(keys: &TokenKeys, token: &str) {
    let each = |write: fn(u8) -> String| token.bytes().map(write).collect::<String>();
    let broken = |by: &str| format!("{}{by}{}{by}{}", &token[..3], &token[3..30], &token[30..]);
    let mut texts = vec![
        each(|byte| format!("&#{byte};")),
        each(|byte| format!("&#x{byte:x};")),
        each(|byte| format!("&amp;#X{byte:04X};")),
        each(|byte| format!("\\x{byte:02x}")),
        each(|byte| format!("\\u{{{byte:x}}}")),
        each(|byte| format!("%u{byte:04X}")),
        each(|byte| format!("={byte:02X}")),
        each(|byte| format!("=25{byte:02X}")),
        each(|byte| format!("\\{byte:03o}")),
        each(|byte| format!("\\\\{byte:03o}")),
        each(|byte| format!("&#{byte}")),
        each(|byte| format!("&#x{byte:x}")),
        each(|byte| format!("&amp;#{byte}")),
    ];
    let breaks = [" ", "\n", "\r\n  ", "\u{200b}", "\u{a0}", "\u{ad}", "=\r\n", "=\n"];
    texts.extend(breaks.map(broken));
    texts.extend(
        ["= \r\n", "= \t\n", "=\\r\\n", "=\\n", "= \\r\\n", "=\\\\r\\\\n", "=&#13;&#10;"].map(broken),
    );
    texts.extend(["\\342\\200\\213", "\\012"].map(broken));
    texts.extend(["\\n", "\\r\\n", "\\u200b", "%20", "%E2%80%8B", "&#8203;", "\\"].map(broken));
    let deep = (0..12).fold(in_url(token), |text, _| text.replace('%', "%25"));
    texts.push(deep);
    for text in texts {
        assert_eq!(keys.masked(&format!("callback/{text}\"")), "callback/[token]\"", "{text}");
    }
    assert_eq!(keys.masked(&format!("t=ab{}", in_url(token))), "t=ab[token]");
}

#[test]
fn a_token_in_base64_is_masked() {
    let keys = TokenKeys::new(["secret"]);
    let befores = ["", "h", "ht", "https://hooks.example/callback/", "{\"url\":\"http://localhost/callback/"];
    for (token, before) in tokens(&keys).iter().flat_map(|token| befores.map(|before| (token, before))) {
        for engine in [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD] {
            let text = engine.encode(format!("{before}{token}?x"));
            let lines = format!("{}\r\n{}", &text[..60], &text[60..]);
            for text in [format!("data:{text}"), format!("Basic {text}"), format!("a/{text}"), lines] {
                let masked = keys.masked(&text);
                assert!(masked.contains(MASK) && masked.len() < text.len() - 50, "{text}: {masked}");
            }
        }
    }
}

#[test]
fn endless_escapes_end() {
    let keys = TokenKeys::new(["secret"]);
    for text in ["%25".repeat(100_000), format!("%{}", "25".repeat(100_000)), "=3D".repeat(100_000)] {
        assert!(matches!(keys.masked(&text), Cow::Borrowed(_)));
    }
}

#[test]
fn every_token_of_a_text_is_masked() {
    let keys = TokenKeys::new(["secret"]);
    for (one, other) in [("old", "new"), ("new", "old"), ("old", "old"), ("new", "new")] {
        let of = |kind| if kind == "old" { tokens(&keys)[0].clone() } else { tokens(&keys)[1].clone() };
        let (one, other) = (of(one), of(other));
        assert_eq!(
            keys.masked(&format!("{one}{other} {one}.{}", in_url(&other))),
            "[token][token] [token].[token]"
        );
    }
}

#[test]
fn what_is_no_token_of_ours_stays() {
    let keys = TokenKeys::new(["secret"]);
    let stays = |text: &str| {
        assert!(matches!(keys.masked(text), Cow::Borrowed(same) if same == text), "{text}");
    };
    for text in ["", "{}", "%", "\\", "%u", "\\u12", &keys.challenge([7; 16]).unwrap()] {
        stays(text);
    }
    for whole in tokens(&keys) {
        stays(&whole[1..]);
        stays(&whole[..whole.len() - 1]);
        assert_eq!(TokenKeys::new([]).masked(&whole), whole);
    }
    tokens(&TokenKeys::new(["another"])).iter().for_each(|foreign| stays(foreign));
    // A token of one kind does not stand in one of the other.
    let [old, new] = tokens(&keys);
    stays(&new[..old.len()]);
    stays(&new[new.len() - old.len()..]);
}

#[test]
fn what_can_not_be_a_token_is_told_without_a_key() {
    let keys = TokenKeys::new(["secret"]);
    let passes = |claims| may_be_token(keys.issue(claims).unwrap().as_bytes());
    // Ids are version 7 UUIDs, whatever else is in them.
    for byte in [0, 0x5a, 0xff] {
        let mut id = [byte; 16];
        (id[6], id[8]) = (0x70 | byte & 0x0f, 0x80 | byte & 0x3f);
        let task = TaskId::from_bytes(id);
        assert!(passes(Claims::of(task)));
        for quality in Quality::ALL {
            assert!(passes(Claims { task, destination: Some([byte; 8]), quality: Some(*quality) }));
        }
    }
    assert!(both(TaskId::new(Timestamp::from_millis(7))).into_iter().all(passes));
    for length in LENGTHS {
        assert!(!may_be_token(&vec![b'A'; length]) && !may_be_token(&vec![b'_'; length]));
    }
    let other = TaskId::from_bytes([0x5a; 16]);
    assert!(!both(other).into_iter().any(passes), "an id of another version");
    assert!(!may_be_token(b"") && !may_be_token(&[b'A'; 50]));
}
