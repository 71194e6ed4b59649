//! What holds for anything that comes from outside, whatever it is: one function a target.
//!
//! cargo-fuzz calls them by the million, and `tests/it/proofs/fuzz.rs` with each `cargo test`. A target panics where a
//! promise is broken. It must never do IO, and never depend on anything but its input.

use std::time::Duration;

use scrapehook::config::Config;
use scrapehook::domain::callback::Meaning;
use scrapehook::domain::id::TaskId;
use scrapehook::domain::job::Quality;
use scrapehook::domain::task::FactKind;
use scrapehook::domain::token::{Claims, TokenKeys};
use scrapehook::domain::url::{InvalidUrl, MAX_URL_CHARS, PostUrl};
use scrapehook::upstream::wire::{Envelope, ListedEntry, Notice};
use scrapehook::upstream::{LONGEST_WAIT, PollAnswer, Refusal, SubmitAnswer};

/// A target, under the name of its corpus.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 5] = [
    ("callback_body", callback_body),
    ("token", token),
    ("url", url),
    ("upstream_answer", upstream_answer),
    ("configuration", configuration),
];

/// Most bytes of an id or a status.
const ID: usize = 1_024;
/// Most bytes of upstream's words on their way to where they are cut.
const WORDS: usize = 4 * 1_024;
/// Most bytes of a URL in a listing.
const LISTED_URL: usize = 8 * 1_024;

/// The input is a callback's body.
pub fn callback_body(data: &[u8]) {
    let notice = Notice::parse(data);
    for id in [&notice.task_id, &notice.video_id, &notice.status].into_iter().flatten() {
        assert_is_id(id);
    }
    if let Some(message) = &notice.message {
        assert!(!message.is_empty() && message.len() <= WORDS && !message.contains('\0'), "{message:?}");
    }
    let meaning =
        Meaning::read(notice.status.as_deref(), notice.video_id.as_deref(), notice.message.as_deref());
    if let Some(meaning) = meaning {
        assert_is_backed(&meaning, &notice);
    }
    assert_is_undisturbed(data, &notice);
}

/// A meaning says nothing that the body did not.
fn assert_is_backed(meaning: &Meaning, notice: &Notice) {
    let (kind, video) = match notice.status.as_deref() {
        Some("SUCCEEDED") => (FactKind::Succeeded, None),
        Some("INDEXING_SUCCEEDED") => (FactKind::VideoIndexed, notice.video_id.as_deref()),
        Some("FAILED") if notice.video_id.is_some() => (FactKind::VideoFailed, notice.video_id.as_deref()),
        Some("FAILED") => (FactKind::Failed, None),
        other => panic!("{other:?} means nothing, not {meaning:?}"),
    };
    assert_eq!((meaning.kind(), meaning.video_id()), (kind, video));
    let is_failure = matches!(kind, FactKind::Failed | FactKind::VideoFailed);
    assert_eq!(meaning.failure().is_some(), is_failure);
    assert!(meaning.failure().is_none_or(|failure| !failure.message.is_empty()));
}

/// A field that nobody asked for takes nothing from the others, also where its text was cut inside a character.
fn assert_is_undisturbed(data: &[u8], notice: &Notice) {
    if *notice == Notice::default() {
        return;
    }
    let start = data.iter().position(|byte| *byte == b'{').expect("a body with fields is an object");
    for extra in [&b"[1,{\"status\":\"x\"}]"[..], b"\"a\\ud83d\"", b"\"\\\\\\udc00 b\"", b"\"\xf0\x9f\""] {
        let body = [&data[..=start], b"\"title\":", extra, b",", &data[start + 1..]].concat();
        assert_eq!(Notice::parse(&body), *notice, "{:?}", String::from_utf8_lossy(&body));
    }
}

fn assert_is_id(id: &str) {
    assert!(!id.is_empty() && id.len() <= ID && !id.contains(char::is_control), "{id:?}");
    assert_eq!(id.trim(), id);
}

/// The input is a token as it stands; its first 16 bytes are a task as well, and the others change what is
/// issued for it.
pub fn token(data: &[u8]) {
    let secrets = ["the secret that signs", "an older secret"];
    if let Ok(text) = std::str::from_utf8(data) {
        assert_only_issued_ones_are_good(&secrets, text);
    }
    let Some((id, edits)) = data.split_first_chunk::<16>() else { return };
    let task = TaskId::from_bytes(*id);
    assert_eq!(task.to_string().parse(), Ok(task));
    // A token of each kind.
    let destination = id.first_chunk::<8>().copied();
    let new = Claims { task, destination, quality: Some(Quality::P720) };
    for (secret, claims) in secrets.into_iter().flat_map(|secret| [(secret, Claims::of(task)), (secret, new)])
    {
        let issued = TokenKeys::new([secret]).issue(claims).expect("a key can sign");
        assert_eq!(TokenKeys::new(secrets).verify(&issued), Some(claims));
        assert_eq!(TokenKeys::new(["another secret"]).verify(&issued), None);
        let mut edited = issued.into_bytes();
        for edit in edits.chunks_exact(2) {
            let place = usize::from(edit[0]) % (edited.len() + 1);
            match edit[0] / 86 {
                0 => edited.insert(place, edit[1]),
                1 if place < edited.len() => edited[place] = edit[1],
                _ if place < edited.len() => drop(edited.remove(place)),
                _ => {}
            }
        }
        if let Ok(text) = std::str::from_utf8(&edited) {
            assert_only_issued_ones_are_good(&secrets, text);
        }
    }
}

fn assert_only_issued_ones_are_good(secrets: &[&str], text: &str) {
    let Some(claims) = TokenKeys::new(secrets.iter().copied()).verify(text) else { return };
    let issued = secrets.iter().map(|secret| TokenKeys::new([*secret]).issue(claims));
    assert_eq!(issued.filter(|issued| issued.as_deref() == Some(text)).count(), 1, "{text:?}");
}

/// The input is a URL.
pub fn url(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let recognized = PostUrl::recognize(text);
    let Ok(url) = PostUrl::parse(text) else {
        // An exact id, or nothing.
        if let Some(url) = recognized {
            assert_eq!(PostUrl::parse(&url.canonical).map(|again| again.canonical), Ok(url.canonical));
        }
        return;
    };
    assert_eq!(recognized.as_ref(), Some(&url));
    // What is compared and what is handed on is all of the text, except for what nobody sees.
    let (before, after) = text.split_once(&url.given).expect("the URL is a part of the text");
    assert!(
        !before.contains(|c: char| c.is_ascii_graphic()) && !after.contains(|c: char| c.is_ascii_graphic())
    );
    assert!(url.given.chars().count() <= MAX_URL_CHARS);
    assert!(!url.given.contains(|c: char| c.is_whitespace() || c.is_control()), "{:?}", url.given);
    let platform = url.platform.as_str();
    assert!(!platform.is_empty() && !platform.contains('/'), "{platform:?}");
    match PostUrl::parse(&url.canonical) {
        Ok(again) => {
            assert_eq!(again.canonical, url.canonical);
            assert_eq!(again.platform, url.platform);
        }
        // A slash or an anchor that was dropped may have stood behind what looks like punctuation of a text.
        Err(InvalidUrl::Trailing(_)) => {
            let is_same = |end: &&str| {
                let again = PostUrl::parse(&format!("{}{end}", url.canonical));
                again.is_ok_and(|again| again.canonical == url.canonical)
            };
            assert!(["/", "#x"].iter().any(is_same), "{:?}", url.canonical);
        }
        // The ASCII form of a host is longer.
        Err(error) => {
            assert_eq!(error, InvalidUrl::TooLong);
            assert!(url.canonical.len() > MAX_URL_CHARS, "{:?}", url.canonical);
        }
    }
    // A plain anchor makes no other post.
    if !url.given.contains('#')
        && let Ok(other) = PostUrl::parse(&format!(" {}#x\n", url.given))
    {
        assert_eq!((other.canonical, other.platform), (url.canonical, url.platform));
    }
}

/// The input is a line with the HTTP status and perhaps the header `Retry-After`; then the body.
pub fn upstream_answer(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let Ok(head) = std::str::from_utf8(&data[..end]) else { return };
    let body = data.get(end + 1..).unwrap_or_default();
    let (status, retry_after) = head.split_once(' ').map_or((head, None), |(one, two)| (one, Some(two)));
    let status = status.parse().unwrap_or(200);
    submit_answer(status, retry_after, body);
    poll_answer(status, retry_after, body);
}

fn submit_answer(status: u16, retry_after: Option<&str>, body: &[u8]) {
    match SubmitAnswer::read(status, retry_after, body) {
        SubmitAnswer::Accepted(id) => {
            assert_is_id(&id);
            let envelope = Envelope::parse(body).expect("what is accepted says so");
            assert_eq!((envelope.code.as_str(), envelope.task_id()), ("0000", Some(id)));
            // What is cut off says nothing.
            let cut = &body.trim_ascii_end()[..body.trim_ascii_end().len() - 1];
            for cut in [cut, &cut[..cut.len() / 2]] {
                let answer = SubmitAnswer::read(200, None, cut);
                assert!(matches!(answer, SubmitAnswer::Unknown(_)), "{answer:?}");
            }
        }
        SubmitAnswer::Retry(refusal, wait) => {
            assert_is_bounded(wait);
            assert_is_kept(&refusal);
            // Only these say for certain that nothing was charged.
            assert!(matches!(status, 429 | 503) || refusal.code == "0429", "{status} {refusal:?}");
        }
        SubmitAnswer::Final(refusal) => {
            assert_is_kept(&refusal);
            assert!(status < 500 && ["0001", "0003", "0409"].contains(&refusal.code.as_str()), "{refusal:?}");
        }
        SubmitAnswer::Account(refusal) | SubmitAnswer::Unknown(refusal) => assert_is_kept(&refusal),
    }
}

fn poll_answer(status: u16, retry_after: Option<&str>, body: &[u8]) {
    match PollAnswer::read(status, retry_after, body) {
        PollAnswer::Listed(listing) => {
            for ListedEntry { id, url, status: _, created_at: _ } in &listing.entries {
                assert!(id.is_some() || url.is_some());
                if let Some(id) = id {
                    assert_is_id(id);
                }
                let is_url = |url: &String| !url.is_empty() && url.len() <= LISTED_URL && url.trim() == url;
                assert!(url.as_ref().is_none_or(is_url), "{url:?}");
            }
            assert!(body.len() >= listing.entries.len());
        }
        PollAnswer::Limited(wait) => assert_is_bounded(wait),
        PollAnswer::Refused(refusal) | PollAnswer::Unanswered(refusal) => assert_is_kept(&refusal),
    }
}

fn assert_is_bounded(wait: Option<Duration>) {
    assert!(wait.is_none_or(|wait| wait <= LONGEST_WAIT), "{wait:?}");
}

fn assert_is_kept(refusal: &Refusal) {
    for words in [&refusal.code, &refusal.message] {
        assert!(words.chars().count() <= 300 && !words.contains(char::is_control), "{words:?}");
    }
    assert!(!refusal.code.is_empty());
}

/// What is put in as a secret; its core stands nowhere else.
const SECRET: &str = "fuzz-Secret-4711";
const CORE: &str = "ecret-4711";

/// What stands around a secret, also by mistake.
const QUOTES: [(&str, &str); 12] = [
    ("\"", "\""),
    ("'", "'"),
    ("", ""),
    ("\"", ""),
    ("", "\""),
    ("\"\"\"\n", "\"\"\""),
    ("[\"", "\"]"),
    ("{ a = \"", "\" }"),
    ("\"\\q", "\""),
    ("\"a\u{7}\n", "\""),
    ("1", ""),
    ("\"n:write:", "\""),
];

/// The input has four parts, with lines `---` in between: two letters that say where the secret stands and what
/// is around it, the file before it, the file after it, and the environment, a variable a line.
pub fn configuration(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if text.contains(CORE) {
        return;
    }
    let mut parts = text.splitn(4, "\n---\n");
    let [how, before, after, variables] = std::array::from_fn(|_| parts.next().unwrap_or_default());
    // Where a text of several lines is open, the secret would be no secret but a part of that text.
    if before.contains("\"\"\"") || before.contains("'''") {
        return;
    }
    let mut how = how.bytes();
    let (place, quotes) = (how.next(), usize::from(how.next().unwrap_or(b'a').wrapping_sub(b'a')));
    let (open, close) = QUOTES[quotes % QUOTES.len()];
    let secret = format!("{open}{SECRET}{close}");
    let mut environment: Vec<(String, String)> = variables
        .lines()
        .filter_map(|line| line.split_once('='))
        // The value would be the name of a file.
        .filter(|(name, _)| !name.to_ascii_lowercase().ends_with("_file"))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let mut planted = String::new();
    match place {
        Some(b'u') => planted = format!("\n[upstream]\napi_key = {secret}"),
        Some(b'c') => planted = format!("\n[callback]\nsecret = {secret}"),
        Some(b'l') => planted = format!("\n[callback]\nsecret = [\"the secret that signs\", {secret}]"),
        Some(b'k') => {
            planted =
                format!("\n[auth]\napi_keys = [{{ name = \"backend\", role = \"write\", key = {secret} }}]");
        }
        Some(b't') => planted = format!("\n[[auth.api_keys]]\nname = \"backend\"\nkey = {secret}"),
        Some(b'p') => {
            planted = format!("\n[server]\npublic_url = \"https://us:{SECRET}@hooks.example.com{close}\"");
        }
        Some(b'e') => environment.push(("MEMORIES_API_KEY".to_owned(), secret)),
        Some(b'U') => environment.push(("SCRAPEHOOK_UPSTREAM__API_KEY".to_owned(), secret)),
        Some(b'C') => environment.push(("SCRAPEHOOK_CALLBACK__SECRET".to_owned(), secret)),
        Some(b'K') => {
            environment.push(("SCRAPEHOOK_AUTH__API_KEYS".to_owned(), format!("backend:write:{secret}")));
        }
        _ => {}
    }
    let file = format!("{before}{planted}{after}");
    match Config::read((!file.is_empty()).then_some(("config.toml", &file)), environment) {
        Ok(config) => {
            assert!(!format!("{config:?}").contains(CORE), "the secret is shown");
            assert!(!config.poll_after().is_zero());
            if let Err(error) = config.check_for_serving() {
                assert_is_fit_to_show(&error.to_string());
            }
        }
        Err(error) => assert_is_fit_to_show(&error.to_string()),
    }
}

fn assert_is_fit_to_show(error: &str) {
    assert!(!error.is_empty() && !error.contains(char::is_control), "not one line: {error:?}");
    assert!(!error.contains(CORE), "the secret is shown: {error:?}");
}
