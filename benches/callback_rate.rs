//! How fast callbacks are committed, beside an empty handler, with and without forwarding, in one run.
//!
//! `cargo bench --bench callback_rate` (needs `wrk`): 64 connections, full tasks, every callback a new video
//! of one of them, each answered after its commit. Prints the rates of alternating rounds and their ratios. With
//! forwarding, ten subscribers are told about every event, by a receiver in this process that answers at once.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a measurement that fails may panic")]

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use reqwest::Client;
use scrapehook::app::App;
use scrapehook::config::Config;
use scrapehook::simulator::{Settings, Simulator};
use scrapehook::upstream::wire::MAX_URLS_PER_TASK;
use serde_json::{Value, json};
use tokio::net::TcpListener;

const JOBS: usize = 10;
const URLS_PER_JOB: usize = 10_000;
const TASKS: usize = JOBS * URLS_PER_JOB / MAX_URLS_PER_TASK;
const ROUNDS: usize = 3;
const ROUND: &str = "4s";
const SUBSCRIBERS: usize = 10;

#[tokio::main]
async fn main() {
    if Command::new("wrk").arg("-v").output().is_err() {
        eprintln!("wrk is needed for this measurement");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let simulator =
        Simulator::bind(Settings { download_delay: Duration::from_secs(3_600), ..Settings::default() })
            .await
            .unwrap();
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let database = folder.path().join("bench.db");
    let settings = [
        ("SERVER__LISTEN", address.to_string()),
        ("SERVER__PUBLIC_URL", format!("http://{address}")),
        ("STORE__PATH", database.display().to_string()),
        ("UPSTREAM__BASE_URL", simulator.url()),
        ("UPSTREAM__API_KEY", "simulator".to_owned()),
        ("DISPATCH__MIN_INTERVAL", "1ms".to_owned()),
        ("RECONCILE__AFTER", "1h".to_owned()),
        ("FORWARD__ALLOW_PRIVATE", "true".to_owned()),
        ("FORWARD__ALLOW_HTTP", "true".to_owned()),
    ];
    let settings = settings.map(|(key, value)| (format!("SCRAPEHOOK_{key}"), value)).to_vec();
    let app = App::bind(&Config::load_with(None, settings).unwrap(), false).await.unwrap();
    let stop = app.stop_token();
    let service = tokio::spawn(app.join());

    let client = scrapehook::tls::client().no_proxy().build().unwrap();
    let base = format!("http://{address}");
    submit(&client, &base).await;
    simulator.until(|simulator| simulator.submits().len() >= TASKS).await;
    let paths: Vec<String> = simulator
        .submits()
        .into_iter()
        .filter_map(|submit| Some(submit.body.callback_url?.split_off(base.len())))
        .collect();

    let empty = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let ceiling = empty.local_addr().unwrap();
    let router = Router::new().fallback(post(|| async {}));
    let empty = tokio::spawn(async move { axum::serve(empty, router).await });

    let subscribers = subscribe(&client, &base, &format!("http://{ceiling}")).await;
    let script = folder.path().join("callbacks.lua");
    let (mut ratios, mut forwarded) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        std::fs::write(&script, lua(&paths, 2 * round)).unwrap();
        let handler = wrk(&script, &format!("http://{ceiling}")).await;
        let callbacks = wrk(&script, &base).await;
        std::fs::write(&script, lua(&paths, 2 * round + 1)).unwrap();
        enable(&client, &subscribers, true).await;
        let forwarding = wrk(&script, &base).await;
        enable(&client, &subscribers, false).await;
        let (ratio, with) = (callbacks / handler, forwarding / callbacks);
        ratios.push(ratio);
        forwarded.push(with);
        println!(
            "empty handler {handler:>8.0}/s   callbacks {callbacks:>8.0}/s   {ratio:.2}   \
             with forwarding {forwarding:>8.0}/s   {with:.2}"
        );
    }
    println!("median ratio {:.2}, with forwarding to without {:.2}", median(ratios), median(forwarded));
    empty.abort();
    stop.cancel();
    service.await.unwrap().unwrap();
    simulator.shutdown().await;
}

/// Submits all URLs.
async fn submit(client: &Client, base: &str) {
    for job in 0..JOBS {
        let posts = job * URLS_PER_JOB..(job + 1) * URLS_PER_JOB;
        let urls: Vec<_> = posts.map(|n| format!("https://www.tiktok.com/@u/video/{n}")).collect();
        let job = client.post(format!("{base}/v1/jobs")).json(&json!({ "video_urls": urls }));
        job.send().await.unwrap().error_for_status().unwrap();
    }
}

/// Adds subscribers that are disabled; gives the URL of each.
async fn subscribe(client: &Client, base: &str, receiver: &str) -> Vec<String> {
    let mut subscribers = Vec::new();
    for number in 0..SUBSCRIBERS {
        let body = json!({ "url": format!("{receiver}/{number}"), "enabled": false });
        let added = client.post(format!("{base}/v1/subscribers")).json(&body).send().await.unwrap();
        let added: Value = added.error_for_status().unwrap().json().await.unwrap();
        subscribers.push(format!("{base}/v1/subscribers/{}", added["id"].as_str().unwrap()));
    }
    subscribers
}

/// Enables all subscribers, or disables them.
async fn enable(client: &Client, subscribers: &[String], enabled: bool) {
    for subscriber in subscribers {
        let patch = client.patch(subscriber).json(&json!({ "enabled": enabled }));
        patch.send().await.unwrap().error_for_status().unwrap();
    }
}

fn median(mut ratios: Vec<f64>) -> f64 {
    ratios.sort_by(f64::total_cmp);
    ratios[ratios.len() / 2]
}

/// Each request states that a video nobody has heard of is indexed.
fn lua(paths: &[String], round: usize) -> String {
    let paths: Vec<_> = paths.iter().map(|path| format!("{path:?}")).collect();
    format!(
        "local paths = {{ {} }}\nlocal n = 0\n\
         request = function()\n  n = n + 1\n  local path = paths[(math.floor(n / 1000) * 20 + n % 20) % #paths + 1]\n  \
         local body = '{{ \"videoId\": \"VI{round}' .. n .. '\", \"message\": \"Video indexing succeed\", \
         \"taskId\": \"t\", \"status\": \"INDEXING_SUCCEEDED\" }}'\n  \
         return wrk.format('POST', path, {{ ['Content-Type'] = 'application/json' }}, body)\nend\n",
        paths.join(", ")
    )
}

async fn wrk(script: &Path, url: &str) -> f64 {
    let mut command = Command::new("wrk");
    command.args(["-t1", "-c64", "-d", ROUND, "-s"]).arg(script).arg(url);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!text.contains("Non-2xx"), "{text}");
    let rate = text.lines().find_map(|line| line.strip_prefix("Requests/sec:")).expect("wrk prints a rate");
    rate.trim().parse().unwrap()
}
