//! Callback URLs as senders and proxies change them: a good token is found, and nothing else opens.

use reqwest::Method;
use scrapehook::simulator::Simulator;
use serde_json::{Value, json};

use crate::support::process::Process;
use crate::support::raw;
use crate::support::{Scene, Service, free_address, mixed_urls};

/// Every way to write the path of a token that still names it.
fn spellings(token: &str) -> Vec<String> {
    let escaped: String = token.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let dashed = token.replace('-', "%2D").replace('_', "%5F");
    vec![
        format!("/callback/{token}"),
        format!("/callback/{token}/"),
        format!("/callback/{token}//"),
        format!("/callback//{token}"),
        format!("//callback/{token}"),
        format!("//callback//{token}/"),
        format!("///callback/{token}"),
        format!("/callback/{token}?x=1"),
        format!("/callback/{token}/?x=1&y"),
        format!("//callback/{token}?callback=/v1/jobs"),
        format!("/callback/{escaped}"),
        format!("/callback/{}", escaped.to_uppercase()),
        format!("/callback/{dashed}"),
        format!("/callback/{token}%2F"),
        format!("/callback%2F{token}"),
        format!("http://elsewhere.example//callback/{token}"),
        format!("/callback/{token}%20"),
        format!("/callback/%20{token}"),
        format!("/callback/{token}."),
        format!("/callback/{token},"),
        format!("/callback/{token})"),
        format!("/callback/{token}%22"),
        format!("/callback/{token}%0a"),
        format!("/callback/{token}%00"),
        format!("/callback/{token}="),
        format!("/callback/./{token}"),
        format!("/Callback/{token}"),
        format!("/./callback/{token}"),
        format!("/x/../callback/{token}"),
    ]
}

async fn sent(upstream: &Simulator, service: &Service) -> (String, String) {
    service.submit(&mixed_urls(1)).await;
    let page = service.until_task("accepted").await;
    let url = upstream.submits()[0].body.callback_url.clone().unwrap();
    let token = url.rsplit('/').next().unwrap().to_owned();
    (token, page.id)
}

#[tokio::test]
async fn a_good_token_is_found_however_its_path_is_spelled() {
    for is_apart in [false, true] {
        let (upstream, setup) = Scene::new().downloads_nothing().set_up().await;
        let own = free_address().to_string();
        let setup = if is_apart {
            setup.set("CALLBACK__LISTEN", &own).set("SERVER__PUBLIC_URL", &format!("http://{own}"))
        } else {
            setup
        };
        let service = setup.start().await;
        let to = if is_apart { own } else { service.base.trim_start_matches("http://").to_owned() };
        let (token, task) = sent(&upstream, &service).await;
        let spellings = spellings(&token);
        for (number, path) in spellings.iter().enumerate() {
            let body = json!({ "status": "SOMETHING", "number": number }).to_string();
            assert_eq!(raw::post_to(&to, path, &body).await, 200, "{path}");
        }
        let kept = service.items(&format!("/v1/tasks/{task}/callbacks?limit=500")).await;
        assert_eq!(kept.len(), spellings.len());
        assert!(service.items("/v1/quarantine").await.is_empty());
        // Without a good token it is a hint, however it is spelled.
        for path in [
            "//callback",
            "//callback/",
            "//callback/x",
            "/callback/x/",
            "//callback/x/y",
            "/callback/%",
            "/Callback",
            "/CALLBACK/x",
            "/Callback/x/y",
            "/./callback/../x",
        ] {
            assert_eq!(raw::post_to(&to, path, "{}").await, 202, "{path}");
        }
        service.stop().await;
    }
}

#[tokio::test]
async fn slashes_and_escapes_open_nothing_else() {
    let keys = "me:write:key-of-a-caller";
    let (_upstream, service) = Scene::new().set("AUTH__API_KEYS", keys).start().await;
    let paths = [
        "//v1/jobs",
        "///v1/jobs",
        "/v1//jobs",
        "/%76%31/jobs",
        "/v1%2Fjobs",
        "//metrics",
        "/%6detrics",
        "//callback/../v1/jobs",
        "/Callback/../v1/jobs",
        "/v1/../v1/jobs",
        "/./v1/jobs",
        "/callback/../v1/jobs",
        "//openapi.json",
    ];
    for path in paths {
        for method in ["GET", "POST", "DELETE"] {
            let request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
            let status = raw::status_of(&service, request.as_bytes()).await;
            let is_hint = status == 202 && method == "POST" && path.to_lowercase().contains("callback");
            assert!(is_hint || matches!(status, 401 | 404 | 405), "{method} {path}: {status}");
        }
    }
    service.stop().await;
}

#[tokio::test]
async fn no_log_line_shows_a_token_however_its_path_is_spelled() {
    let process = Process::start_as(1, |binary| binary.variable("RUST_LOG", "trace")).await;
    let url = process.upstream.submits()[0].body.callback_url.clone().unwrap();
    let token = url.rsplit('/').next().unwrap().to_owned();
    let to = process.serving.base.trim_start_matches("http://").to_owned();
    let spellings = spellings(&token);
    for path in &spellings {
        assert_eq!(raw::post_to(&to, path, "{}").await, 200, "{path}");
    }
    let metrics = process.client.request(Method::GET, format!("{}/metrics", process.serving.base));
    let metrics = metrics.send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("/callback/{*token}") && !metrics.contains(&token), "{metrics}");
    let (code, log) = process.serving.terminate();
    assert_eq!(code, 0);
    let answered = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|line| line["message"] == "answered" && line["route"] == "/callback/{*token}");
    assert_eq!(answered.count(), spellings.len());
    for path in &spellings {
        let shown = path.split(['/', '?']).find(|part| part.len() >= token.len()).unwrap();
        assert!(!log.contains(shown), "{path} is in the log");
    }
}
