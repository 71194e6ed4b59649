//! Every way in reads post URLs with one parser: JSON, text, CSV, query parameters, arguments, files, standard input.

use std::io::Write;
use std::process::Stdio;

use reqwest::Method;
use scrapehook::domain::url::PostUrl;
use serde_json::{Value, json};

use crate::support::shop::Shop;

/// What is no URL of one post. Each stands in one line, and begins with something else than `#`.
const REFUSED: [&str; 27] = [
    "https://youtu.be/A https://youtu.be/B",
    "https://youtu.be/A,https://youtu.be/B",
    "https://youtu.be/A; youtu.be/B",
    "https://youtu.be/A\u{2003}www.tiktok.com/@u/video/1",
    "https://youtu.be/Ahttps://youtu.be/B",
    "https://youtu.be/A # the best",
    "https://youtu.be/A\u{200b}B",
    "https://youtu.be/A\u{feff}B",
    "https:/youtu.be/A",
    "https:youtu.be/A",
    "https:\\\\youtu.be\\A",
    "\"https://youtu.be/A\"",
    "<https://youtu.be/A>",
    "* https://youtu.be/A",
    "https://youtu.be/AAAAAAAAAAA,",
    "https://youtu.be/AAAAAAAAAAA.",
    "https://youtu.be/AAAAAAAAAAA)",
    "https://youtu.be/AAAAAAAAAAA\"",
    "https://www.instagram.com/p/AAAAAAAAAAA/embed!",
    "https://youtu.be/AAAAAAAAAAA%E2%80%8B",
    "https://example.com/@caf\u{fffd}",
    "https://example.com/a\u{e000}",
    "https://example.com/a\u{fe0f}",
    "https://0x7f.1/A",
    "https://me:secret@youtu.be/A",
    "youtu.be/A",
    "ftp://youtu.be/A",
];

/// What is one, however odd it looks.
const TAKEN: [&str; 6] = [
    "\u{feff}https://youtu.be/AAAAAAAAAAA\u{200b}",
    "https://web.archive.org/web/2020/https://www.youtube.com/watch?v=A",
    "https://l.example/?u=https://youtu.be/A",
    "https://example.com/a,b;c",
    "HTTPS://example.com/a_(b)",
    "https://vimeo.com/2024.studio",
];

/// One request or command, and what it says.
struct WaysIn<'a>(&'a Shop);

impl WaysIn<'_> {
    async fn posted(&self, kind: &str, body: String) -> String {
        let path = if kind == "application/json" { "/v1/jobs" } else { "/v1/jobs?dry_run=true" };
        let request = self.0.service.request(Method::POST, path).header("content-type", kind).body(body);
        request.send().await.unwrap().text().await.unwrap()
    }

    fn command(&self, arguments: &[&str], input: &str) -> String {
        let command = [&["submit"], arguments, &["--dry-run"]].concat();
        let mut child = self.0.client.command(&command).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let words = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        format!("{} {words}", output.status.code().unwrap())
    }

    /// What each way says of a text, under the way's name.
    async fn all(&self, text: &str) -> Vec<(&'static str, String)> {
        let cell = format!("url\n\"{}\"\n", text.replace('"', "\"\""));
        let (urls, list) = (self.0.client.path("urls.txt"), self.0.client.path("urls.csv"));
        std::fs::write(&urls, text).unwrap();
        std::fs::write(&list, &cell).unwrap();
        let json = json!({ "video_urls": [text], "dry_run": true }).to_string();
        let more = json!({ "tiktok_post_urls": [text], "dry_run": true }).to_string();
        vec![
            ("JSON", self.posted("application/json", json).await),
            ("the second list", self.posted("application/json", more).await),
            ("text", self.posted("text/plain", text.to_owned()).await),
            ("CSV", self.posted("text/csv", cell).await),
            ("an argument", self.command(&[text], "")),
            ("a file", self.command(&["--file", "urls.txt"], "")),
            ("a CSV file", self.command(&["--file", "urls.csv"], "")),
            ("standard input", self.command(&["-"], text)),
        ]
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_way_in_gives_the_same_answer() {
    let shop = Shop::waiting().await;
    let ways = WaysIn(&shop);
    for text in REFUSED {
        let reason = PostUrl::parse(text).expect_err(text).to_string();
        for (way, said) in ways.all(text).await {
            // A program reads it out of the JSON, a person as it is.
            let said = match serde_json::from_str::<Value>(&said) {
                Ok(problem) => {
                    assert_eq!(problem["status"], 422, "{text} as {way}: {said}");
                    problem["errors"][0]["detail"].as_str().unwrap().to_owned()
                }
                Err(_) => {
                    assert!(said.starts_with("2 "), "{text} as {way}: {said}");
                    said
                }
            };
            assert!(said.contains(&reason), "{text} as {way}: {said}\nnot {reason}");
        }
        for list in ["videos", "tasks"] {
            let request = shop.service.request(Method::GET, &format!("/v1/{list}")).query(&[("url", text)]);
            let problem: Value = request.send().await.unwrap().json().await.unwrap();
            assert_eq!(problem["status"], 400, "{text}: {problem}");
            assert!(problem["detail"].as_str().unwrap().contains(&reason), "{text}: {problem}");
        }
    }
    for text in TAKEN {
        for (way, said) in ways.all(text).await {
            let is_planned = serde_json::from_str::<Value>(&said).is_ok_and(|plan| plan["urls"] == 1);
            assert!(is_planned || said.starts_with("0 1 URL:"), "{text} as {way}: {said}");
        }
    }
    assert!(shop.upstream.submits().is_empty());
    shop.service.stop().await;
}
