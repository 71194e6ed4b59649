//! Subscribers of the configuration: added at the start, changed by a reload, and kept if they are missing.

use std::fs;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::binary::{Serving, signal};
use crate::support::receiver::{Receiver, SECRET};
use crate::support::{Scene, mixed_urls};

const TAKEN_OVER: &str = "reloaded API keys, secrets, subscribers and log level";
const REFUSED: &str = "reload failed, so API keys, secrets, subscribers and log level stay as they are";

async fn call(serving: &Serving, method: Method, path: &str, body: Value) -> (u16, Value) {
    let mut request = crate::support::client().request(method, format!("{}{path}", serving.base));
    if !body.is_null() {
        request = request.json(&body);
    }
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default())
}

fn reload(serving: &Serving, message: &str) -> String {
    signal(serving.id(), "-HUP");
    let line = serving.hear(message);
    line.unwrap_or_else(|| panic!("it does not say: {message}")).to_string()
}

#[tokio::test]
async fn a_reload_adds_changes_and_disables_subscribers() {
    let receiver = Receiver::start(|_, _| 200).await;
    let (_upstream, binary) =
        Scene::new().set("FORWARD__ALLOW_PRIVATE", "true").set("FORWARD__ALLOW_HTTP", "true").binary().await;
    let file = binary.path("scrapehook.toml");
    let path = file.display().to_string();
    let write = |name: &str, route: &str, more: &str| {
        let url = receiver.url("127.0.0.1", route);
        let text = format!(
            "[[subscribers]]\nname = \"{name}\"\nurl = \"{url}\"\nevents = [\"job.settled\"]\n{more}"
        );
        fs::write(&file, text).unwrap();
    };
    write("crm", "/first?token=1", &format!("secret = \"{SECRET}\""));
    let serving = binary.serve(&["--config", &path]);
    let (_, shown) = call(&serving, Method::GET, "/v1/subscribers/crm", Value::Null).await;
    assert_eq!(
        (&shown["source"], &shown["url"]),
        (&json!("config"), &json!(receiver.url("127.0.0.1", "/first")))
    );
    let (status, test) = call(&serving, Method::POST, "/v1/subscribers/crm/test", Value::Null).await;
    assert_eq!((status, &test["delivered"]), (200, &json!(true)));
    assert!(receiver.until(1).await[0].is_genuine);
    for (method, path) in [
        (Method::PATCH, "/v1/subscribers/crm"),
        (Method::DELETE, "/v1/subscribers/crm"),
        (Method::POST, "/v1/subscribers/crm/rotate"),
    ] {
        let body = if method == Method::PATCH { json!({ "events": ["*"] }) } else { Value::Null };
        let (status, problem) = call(&serving, method, path, body).await;
        assert_eq!((status, &problem["code"]), (409, &json!("wrong_state")), "{path}");
    }

    write("crm", "/second", "");
    reload(&serving, TAKEN_OVER);
    let (_, changed) = call(&serving, Method::GET, "/v1/subscribers/crm", Value::Null).await;
    assert_eq!((&changed["id"], changed["url"].as_str().unwrap().ends_with("/second")), (&shown["id"], true));
    let jobs = "/v1/jobs";
    call(&serving, Method::POST, jobs, json!({ "video_urls": mixed_urls(1) })).await;
    assert_eq!(receiver.until(2).await[1].path, "/second");

    // A fault changes nothing, and the log does not quote the URL.
    write("crm", "/third?token=secret", "events = []");
    let line = reload(&serving, REFUSED);
    assert!(!line.contains("token"), "{line}");
    let (status, _) = call(
        &serving,
        Method::POST,
        "/v1/subscribers",
        json!({ "url": "https://a.example/", "name": "other" }),
    )
    .await;
    assert_eq!(status, 201);
    write("other", "/third", "");
    let line = reload(&serving, REFUSED);
    assert!(line.contains("over the API has the name other"), "{line}");

    // An entry that did not change stays disabled, and one that did is enabled.
    write("crm", "/second", "");
    call(&serving, Method::PATCH, "/v1/subscribers/crm", json!({ "enabled": false })).await;
    reload(&serving, TAKEN_OVER);
    let is_enabled = async || {
        let (_, shown) = call(&serving, Method::GET, "/v1/subscribers/crm", Value::Null).await;
        shown["enabled"] == true
    };
    assert!(!is_enabled().await);
    write("crm", "/third", "");
    reload(&serving, TAKEN_OVER);
    assert!(is_enabled().await);
    let forbidden = "[forward]\nallow_http = true\n[[subscribers]]\nname = \"a\"\nurl = \"ftp://a.example/\"";
    fs::write(&file, forbidden).unwrap();
    reload(&serving, REFUSED);

    // Without its entry it is disabled, and only then the API can remove it.
    fs::write(&file, "").unwrap();
    reload(&serving, TAKEN_OVER);
    let (_, disabled) = call(&serving, Method::GET, "/v1/subscribers/crm", Value::Null).await;
    assert_eq!((&disabled["enabled"], &disabled["source"]), (&json!(false), &json!("api")));
    assert_eq!(disabled["disabled_reason"], "it is no longer in the configuration");
    let (_, status) = call(&serving, Method::GET, "/v1/status", Value::Null).await;
    assert!(!status["problems"].to_string().contains("subscriber"), "{status}");
    write("crm", "/fourth", "");
    reload(&serving, TAKEN_OVER);
    let (_, again) = call(&serving, Method::GET, "/v1/subscribers/crm", Value::Null).await;
    assert_eq!((&again["id"], &again["enabled"]), (&shown["id"], &json!(true)));
    fs::write(&file, "").unwrap();
    reload(&serving, TAKEN_OVER);
    assert_eq!(call(&serving, Method::DELETE, "/v1/subscribers/crm", Value::Null).await.0, 204);
}
