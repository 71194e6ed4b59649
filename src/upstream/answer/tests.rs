//! The meaning of each answer, by code and by status.

use super::*;

const GATEWAY: &str = r#"{"timestamp":"t","path":"/","status":0,"error":"e","requestId":"r"}"#;

fn submit(status: u16, body: &str) -> &'static str {
    match SubmitAnswer::read(status, None, body.as_bytes()) {
        SubmitAnswer::Accepted(_) => "accepted",
        SubmitAnswer::Final(_) => "final",
        SubmitAnswer::Retry(..) => "retry",
        SubmitAnswer::Account(_) => "account",
        SubmitAnswer::Unknown(_) => "unknown",
    }
}

#[test]
fn words_are_cut_and_hold_no_secret() {
    let refusal = Refusal::new("0401", format!("bad key sk-1 {}", "x".repeat(1_000_000))).without("sk-1");
    assert!(refusal.message.starts_with("bad key [secret] x") && refusal.message.len() < 400);
    let cut_within = format!("{}sk-0123456789", "x".repeat(WORDS - 8));
    let refusal = Refusal::new("0401", cut_within).without("sk-0123456789");
    assert!(refusal.message.ends_with("xx[secret]"), "{}", refusal.message);
}

#[test]
fn the_documented_success_is_accepted() {
    let body = concat!(
        r#"{"code":"0000","msg":"success","data":{"taskId":"31b0fccb-d6f9-4135-922d-1e8828499812"},"#,
        r#""success":true,"failed":false}"#
    );
    let id = "31b0fccb-d6f9-4135-922d-1e8828499812".to_owned();
    assert_eq!(SubmitAnswer::read(200, None, body.as_bytes()), SubmitAnswer::Accepted(id));
}

#[test]
fn a_byte_order_mark_before_an_answer_changes_nothing() {
    let marked = |body: &str| [b"\xef\xbb\xbf", body.as_bytes()].concat();
    let taken = marked(r#"{"code":"0000","data":{"taskId":"t"}}"#);
    assert_eq!(SubmitAnswer::read(200, None, &taken), SubmitAnswer::Accepted("t".to_owned()));
    let cut = marked("{\"code\":\"0000\",\"msg\":\"\\ud83d\",\"data\":{\"taskId\":\"t\"}}");
    assert_eq!(SubmitAnswer::read(200, None, &cut), SubmitAnswer::Accepted("t".to_owned()));
    assert!(matches!(SubmitAnswer::read(503, None, &marked(GATEWAY)), SubmitAnswer::Retry(..)));
    let listed = marked(r#"{"code":"0000","data":{"videos":[]}}"#);
    assert!(matches!(PollAnswer::read(200, None, &listed), PollAnswer::Listed(_)));
}

#[test]
fn a_wait_is_read_in_seconds_and_has_a_bound() {
    for (header, expected) in [
        (None, None),
        (Some("7"), Some(Duration::from_secs(7))),
        (Some("99999999"), Some(LONGEST_WAIT)),
        (Some("-1"), None),
        (Some("Wed, 21 Oct 2026 07:28:00 GMT"), None),
    ] {
        let SubmitAnswer::Retry(_, wait) = SubmitAnswer::read(429, header, b"") else { panic!("no retry") };
        assert_eq!(wait, expected, "{header:?}");
        assert_eq!(PollAnswer::read(429, header, b""), PollAnswer::Limited(expected), "{header:?}");
    }
}

/// The id and URL of each listed entry, and whether the list is whole. None if there is no answer.
fn listed(data: &str) -> Option<(Vec<String>, bool)> {
    let body = format!(r#"{{"code":"0000","data":{data}}}"#);
    let name = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    match PollAnswer::read(200, None, body.as_bytes()) {
        PollAnswer::Listed(Listing { entries, is_whole }) => {
            let entries = entries.into_iter().map(|entry| format!("{} {}", name(entry.id), name(entry.url)));
            Some((entries.collect(), is_whole))
        }
        PollAnswer::Unanswered(refusal) => {
            assert_eq!(refusal, Refusal::new("0000", "a list that can't be read"));
            None
        }
        answer => panic!("{answer:?}"),
    }
}

#[test]
fn an_absent_list_is_an_empty_one_on_a_success() {
    for data in [
        "null",
        r#""null""#,
        "{}",
        r#"{"videos":null}"#,
        r#"{"videos":"null"}"#,
        r#"{"videos":[]}"#,
        r#"{"taskId":"t","video_ids":[]}"#,
        r#"{"taskId":"t","video_ids":null}"#,
        r#"{"taskId":"t"}"#,
    ] {
        assert_eq!(listed(data), Some((vec![], true)), "{data}");
    }
    let bare = PollAnswer::read(200, None, br#"{"code":0}"#);
    assert_eq!(bare, PollAnswer::Listed(Listing { entries: vec![], is_whole: true }));
    let refused = PollAnswer::read(200, None, br#"{"code":"0001","data":null}"#);
    assert!(matches!(refused, PollAnswer::Refused(_)));
}

#[test]
fn something_else_in_place_of_a_list_is_no_answer() {
    for data in [
        "7",
        r#""success""#,
        "[]",
        r#"[{"videos":[]}]"#,
        r#"{"videos":"text"}"#,
        r#"{"videos":7}"#,
        r#"{"videos":false}"#,
        r#"{"videos":{"0":{"video_no":"VI1"}}}"#,
        r#"{"video_ids":"PI-1"}"#,
        r#"{"videos":null,"video_ids":7}"#,
        r#"{"videos":[7,null,[],{},{"video_no":null,"video_url":"null","status":"PARSE"}]}"#,
        r#"{"video_ids":[null,{}]}"#,
    ] {
        assert_eq!(listed(data), None, "{data}");
    }
}

#[test]
fn every_entry_with_an_id_or_a_url_is_kept() {
    let url = "https://vimeo.com/1";
    for (entry, expected) in [
        (format!(r#"{{"video_no":"VI1","video_url":"{url}"}}"#), "VI1 https://vimeo.com/1"),
        (r#"{"videoNo":7,"video_url":null}"#.to_owned(), "7 -"),
        (r#"{"video_no":"VI1","video_url":{}}"#.to_owned(), "VI1 -"),
        (format!(r#"{{"videoUrl":"{url}","status":"FAIL"}}"#), "- https://vimeo.com/1"),
        (format!(r#"{{"video_no":"null","video_url":"{url}"}}"#), "- https://vimeo.com/1"),
        (format!(r#"{{"video_no":[],"video_url":"{url}"}}"#), "- https://vimeo.com/1"),
    ] {
        let whole = listed(&format!(r#"{{"videos":[{entry}]}}"#));
        assert_eq!(whole, Some((vec![expected.to_owned()], true)), "{entry}");
        for unreadable in ["7", "null", "{}", r#"{"status":"PARSE"}"#, r#"{"video_no":" "}"#] {
            let half = listed(&format!(r#"{{"videos":[{unreadable},{entry}]}}"#));
            assert_eq!(half, Some((vec![expected.to_owned()], false)), "{unreadable}, {entry}");
        }
    }
    let older = r#"{"videos":[],"video_ids":["PI-1",2,null]}"#;
    assert_eq!(listed(older), Some((vec!["PI-1 -".to_owned(), "2 -".to_owned()], false)));
}

#[test]
fn every_row_of_the_table_of_outcomes_holds() {
    for (status, body, expected) in [
        (200, r#"{"code":0,"data":{"taskId":"t"}}"#, "accepted"),
        (200, r#"{"code":"0000","data":{}}"#, "unknown"),
        (200, r#"{"code":"0000","data":null}"#, "unknown"),
        (200, r#"{"code":"0001"}"#, "final"),
        (400, r#"{"code":3}"#, "final"),
        (200, r#"{"code":409}"#, "final"),
        (500, r#"{"code":"0001"}"#, "unknown"),
        (200, r#"{"code":429}"#, "retry"),
        (429, "", "retry"),
        (429, r#"{"code":"RATE_LIMIT"}"#, "retry"),
        (401, r#"{"code":"UNAUTHORIZED"}"#, "account"),
        (503, GATEWAY, "retry"),
        (503, "<html>", "unknown"),
        (200, r#"{"code":"0401"}"#, "account"),
        (200, r#"{"code":402}"#, "account"),
        (200, r#"{"code":"0403"}"#, "account"),
        (200, r#"{"code":9009}"#, "account"),
        (401, "", "account"),
        (402, "", "account"),
        (403, "<html>", "account"),
        (404, GATEWAY, "account"),
        (200, "<html>", "unknown"),
        (200, r#"{"code":"0000","data":{"taskId":"t"#, "unknown"),
        (200, r#"{"code":"1234"}"#, "unknown"),
        (302, "", "unknown"),
        (500, GATEWAY, "unknown"),
        (502, "<html>", "unknown"),
        (504, "", "unknown"),
    ] {
        assert_eq!(submit(status, body), expected, "{status} {body}");
    }
}

#[test]
fn each_answer_has_its_word_and_only_one_of_no_use_was_unanswered() {
    let refusal = |code: &str| format!(r#"{{"code":"{code}"}}"#);
    for (status, body, submit_word, poll_word) in [
        (200, r#"{"code":"0000","data":{"taskId":"t"}}"#.to_owned(), "accepted", "listed"),
        (200, refusal("0001"), "rejected", "refused"),
        (200, refusal("0429"), "limited", "limited"),
        (429, String::new(), "limited", "limited"),
        (503, GATEWAY.to_owned(), "deferred", "unanswered"),
        (200, refusal("0402"), "account", "unanswered"),
        (500, refusal("0001"), "unknown", "unanswered"),
    ] {
        let submit = SubmitAnswer::read(status, None, body.as_bytes());
        assert_eq!(submit.word(), submit_word, "{status} {body}");
        assert_eq!(submit.unanswered().is_some(), matches!(submit_word, "deferred" | "unknown"), "{body}");
        let poll = PollAnswer::read(status, None, body.as_bytes());
        assert_eq!(poll.word(), poll_word, "{status} {body}");
        assert_eq!(poll.unanswered().is_some(), poll_word == "unanswered", "{status} {body}");
    }
}

#[test]
fn no_answer_keeps_a_secret_that_it_quotes() {
    for (status, code) in [(200, "0001"), (200, "0429"), (200, "0401"), (500, "0001"), (200, "sk-12345")] {
        let body = format!(r#"{{"code":"{code}","msg":"bad key sk-12345"}}"#);
        let submit = SubmitAnswer::read(status, None, body.as_bytes()).without("sk-12345");
        let poll = PollAnswer::read(status, None, body.as_bytes()).without("sk-12345");
        for answer in [format!("{submit:?}"), format!("{poll:?}")] {
            assert!(!answer.contains("sk-12345"), "{answer}");
        }
    }
}
