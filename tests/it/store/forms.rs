//! A database of a version that took some posts for others: its forms follow, and nothing is sent.

use reqwest::Client;
use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

use crate::support::Scene;
use crate::support::binary::Serving;
use crate::support::recompute::assert_states_follow_from_facts;

/// What commit e8df24d wrote: a job of five posts, one of four that follows three of them, and one of one.
const BEFORE: &str = include_str!("forms/before.sql");

const WARNING: &str = "an older version mistook these URLs of jobs for other posts";

struct Caller<'a> {
    client: Client,
    serving: &'a Serving,
}

impl Caller<'_> {
    async fn get(&self, path: &str) -> Value {
        let answer = self.client.get(format!("{}{path}", self.serving.base)).send().await.unwrap();
        answer.json().await.unwrap()
    }

    async fn planned(&self, url: &str) -> (u64, usize) {
        let asked = json!({ "video_urls": [url], "dry_run": true });
        let request = self.client.post(format!("{}/v1/jobs", self.serving.base)).json(&asked);
        let plan: Value = request.send().await.unwrap().json().await.unwrap();
        (plan["known"].as_u64().unwrap(), plan["tasks"].as_array().unwrap().len())
    }
}

async fn filled(path: &std::path::Path, upstream: &str) {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let mut file: SqliteConnection = options.connect().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(BEFORE)).execute(&mut file).await.unwrap();
    let bind = sqlx::query("UPDATE meta SET value = ?1 WHERE key = 'upstream'").bind(upstream);
    bind.execute(&mut file).await.unwrap();
    file.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_url_that_was_taken_for_another_post_loses_its_video_and_nothing_is_sent() {
    let (upstream, binary) = Scene::new().binary().await;
    filled(&binary.path("scrapehook.db"), &upstream.url()).await;
    let serving = binary.serve(&[]);
    let caller = Caller { client: crate::support::client(), serving: &serving };

    let jobs = caller.get("/v1/jobs").await;
    let jobs: Vec<&Value> = jobs["items"].as_array().unwrap().iter().collect();
    let states: Vec<_> = jobs.iter().map(|job| job["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["failed", "partial", "done"], "newest first");
    assert_eq!(jobs[1]["progress"]["failed"], 2);
    assert_eq!(jobs[1]["progress"]["known"], 1);
    let id = jobs[1]["id"].as_str().unwrap();
    let urls = caller.get(&format!("/v1/jobs/{id}/urls?state=failed")).await;
    let urls = urls["items"].as_array().unwrap();
    let given: Vec<_> = urls.iter().map(|url| url["url"].as_str().unwrap()).collect();
    assert_eq!(
        given,
        ["https://youtu.be/watch?v=BBBBBBBBBBB", "https://m.youtube.com/#/watch?v=DDDDDDDDDDD"]
    );
    for url in urls {
        assert_eq!(url["error"]["code"], "unattributed");
        assert_eq!((&url["video_ids"], &url["task_id"]), (&json!([]), &Value::Null));
    }
    let id = jobs[0]["id"].as_str().unwrap();
    for list in ["videos", "tasks"] {
        let items = caller.get(&format!("/v1/{list}?job={id}")).await["items"].clone();
        assert_eq!(items, json!([]), "{list} of another post are not the job's");
    }
    assert_eq!(caller.get(&format!("/v1/jobs/{id}")).await["tasks"], json!([]));

    for (url, plan) in [
        ("https://www.youtube.com/watch?v=AAAAAAAAAAA", (1, 0)),
        ("https://example.com/clips/1/?utm_source=x", (1, 0)),
        ("https://vimeo.com/1", (1, 0)),
        ("https://youtu.be/BBBBBBBBBBB", (0, 1)),
        ("https://m.youtube.com/#/watch?v=DDDDDDDDDDD", (0, 1)),
    ] {
        assert_eq!(caller.planned(url).await, plan, "{url}");
    }
    let (code, log) = serving.terminate();
    assert_eq!(code, 0, "{log}");
    let warning =
        log.lines().find(|line| line.contains(WARNING)).unwrap_or_else(|| panic!("no warning: {log}"));
    let warning: Value = serde_json::from_str(warning).unwrap();
    assert_eq!((&warning["level"], &warning["urls"]), (&json!("WARN"), &json!(3)));
    assert_eq!(upstream.submitted(), 0);
    assert_states_follow_from_facts(&binary.path("scrapehook.db")).await;
    let (code, log) = binary.serve(&[]).terminate();
    assert!(code == 0 && !log.contains(WARNING), "told once: {log}");
}
