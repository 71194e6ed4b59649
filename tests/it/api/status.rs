//! `/v1/status`: nothing where all is well, else what is wrong, since when, and what to do.

use scrapehook::simulator::Faults;
use serde_json::{Value, json};

use crate::support::{Scene, Service, mixed_urls};

async fn problems(service: &Service) -> Vec<String> {
    let status = service.get("/v1/status").await;
    let problems = status["problems"].as_array().unwrap();
    for problem in problems {
        for field in ["code", "detail", "action"] {
            assert!(!problem[field].as_str().unwrap().is_empty(), "{problem}");
        }
    }
    // How full the disk of the machine is that runs this is no matter here.
    let codes = problems.iter().map(|problem| problem["code"].as_str().unwrap().to_owned());
    codes.filter(|code| code != "disk").collect()
}

#[tokio::test]
async fn where_all_is_well_there_are_counts_alone() {
    let (_upstream, service) = Scene::new().start().await;
    assert!(problems(&service).await.is_empty());
    let job = service.submit(&mixed_urls(3)).await;
    service.until_settled(&job).await;
    assert!(problems(&service).await.is_empty());
    let status = service.get("/v1/status").await;
    assert_eq!(status["counts"]["jobs"], json!({ "done": 1 }));
    assert_eq!(status["counts"]["tasks"], json!({ "indexed": 3 }));
    assert_eq!(status["counts"]["videos"], json!({ "indexed": 3 }));
    let today = &status["today"];
    assert_eq!(
        (&today["urls_sent"], &today["max_urls"], &today["urls_left"]),
        (&json!(3), &json!(null), &json!(null))
    );
    assert!(status["last_callback_at"].is_string());
    assert_eq!(status["upstream"], json!({ "last_error": null, "interval_ms": 1 }));
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    service.stop().await;
}

#[tokio::test]
async fn what_is_wrong_is_said_until_it_is_mended() {
    let faults = Faults { cut: 1.0, lose: 1.0, ..Faults::default() };
    let (_upstream, service) = Scene::new().faults(faults).set("RECONCILE__DEADLINE", "1h").start().await;
    service.submit(&mixed_urls(1)).await;
    let unconfirmed = service.until_task("unconfirmed").await;
    assert_eq!(problems(&service).await, ["unconfirmed"]);
    let status = service.get("/v1/status").await;
    assert_eq!(status["upstream"]["last_error"]["code"], "no_answer");
    assert!(status["problems"][0]["since"].is_string());
    service.pause().await;
    assert_eq!(service.post_callback("/callback", "{}").await, 202);
    assert_eq!(problems(&service).await, ["sending_paused", "unconfirmed", "quarantined"]);
    let task = &unconfirmed.id;
    assert_eq!(service.call(&format!("/v1/tasks/{task}/cancel"), Value::Null).await.0, 200);
    service.resume().await;
    assert_eq!(problems(&service).await, ["quarantined"]);
    service.stop().await;
}

#[tokio::test]
async fn an_upstream_that_does_not_answer_is_a_problem_until_it_does() {
    let faults = Faults { unavailable: 1.0, ..Faults::default() };
    let (upstream, service) = Scene::new().faults(faults).start().await;
    let job = service.submit(&mixed_urls(1)).await;
    let status =
        service.until("/v1/status", |status: &Value| status["problems"][0]["code"].is_string()).await;
    let problem = &status["problems"][0];
    assert_eq!(problem["code"], "upstream_unanswered", "{problem}");
    assert!(
        problem["since"].is_string() && problem["detail"].as_str().unwrap().contains("http_503"),
        "{problem}"
    );
    upstream.set_faults(Faults::default());
    service.until_settled(&job).await;
    assert!(problems(&service).await.is_empty());
    service.stop().await;
}

#[tokio::test]
async fn a_stalled_task_is_a_problem_until_it_is_sent_again() {
    let faults = Faults { lose: 1.0, no_video: 1.0, ..Faults::default() };
    let (upstream, service) = Scene::new()
        .faults(faults)
        .set("RECONCILE__AFTER", "20ms")
        .set("RECONCILE__DEADLINE", "200ms")
        .start()
        .await;
    let job = service.submit(&mixed_urls(1)).await;
    service.until_settled(&job).await;
    assert_eq!(problems(&service).await, ["stalled"]);
    let task = service.items("/v1/tasks").await[0]["id"].as_str().unwrap().to_owned();
    upstream.set_faults(Faults::default());
    assert_eq!(service.call(&format!("/v1/tasks/{task}/retry"), Value::Null).await.0, 202);
    service.until_settled(&job).await;
    assert!(problems(&service).await.is_empty());
    service.stop().await;
}
