//! Bodies of jobs as large as they may be: each fault in its place, a bounded answer, and nobody held up meanwhile.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::Scene;
use crate::support::problem::refused;

/// As many URLs as make a job, and almost as many bytes.
const URLS: usize = 10_000;
const FILLER: usize = 780;

/// A content type, a body, and where its fault of this number is.
type Form = (&'static str, String, fn(usize) -> String);

/// The same faulty URLs in each of the three forms, with the pointer to the last one of so many.
fn forms(urls: usize, filler: usize) -> [Form; 3] {
    let filler = "x".repeat(filler);
    let rows: String = (0..urls).map(|n| format!("nope{n},\"more\n{filler}\"\n")).collect();
    let lines: String = (0..urls).map(|n| format!("nope{n}{filler}\n")).collect();
    let list: Vec<_> = (0..urls).map(|n| format!("nope{n}{filler}")).collect();
    [
        ("text/csv", format!("url,about\n{rows}"), |n| format!("/{}", 2 * n)),
        ("text/plain", lines, |n| format!("/{n}")),
        ("application/json", json!({ "video_urls": list }).to_string(), |n| format!("/video_urls/{}", n - 1)),
    ]
}

/// One thread for everything: whoever holds it holds up callbacks.
#[tokio::test]
async fn a_body_of_megabytes_is_read_beside_everything_else() {
    let (_upstream, service) = Scene::new().start().await;
    for (kind, body, _) in forms(URLS, FILLER) {
        let started = Instant::now();
        let mut held = Duration::ZERO;
        let ticks = async {
            loop {
                let at = Instant::now();
                tokio::task::yield_now().await;
                held = held.max(at.elapsed());
            }
        };
        let problem = tokio::select! {
            problem = refused(service.post("/v1/jobs", kind, body), 422, "invalid") => problem,
            () = ticks => unreachable!(),
        };
        let took = started.elapsed();
        println!("{kind}: answered after {took:?}, nothing else waits longer than {held:?}");
        assert!(problem["detail"].as_str().unwrap().starts_with("10000 errors"), "{}", problem["detail"]);
        // Read by the one thread of this test, it would hold it for nearly all of the time.
        assert!(held < took / 2, "{kind}: {held:?} of {took:?}");
    }
    service.stop().await;
}

#[tokio::test]
async fn of_very_many_faults_the_first_are_named_and_all_are_counted() {
    const NAMED: usize = 1_000;
    let (_upstream, service) = Scene::new().start().await;
    for count in [NAMED, 3 * NAMED] {
        for (kind, body, pointer) in forms(count, 0) {
            let problem = refused(service.post("/v1/jobs", kind, body), 422, "invalid").await;
            let errors = problem["errors"].as_array().unwrap();
            assert_eq!(errors.len(), NAMED, "{kind}");
            let ends = [&errors[0]["pointer"], &errors[NAMED - 1]["pointer"]];
            assert_eq!(ends, [&json!(pointer(1)), &json!(pointer(NAMED))], "{kind}");
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.starts_with(&format!("{count} errors were found")), "{kind}: {detail}");
            assert_eq!(detail.contains("the first 1000 are listed"), count > NAMED, "{kind}: {detail}");
        }
    }
    // Neither fields that nobody knows nor lines of two URLs go beyond it.
    let fields = (0..100_000).map(|n| (format!("unknown{n}"), Value::Null)).collect();
    let body = Value::Object(fields).to_string();
    let problem = refused(service.post("/v1/jobs", "application/json", body), 422, "invalid").await;
    assert!(problem["detail"].as_str().unwrap().starts_with("100001 errors"), "{}", problem["detail"]);
    assert_eq!(problem["errors"].as_array().unwrap().len(), NAMED);
    let body = "https://youtu.be/a https://youtu.be/b\n".repeat(URLS + 1);
    let problem = refused(service.post("/v1/jobs", "text/plain", body), 422, "invalid").await;
    assert_eq!(problem["errors"][0]["detail"], "a job takes at most 10000 URLs");
    service.stop().await;
}
