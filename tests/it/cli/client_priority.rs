//! `submit --priority`, `priority JOB`, and where a priority shows.

use std::process::Stdio;

use scrapehook::simulator::Settings;
use serde_json::{Value, json};

use crate::support::Scene;
use crate::support::binary::{API_KEY, Binary, run};
use crate::support::shop::Shop;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_has_its_priority_whichever_way_its_urls_come() {
    let shop = Shop::waiting().await;
    shop.done(&["pause"]);
    std::fs::write(shop.client.path("urls.txt"), "https://youtu.be/a\n").unwrap();
    std::fs::write(shop.client.path("urls.csv"), "url\nhttps://youtu.be/a\n").unwrap();
    for from in [&["https://youtu.be/a"][..], &["--file", "urls.txt"], &["--file", "urls.csv"]] {
        for priority in ["high", "normal", "low"] {
            let job = &shop.json(&[&["submit", "--priority", priority], from].concat())[0];
            assert_eq!(job["priority"], priority, "{from:?}");
        }
        assert_eq!(shop.json(&[&["submit"], from].concat())[0]["priority"], "normal");
    }
    for (more, file) in [(&["-"][..], "urls.txt"), (&["-", "--csv"], "urls.csv")] {
        let mut command = shop.client.command(&[&["submit", "--priority", "low", "--json"], more].concat());
        let input = std::fs::File::open(shop.client.path(file)).unwrap();
        let (code, stdout, stderr) = run(command.stdin(Stdio::from(input)));
        assert_eq!(code, 0, "{stderr}");
        assert_eq!(serde_json::from_str::<Value>(&stdout).unwrap()["priority"], "low");
    }
    for wrong in ["urgent", "High", ""] {
        let (code, _, said) = shop.client.run(&["submit", "https://youtu.be/a", "--priority", wrong]);
        assert!(
            code == 2 && said.contains("--priority") && said.contains("[possible values: high"),
            "{said}"
        );
    }
    // One key, two priorities: two requests.
    let once = ["submit", "https://youtu.be/a", "--idempotency-key", "tonight"];
    shop.done(&once);
    let (code, said) = shop.not_done(&[&once[..], &["--priority", "high"]].concat());
    assert!(code == 2 && said.contains("different Idempotency-Key"), "{said}");
    shop.service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_priority_shows_where_it_is_not_the_usual_one() {
    let shop = Shop::waiting().await;
    shop.done(&["pause"]);
    let plain = shop.done(&["submit", "https://youtu.be/a", "--label", "a=b"]);
    let plain = plain.trim();
    let list = shop.done(&["jobs"]);
    assert!(!list.contains("PRIORITY") && !list.contains("normal"), "{list}");
    assert!(!shop.done(&["jobs", plain]).contains("priority"));
    let urgent = shop.done(&["submit", "https://youtu.be/b", "--priority", "high"]);
    let list = shop.done(&["jobs"]);
    assert!(list.lines().next().unwrap().contains("AGE  PRIORITY  LABELS"), "{list}");
    assert!(list.contains("  high") && list.contains("  a=b") && !list.contains("normal"), "{list}");
    let one = shop.done(&["jobs", urgent.trim()]);
    assert!(one.lines().any(|line| line.split_whitespace().eq(["priority", "high"])), "{one}");
    shop.service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_changes_a_job_that_waits_and_says_why_no_other() {
    let shop = Shop::open(Settings::default()).await;
    shop.done(&["pause"]);
    let job = shop.service.submit(&["https://youtu.be/a".to_owned()]).await;
    let said = shop.done(&["priority", &job, "high"]);
    assert_eq!(said, format!("{job} has the priority high. 1 URL: 1 waiting\n"));
    let printed = shop.json(&["priority", &job, "low"]);
    assert_eq!(printed, [shop.service.get(&format!("/v1/jobs/{job}")).await]);
    assert_eq!(printed[0]["priority"], json!("low"));
    shop.done(&["priority", &job, "low"]);
    for arguments in [
        &["priority"][..],
        &["priority", &job],
        &["priority", &job, "urgent"],
        &["priority", ".", "high"],
        &["priority", &job, "high", "low"],
        &["priority", "high", &job],
    ] {
        assert_eq!(shop.client.run(arguments).0, 2, "{arguments:?}");
    }
    let (code, said) = shop.not_done(&["priority", "job_0", "high"]);
    assert!(code == 1 && said.contains("No job has this id."), "{said}");
    shop.done(&["resume"]);
    shop.service.until_settled(&job).await;
    let (code, said) = shop.not_done(&["priority", &job, "high"]);
    assert!(code == 1 && said.contains("No URL of this job waits to be sent: 1 indexed or known"), "{said}");
    shop.service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_needs_a_key_that_may_write() {
    let keys = format!("me:write:{API_KEY},look:read:another-key");
    let (_upstream, service) = Scene::new().set("AUTH__API_KEYS", &keys).start().await;
    let change = |key: &str| {
        Binary::bare().set("URL", &service.base).set("API_KEY", key).run(&["priority", "job_0", "high"])
    };
    for (key, code, words) in [
        ("another-key", 1, "role `read`"),
        ("wrong-key", 2, "Correct SCRAPEHOOK_API_KEY"),
        (API_KEY, 1, "No job has this id."),
    ] {
        let (ended, stdout, said) = change(key);
        assert_eq!((ended, stdout.as_str()), (code, ""), "{said}");
        assert!(said.contains(words), "{said}");
    }
    service.stop().await;
}
