//! The formats of webhooks, as receivers get them.

use serde_json::json;

use super::subscribers::{add, scene};
use crate::support::mixed_urls;
use crate::support::receiver::{Received, Receiver};

/// What strangers write, in a label.
const HOSTILE: &str = "\"}, {{type}} <!channel> @everyone \\ \n\u{1f600}";

#[tokio::test]
async fn each_format_is_sent_as_its_receiver_takes_it() {
    let receiver = Receiver::start(|_, _| 200).await;
    let (_upstream, service) = scene().start().await;
    let url = |path: &str| receiver.url("127.0.0.1", path);
    for format in ["slack", "discord", "ntfy"] {
        let body = json!({ "url": url(&format!("/{format}")), "format": format, "events": ["job.settled"] });
        add(&service, body).await;
    }
    let template = r#"{"title": "{{text}}", "job": {{data.job}}, "team": "{{ data.job.labels.team }}",
                       "first": "{{data.urls.0.state}}", "none": {{data.task}}, "kind": "{{type}}"}"#;
    let body = json!({
        "url": url("/template"), "format": "template", "template": template, "events": ["job.settled"],
    });
    add(&service, body).await;
    add(&service, json!({ "url": url("/upstream"), "format": "upstream" })).await;
    let ask = json!({ "video_urls": mixed_urls(1), "labels": { "team": HOSTILE } });
    let job = service.submit_with(ask).await;
    service.until_settled(&job).await;
    let seen = receiver.until(6).await;
    let at = |path: &str| seen.iter().filter(|received| received.path == path).collect::<Vec<&Received>>();
    let [slack] = at("/slack")[..] else { panic!("{seen:#?}") };
    let text = slack.body["text"].as_str().unwrap();
    let begins = format!(
        "Job {job} is done: 1 of 1 URL indexed. (team: \"}}, {{{{type}}}} &lt;!channel&gt; @everyone"
    );
    assert!(text.starts_with(&begins) && !text.contains('\n'), "{text}");
    let [discord] = at("/discord")[..] else { panic!("{seen:#?}") };
    assert_eq!(discord.body["allowed_mentions"], json!({ "parse": [] }));
    assert!(discord.body["content"].as_str().unwrap().contains("<!channel> @everyone"));
    let [ntfy] = at("/ntfy")[..] else { panic!("{seen:#?}") };
    assert!(ntfy.body.as_str().unwrap().starts_with(&format!("Job {job} is done")), "{:?}", ntfy.body);
    let [filled] = at("/template")[..] else { panic!("{seen:#?}") };
    assert_eq!(filled.body["team"], HOSTILE);
    assert_eq!(
        (&filled.body["job"]["id"], &filled.body["job"]["labels"]["team"]),
        (&json!(job), &json!(HOSTILE))
    );
    assert_eq!((&filled.body["first"], &filled.body["none"]), (&json!("indexed"), &json!(null)));
    assert_eq!(filled.body["kind"], "job.settled");
    let upstream_id = service.list::<crate::support::answers::Task>(&format!("/v1/tasks?job={job}")).await;
    let upstream_id = upstream_id[0].upstream_id.as_deref().unwrap();
    let statuses: Vec<_> = at("/upstream")
        .iter()
        .map(|received| {
            assert_eq!(received.body["taskId"], upstream_id);
            received.body["status"].as_str().unwrap()
        })
        .collect();
    assert_eq!(statuses, ["SUCCEEDED", "INDEXING_SUCCEEDED"]);
    service.stop().await;
}

#[tokio::test]
async fn a_chat_hears_of_a_problem_and_of_its_end() {
    let receiver = Receiver::start(|_, _| 200).await;
    let (_upstream, service) = scene().credits(0).set("DISPATCH__PROBE_AFTER", "1h").start().await;
    add(&service, json!({ "url": receiver.url("127.0.0.1", "/"), "format": "slack" })).await;
    service.submit(&mixed_urls(1)).await;
    let opened = receiver.until(1).await.remove(0);
    let text = opened.body["text"].as_str().unwrap();
    assert!(text.starts_with("Problem: sending_paused: Sending is paused: 0402"), "{text}");
    service.stop().await;
}
