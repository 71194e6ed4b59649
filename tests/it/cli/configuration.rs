//! The configuration of the real binary: which layer wins, and what `check-config` says when a setting is wrong.

use std::path::Path;
use std::time::Duration;

use scrapehook::config::{Config, Role};
use secrecy::ExposeSecret;

use crate::support::UPSTREAM_KEY;
use crate::support::binary::{API_KEY, Binary, CALLBACK_SECRET};

fn load(file: Option<&str>, variables: &[(&str, &str)]) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    if let Some(text) = file {
        std::fs::write(&path, text).unwrap();
    }
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Config::load_with(file.map(|_| path.as_path()), variables).map_err(|error| error.to_string())
}

/// The line with which `check-config` refuses this file.
fn refused_file(text: &str) -> String {
    let binary = Binary::bare();
    std::fs::write(binary.path("config.toml"), text).unwrap();
    binary.refused(&["check-config", "--config", "config.toml"])
}

/// The line with which `check-config` refuses this text in the file of a setting.
fn refused_secret(key: &str, text: &str) -> String {
    let binary = Binary::bare();
    let path = binary.path("secret").display().to_string();
    std::fs::write(&path, text).unwrap();
    binary.set(&format!("{key}_FILE"), &path).refused(&["check-config"])
}

#[test]
fn the_environment_wins_over_the_file_and_the_file_over_the_defaults() {
    let file = "[dispatch]\nmin_interval = \"3s\"\nmax_urls_per_job = 7\n";
    let config = load(Some(file), &[("SCRAPEHOOK_DISPATCH__MIN_INTERVAL", "1ms")]).unwrap();
    assert_eq!(config.dispatch.min_interval, Duration::from_millis(1));
    assert_eq!(config.dispatch.max_urls_per_job, 7);
    assert_eq!(config.dispatch.probe_after, Duration::from_secs(30));
    assert_eq!(config.store.path, Path::new("scrapehook.db"));
}

#[test]
fn the_upstreams_key_has_another_name_between_file_and_environment() {
    let file = "[upstream]\napi_key = \"from-file\"\n";
    let (own, ours) = (("MEMORIES_API_KEY", "theirs"), ("SCRAPEHOOK_UPSTREAM__API_KEY", "ours"));
    let (blank, unset) = (("SCRAPEHOOK_UPSTREAM__API_KEY", " "), ("MEMORIES_API_KEY", ""));
    for (variables, expected) in [
        (vec![], "from-file"),
        (vec![own], "theirs"),
        (vec![ours, own], "ours"),
        (vec![own, ours], "ours"),
        (vec![own, blank], "theirs"),
        (vec![unset, blank], "from-file"),
    ] {
        let config = load(Some(file), &variables).unwrap();
        assert_eq!(config.upstream.api_key.expose_secret(), expected, "{variables:?}");
    }
}

#[test]
fn a_secret_is_read_from_a_file_in_which_lines_separate() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    std::fs::write(&path, "\u{feff}backend:write:long,enough\r\nviewer:read:long:with:colons\r\n").unwrap();
    let config = load(None, &[("SCRAPEHOOK_AUTH__API_KEYS_FILE", path.to_str().unwrap())]).unwrap();
    let keys: Vec<_> = config
        .auth
        .api_keys
        .0
        .iter()
        .map(|key| (key.name.as_str(), key.role, key.key.expose_secret()))
        .collect();
    assert_eq!(keys, [("backend", Role::Write, "long,enough"), ("viewer", Role::Read, "long:with:colons")]);
    let config = load(None, &[("SCRAPEHOOK_CALLBACK__SECRET_FILE", path.to_str().unwrap())]).unwrap();
    assert_eq!(config.callback.secret.0.len(), 2);
}

#[test]
fn a_file_that_is_missing_or_blank_names_the_key() {
    for key in ["UPSTREAM__API_KEY", "AUTH__API_KEYS", "CALLBACK__SECRET", "SERVER__TRUSTED_PROXIES"] {
        let setting = key.to_lowercase().replace("__", ".");
        let missing = Binary::bare().set(&format!("{key}_FILE"), "/nowhere/key").refused(&["check-config"]);
        assert!(missing.contains(&setting) && missing.contains("/nowhere/key"), "{missing}");
        for blank in ["", "\n", "\u{feff} \r\n\t"] {
            let line = refused_secret(key, blank);
            assert!(line.contains(&setting) && line.contains("nothing but white space"), "{line}");
        }
    }
}

#[test]
fn a_named_pipe_is_refused_at_once_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    let path = path.to_str().unwrap();
    for key in ["UPSTREAM__API_KEY", "AUTH__API_KEYS", "CALLBACK__SECRET"] {
        let setting = key.to_lowercase().replace("__", ".");
        for command in ["check-config", "serve"] {
            let line = Binary::bare().set(&format!("{key}_FILE"), path).refused(&[command]);
            assert!(
                line.contains(&setting) && line.contains(&format!("{path}: it is a named pipe")),
                "{line}"
            );
        }
    }
    let line = Binary::bare().refused(&["check-config", "--config", path]);
    assert!(line.contains(&format!("--config {path}: it is a named pipe")), "{line}");
}

#[test]
fn every_layer_has_the_same_rules() {
    for (key, value, toml, wanted) in [
        ("BACKUP__KEEP", "true", "true", "an integer is expected"),
        ("BACKUP__KEEP", "2.5", "2.5", "an integer is expected"),
        ("DISPATCH__MAX_URLS_PER_DAY", "yes", "\"yes\"", "an integer is expected"),
        ("SERVER__MAX_CONNECTIONS", "0", "0", "an integer is expected"),
        ("CALLBACK__MAX_BODY", "99999999999999999999", "99999999999999999999", "an integer is expected"),
        ("RETENTION__AFTER", "10", "10", "retention.after"),
        ("AUTH__KEYLESS", "yes", "1", "`true` or `false` is expected"),
        ("AUTH__API_KEYS", "me:write: secret-1234", "[{ name = \"me\", key = \" secret-1234\" }]", "blank"),
        ("AUTH__API_KEYS", "me:write:sécret-1234", "[{ name = \"me\", key = \"sécret-1234\" }]", "ASCII"),
        ("AUTH__API_KEYS", "me:write:secret\u{7}123", "[{ name = \"me\", key = \"secret\\t123\" }]", "ASCII"),
        ("AUTH__API_KEYS", "\"me:write:secret-1234\"", "['\"me:write:secret-1234\"']", "auth.api_keys"),
        ("CALLBACK__SECRET", "'a-secret-that-is-long'", "\"'a-secret-that-is-long'\"", "in quotes"),
        ("LOG__LEVEL", "info,verbose", "\"info,verbose\"", "`verbose` is not a level"),
        ("SERVER__PUBLIC_URL", "https:/hooks.example.com", "\"https:/hooks.example.com\"", "http"),
        ("SERVER__PUBLIC_URL", "http://a.example/callback/x", "\"http://a.example/callback/x\"", "/callback"),
        ("TRACES__ENDPOINT", "http:\\\\a.example", "'http:\\\\a.example'", "http"),
    ] {
        let setting = key.to_lowercase().replace("__", ".");
        let (section, name) = setting.split_once('.').unwrap();
        for line in [
            Binary::new().set(key, value).refused(&["check-config"]),
            refused_secret(key, &format!("{value}\n")),
            refused_file(&format!("[{section}]\n{name} = {toml}\n")),
        ] {
            assert!(line.contains(&setting) && line.contains(wanted), "{key}: {line}");
        }
    }
}

#[test]
fn a_variable_that_keeps_its_quotes_is_refused() {
    for name in ["SCRAPEHOOK_UPSTREAM__API_KEY", "MEMORIES_API_KEY", "SCRAPEHOOK_STORE__PATH", "RUST_LOG"] {
        for value in ["\"x\"", "'x'", "\"\""] {
            let binary = Binary::bare().variable(name, value);
            let line = binary.refused(&["check-config"]);
            assert!(line.contains(name) && line.contains("the value is in quotes"), "{line}");
            assert_eq!(line, binary.refused(&["serve"]));
        }
    }
    let line = Binary::new().set("AUTH__API_KEYS_FILE", "\"/run/secrets/keys\"").refused(&["check-config"]);
    assert!(line.contains("the value is in quotes"), "{line}");
    for (name, value, command) in [
        ("SCRAPEHOOK_API_KEY", "\"secret-1234\"", "jobs"),
        ("SCRAPEHOOK_URL", "'http://127.0.0.1:9'", "jobs"),
        ("SCRAPEHOOK_URL", "'http://127.0.0.1:9'", "health"),
    ] {
        let (code, _, stderr) = Binary::bare().variable(name, value).run(&[command]);
        assert_eq!(code, 2, "{stderr}");
        assert!(stderr.contains(name) && stderr.contains("the value is in quotes"), "{stderr}");
    }
}

#[test]
fn a_word_that_is_no_level_is_refused_wherever_the_log_starts() {
    for value in ["verbose", "warning", "info,verbose", "scrapehook=loud"] {
        let binary = Binary::new().variable("RUST_LOG", value);
        for command in ["serve", "check-config"] {
            let line = binary.refused(&[command]);
            assert!(line.contains("RUST_LOG: `"), "{line}");
        }
        let (code, _, stderr) = binary.run(&["demo", "--exit"]);
        assert_eq!(code, 2, "{stderr}");
        assert!(stderr.contains("RUST_LOG: `"), "{stderr}");
    }
    for value in ["", " ", "warn"] {
        let (code, _, stderr) = Binary::new().variable("RUST_LOG", value).run(&["check-config"]);
        assert_eq!(code, 0, "{stderr}");
    }
}

#[test]
fn a_log_whose_variable_is_blank_is_as_the_setting_says() {
    let (code, log) = Binary::new().variable("RUST_LOG", " ").serve(&[]).terminate();
    assert_eq!(code, 0, "{log}");
    assert!(log.contains("\"level\":\"INFO\""), "{log}");
}

#[test]
fn the_public_url_is_shown_as_it_is_handed_out() {
    let binary = Binary::new()
        .set("SERVER__PUBLIC_URL", "HTTPS://Bücher.example/in/")
        .set("AUTH__API_KEYS", &format!("me:write:{API_KEY}"));
    let (code, stdout, stderr) = binary.run(&["check-config"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains(" https://xn--bcher-kva.example/in\n"), "{stdout}");
}

#[test]
fn a_setting_has_one_variable() {
    let both = [("SCRAPEHOOK_UPSTREAM__API_KEY", "x"), ("SCRAPEHOOK_UPSTREAM__API_KEY_FILE", "/nowhere")];
    let error = load(None, &both).unwrap_err();
    assert!(error.contains("SCRAPEHOOK_UPSTREAM__API_KEY_FILE"), "{error}");
}

#[test]
fn an_unknown_key_is_named_with_its_place() {
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
fn no_error_shows_a_secret() {
    for line in [
        refused_file(&format!("[upstream]\napi_key = [\"{UPSTREAM_KEY}\"]")),
        refused_file(&format!("[auth]\napi_keys = [\"{API_KEY}\"]")),
        refused_file(&format!("[callback]\nsecret = {{ a = \"{CALLBACK_SECRET}\" }}")),
        refused_file(&format!("[server]\npublic_url = \"https://me:{API_KEY}@hooks.example.com\"")),
        refused_file(&format!("[server]\nlisten = \"{API_KEY}\"")),
        refused_secret("AUTH__API_KEYS", &format!("{API_KEY}:write:me")),
        refused_secret("AUTH__API_KEYS", &format!("me:write:'{API_KEY}'")),
    ] {
        assert!(!line.contains("must-not-show"), "{line}");
    }
}

/// The variables of a service in compose.yaml, with those of the anchor that it merges.
fn variables_of(compose: &str, service: &str) -> Vec<(String, String)> {
    let block = |start: &str| {
        let rest = compose.split_once(start).unwrap_or_else(|| panic!("compose.yaml has no {start}")).1;
        let is_end = |line: &&str| !line.is_empty() && !line.starts_with(' ') && !line.starts_with('#');
        let is_next = |line: &&str| line.len() - line.trim_start().len() == 2 && line.ends_with(':');
        rest.lines().skip(1).take_while(move |line| !is_end(line) && !is_next(line)).collect::<Vec<_>>()
    };
    let lines = block("\nx-addresses:").into_iter().chain(block(&format!("\n  {service}:\n")));
    let pairs = lines.filter_map(|line| line.trim().strip_prefix("SCRAPEHOOK_")?.split_once(": "));
    pairs.map(|(name, value)| (format!("SCRAPEHOOK_{name}"), value.trim_matches('"').to_owned())).collect()
}

#[test]
fn the_trial_of_compose_asks_for_keyless_operation() {
    let compose = Path::new(env!("CARGO_MANIFEST_DIR")).join("compose.yaml");
    let variables = variables_of(&std::fs::read_to_string(compose).unwrap(), "scrapehook");
    let config = Config::load_with(None, variables.clone()).unwrap();
    assert!(config.check_for_serving().is_ok() && config.auth.is_keyless(), "{variables:?}");
    let without = variables.into_iter().filter(|(name, _)| name != "SCRAPEHOOK_AUTH__KEYLESS").collect();
    let said = Config::load_with(None, without).unwrap().check_for_serving().unwrap_err().to_string();
    assert!(said.contains("auth.keyless"), "{said}");
}

#[test]
fn check_config_prints_what_lets_others_in() {
    let binary = Binary::new();
    let folder = binary.path("copies");
    let binary = binary
        .set("CALLBACK__LISTEN", "127.0.0.1:7001")
        .set("METRICS__LISTEN", "127.0.0.1:7002")
        .set("CALLBACK__WITHOUT_TOKEN", "accept")
        .set("AUTH__KEYLESS", "true")
        .set("BACKUP__FOLDER", &folder.display().to_string());
    let (code, stdout, stderr) = binary.run(&["check-config"]);
    assert_eq!(code, 0, "{stderr}");
    for (name, value) in [
        ("callback.listen", "127.0.0.1:7001"),
        ("metrics.listen", "127.0.0.1:7002"),
        ("callback.without_token", "accept: anyone can report results"),
        ("auth.keyless", "true"),
        ("backup.folder", &format!("{} (does not exist)", folder.display())),
    ] {
        let line = stdout.lines().find_map(|line| line.trim_start().strip_prefix(name));
        assert!(line.is_some_and(|line| line.trim_start().starts_with(value)), "{name}: {stdout}");
    }
    std::fs::create_dir(&folder).unwrap();
    let (_, stdout, _) = binary.run(&["check-config"]);
    assert!(stdout.contains(&format!("{} (exists)", folder.display())), "{stdout}");
    let line = binary.set("METRICS__LISTEN", "127.0.0.1:7001").refused(&["check-config"]);
    assert!(line.contains("metrics.listen") && line.contains("callback.listen"), "{line}");
}
