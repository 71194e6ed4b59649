//! Tests of the sections: every default, every bound, and the names in errors.

use std::time::Duration;

use secrecy::ExposeSecret;

use super::*;
use crate::domain::webhook::retry::Retries;

fn read(file: Option<&str>, variables: &[(&str, &str)]) -> Result<Config, String> {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let config = Config::read(file.map(|text| ("a.toml", text)), variables.collect());
    config.map_err(|error| error.to_string())
}

/// The configuration with a setting in the environment.
fn set(key: &str, value: &str) -> Result<Config, String> {
    read(None, &[(&variable(key), value)])
}

/// The configuration with a setting in a file, in TOML's own form.
fn toml(key: &str, value: &str) -> Result<Config, String> {
    let (section, name) = key.split_once('.').unwrap();
    read(Some(&format!("[{section}]\n{name} = {value}")), &[])
}

fn variable(key: &str) -> String {
    format!("SCRAPEHOOK_{}", key.to_uppercase().replace('.', "__"))
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const DURATIONS: [&str; 14] = [
    "server.header_timeout",
    "server.body_timeout",
    "upstream.timeout",
    "dispatch.min_interval",
    "dispatch.probe_after",
    "reconcile.after",
    "reconcile.settle_after",
    "reconcile.deadline",
    "reconcile.hint_interval",
    "forward.timeout",
    "forward.first_retry",
    "forward.give_up_after",
    "backup.every",
    "retention.after",
];
const COUNTS: [&str; 5] = [
    "server.max_connections",
    "callback.max_body",
    "dispatch.max_urls_per_job",
    "forward.max_in_flight",
    "backup.keep",
];
const ADDRESSES: [&str; 3] = ["server.listen", "callback.listen", "metrics.listen"];
const URLS: [&str; 3] = ["server.public_url", "upstream.base_url", "traces.endpoint"];
const LISTS: [&str; 3] = ["server.trusted_proxies", "auth.api_keys", "callback.secret"];
const TEXTS: [&str; 6] = [
    "store.path",
    "upstream.api_key",
    "callback.without_token",
    "forward.secret",
    "backup.folder",
    "log.level",
];
const SWITCHES: [&str; 3] = ["auth.keyless", "forward.allow_private", "forward.allow_http"];

#[test]
fn the_defaults_are_those_of_the_example() {
    let config = read(None, &[]).unwrap();
    let Config { server, auth, store, upstream, callback, dispatch, reconcile, forward, backup, .. } =
        &config;
    assert_eq!(server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(server.public_url, None);
    assert_eq!((server.header_timeout, server.body_timeout), (seconds(10), seconds(10)));
    assert_eq!(server.max_connections, 4_096);
    assert!(!server.trusted_proxies.contains("127.0.0.1".parse().unwrap()));
    assert!(auth.api_keys.0.is_empty() && !auth.keyless);
    assert_eq!(store.path, Path::new("scrapehook.db"));
    assert_eq!(upstream.base_url, "https://api.memories.ai");
    assert_eq!((upstream.api_key.expose_secret(), upstream.timeout), ("", seconds(60)));
    assert!(callback.listen.is_none() && callback.secret.0.is_empty());
    assert_eq!((callback.max_body, callback.without_token), (65_536, WithoutToken::Hint));
    assert_eq!((dispatch.min_interval, dispatch.probe_after), (seconds(1), seconds(30)));
    assert_eq!((dispatch.max_urls_per_job, dispatch.max_urls_per_day), (10_000, None));
    assert_eq!((reconcile.after, reconcile.settle_after), (None, seconds(600)));
    assert_eq!((reconcile.deadline, reconcile.hint_interval), (seconds(86_400), seconds(10)));
    assert!(forward.secret.is_none() && !forward.allowed.private && !forward.allowed.http);
    assert_eq!((forward.max_in_flight, forward.timeout), (16, seconds(15)));
    let Retries { first_retry, give_up_after } = forward.retries;
    assert_eq!((first_retry, give_up_after), (seconds(5), seconds(72 * 3_600)));
    assert_eq!((&backup.folder, backup.every, backup.keep), (&None, seconds(86_400), 7));
    assert_eq!(config.retention.after, seconds(90 * 86_400));
    assert_eq!(config.metrics.listen, None);
    assert_eq!(config.traces.endpoint, None);
    assert_eq!(config.log.level, "info");
}

#[test]
fn every_setting_of_the_example_is_of_one_of_these_kinds() {
    let document = value::parse(include_str!("../../config.example.toml")).unwrap();
    let mut count = 0;
    for (section, table) in document {
        let value::Value::Table(table) = table else { panic!("{section} is no section") };
        count += table.len();
    }
    let kinds = [&DURATIONS[..], &COUNTS, &ADDRESSES, &URLS, &LISTS, &TEXTS, &SWITCHES];
    let others = ["dispatch.max_urls_per_day"];
    assert_eq!(kinds.map(<[_]>::len).iter().sum::<usize>() + others.len(), count);
}

#[test]
fn a_value_of_the_wrong_kind_is_named_with_the_kind_that_is_expected() {
    let kinds: [(&[&str], &[&str], &str); 6] = [
        (&DURATIONS, &["1", "true", "1.5", "[]", "{}", "2026-11-29"], "a string is expected"),
        (&COUNTS, &["\"7\"", "true", "1.5", "[]", "{}"], "an integer is expected"),
        (&ADDRESSES, &["8080", "true", "[]"], "a string is expected"),
        (&URLS, &["1", "true", "[]"], "a string is expected"),
        (&TEXTS, &["12345678", "true", "[]", "{}"], "a string is expected"),
        (&LISTS, &["1", "true", "{}"], "a list of "),
    ];
    for (keys, values, expected) in kinds {
        for key in keys {
            for value in values {
                let said = toml(key, value).expect_err(value);
                assert!(said.starts_with(&format!("{key} (--config a.toml): {expected}")), "{said}");
            }
        }
    }
    for key in SWITCHES {
        let said = toml(key, "\"true\"").unwrap_err();
        assert_eq!(said, format!("{key} (--config a.toml): `true` or `false` is expected"));
    }
}

#[test]
fn a_text_that_says_nothing_good_is_named_with_its_variable() {
    let kinds: [(&[&str], &[&str], &str); 5] = [
        (&DURATIONS, &["10", "true", "soon"], "a duration is expected"),
        (&COUNTS, &["true", "yes", "1.5", "0", "-1", "many"], "an integer is expected, from 1 to "),
        (&ADDRESSES, &["nowhere", "8080", "localhost:8080"], "an IP address with a port is expected"),
        (&URLS, &["https:/x.example", "https:x.example", "x.example"], "an http or https URL is expected"),
        (&SWITCHES, &["yes", "1"], "`true` or `false` is expected"),
    ];
    for (keys, values, expected) in kinds {
        for key in keys {
            for value in values {
                let said = set(key, value).expect_err(value);
                assert!(said.starts_with(&format!("{key} ({}): {expected}", variable(key))), "{said}");
            }
        }
    }
    let per_day = set("dispatch.max_urls_per_day", "true").unwrap_err();
    assert!(per_day.contains("(SCRAPEHOOK_DISPATCH__MAX_URLS_PER_DAY): an integer is expected, from 0 to "));
}

#[test]
fn a_blank_variable_is_unset_and_one_in_quotes_is_refused_for_every_setting() {
    let kinds = [&DURATIONS[..], &COUNTS, &ADDRESSES, &URLS, &LISTS, &TEXTS];
    let others = ["auth.keyless", "dispatch.max_urls_per_day"];
    for key in kinds.into_iter().flatten().chain(&others) {
        assert!(set(key, "").is_ok() && set(key, " \t").is_ok(), "{key}");
        for value in ["\"7\"", "''"] {
            let said = set(key, value).unwrap_err();
            let expected = format!("{key} ({}): the value is in quotes", variable(key));
            assert!(said.starts_with(&expected), "{said}");
        }
    }
    let upstream = read(None, &[("MEMORIES_API_KEY", "\"sk-1\"")]).unwrap_err();
    assert!(
        upstream.starts_with("upstream.api_key (MEMORIES_API_KEY): the value is in quotes"),
        "{upstream}"
    );
    let level = read(None, &[("RUST_LOG", "'info'")]).unwrap_err();
    assert!(level.starts_with("RUST_LOG: the value is in quotes"), "{level}");
}

#[test]
fn each_setting_is_read_into_its_place() {
    let config = read(
        None,
        &[
            ("SCRAPEHOOK_SERVER__LISTEN", "0.0.0.0:1"),
            ("SCRAPEHOOK_SERVER__PUBLIC_URL", "https://bücher.example/in/"),
            ("SCRAPEHOOK_SERVER__HEADER_TIMEOUT", "1s"),
            ("SCRAPEHOOK_SERVER__BODY_TIMEOUT", "2s"),
            ("SCRAPEHOOK_SERVER__MAX_CONNECTIONS", "3"),
            ("SCRAPEHOOK_SERVER__TRUSTED_PROXIES", "10.0.0.0/8"),
            ("SCRAPEHOOK_AUTH__API_KEYS", "a:write:secret-1"),
            ("SCRAPEHOOK_AUTH__KEYLESS", "true"),
            ("SCRAPEHOOK_STORE__PATH", " a.db"),
            ("SCRAPEHOOK_UPSTREAM__BASE_URL", "http://API.example/"),
            ("SCRAPEHOOK_UPSTREAM__API_KEY", " sk-1 "),
            ("SCRAPEHOOK_CALLBACK__LISTEN", "[::1]:2"),
            ("SCRAPEHOOK_CALLBACK__SECRET", "a-long-secret-of-ours"),
            ("SCRAPEHOOK_CALLBACK__MAX_BODY", "4"),
            ("SCRAPEHOOK_CALLBACK__WITHOUT_TOKEN", "accept"),
            ("SCRAPEHOOK_DISPATCH__MIN_INTERVAL", "0s"),
            ("SCRAPEHOOK_DISPATCH__PROBE_AFTER", "4s"),
            ("SCRAPEHOOK_DISPATCH__MAX_URLS_PER_JOB", "5"),
            ("SCRAPEHOOK_DISPATCH__MAX_URLS_PER_DAY", "6"),
            ("SCRAPEHOOK_RECONCILE__AFTER", "7s"),
            ("SCRAPEHOOK_RECONCILE__SETTLE_AFTER", "0s"),
            ("SCRAPEHOOK_RECONCILE__DEADLINE", "8s"),
            ("SCRAPEHOOK_RECONCILE__HINT_INTERVAL", "0s"),
            ("SCRAPEHOOK_BACKUP__FOLDER", " copies "),
            ("SCRAPEHOOK_BACKUP__EVERY", "9s"),
            ("SCRAPEHOOK_BACKUP__KEEP", "10"),
            ("SCRAPEHOOK_RETENTION__AFTER", "0s"),
            ("SCRAPEHOOK_METRICS__LISTEN", "127.0.0.1:3"),
            ("SCRAPEHOOK_TRACES__ENDPOINT", "http://127.0.0.1:4318/"),
            ("SCRAPEHOOK_LOG__LEVEL", "warn"),
        ],
    );
    let config = config.unwrap();
    let Config { server, auth, store, upstream, callback, dispatch, reconcile, backup, .. } = &config;
    assert_eq!(server.listen.to_string(), "0.0.0.0:1");
    assert_eq!(server.public_url.as_deref(), Some("https://xn--bcher-kva.example/in"));
    assert_eq!((server.header_timeout, server.body_timeout), (seconds(1), seconds(2)));
    assert_eq!(server.max_connections, 3);
    assert!(server.trusted_proxies.contains("10.1.2.3".parse().unwrap()));
    assert_eq!((auth.api_keys.0[0].name.as_str(), auth.keyless), ("a", true));
    assert_eq!(store.path, Path::new(" a.db"), "blanks are part of the name");
    assert_eq!(upstream.base_url, "http://API.example/");
    assert_eq!(upstream.api_key.expose_secret(), "sk-1");
    assert_eq!(callback.listen.unwrap().to_string(), "[::1]:2");
    assert_eq!(callback.secret.0[0].expose_secret(), "a-long-secret-of-ours");
    assert_eq!((callback.max_body, callback.without_token), (4, WithoutToken::Accept));
    assert_eq!((dispatch.min_interval, dispatch.probe_after), (Duration::ZERO, seconds(4)));
    assert_eq!((dispatch.max_urls_per_job, dispatch.max_urls_per_day), (5, Some(6)));
    assert_eq!((reconcile.after, reconcile.settle_after), (Some(seconds(7)), Duration::ZERO));
    assert_eq!((reconcile.deadline, reconcile.hint_interval), (seconds(8), Duration::ZERO));
    assert_eq!((backup.folder.as_deref(), backup.every), (Some(Path::new("copies")), seconds(9)));
    assert_eq!((backup.keep, config.retention.after), (10, Duration::ZERO));
    assert_eq!(config.metrics.listen.unwrap().to_string(), "127.0.0.1:3");
    assert_eq!(config.traces.endpoint.as_deref(), Some("http://127.0.0.1:4318"));
    assert_eq!(config.log.level, "warn");
}

#[test]
fn a_duration_of_zero_is_refused_unless_it_has_a_meaning() {
    for key in DURATIONS {
        let may_be_zero =
            ["dispatch.min_interval", "reconcile.settle_after", "reconcile.hint_interval", "retention.after"];
        let read = set(key, "0s");
        if may_be_zero.contains(&key) {
            assert!(read.is_ok(), "{key}");
        } else {
            let said = read.unwrap_err();
            let is_named = said.starts_with(&format!("{key} ({}): the duration must be ", variable(key)));
            assert!(is_named, "{said}");
        }
    }
}

#[test]
fn upstream_has_from_a_second_to_five_minutes_for_an_answer() {
    for (text, is_good) in [("1s", true), ("5m", true), ("999ms", false), ("5m 1ms", false)] {
        let read = set("upstream.timeout", text);
        assert_eq!(read.is_ok(), is_good, "{text}");
        if let Err(said) = read {
            assert!(said.ends_with("the duration must be from 1s to 5m"), "{said}");
        }
    }
}

#[test]
fn no_limit_of_a_day_is_zero() {
    assert_eq!(set("dispatch.max_urls_per_day", "0").unwrap().dispatch.max_urls_per_day, None);
    assert_eq!(set("dispatch.max_urls_per_day", "1").unwrap().dispatch.max_urls_per_day, Some(1));
}

#[test]
fn data_is_kept_in_a_file() {
    for path in ["", " ", ":memory:", "file:x.db", "x.db/"] {
        let said = toml("store.path", &format!("\"{path}\"")).unwrap_err();
        assert!(said.starts_with(&format!("store.path (--config a.toml): `{path}`: ")), "{said}");
    }
    let said = toml("backup.folder", "\"file:copies\"").unwrap_err();
    assert_eq!(said, "backup.folder (--config a.toml): `file:copies`: a plain path is needed, not a URI");
    assert_eq!(toml("store.path", "\"a b.db\"").unwrap().store.path, Path::new("a b.db"));
}

#[test]
fn a_callback_without_a_token_is_a_hint_or_accepted() {
    let said = set("callback.without_token", "believe").unwrap_err();
    assert!(said.ends_with("`hint` or `accept` is expected"), "{said}");
    let hint = set("callback.without_token", "hint").unwrap();
    assert_eq!(hint.callback.without_token, WithoutToken::Hint);
}

#[test]
fn the_first_poll_comes_later_if_callbacks_can_come() {
    assert_eq!(read(None, &[]).unwrap().poll_after(), seconds(15));
    let public = ("SCRAPEHOOK_SERVER__PUBLIC_URL", "https://hooks.example.com");
    assert_eq!(read(None, &[public]).unwrap().poll_after(), seconds(120));
    let after = ("SCRAPEHOOK_RECONCILE__AFTER", "3s");
    assert_eq!(read(None, &[public, after]).unwrap().poll_after(), seconds(3));
    assert_eq!(toml("reconcile.after", "\" \"").unwrap().reconcile.after, None);
}

#[test]
fn the_logs_usual_variable_wins_and_both_are_checked() {
    let level = |variables: &[(&str, &str)]| read(None, variables).map(|config| config.log.level);
    let ours = ("SCRAPEHOOK_LOG__LEVEL", "warn");
    assert_eq!(level(&[ours]).as_deref(), Ok("warn"));
    assert_eq!(level(&[ours, ("RUST_LOG", " debug , a=info")]).as_deref(), Ok("debug,a=info"));
    assert_eq!(level(&[ours, ("RUST_LOG", " ")]).as_deref(), Ok("warn"));
    assert!(level(&[ours, ("RUST_LOG", "warning")]).unwrap_err().starts_with("RUST_LOG: `warning` is not"));
    let wrong = [("SCRAPEHOOK_LOG__LEVEL", "verbose"), ("RUST_LOG", "info")];
    assert!(level(&wrong).unwrap_err().starts_with("log.level (SCRAPEHOOK_LOG__LEVEL): `verbose` is not"));
    let blank = read(Some("[log]\nlevel = \"\""), &[]).unwrap();
    assert_eq!(blank.log.level, "info");
}

#[test]
fn a_file_is_read_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.toml");
    std::fs::write(&path, "\u{feff}[backup]\nkeep = 3\n").unwrap();
    assert_eq!(Config::load_with(Some(&path), Vec::new()).unwrap().backup.keep, 3);
    assert_eq!(Config::load(Some(&path)).unwrap().backup.keep, 3);
    for (bytes, expected) in [(&b"\xff\xfe"[..], "the file is UTF-16"), (b"a = \xff", "is not UTF-8")] {
        std::fs::write(&path, bytes).unwrap();
        let said = Config::load_with(Some(&path), Vec::new()).unwrap_err().to_string();
        assert!(said.starts_with(&format!("--config {}: ", path.display())), "{said}");
        assert!(said.contains(expected), "{said}");
    }
    let missing = Config::load_with(Some(&folder.path().join("no.toml")), Vec::new()).unwrap_err();
    assert!(missing.to_string().contains("no.toml: No such file"), "{missing}");
}

#[test]
fn an_error_is_one_line() {
    assert_eq!(ConfigError::new("a\nb\u{1b}c").to_string(), "a b c");
}

#[test]
fn nothing_shows_a_secret() {
    let variables = [
        ("SCRAPEHOOK_AUTH__API_KEYS", "a:write:shown-nowhere-1"),
        ("SCRAPEHOOK_CALLBACK__SECRET", "shown-nowhere-of-callbacks"),
        ("SCRAPEHOOK_UPSTREAM__API_KEY", "shown-nowhere-2"),
    ];
    let config = read(None, &variables).unwrap();
    assert!(!format!("{config:?}").contains("shown-nowhere"));
}
