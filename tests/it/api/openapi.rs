//! The API's description is the one that is committed, and its page needs nothing from elsewhere.
//!
//! `SCRAPEHOOK_WRITE_OPENAPI=1 cargo test --test it openapi` writes it again.

use std::path::Path;

use crate::support::{Scene, Service};

async fn text(service: &Service, path: &str) -> String {
    let answer = service.request(reqwest::Method::GET, path).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{path}");
    answer.text().await.unwrap()
}

#[tokio::test]
async fn the_committed_description_is_the_one_of_the_code() {
    let (_upstream, service) = Scene::new().start().await;
    let found = text(&service, "/openapi.json").await + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/openapi.json");
    if std::env::var_os("SCRAPEHOOK_WRITE_OPENAPI").is_some() {
        std::fs::write(&path, &found).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap();
    assert!(
        found == committed,
        "docs/openapi.json is not what the code says; the head of this file says how to mend it"
    );
    service.stop().await;
}

#[tokio::test]
async fn every_route_is_described() {
    let (_upstream, service) = Scene::new().start().await;
    let document: serde_json::Value = serde_json::from_str(&text(&service, "/openapi.json").await).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"), "{}", document["openapi"]);
    let source =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http/mod.rs")).unwrap();
    // What does not come from a description: callbacks of any path, and the description itself.
    assert_eq!(source.matches(".route(").count(), 4, "a route has no description");
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let what = format!("{method} {path}");
            assert!(operation["summary"].is_string(), "{what} has no words");
            let answers = operation["responses"].as_object().unwrap();
            assert!(answers.keys().any(|status| status.starts_with('2')), "{what}");
            for (status, answer) in answers.iter().filter(|(status, _)| status.as_str() >= "400") {
                let is_drop_in = path.starts_with("/serve/");
                let kind = if is_drop_in { "application/json" } else { "application/problem+json" };
                assert!(answer["content"][kind].is_object(), "{what} {status}");
            }
        }
    }
    service.stop().await;
}

#[tokio::test]
async fn the_page_takes_nothing_from_elsewhere() {
    let (_upstream, service) = Scene::new().start().await;
    let page = text(&service, "/docs/").await;
    for part in page.split(['"', '\'']).filter(|part| part.ends_with(".js") || part.ends_with(".css")) {
        assert!(!part.contains("//"), "{part} is from elsewhere");
        assert!(!text(&service, &format!("/docs/{}", part.trim_start_matches("./"))).await.is_empty());
    }
    assert!(text(&service, "/docs/initializer.js").await.contains("../openapi.json"));
    service.stop().await;
}
