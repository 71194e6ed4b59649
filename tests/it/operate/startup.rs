//! The real binary: it starts or says in one line why not, and its log holds no secret.

use std::ffi::OsStr;
use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt;

use scrapehook::simulator::{Faults, Settings};
use serde_json::{Value, json};
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

use crate::support::binary::{API_KEY, Binary, CALLBACK_SECRET, refusal, run};
use crate::support::{DEADLINE, Scene, UPSTREAM_KEY, free_address, mixed_urls, simulator};

#[test]
fn a_wrong_setting_is_one_line_that_names_it() {
    for (key, value, wanted) in [
        ("UPSTREAM__API_KEY", "", "upstream.api_key"),
        ("UPSTREAM__API_KEY", "  ", "upstream.api_key"),
        ("UPSTREAM__BASE_URL", "ftp://x", "upstream.base_url"),
        ("UPSTREAM__BASE_URL", "https:/api.example.com", "upstream.base_url"),
        ("UPSTREAM__TIMEOUT", "soon", "upstream.timeout"),
        ("SERVER__PUBLIC_URL", "https://hooks.example.com", "auth.api_keys"),
        ("SERVER__PUBLIC_URL", "hooks", "server.public_url"),
        ("SERVER__LISTEN", "0.0.0.0:0", "auth.api_keys"),
        ("SERVER__LISTEN", "nowhere", "server.listen"),
        ("SERVER__MAX_CONNECTIONS", "0", "server.max_connections"),
        ("SERVER__MAX_CONNECTIONS", "many", "server.max_connections"),
        ("SERVER__MAX_CONNECTIONS", "-1", "server.max_connections"),
        ("SERVER__HEADER_TIMEOUT", "10", "server.header_timeout"),
        ("SERVER__NOPE", "1", "nope"),
        ("NOPE__X", "1", "nope"),
        ("RECONCILE__AFTER", "later", "reconcile.after"),
        ("CALLBACK__SECRET", "short", "callback.secret"),
        ("AUTH__API_KEYS", "name:owner:api-key-that-must-not-show", "auth.api_keys"),
        ("AUTH__API_KEYS", "api-key-that-must-not-show", "auth.api_keys"),
        ("AUTH__API_KEYS", "name:read:short", "auth.api_keys"),
        ("UPSTREAM__API_KEY_FILE", "/nowhere/key", "UPSTREAM__API_KEY_FILE"),
    ] {
        let line = Binary::new().set(key, value).refused(&["serve"]);
        assert!(line.contains(wanted), "{key}={value}: {line}");
    }
}

#[test]
fn a_wrong_file_is_one_line_that_names_it() {
    let binary = Binary::new();
    let line = binary.refused(&["serve", "--config", "missing.toml"]);
    assert!(line.contains("missing.toml"), "{line}");
    for (text, wanted) in [
        ("[server]\nnope = 1\n", "nope"),
        ("[nope]\nx = 1\n", "nope"),
        ("[dispatch]\nmax_urls_per_job = \"many\"\n", "max_urls_per_job"),
        ("[upstream]\napi_key = \"upstream-key-that-must-not-show\nx = 1\n", "wrong.toml"),
        ("[upstream]\napi_key = { x = \"upstream-key-that-must-not-show\" }\n", "api_key"),
        (
            "[auth]\napi_keys = [{ name = \"x\", key = \"api-key-that-must-not-show\", role = \"owner\" }]\n",
            "api_keys",
        ),
        ("[callback]\nsecret = { x = \"callback-secret-that-must-not-show\" }\n", "secret"),
    ] {
        std::fs::write(binary.path("wrong.toml"), text).unwrap();
        let bare = Binary::bare().set("SERVER__LISTEN", "127.0.0.1:0");
        let file = binary.path("wrong.toml").display().to_string();
        let line = bare.refused(&["serve", "--config", &file]);
        assert!(line.contains(wanted), "{text}: {line}");
    }
}

#[test]
fn a_foreign_variable_that_is_not_text_is_no_concern() {
    let binary = Binary::new();
    let mut command = binary.command(&["check-config"]);
    let (code, _, stderr) = run(command.env("ELSEWHERE", OsStr::from_bytes(b"\xff")));
    assert_eq!(code, 0, "{stderr}");
    let mut command = binary.command(&["check-config"]);
    let ours = command.env("SCRAPEHOOK_STORE__PATH", OsStr::from_bytes(b"\xff"));
    let line = refusal(run(ours));
    assert!(line.contains("SCRAPEHOOK_STORE__PATH"), "{line}");
}

#[test]
fn what_is_taken_or_unwritable_is_named() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap().to_string();
    let line = Binary::new().set("SERVER__LISTEN", &address).refused(&["serve"]);
    assert!(line.contains("server.listen") && line.contains(&address), "{line}");

    let binary = Binary::new();
    std::fs::write(binary.path("file"), "x").unwrap();
    for name in ["file/scrapehook.db", "no/such/folder/scrapehook.db"] {
        let path = binary.path(name).display().to_string();
        let line = Binary::new().set("STORE__PATH", &path).refused(&["serve"]);
        assert!(line.contains("store.path") && line.contains(&path), "{line}");
    }
    std::fs::create_dir(binary.path("folder")).unwrap();
    let folder = binary.path("folder").display().to_string();
    let line = Binary::new().set("STORE__PATH", &folder).refused(&["serve"]);
    assert!(line.contains(&format!("store.path: can't write {folder}: is a directory")), "{line}");
    assert!(!binary.path("folder.lock").exists(), "nothing is left beside it");
}

#[tokio::test]
async fn a_foreign_file_is_refused_and_left_as_it_was() {
    let binary = Binary::new();
    let database = binary.path("scrapehook.db");
    let options = SqliteConnectOptions::new().filename(&database).create_if_missing(true);
    let mut connection = options.connect().await.unwrap();
    sqlx::query("CREATE TABLE x (y)").execute(&mut connection).await.unwrap();
    sqlx::Connection::close(connection).await.unwrap();
    let sqlite = std::fs::read(&database).unwrap();
    for bytes in [sqlite, b"x".to_vec(), b"dear diary\n".repeat(1000), vec![0; 4096]] {
        std::fs::write(&database, &bytes).unwrap();
        let line = binary.refused(&["serve"]);
        assert!(line.contains("store.path") && line.contains("not a scrapehook database"), "{line}");
        assert!(std::fs::read(&database).unwrap() == bytes, "left as it was");
    }
}

#[test]
fn a_database_stays_with_its_upstream_and_its_instance() {
    let binary = Binary::new();
    let serving = binary.serve(&[]);
    let line = binary.refused(&["serve"]);
    assert!(line.contains("store.path") && line.contains("in use"), "{line}");
    assert_eq!(serving.terminate().0, 0);

    let url = format!("http://{}", free_address());
    let other = binary.set("UPSTREAM__BASE_URL", &url);
    let line = other.refused(&["serve"]);
    assert!(line.contains("upstream.base_url") && line.contains("--accept-upstream-change"), "{line}");
    assert_eq!(other.serve(&["--accept-upstream-change"]).terminate().0, 0);
    assert_eq!(other.serve(&[]).terminate().0, 0, "it is the upstream of this file now");
    let slash = other.set("UPSTREAM__BASE_URL", &format!("{url}/"));
    assert_eq!(slash.serve(&[]).terminate().0, 0, "a slash makes no other upstream");
}

#[test]
fn an_upstream_that_no_request_can_be_made_for_is_refused() {
    for (key, value) in [
        ("UPSTREAM__API_KEY", "schl\u{fc}ssel"),
        ("UPSTREAM__API_KEY", "a\tb"),
        ("UPSTREAM__API_KEY", "a\nb"),
        ("UPSTREAM__BASE_URL", "http://{a}.example"),
    ] {
        let setting = key.to_lowercase().replace("__", ".");
        for command in ["check-config", "serve"] {
            let line = Binary::new().set(key, value).refused(&[command]);
            assert!(line.contains(&setting), "{line}");
        }
    }
}

#[test]
fn a_killed_instance_lets_go_of_its_file() {
    let binary = Binary::new();
    let mut serving = binary.serve(&[]);
    serving.end();
    assert_eq!(binary.serve(&[]).terminate().0, 0);
}

#[test]
fn check_config_says_what_is_in_force_and_no_secret() {
    let binary = Binary::new()
        .set("AUTH__API_KEYS", &format!("backend:write:{API_KEY}"))
        .set("CALLBACK__SECRET", CALLBACK_SECRET)
        .set("SERVER__PUBLIC_URL", "https://hooks.example.com");
    let (code, stdout, stderr) = binary.run(&["check-config"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("backend (write)") && stdout.contains("https://hooks.example.com"), "{stdout}");
    for secret in [UPSTREAM_KEY, API_KEY, CALLBACK_SECRET] {
        assert!(!stdout.contains(secret) && !stderr.contains(secret));
    }
    assert!(!binary.path("scrapehook.db").exists(), "it only looks");
    let line = binary.set("UPSTREAM__API_KEY", "").refused(&["check-config"]);
    assert!(line.contains("upstream.api_key"), "{line}");
}

#[test]
fn operation_without_keys_is_told_wherever_somebody_looks() {
    let binary = Binary::new();
    let (_, stdout, _) = binary.run(&["check-config"]);
    assert!(stdout.contains("keyless: only requests with a loopback Host are answered"), "{stdout}");
    for (binary, is_keyless) in
        [(binary, true), (Binary::new().set("AUTH__API_KEYS", &format!("a:read:{API_KEY}")), false)]
    {
        let (code, log) = binary.serve(&[]).terminate();
        assert_eq!(code, 0, "{log}");
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let serving = lines.filter(|line| line["message"] == "serving").collect::<Vec<_>>();
        assert_eq!((serving.len(), &serving[0]["keyless"]), (1, &json!(is_keyless)), "{log}");
    }
}

#[test]
fn what_lets_strangers_in_needs_keys_or_the_wish_to_do_without() {
    let open = [
        ("SERVER__LISTEN", "0.0.0.0:0"),
        ("METRICS__LISTEN", "0.0.0.0:0"),
        ("SERVER__PUBLIC_URL", "https://hooks.example.com"),
    ];
    for (key, value) in open {
        let binary = || Binary::new().set("CALLBACK__LISTEN", "127.0.0.1:0").set(key, value);
        let setting = key.to_lowercase().replace("__", ".");
        for command in ["serve", "check-config"] {
            let line = binary().refused(&[command]);
            assert!(line.contains("auth.api_keys") && line.contains("auth.keyless"), "{line}");
            assert!(line.contains(&setting), "{line}");
        }
        for (key, value) in [("AUTH__KEYLESS", "true"), ("AUTH__API_KEYS", "me:write:secret-1234")] {
            let (code, _, stderr) = binary().set(key, value).run(&["check-config"]);
            assert_eq!(code, 0, "{stderr}");
        }
    }
}

#[test]
fn a_source_of_keys_that_holds_none_is_named() {
    let line = Binary::new().set("AUTH__API_KEYS", " , ").refused(&["serve"]);
    assert!(line.contains("SCRAPEHOOK_AUTH__API_KEYS") && line.contains("auth.api_keys"), "{line}");
    let binary = Binary::new();
    let path = binary.path("keys").display().to_string();
    std::fs::write(&path, " \n").unwrap();
    let line = binary.set("AUTH__API_KEYS_FILE", &path).refused(&["serve"]);
    assert!(line.contains("SCRAPEHOOK_AUTH__API_KEYS_FILE") && line.contains("auth.api_keys"), "{line}");
}

#[test]
fn health_tells_by_its_exit_code() {
    let binary = Binary::new();
    let serving = binary.serve(&[]);
    let (code, stdout, stderr) = binary.run(&["health", "--url", &serving.base]);
    assert_eq!((code, stdout.trim(), stderr.as_str()), (0, "alive", ""));
    let base = serving.base.clone();
    assert_eq!(serving.terminate().0, 0);
    let (code, _, stderr) = binary.run(&["health", "--url", &base]);
    assert_eq!((code, stderr.lines().count()), (1, 1), "{stderr}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_run_at_trace_shows_no_secret() {
    let upstream = simulator(Settings::default()).await;
    let binary = Binary::with_upstream(&upstream.url())
        .set("AUTH__API_KEYS", &format!("backend:write:{API_KEY}"))
        .set("CALLBACK__SECRET", CALLBACK_SECRET)
        .variable("RUST_LOG", "trace");
    let serving = binary.serve(&[]);
    let client = crate::support::client();
    let jobs = format!("{}/v1/jobs", serving.base);
    let job = client.post(&jobs).bearer_auth(API_KEY).json(&json!({ "video_urls": mixed_urls(3) }));
    let job: Value = job.send().await.unwrap().json().await.unwrap();
    let job = format!("{jobs}/{}", job["id"].as_str().unwrap());
    let settle = async {
        loop {
            let state = client.get(&job).bearer_auth(API_KEY).send().await.unwrap();
            let state: Value = state.json().await.unwrap();
            if state["state"] != "running" {
                return state;
            }
        }
    };
    let settled = tokio::time::timeout(DEADLINE, settle).await.expect("settled in time");
    assert_eq!(settled["state"], "done", "{settled}");
    // What strangers send, and what friends send wrongly.
    let answered = client.get(&jobs).bearer_auth("a-key-of-a-stranger").send().await.unwrap();
    let request_id = answered.headers()["x-request-id"].to_str().unwrap().to_owned();
    for (path, body) in [
        ("/callback/path-of-a-stranger", r#"{"status":"body-of-a-stranger","message":"body-of-a-stranger"}"#),
        ("/callback", "body-of-a-stranger"),
        ("/v1/jobs?label=body-of-a-stranger", r#"{"video_urls": ["body-of-a-stranger"#),
        ("/v1/tasks/path-of-a-stranger/adopt", r#"{"body-of-a-stranger": 1}"#),
    ] {
        let post = client.post(format!("{}{path}", serving.base)).bearer_auth(API_KEY);
        post.header("content-type", "application/json").body(body).send().await.unwrap();
    }
    // A task of which only this callback is heard: what it says becomes an event's words.
    upstream.set_faults(Faults { lose: 1.0, ..Faults::default() });
    let last =
        client.post(&jobs).bearer_auth(API_KEY).json(&json!({ "video_urls": ["https://a.example/b"] }));
    assert_eq!(last.send().await.unwrap().status(), 202);
    upstream.until(|upstream| upstream.submits().len() == 4).await;
    let genuine = upstream.submits()[3].body.callback_url.clone().unwrap();
    let failed = json!({ "status": "FAILED", "message": format!("body-of-a-friend {genuine}") }).to_string();
    assert_eq!(client.post(&genuine).body(failed).send().await.unwrap().status(), 200);
    let body = r#"{"status":"WHO_KNOWS","message":"body-of-a-friend"}"#;
    assert_eq!(client.post(genuine).body(body).send().await.unwrap().status(), 200);
    let (code, text) = serving.terminate();
    assert_eq!(code, 0);
    let tokens: Vec<String> = upstream
        .submits()
        .iter()
        .map(|submit| submit.body.callback_url.as_ref().unwrap().rsplit('/').next().unwrap().to_owned())
        .collect();
    assert!(tokens.len() >= 3, "{tokens:?}");
    assert!(text.contains("\"level\":\"TRACE\""), "it was a run at trace");
    let others = ["a-key-of-a-stranger", "path-of-a-stranger", "body-of-a-stranger", "body-of-a-friend"];
    let secrets = [UPSTREAM_KEY, API_KEY, CALLBACK_SECRET].into_iter().chain(others);
    for secret in tokens.iter().map(String::as_str).chain(secrets) {
        assert!(!text.contains(secret), "{}", text.lines().find(|line| line.contains(secret)).unwrap());
    }
    let lines: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert!(lines.iter().any(|line| line["request_id"] == request_id && line["status"] == 401));
    let is_told = |kind: &str, field: &str, id: &Value| {
        lines.iter().any(|line| line["kind"] == kind && line[field] == *id && line["message"] == "committed")
    };
    assert!(is_told("job.settled", "job", &settled["id"]));
    assert!(lines.iter().any(|line| line["kind"] == "task.failed"), "what the callback said is an event");
    assert!(is_told("task.accepted", "task", &settled["tasks"][0]["id"]));
    let video = lines.iter().find(|line| line["kind"] == "video.indexed").unwrap();
    assert!(video["video"].as_str().unwrap().starts_with("VI"), "{video}");
}

#[cfg(not(feature = "traces"))]
#[test]
fn a_binary_that_can_not_export_traces_says_so_where_they_are_wanted() {
    let binary = Binary::new().set("TRACES__ENDPOINT", "http://127.0.0.1:4318");
    let line = binary.refused(&["serve"]);
    assert!(line.contains("traces.endpoint") && line.contains("--features traces"), "{line}");
}

#[test]
fn a_link_to_a_database_leads_to_its_lock_before_there_is_a_file() {
    let binary = Binary::new();
    std::os::unix::fs::symlink("scrapehook.db", binary.path("link.db")).unwrap();
    let path = binary.path("link.db").display().to_string();
    let linked = Binary::new().set("STORE__PATH", &path).serve(&[]);
    let line = binary.refused(&["serve"]);
    assert!(line.contains("in use by another instance"), "{line}");
    assert_eq!(linked.terminate().0, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_nobody_reads_any_more_loses_nothing() {
    let (_upstream, binary) = Scene::new().binary().await;
    let mut command = binary.command(&["serve"]);
    let mut child = command.spawn().unwrap();
    drop(child.stderr.take());
    let client = crate::support::client();
    let jobs = format!("{}/v1/jobs", binary.value("SERVER__PUBLIC_URL"));
    let settle = async {
        let body = json!({ "video_urls": mixed_urls(6) });
        while client.post(&jobs).json(&body).send().await.is_err() {}
        loop {
            let page: Value = client.get(&jobs).send().await.unwrap().json().await.unwrap();
            if page["items"][0]["state"] == "done" {
                return;
            }
        }
    };
    let settled = tokio::time::timeout(DEADLINE, settle).await;
    let ended = child.try_wait().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(settled.is_ok() && ended.is_none(), "{ended:?}");
}
