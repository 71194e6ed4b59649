//! `/v1/session`: browsers sign in with an API key, and pages of other sites get nowhere with their cookie.

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::support::database::open;
use crate::support::stream::Stream;
use crate::support::{Scene, Service};

const WRITE_KEY: &str = "write-key-that-must-not-show";
const READ_KEY: &str = "read-key-that-must-not-show";

fn keys() -> String {
    format!("me:write:{WRITE_KEY},you:read:{READ_KEY}")
}

async fn sign_in(service: &Service, key: &str) -> reqwest::Response {
    let request = service.request(Method::POST, "/v1/session").json(&json!({ "key": key }));
    request.header("origin", &service.base).send().await.unwrap()
}

/// The cookie of a new session, as a browser sends it back.
async fn cookie(service: &Service, key: &str) -> String {
    let answer = sign_in(service, key).await;
    assert_eq!(answer.status(), 204);
    let set = answer.headers()["set-cookie"].to_str().unwrap();
    let (cookie, attributes) = set.split_once("; ").unwrap();
    assert_eq!(attributes, "Path=/; Max-Age=34560000; HttpOnly; SameSite=Strict");
    cookie.to_owned()
}

/// The status and the code of an answer, or nothing if it has no body.
async fn outcome(request: RequestBuilder) -> (StatusCode, Value) {
    let answer = request.send().await.unwrap();
    let status = answer.status();
    let text = answer.text().await.unwrap();
    assert!(!text.contains("must-not-show"), "{text}");
    (status, serde_json::from_str::<Value>(&text).map_or(Value::Null, |body| body["code"].clone()))
}

/// A request as a page of the service sends it.
fn of_page(service: &Service, method: Method, path: &str, cookie: &str) -> RequestBuilder {
    service.request(method, path).header("cookie", cookie).header("origin", &service.base)
}

async fn is_signed_in(service: &Service, cookie: &str) -> bool {
    let (status, code) = outcome(of_page(service, Method::GET, "/v1/jobs", cookie)).await;
    assert!(status == 200 || (status == 401 && code == "unauthorized"), "{status} {code}");
    status == 200
}

#[tokio::test]
async fn a_session_may_do_what_its_key_may_until_it_signs_out() {
    let (_upstream, service) = Scene::new().set("AUTH__API_KEYS", &keys()).start().await;
    let (write, read) = (cookie(&service, WRITE_KEY).await, cookie(&service, READ_KEY).await);
    for (cookie, name, role) in [(&write, "me", "write"), (&read, "you", "read")] {
        let shown = of_page(&service, Method::GET, "/v1/session", cookie).send().await.unwrap();
        assert_eq!(shown.json::<Value>().await.unwrap(), json!({ "name": name, "role": role }));
        for path in ["/v1/jobs", "/metrics"] {
            assert_eq!(of_page(&service, Method::GET, path, cookie).send().await.unwrap().status(), 200);
        }
    }
    assert_eq!(outcome(of_page(&service, Method::POST, "/v1/pause", &write)).await.0, 200);
    let refused = outcome(of_page(&service, Method::POST, "/v1/resume", &read)).await;
    assert_eq!(refused, (StatusCode::FORBIDDEN, json!("forbidden")));
    let events = of_page(&service, Method::GET, "/v1/events", &read).send().await.unwrap();
    let events: Value = events.json().await.unwrap();
    assert_eq!(events["items"][0]["message"], "paused by me");
    // A key counts more than a cookie, and the drop-in API knows no cookies.
    let with_key =
        of_page(&service, Method::GET, "/v1/jobs", &write).header("authorization", "Bearer wrong-key");
    assert_eq!(outcome(with_key).await.0, 401);
    let drop_in = of_page(&service, Method::GET, "/serve/api/v1/get_video_ids_by_task_id", &write);
    assert_eq!(outcome(drop_in).await.1, "0401");

    // Whether somebody is signed in is a question, not an attempt.
    let nobody = json!({ "name": null, "role": null });
    assert_eq!(service.get("/v1/session").await, nobody);
    let other = format!("scrapehook_session={}", "A".repeat(43));
    let asked = of_page(&service, Method::GET, "/v1/session", &other).send().await.unwrap();
    assert_eq!(asked.json::<Value>().await.unwrap(), nobody);

    let out = of_page(&service, Method::DELETE, "/v1/session", &read).send().await.unwrap();
    assert_eq!(out.status(), 204);
    assert!(
        out.headers()["set-cookie"].to_str().unwrap().starts_with("scrapehook_session=; Path=/; Max-Age=0;")
    );
    assert!(!is_signed_in(&service, &read).await);
    assert!(is_signed_in(&service, &write).await);
    service.stop().await;
}

#[tokio::test]
async fn a_stream_ends_with_its_session() {
    let (_upstream, service) = Scene::new().set("AUTH__API_KEYS", &keys()).start().await;
    let cookie = cookie(&service, WRITE_KEY).await;
    let stream = of_page(&service, Method::GET, "/v1/events/stream", &cookie);
    let mut stream = Stream::open(stream, None).await;
    let (status, _) = outcome(of_page(&service, Method::DELETE, "/v1/session", &cookie)).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(stream.next().await, None, "within the time between two signs of life");
    service.stop().await;
}

#[tokio::test]
async fn a_page_of_another_site_changes_nothing_with_the_cookie() {
    let (_upstream, service) = Scene::new().set("AUTH__API_KEYS", &keys()).start().await;
    let cookie = cookie(&service, WRITE_KEY).await;
    let send = |method: &Method, path: &str| service.request(method.clone(), path).header("cookie", &cookie);
    for (method, path) in
        [(Method::POST, "/v1/pause"), (Method::DELETE, "/v1/session"), (Method::DELETE, "/v1/subscribers/x")]
    {
        for (name, value) in [
            ("x-nothing", "1"),
            ("origin", "https://evil.example"),
            ("origin", "null"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            let refused = outcome(send(&method, path).header(name, value)).await;
            assert_eq!(
                refused,
                (StatusCode::FORBIDDEN, json!("cross_site")),
                "{method} {path} {name}: {value}"
            );
        }
    }
    // A form can't sign anybody in.
    for kind in ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x"] {
        let body = json!({ "key": WRITE_KEY }).to_string();
        assert_eq!(service.post("/v1/session", kind, body).send().await.unwrap().status(), 415, "{kind}");
    }
    let own = send(&Method::POST, "/v1/pause").header("sec-fetch-site", "same-origin");
    assert_eq!(outcome(own).await.0, 200);
    service.stop().await;
}

#[tokio::test]
async fn sessions_survive_a_restart_and_end_with_their_key_or_after_a_week_without_use() {
    let (upstream, setup) = Scene::new().set("AUTH__API_KEYS", &keys()).set_up().await;
    let service = setup.start().await;
    let (write, read) = (cookie(&service, WRITE_KEY).await, cookie(&service, READ_KEY).await);
    let service = service.stop().await.start().await;
    assert!(is_signed_in(&service, &write).await && is_signed_in(&service, &read).await);

    // The same name with another key is another key.
    let setup =
        service.stop().await.set("AUTH__API_KEYS", &format!("me:write:{WRITE_KEY},you:read:other-key-1"));
    let service = setup.start().await;
    assert!(is_signed_in(&service, &write).await && !is_signed_in(&service, &read).await);
    let role = format!("me:read:{WRITE_KEY}");
    let service = service.stop().await.set("AUTH__API_KEYS", &role).start().await;
    let refused = outcome(of_page(&service, Method::POST, "/v1/pause", &write)).await;
    assert_eq!(refused.0, 403, "a session has the present role of its key");

    let mut database = open(&service.setup.database()).await;
    let day = 24 * 60 * 60 * 1_000;
    let aged = |days: i64| sqlx::query("UPDATE sessions SET used_at = used_at - ?1").bind(days * day);
    aged(6).execute(&mut database).await.unwrap();
    assert!(is_signed_in(&service, &write).await);
    aged(6).execute(&mut database).await.unwrap();
    assert!(is_signed_in(&service, &write).await, "the use was noted");
    aged(7).execute(&mut database).await.unwrap();
    assert!(!is_signed_in(&service, &write).await);
    // Those that have ended go with the next sign-in.
    cookie(&service, WRITE_KEY).await;
    let count: i64 =
        sqlx::query_scalar("SELECT count(*) FROM sessions").fetch_one(&mut database).await.unwrap();
    assert_eq!(count, 1);
    service.stop().await;
    drop(upstream);
}

#[tokio::test]
async fn after_ten_failures_within_a_minute_nobody_signs_in_from_there() {
    let (_upstream, service) = Scene::new().set("AUTH__API_KEYS", &keys()).start().await;
    let before = cookie(&service, WRITE_KEY).await;
    for n in 0..10 {
        let failed = sign_in(&service, &format!("wrong-key-{n}")).await;
        assert_eq!(failed.status(), 401);
        assert!(!failed.headers().contains_key("set-cookie"));
    }
    for key in ["wrong-key", WRITE_KEY] {
        let refused = sign_in(&service, key).await;
        assert_eq!(refused.status(), 429);
        let wait: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=60).contains(&wait), "{wait}");
        assert_eq!(refused.json::<Value>().await.unwrap()["code"], "too_many_attempts");
    }
    assert!(is_signed_in(&service, &before).await, "those who are signed in notice nothing");
    service.stop().await;
}

#[tokio::test]
async fn a_malformed_sign_in_names_every_fault_and_a_malformed_cookie_is_none() {
    let (_upstream, service) = Scene::new().set("AUTH__API_KEYS", &keys()).start().await;
    for (body, pointers) in [
        (json!({}), vec!["/key"]),
        (json!({ "key": 1 }), vec!["/key"]),
        (json!({ "key": null, "api_key": "x" }), vec!["/api_key", "/key"]),
        (json!({ "key": WRITE_KEY, "remember": true }), vec!["/remember"]),
        (json!([WRITE_KEY]), vec![""]),
    ] {
        let answer = service.request(Method::POST, "/v1/session").json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 422, "{body}");
        let problem: Value = answer.json().await.unwrap();
        let found: Vec<&str> = problem["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|fault| fault["pointer"].as_str().unwrap())
            .collect();
        assert_eq!(found, pointers, "{body}");
    }
    for cookie in [
        "",
        "scrapehook_session=",
        "scrapehook_session=x",
        "other=1",
        &format!("scrapehook_session={}", "A".repeat(43)),
    ] {
        assert!(!is_signed_in(&service, cookie).await, "{cookie}");
    }
    service.stop().await;
}

#[tokio::test]
async fn behind_tls_the_cookie_is_sent_over_tls_alone() {
    let (_upstream, service) = Scene::new().set("AUTH__API_KEYS", &keys()).start().await;
    let request = service.request(Method::POST, "/v1/session").json(&json!({ "key": WRITE_KEY }));
    let answer = request.header("origin", "https://scrapes.example").send().await.unwrap();
    let set = answer.headers()["set-cookie"].to_str().unwrap();
    assert!(set.ends_with("; HttpOnly; SameSite=Strict; Secure"), "{set}");
    service.stop().await;
}

#[tokio::test]
async fn without_keys_nobody_signs_in_and_this_machine_may_write() {
    let (_upstream, service) = Scene::new().start().await;
    assert_eq!(service.get("/v1/session").await, json!({ "name": null, "role": "write" }));
    let answer = sign_in(&service, "any-key-at-all").await;
    assert_eq!(answer.status(), 204);
    assert!(!answer.headers().contains_key("set-cookie"));
    let foreign = service.request(Method::GET, "/v1/session").header("x-forwarded-for", "203.0.113.7");
    assert_eq!(outcome(foreign).await, (StatusCode::FORBIDDEN, json!("cross_site")));
    service.stop().await;
}
