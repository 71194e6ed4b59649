//! A listener of its own for callbacks: strangers reach them, and nothing else.

use reqwest::Method;
use reqwest::header::HOST;
use scrapehook::app::App;
use scrapehook::config::Config;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::binary::Binary;
use crate::support::raw;
use crate::support::routes::described_routes;
use crate::support::{Scene, free_address, mixed_urls};

#[tokio::test]
async fn callbacks_come_in_where_they_may_and_nothing_else_does() {
    let own = free_address().to_string();
    let (_upstream, setup) = Scene::new().set("CALLBACK__LISTEN", &own).set_up().await;
    let service = setup.set("SERVER__PUBLIC_URL", &format!("http://{own}")).start().await;
    let job = service.submit(&mixed_urls(3)).await;
    assert_eq!(service.until_settled(&job).await.state, "done");
    let events = service.items("/v1/events?kind=video.indexed").await;
    assert!(events.iter().all(|event| event["source"] == "callback"), "{events:?}");

    for (method, route) in described_routes() {
        let path = route.replace("{token}", "x").replace("{id}", &job);
        let ask =
            |base: &str| service.client.request(method.clone(), format!("{base}{path}")).body("{}").send();
        let stranger = ask(&format!("http://{own}")).await.unwrap();
        if route.starts_with("/callback") {
            assert_eq!(stranger.status(), 202, "{route}");
            assert_eq!(ask(&service.base).await.unwrap().status(), 404, "{route} is served there only");
        } else {
            assert_eq!(stranger.status(), 404, "{method} {route}");
            let is_drop_in = route.starts_with("/serve/");
            let kind = if is_drop_in { "application/json" } else { "application/problem+json" };
            assert_eq!(stranger.headers()["content-type"], kind, "{method} {route}");
        }
    }
    for path in
        ["/", "/docs", "/openapi.json", "/metrics", "/callback/../v1/jobs", "/callback/%2e%2e/v1/jobs"]
    {
        let answer = service.client.get(format!("http://{own}{path}")).send().await.unwrap();
        assert!(matches!(answer.status().as_u16(), 404 | 405), "{path}: {}", answer.status());
    }
    service.stop().await;
}

#[tokio::test]
async fn operation_without_keys_answers_this_machine_alone() {
    let folder = TempDir::new().unwrap();
    let environment = [
        ("SERVER__LISTEN", "0.0.0.0:0".to_owned()),
        ("AUTH__KEYLESS", "true".to_owned()),
        ("CALLBACK__LISTEN", "127.0.0.1:0".to_owned()),
        ("METRICS__LISTEN", "0.0.0.0:0".to_owned()),
        ("SERVER__PUBLIC_URL", "https://hooks.example".to_owned()),
        ("STORE__PATH", folder.path().join("scrapehook.db").display().to_string()),
        ("UPSTREAM__BASE_URL", "http://127.0.0.1:9".to_owned()),
        ("UPSTREAM__API_KEY", "any".to_owned()),
    ];
    let environment = environment.map(|(key, value)| (format!("SCRAPEHOOK_{key}"), value)).into();
    let app = App::bind(&Config::load_with(None, environment).unwrap(), false).await.unwrap();
    assert_ne!(app.callback_address().unwrap().port(), app.address().port());
    let (stop, port) = (app.stop_token(), app.address().port());
    let metrics = app.metrics_address().unwrap().port();
    let running = tokio::spawn(app.join());
    let client = crate::support::client();
    for (port, path) in [(port, "/v1/jobs"), (metrics, "/metrics")] {
        let ask = async |name: &str, value: &str| {
            let request = client.request(Method::GET, format!("http://127.0.0.1:{port}{path}"));
            let answer = request.header(name, value).send().await.unwrap();
            let status = answer.status().as_u16();
            let said: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default();
            (status, said["code"].clone())
        };
        assert_eq!(ask("x-none", "").await, (200, Value::Null));
        for (name, value) in [
            (HOST.as_str(), "hooks.example"),
            ("origin", "https://evil.example"),
            ("forwarded", "for=127.0.0.1"),
            ("x-forwarded-for", "203.0.113.7"),
            ("x-forwarded-host", "localhost"),
            ("x-forwarded-proto", "https"),
            ("x-real-ip", "127.0.0.1"),
            ("via", "1.1 proxy"),
            ("cf-connecting-ip", "203.0.113.7"),
            ("x_forwarded_for", "203.0.113.7"),
            ("x-cluster-client-ip", "203.0.113.7"),
        ] {
            assert_eq!(ask(name, value).await, (403, Value::from("cross_site")), "{path} {name}");
        }
    }
    let to = format!("127.0.0.1:{port}");
    for (target, status) in [("http://localhost/v1/jobs", 200), ("http://evil.example/v1/jobs", 403)] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        assert_eq!(raw::status_at(&to, request.as_bytes()).await, status, "{target}");
    }
    stop.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_address_that_is_taken_is_named_with_its_setting() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for key in ["SERVER__LISTEN", "CALLBACK__LISTEN"] {
        let line = Binary::new().set(key, &address).refused(&["serve"]);
        let setting = key.to_lowercase().replace("__", ".");
        assert!(line.contains(&format!("{setting}: can't listen on {address}")), "{line}");
    }
    let line = Binary::new().set("CALLBACK__LISTEN", "somewhere").refused(&["check-config"]);
    assert!(line.contains("callback.listen"), "{line}");
    let line = Binary::new().set("SERVER__TRUSTED_PROXIES", "10.0.0.0/8,proxy").refused(&["check-config"]);
    assert!(line.contains("`proxy` is neither an address"), "{line}");
}
