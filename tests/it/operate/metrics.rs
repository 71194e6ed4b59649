//! `/metrics`: what it counts is what happened, and no label is a stranger's word.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use reqwest::Method;
use scrapehook::simulator::{Faults, Settings};

use crate::support::{Scene, Service, Setup, free_address, mixed_urls, simulator};

/// The samples by name and labels.
async fn samples(service: &Service) -> BTreeMap<String, f64> {
    let answer = service.request(Method::GET, "/metrics").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let text = answer.text().await.unwrap();
    let mut samples = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(samples.insert(name.to_owned(), value.parse().unwrap()).is_none(), "twice: {line}");
    }
    samples
}

fn sum(samples: &BTreeMap<String, f64>, name: &str, labels: &[&str]) -> f64 {
    let is_meant =
        |key: &&String| key.split('{').next() == Some(name) && labels.iter().all(|label| key.contains(label));
    samples.iter().filter(|(key, _)| is_meant(key)).map(|(_, value)| value).sum()
}

#[tokio::test]
async fn what_is_counted_is_what_happened() {
    let (upstream, service) = Scene::new().start().await;
    let job = service.submit(&mixed_urls(6)).await;
    service.until_settled(&job).await;
    for n in 0..3 {
        assert_eq!(service.post_callback("/callback/nobody", format!("hint {n}")).await, 202);
    }
    assert_eq!(service.post_callback("/callback", vec![b'x'; 70_000]).await, 413);
    let found = samples(&service).await;
    let sum = |name: &str, labels: &[&str]| sum(&found, &format!("scrapehook_{name}"), labels);
    assert_eq!(sum("callbacks_total", &[r#"kind="video_indexed""#, r#"outcome="kept""#]), 6.0, "{found:#?}");
    assert_eq!(sum("callbacks_total", &[r#"kind="succeeded""#, r#"outcome="kept""#]), 3.0);
    assert_eq!(sum("callbacks_total", &[r#"outcome="hint""#]), 3.0);
    assert_eq!(sum("callbacks_total", &[r#"outcome="too_large""#]), 1.0);
    assert_eq!(sum("upstream_request_duration_seconds_count", &[r#"operation="submit""#]), 3.0);
    let polls = sum("upstream_request_duration_seconds_count", &[r#"operation="poll",outcome="listed""#]);
    assert_eq!(polls, upstream.polls() as f64);
    assert_eq!(sum("facts_total", &[r#"source="callback""#]), 9.0);
    assert_eq!(sum("tasks", &[r#"state="indexed""#]), 3.0);
    assert_eq!(sum("quarantined_hints", &[]), 3.0);
    assert_eq!(sum("failed_commits_total", &[]), 0.0);
    assert!(sum("commit_duration_seconds_count", &[]) > 5.0);
    assert!(sum("commit_operations_sum", &[]) >= 15.0);
    assert!(sum("http_request_duration_seconds_count", &[r#"route="/v1/jobs",status="2xx""#]) >= 1.0);
    assert!(sum("database_bytes", &[]) > 0.0 && sum("database_log_bytes", &[]) > 0.0);
    assert!(sum("disk_free_bytes", &[]) > 0.0 && sum("last_callback_timestamp_seconds", &[]) > 1.7e9);
    assert!(sum("open_connections", &[]) >= 1.0);
    service.stop().await;
}

#[tokio::test]
async fn what_polls_found_and_what_went_wrong_can_be_told() {
    let faults = Faults { lose: 1.0, ..Faults::default() };
    let (_upstream, service) = Scene::new().faults(faults).set("RECONCILE__AFTER", "20ms").start().await;
    let job = service.submit(&mixed_urls(3)).await;
    service.until_settled(&job).await;
    let before = samples(&service).await;
    assert_eq!(
        sum(&before, "scrapehook_facts_total", &[r#"kind="video_indexed",source="poll""#]),
        3.0,
        "{before:#?}"
    );
    service.pause().await;
    let paused = samples(&service).await;
    assert_eq!(sum(&paused, "scrapehook_sending_paused", &[r#"scope="operator""#]), 1.0);
    service.resume().await;
    assert_eq!(sum(&samples(&service).await, "scrapehook_sending_paused", &[]), 0.0);
    service.stop().await;
}

#[tokio::test]
async fn what_never_happened_is_zero_and_what_is_not_wanted_is_absent() {
    const ASKED_FOR: [&str; 3] =
        ["last_callback_timestamp_seconds", "last_backup_timestamp_seconds", "backup_interval_seconds"];
    let upstream = simulator(Settings::default()).await;
    let shown = async |setup: Setup| {
        let service = setup.start().await;
        let samples = samples(&service).await;
        service.stop().await;
        samples
    };
    // A folder that does not exist: no copy can be made.
    let wanted = Setup::new(&upstream.url()).set("BACKUP__FOLDER", "/nowhere/at/all");
    let wanted = shown(wanted).await;
    let values = ASKED_FOR.map(|name| wanted.get(&format!("scrapehook_{name}")).copied());
    assert_eq!(values, [Some(0.0), Some(0.0), Some(86_400.0)], "{wanted:#?}");
    let facts = wanted.keys().filter(|key| key.starts_with("scrapehook_facts_total{")).count();
    assert_eq!(facts, 16, "what callbacks and polls can tell");
    let alone = shown(Setup::new(&upstream.url()).set("SERVER__PUBLIC_URL", "")).await;
    assert!(ASKED_FOR.iter().all(|name| !alone.contains_key(&format!("scrapehook_{name}"))), "{alone:#?}");
}

#[tokio::test]
async fn strangers_make_no_labels() {
    let (_upstream, service) = Scene::new().start().await;
    samples(&service).await;
    let before = samples(&service).await.len();
    for n in 0..20 {
        let path = format!("/made-up/{n}?x={n}");
        let method = Method::from_bytes(format!("MADE{n}").as_bytes()).unwrap();
        assert_eq!(service.request(method, &path).send().await.unwrap().status(), 404);
        assert_eq!(
            service.post_callback(&format!("/callback/{n}"), format!(r#"{{"status":"S{n}"}}"#)).await,
            202
        );
        let unknown = service.request(Method::GET, &format!("/v1/tasks/task-{n}")).send().await.unwrap();
        assert_eq!(unknown.status(), 404);
    }
    let after = samples(&service).await;
    assert!(after.len() < before + 60, "{after:#?}");
    assert!(after.keys().all(|key| !key.contains("made") && !key.contains("MADE")), "{after:#?}");
    service.stop().await;
}

#[tokio::test]
async fn metrics_have_a_listener_of_their_own_and_need_a_key_there_as_well() {
    let own = free_address().to_string();
    let (_upstream, setup) = Scene::new().set("METRICS__LISTEN", &own).set_up().await;
    let service = setup.set("AUTH__API_KEYS", "prometheus:read:key-of-prometheus").start().await;
    let ask = async |base: &str, path: &str, key: &str| {
        service.client.get(format!("{base}{path}")).bearer_auth(key).send().await.unwrap().status().as_u16()
    };
    let apart = format!("http://{own}");
    assert_eq!(ask(&apart, "/metrics", "key-of-prometheus").await, 200);
    assert_eq!(ask(&apart, "/metrics", "another").await, 401);
    assert_eq!(ask(&apart, "/v1/jobs", "key-of-prometheus").await, 404);
    assert_eq!(ask(&apart, "/healthz", "").await, 404);
    assert_eq!(ask(&service.base, "/metrics", "key-of-prometheus").await, 404);
    service.stop().await;
}

#[tokio::test]
async fn dashboards_and_alerts_ask_for_what_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let copies = folder.path().display().to_string();
    let (_upstream, service) = Scene::new().set("BACKUP__FOLDER", &copies).start().await;
    let job = service.submit(&mixed_urls(1)).await;
    service.until_settled(&job).await;
    samples(&service).await;
    let known = service.request(Method::GET, "/metrics").send().await.unwrap().text().await.unwrap();
    for file in ["deploy/prometheus/alerts.yml", "deploy/grafana/scrapehook.json"] {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
        let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
        let names: BTreeSet<_> = text
            .match_indices("scrapehook_")
            .map(|(start, _)| text[start..].split(|c| !is_name(c)).next().unwrap())
            .collect();
        assert!(names.len() > 8, "{file}: {names:?}");
        for name in names {
            let is_known = known
                .lines()
                .any(|line| line.starts_with(name) && line[name.len()..].starts_with([' ', '{']));
            let is_described = known.contains(&format!("# TYPE {name} "));
            assert!(is_known || is_described, "{file}: there is no {name}");
        }
    }
    service.stop().await;
}
