//! The layers of the configuration: which of them wins, and what each says when it is wrong.

use std::path::Path;
use std::time::Duration;

use scrapehook::config::{Config, Role};
use secrecy::ExposeSecret;

fn load(file: Option<&str>, variables: &[(&str, &str)]) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    if let Some(text) = file {
        std::fs::write(&path, text).unwrap();
    }
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Config::load_with(file.map(|_| path.as_path()), variables).map_err(|error| error.to_string())
}

#[test]
fn the_example_is_the_defaults() {
    let config = load(None, &[]).unwrap();
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.server.public_url, None);
    assert_eq!(config.store.path, Path::new("scrapehook.db"));
    assert_eq!(config.dispatch.min_interval, Duration::from_secs(1));
    assert_eq!(config.callback.max_body, 65_536);
    assert_eq!(config.poll_after().unwrap(), Duration::from_secs(15));
    let public = load(None, &[("SCRAPEHOOK_SERVER__PUBLIC_URL", "https://hooks.example.com")]).unwrap();
    assert_eq!(public.poll_after().unwrap(), Duration::from_secs(120));
}

#[test]
fn the_environment_wins_over_the_file_and_the_file_over_the_defaults() {
    let file = "[dispatch]\nmin_interval = \"3s\"\nmax_urls_per_job = 7\n";
    let config = load(Some(file), &[("SCRAPEHOOK_DISPATCH__MIN_INTERVAL", "1ms")]).unwrap();
    assert_eq!(config.dispatch.min_interval, Duration::from_millis(1));
    assert_eq!(config.dispatch.max_urls_per_job, 7);
    assert_eq!(config.dispatch.probe_after, Duration::from_secs(30));
}

#[test]
fn the_upstreams_key_has_a_name_of_its_own_between_file_and_environment() {
    let file = "[upstream]\napi_key = \"from-file\"\n";
    let (own, ours) = (("MEMORIES_API_KEY", "theirs"), ("SCRAPEHOOK_UPSTREAM__API_KEY", "ours"));
    for (variables, expected) in
        [(vec![], "from-file"), (vec![own], "theirs"), (vec![ours, own], "ours"), (vec![own, ours], "ours")]
    {
        let config = load(Some(file), &variables).unwrap();
        assert_eq!(config.upstream.api_key.expose_secret(), expected, "{variables:?}");
    }
}

#[test]
fn a_secret_is_read_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys");
    std::fs::write(&keys, "backend:write:long-enough-1\nviewer:read:long:with:colons\n").unwrap();
    let config = load(None, &[("SCRAPEHOOK_AUTH__API_KEYS_FILE", keys.to_str().unwrap())]).unwrap();
    let keys: Vec<_> = config
        .auth
        .api_keys
        .0
        .iter()
        .map(|key| (key.name.as_str(), key.role, key.key.expose_secret()))
        .collect();
    assert_eq!(keys, [("backend", Role::Write, "long-enough-1"), ("viewer", Role::Read, "long:with:colons")]);
    let error = load(None, &[("SCRAPEHOOK_UPSTREAM__API_KEY_FILE", "/nowhere/key")]).unwrap_err();
    assert!(error.starts_with("SCRAPEHOOK_UPSTREAM__API_KEY_FILE: /nowhere/key: "), "{error}");
}

#[test]
fn a_blank_key_of_the_upstream_is_no_key_and_two_forms_of_one_setting_are_one_too_many() {
    let file = "[upstream]\napi_key = \"from-file\"\n";
    let config = load(Some(file), &[("MEMORIES_API_KEY", " ")]).unwrap();
    assert_eq!(config.upstream.api_key.expose_secret(), "from-file");
    let both = [("SCRAPEHOOK_UPSTREAM__API_KEY", "x"), ("SCRAPEHOOK_UPSTREAM__API_KEY_FILE", "/nowhere")];
    let error = load(None, &both).unwrap_err();
    assert!(error.contains("SCRAPEHOOK_UPSTREAM__API_KEY_FILE"), "{error}");
}

#[test]
fn an_unknown_key_is_named_with_where_it_stands() {
    let error = load(None, &[("SCRAPEHOOK_SERVER__LISTN", "x")]).unwrap_err();
    assert!(error.contains("SCRAPEHOOK_SERVER__LISTN"), "{error}");
    let error = load(Some("[server]\nlistn = \"x\"\n"), &[]).unwrap_err();
    assert!(error.contains("config.toml") && error.contains("server.listn"), "{error}");
    assert!(load(None, &[("SCRAPEHOOK_URL", "x"), ("SCRAPEHOOK_SERVERLISTEN", "x")]).is_ok());
}

#[test]
fn an_error_is_one_line_whatever_it_quotes() {
    for file in
        ["[server]\n\"a\\nb\" = 1", "[reconcile]\nafter = \"\\u001b[2J\\nb\"", "[server]\nlisten = \"\n"]
    {
        let error = load(Some(file), &[]).unwrap_err();
        assert!(!error.contains(char::is_control), "{error:?}");
    }
}

#[test]
fn a_name_that_looks_like_a_path_is_unknown() {
    for name in ["server[999999999999999]", "server[-9]", "server.listen.a", "upstream.api_key[0]"] {
        let error = load(Some(&format!("\"{name}\" = 1")), &[]).unwrap_err();
        assert!(error.ends_with("unknown setting"), "{error}");
    }
}

#[test]
fn a_value_out_of_its_bounds_is_refused() {
    let long = format!("https://hooks.example.com/{}", "x".repeat(240));
    for (name, value) in [
        ("UPSTREAM__TIMEOUT", "0s"),
        ("UPSTREAM__TIMEOUT", "1h"),
        ("LOG__LEVEL", "verbose"),
        ("TRACES__ENDPOINT", "http://user:secret@127.0.0.1:4318"),
        ("LOG__LEVEL", "scrapehook=loud"),
        ("RECONCILE__AFTER", "0s"),
        ("RECONCILE__AFTER", "soon"),
        ("DISPATCH__PROBE_AFTER", "0s"),
        ("CALLBACK__MAX_BODY", "0"),
        ("STORE__PATH", ""),
        ("STORE__PATH", ":memory:"),
        ("UPSTREAM__BASE_URL", "foo"),
        ("UPSTREAM__BASE_URL", "https://api.example.com/?key=x"),
        ("SERVER__PUBLIC_URL", "https://user:secret@hooks.example.com"),
        ("AUTH__API_KEYS", "a:read:same-secret,b:write:same-secret"),
        ("AUTH__API_KEYS", "a:read:one-secret,a:write:other-secret"),
        ("CALLBACK__SECRET", "short"),
        ("SERVER__PUBLIC_URL", "ftp://hooks.example.com"),
        ("SERVER__PUBLIC_URL", "https://hooks.example.com/?a=b"),
        ("SERVER__PUBLIC_URL", &long),
        ("AUTH__API_KEYS", "backend:admin:long-enough"),
        ("AUTH__API_KEYS", "backend:write:short"),
    ] {
        let error = load(None, &[(&format!("SCRAPEHOOK_{name}"), value)]).unwrap_err();
        let setting = name.to_ascii_lowercase().replace("__", ".");
        assert!(error.contains(&setting), "{name}={value}: {error}");
    }
}
