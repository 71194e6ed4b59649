//! The check of callbacks that the service makes by itself, and what answers it.

use std::time::{Duration, Instant};

use scrapehook::domain::id::TaskId;
use scrapehook::domain::time::Timestamp;
use scrapehook::domain::token::{Claims, TokenKeys};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::binary::CALLBACK_SECRET;
use crate::support::proxy::{OPEN, Proxy, Rule};
use crate::support::{DEADLINE, Scene, Service};

async fn callback_check(service: &Service, state: &str) -> Value {
    let is_so = |status: &Value| status["callback_check"]["state"] == state;
    service.until_unannounced("/v1/status", is_so).await
}

fn codes(status: &Value) -> Vec<&str> {
    let codes =
        status["problems"].as_array().unwrap().iter().map(|problem| problem["code"].as_str().unwrap());
    codes.filter(|code| *code != "disk").collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_looks_by_itself_and_again_when_somebody_has_mended_it() {
    let (_upstream, setup) = Scene::new().set("CALLBACK__SECRET", CALLBACK_SECRET).set_up().await;
    let to = setup.config().server.listen.to_string();
    let proxy = Proxy::start(&to, Rule::Pass { below: "/hooks" }, None).await;
    let service = setup.set("SERVER__PUBLIC_URL", &proxy.http()).start().await;
    let status = service.get("/v1/status").await;
    assert_eq!(
        status["callback_check"],
        json!({ "state": "not_checked", "at": null, "detail": "the first check is still running" })
    );
    assert!(codes(&status).is_empty());

    let status = callback_check(&service, "failed").await;
    assert_eq!(codes(&status), ["callbacks_unreachable"]);
    assert_eq!(status["problems"][0]["since"], status["callback_check"]["at"]);
    assert!(status["problems"][0]["detail"].as_str().unwrap().contains("does not know the path"), "{status}");
    assert!(status["problems"][0]["action"].as_str().unwrap().contains("server.listen"), "{status}");

    proxy.set(OPEN);
    let status = callback_check(&service, "ok").await;
    assert!(codes(&status).is_empty());
    assert_eq!(status["counts"]["quarantine"], 0);
    assert!(service.items("/v1/events").await.is_empty());
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callback_that_comes_all_the_same_proves_a_failure_wrong() {
    let (_upstream, setup) = Scene::new().set("CALLBACK__SECRET", CALLBACK_SECRET).set_up().await;
    let proxy = Proxy::start("127.0.0.1:9", OPEN, None).await;
    let service = setup.set("SERVER__PUBLIC_URL", &proxy.http()).start().await;
    let status = callback_check(&service, "failed").await;
    assert_eq!(codes(&status), ["callbacks_unreachable"]);
    assert!(status["problems"][0]["detail"].as_str().unwrap().contains("HTTP 502"), "{status}");
    let token =
        TokenKeys::new([CALLBACK_SECRET]).issue(Claims::of(TaskId::new(Timestamp::from_millis(0)))).unwrap();
    assert_eq!(service.post_callback(&format!("/callback/{token}"), "{}").await, 200);
    let status = service.get("/v1/status").await;
    assert!(!codes(&status).contains(&"callbacks_unreachable"), "{status}");
    assert_eq!(status["callback_check"]["state"], "failed", "{status}");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_service_can_not_prove_is_no_problem() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (_upstream, setup) =
        Scene::new().set("SERVER__PUBLIC_URL", &format!("http://{closed}")).set_up().await;
    let service = setup.start().await;
    let status = callback_check(&service, "not_proven").await;
    assert!(codes(&status).is_empty());
    let setup = service.stop().await;

    let service = setup.set("SERVER__PUBLIC_URL", "").start().await;
    let status = service.get("/v1/status").await;
    assert_eq!(status["callback_check"]["state"], "not_checked");
    assert_eq!(status["callback_check"]["detail"], "server.public_url is not set");
    service.stop().await;
}

#[tokio::test]
async fn only_a_challenge_of_its_own_is_answered_and_any_other_is_a_hint() {
    let (_upstream, service) = Scene::new().set("CALLBACK__SECRET", CALLBACK_SECRET).start().await;
    let post = async |secret: &str, nonce| {
        let challenge = TokenKeys::new([secret]).challenge(nonce).unwrap();
        let post = service.request(reqwest::Method::POST, &format!("/callback/{challenge}")).body("{}");
        let answer = post.send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let (status, said) = post(CALLBACK_SECRET, [1; 16]).await;
    assert_eq!((status, &said["kept"]), (200, &json!("nothing")));
    let again = post(CALLBACK_SECRET, [2; 16]).await.1;
    assert_ne!(said["answer"], again["answer"]);
    assert!(service.items("/v1/quarantine").await.is_empty());
    assert_eq!(post("another secret of somebody", [1; 16]).await, (202, json!({ "kept": "hint" })));
    assert_eq!(service.items("/v1/quarantine").await.len(), 1);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_does_not_wait_for_a_check() {
    // Takes connections, and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let public_url = format!("http://{}", silent.local_addr().unwrap());
    let (_upstream, service) = Scene::new().set("SERVER__PUBLIC_URL", &public_url).start().await;
    let asked = tokio::time::timeout(DEADLINE, silent.accept()).await.expect("it asks");
    let stopped = Instant::now();
    service.stop().await;
    // The check itself would give up after twenty seconds.
    assert!(stopped.elapsed() < Duration::from_secs(15), "{:?}", stopped.elapsed());
    drop(asked);
}
