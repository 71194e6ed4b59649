//! The values that are read from every shape of upstream's JSON, and those that are not.

use super::*;

/// The only entry of a list.
fn only_entry(data: &str) -> ListedEntry {
    let listing = Listing::parse(&serde_json::from_str(data).unwrap()).expect(data);
    assert!(listing.is_whole && listing.entries.len() == 1, "{data}");
    listing.entries.into_iter().next().unwrap()
}

#[test]
fn integer_codes_get_their_leading_zeros_back() {
    for (body, code) in [
        (r#"{"code":0}"#, "0000"),
        (r#"{"code":429}"#, "0429"),
        (r#"{"code":"0402"}"#, "0402"),
        (r#"{"code":9009}"#, "9009"),
    ] {
        let envelope = Envelope::parse(body.as_bytes()).expect(body);
        assert_eq!(envelope.code, code);
    }
}

#[test]
fn an_answer_without_a_code_is_no_envelope() {
    for body in ["", "<html>", "[]", r#"{"code":null}"#, r#"{"code":"\u0001\u0002"}"#, r#"{"status":503}"#] {
        assert_eq!(Envelope::parse(body.as_bytes()), None, "{body}");
    }
}

#[test]
fn only_the_gateways_error_is_infrastructure() {
    let gateway =
        r#"{"timestamp":"t","path":"/","status":503,"error":"Service Unavailable","requestId":"r"}"#;
    assert!(is_infrastructure_error(gateway.as_bytes()));
    for body in ["<html>", "{}", r#"{"code":"0000"}"#, r#"{"status":503,"error":"x"}"#] {
        assert!(!is_infrastructure_error(body.as_bytes()), "{body}");
    }
}

#[test]
fn a_notice_is_read_from_every_known_shape() {
    let expected = Notice {
        task_id: Some("t1".into()),
        video_id: Some("VI1".into()),
        status: Some("PARSE".into()),
        message: None,
    };
    for body in [
        r#"{"taskId":"t1","videoId":"VI1","status":"PARSE"}"#,
        r#"{"task_id":"t1","videoNo":"VI1","videoStatus":"PARSE","extra":[{}]}"#,
        r#"{"data":{"taskId":"t1","video_no":"VI1","status":"PARSE"}}"#,
    ] {
        assert_eq!(Notice::parse(body.as_bytes()), expected, "{body}");
    }
}

#[test]
fn half_a_character_in_one_field_takes_nothing_from_the_others() {
    let expected = Notice { task_id: Some("t1".into()), ..Notice::default() };
    for title in [r#""\ud83d""#, r#""a\\\uDE00 \"b""#, r#""\ud83d\ud83d\ude00""#, r#""\ud83d\u0041""#] {
        let body = format!(r#"{{"title":{title},"taskId":"t1"}}"#);
        assert_eq!(Notice::parse(body.as_bytes()), expected, "{title}");
    }
    assert_eq!(Notice::parse(b"{\"title\":\"\xf0\x9f\",\"taskId\":\"t1\"}"), expected);
    let words = |message: &str| Notice::parse(format!(r#"{{"message":"{message}"}}"#).as_bytes()).message;
    assert_eq!(words(r"a\ud83d\uDE00 \ude00\n\\ud83d").unwrap(), "a😀 \u{fffd}\n\\ud83d");
    for body in [r#"{"taskId":"t1","title":"\ud83"#, r#"{"taskId":"t1","title":"\ud83g"}"#, "\\", "\\ud83d"] {
        assert_eq!(Notice::parse(body.as_bytes()), Notice::default(), "{body}");
    }
}

#[test]
fn a_notice_from_rubbish_is_empty() {
    let deep = "[".repeat(100_000);
    for body in [&b""[..], b"\xff\xfe", b"null", b"7", b"{\"status\":\"a\\u0000b\"}", deep.as_bytes()] {
        assert_eq!(Notice::parse(body), Notice::default());
    }
}

#[test]
fn a_status_is_read_in_every_known_word_and_an_unknown_one_ends_nothing() {
    use ListedStatus::{Failed, Indexed, Indexing};
    for (status, expected) in [
        (r#""PARSE""#, Indexed),
        (r#""FAIL""#, Failed),
        (r#""FAILED""#, Failed),
        (r#""PARSE_ERROR""#, Failed),
        (r#""ERROR""#, Failed),
        (r#""UNPARSE""#, Indexing),
        (r#""parse""#, Indexing),
        ("null", Indexing),
    ] {
        for name in ["status", "videoStatus"] {
            let video = format!(r#"{{"videos":[{{"video_no":"VI1","{name}":{status}}}]}}"#);
            assert_eq!(only_entry(&video).status, expected, "{video}");
        }
    }
}

#[test]
fn a_listed_time_is_the_first_that_says_something() {
    let time =
        |fields: &str| only_entry(&format!(r#"{{"videos":[{{"video_no":"VI1",{fields}}}]}}"#)).created_at;
    let then = CreatedAt::At(crate::domain::time::Timestamp::from_millis(1_700_000_000_123));
    assert_eq!(time(r#""create_time":1700000000123"#), then);
    assert_eq!(time(r#""create_time":null,"createTime":"1700000000123""#), then);
    assert_eq!(time(r#""create_time":"yesterday","createTime":1700000000123"#), CreatedAt::Unreadable);
    assert_eq!(time(r#""status":"PARSE""#), CreatedAt::Unnamed);
}

#[test]
fn a_listed_url_has_a_bound() {
    let listed = |length: usize| {
        let url = format!("https://e.com/{}", "x".repeat(length - 14));
        only_entry(&format!(r#"{{"videos":[{{"video_no":"VI1","video_url":" {url} "}}]}}"#)).url
    };
    assert_eq!(listed(LISTED_URL).unwrap().len(), LISTED_URL);
    assert_eq!(listed(LISTED_URL + 1), None);
    for nothing in ["", " ", "null"] {
        let body = format!(r#"{{"videos":[{{"video_no":"VI1","video_url":"{nothing}"}}]}}"#);
        assert_eq!(only_entry(&body).url, None);
    }
}

#[test]
fn ids_have_a_bound_and_words_are_cut() {
    let notice =
        |name: &str, length| Notice::parse(format!(r#"{{"{name}":"{}"}}"#, "é".repeat(length)).as_bytes());
    // The limit of an id is in bytes, that of words in characters.
    assert_eq!(notice("taskId", TEXT / 2).task_id.unwrap().len(), TEXT);
    assert_eq!(notice("taskId", TEXT / 2 + 1).task_id, None);
    for name in ["message", "msg"] {
        assert_eq!(notice(name, TEXT).message.unwrap().chars().count(), TEXT);
        assert_eq!(notice(name, TEXT + 1).message.unwrap().chars().count(), TEXT);
    }
    let ascii = Notice::parse(format!(r#"{{"message":"{}"}}"#, "x".repeat(2 * TEXT)).as_bytes());
    assert_eq!(ascii.message.unwrap().len(), 2 * TEXT);
    let several_lines = Notice::parse(br#"{"message":" a\nb ","status":"a\nb"}"#);
    assert_eq!((several_lines.message.as_deref(), several_lines.status), (Some("a\nb"), None));
    for nothing in [r#""null""#, r#"" ""#, r#""a\u0000b""#, "{}", "true"] {
        let body = format!(r#"{{"message":{nothing},"taskId":{nothing}}}"#);
        assert_eq!(Notice::parse(body.as_bytes()), Notice::default(), "{body}");
    }
}
