//! The documented and captured bodies, word for word.

use scrapehook::domain::callback::Meaning;
use scrapehook::upstream::wire::{Envelope, ListedStatus, Listing, Notice};

#[test]
fn the_documented_callbacks_are_understood() {
    for (body, expected) in [
        (&include_bytes!("fixtures/callback_succeeded.json")[..], Meaning::Succeeded),
        (include_bytes!("fixtures/callback_indexing_succeeded.json"), Meaning::VideoIndexed("VI...".into())),
    ] {
        let notice = Notice::parse(body);
        assert_eq!(notice.task_id.as_deref(), Some("..."));
        let meaning = Meaning::read(notice.status.as_deref(), notice.video_id.as_deref(), None);
        assert_eq!(meaning, Some(expected));
    }
}

#[test]
fn the_documented_submit_answer_names_its_task() {
    let envelope = Envelope::parse(include_bytes!("fixtures/submit_accepted.json")).unwrap();
    assert_eq!(envelope.code, "0000");
    assert_eq!(envelope.task_id().as_deref(), Some("31b0fccb-d6f9-4135-922d-1e8828499812"));
}

#[test]
fn the_captured_poll_answer_joins_a_video_to_its_url() {
    let envelope = Envelope::parse(include_bytes!("fixtures/poll_captured.json")).unwrap();
    let Listing { entries, is_whole } = Listing::parse(&envelope.data).unwrap();
    assert!(is_whole);
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].id.as_deref(), Some("VI625685456915968000"));
    assert_eq!(entries[0].url.as_deref(), Some("https://www.youtube.com/watch?v=o9vgXOH4ET0"));
    assert_eq!(entries[0].status, ListedStatus::Indexed);
}

#[test]
fn the_older_poll_shape_proves_only_that_a_video_exists() {
    let body = br#"{"code":"0000","data":{"taskId":"t","video_ids":["PI-603068775285264430"]}}"#;
    let entries = Listing::parse(&Envelope::parse(body).unwrap().data).unwrap().entries;
    assert_eq!(entries[0].id.as_deref(), Some("PI-603068775285264430"));
    assert_eq!((entries[0].url.as_ref(), entries[0].status), (None, ListedStatus::Indexing));
}

#[test]
fn a_list_whose_entries_cannot_be_read_is_not_an_empty_one() {
    let read = |data: &str| Listing::parse(&serde_json::from_str(data).unwrap());
    assert_eq!(read(r#"{"videos":[7,null,[]]}"#), None);
    assert_eq!(read(r#"{"video_ids":[null,{}]}"#), None);
    let half = read(r#"{"videos":[{"video_no":"VI1","video_url":"https://a.example/1"},{"video_no":null}]}"#);
    let half = half.unwrap();
    assert_eq!((half.entries.len(), half.is_whole), (1, false));
    let none = read(r#"{"videos":[]}"#).unwrap();
    assert_eq!((none.entries.len(), none.is_whole), (0, true));
}
