//! The client commands: the real binary in a pipe, against the real service.

use scrapehook::simulator::{Faults, Settings};
use serde_json::{Value, json};

use crate::support::answers::Task;
use crate::support::binary::{API_KEY, Binary};
use crate::support::shop::Shop;
use crate::support::{Scene, free_address, mixed_urls};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_are_tables_for_people_and_the_services_own_objects_for_programs() {
    let shop = Shop::open(Settings::default()).await;
    let job = shop.service.submit_with(json!({ "video_urls": mixed_urls(6), "labels": { "a": "b" } })).await;
    shop.service.until_settled(&job).await;
    let urls = format!("/v1/jobs/{job}/urls");
    for (arguments, path, column) in [
        (vec!["jobs"], "/v1/jobs", "LABELS"),
        (vec!["jobs", "--label", "a=b", "--state", "done"], "/v1/jobs", "INDEXED"),
        (vec!["jobs", &job, "--urls"], urls.as_str(), "VIDEOS"),
        (vec!["tasks", "--job", &job], "/v1/tasks", "PLATFORM"),
        (vec!["tasks", "--platform", "tiktok"], "/v1/tasks?platform=tiktok", "PLATFORM"),
        (vec!["videos", "--state", "indexed"], "/v1/videos", "URL"),
        (vec!["videos", "--url", "https://youtu.be/video000001"], "/v1/videos?url=youtu.be", "URL"),
        (vec!["events"], "/v1/events", "job.created"),
        (vec!["events", "--all", "--kind", "job.settled"], "/v1/events?kind=job.settled", "job.settled"),
        (vec!["events", "--after", "3", "--limit", "2"], "/v1/events?after=3&limit=2", "task."),
    ] {
        let path = path.replace("url=youtu.be", "url=https://www.youtube.com/watch?v=video000001");
        let listed = shop.service.items(&path).await;
        assert!(!listed.is_empty(), "{path}");
        assert_eq!(shop.json(&arguments), listed, "{arguments:?}");
        let table = shop.done(&arguments);
        assert!(table.lines().any(|line| line.contains(column)), "{table}");
        assert!(!table.contains('\u{1b}') && !table.contains('…'), "{table}");
        for item in &listed {
            let id = ["id", "seq", "url"].iter().find_map(|name| item.get(*name)).unwrap().to_string();
            assert!(table.contains(id.trim_matches('"')), "{id} is not in {table}");
        }
    }
    for kind in ["videos", "tasks"] {
        let (code, _, said) = shop.client.run(&[kind, "--url", "https://youtu.be/elsewhere01"]);
        assert!(code == 0 && said.contains("`scrapehook jobs JOB --urls`"), "{said}");
    }
    assert!(shop.done(&["jobs", "--label", "a=c"]).lines().count() == 1);
    assert!(shop.json(&["jobs", "--label", "a=c"]).is_empty());
    shop.service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_each_kind_is_shown_whole() {
    let shop = Shop::open(Settings::default()).await;
    let job = shop.service.submit(&mixed_urls(1)).await;
    let done = shop.service.until_settled(&job).await;
    let task = done.tasks[0].id.as_str();
    let upstream_id = shop.upstream.submits()[0].task_id.clone().unwrap();
    let video = shop.service.items("/v1/videos").await[0]["id"].as_str().unwrap().to_owned();
    for (arguments, path, word) in [
        (["jobs", &job], format!("/v1/jobs/{job}"), task),
        (["tasks", task], format!("/v1/tasks/{task}"), &*upstream_id),
        (["tasks", &upstream_id], format!("/v1/tasks/{task}"), &*job),
        (["videos", &video], format!("/v1/videos/{video}"), task),
    ] {
        assert_eq!(shop.json(&arguments), [shop.service.get(&path).await]);
        let shown = shop.done(&arguments);
        assert!(shown.contains(word) && shown.contains("UTC"), "{shown}");
    }
    for arguments in [["jobs", "job_0"], ["tasks", "a/../b?c"], ["videos", "VI0"], ["watch", "job_0"]] {
        let (code, said) = shop.not_done(&arguments);
        assert!(code == 1 && said.starts_with("scrapehook: No ") && said.contains(" has this id."), "{said}");
    }
    for arguments in
        [["jobs", ""], ["cancel", "."], ["watch", ".."], ["cancel", ".\t."], ["cancel", "task_\n1"]]
    {
        assert_eq!(shop.client.run(&arguments).0, 2, "{arguments:?}");
    }
    shop.service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_follows_every_page() {
    let shop = Shop::waiting().await;
    shop.done(&["pause"]);
    let urls: Vec<_> = (0..600).map(|n| format!("https://host{n}.example/post")).collect();
    let job = shop.service.submit(&urls).await;
    assert_eq!(shop.json(&["jobs", &job, "--urls", "--all"]).len(), 600);
    for url in &urls[1..] {
        shop.service.submit(std::slice::from_ref(url)).await;
    }
    assert_eq!(shop.json(&["jobs", "--all"]).len(), 600);
    let events = shop.json(&["events", "--all"]);
    // The pause lasts long enough to be announced as a problem.
    let is_announcement = |event: &&Value| event["kind"].as_str().unwrap().starts_with("problem.");
    assert_eq!(events.iter().filter(|event| !is_announcement(event)).count(), 601);
    assert!((1..).zip(&events).all(|(seq, event)| event["seq"] == seq));
    let (code, table, said) = shop.client.run(&["jobs"]);
    assert_eq!((code, table.lines().count()), (0, 51));
    assert!(said.contains("--all"), "{said}");
    let (code, said) = shop.not_done(&["jobs", "--limit", "501"]);
    assert!(code == 2 && said.contains("limit: "), "{said}");
    shop.service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operators_decisions_reach_the_service() {
    let faults = Faults { cut: 1.0, lose: 1.0, ..Faults::default() };
    let shop = Shop::open(Settings { faults, ..Settings::default() }).await;
    shop.service.submit(&mixed_urls(1)).await;
    let task = shop.task_in("unconfirmed").await;
    // Something is wrong: said first, and by the exit code.
    let (code, status, _) = shop.client.run(&["status"]);
    assert!(code == 1 && status.contains("unconfirmed since "), "{status}");
    assert!(status.contains("To do: ") && status.contains("1 unconfirmed"), "{status}");
    let (code, status, _) = shop.client.run(&["status", "--json"]);
    let printed = without_disk(serde_json::from_str(&status).unwrap());
    assert_eq!((code, printed), (1, without_disk(shop.service.get("/v1/status").await)));
    let (code, said) = shop.not_done(&["refresh", &task]);
    assert!(code == 1 && said.contains("taskId of this task is unknown"), "{said}");

    let upstream_id = shop.upstream.submits()[0].task_id.clone().unwrap();
    let adopted = shop.json(&["adopt", &task, &upstream_id]);
    assert_eq!((&adopted[0]["id"], &adopted[0]["upstream_id"]), (&json!(task), &json!(upstream_id)));
    shop.json(&["refresh", &upstream_id]);
    shop.service.until(&format!("/v1/tasks/{task}"), |task: &Task| task.state == "indexed").await;
    assert!(shop.done(&["refresh", &task]).contains("indexed"));

    let paused = shop.json(&["pause"]);
    assert_eq!(paused[0]["paused"][0]["scope"], "operator");
    assert!(shop.done(&["pause"]).contains("Sending is paused by an operator."));
    let told = shop.done(&["events", "--kind", "sending.paused"]);
    assert!(told.contains(" sending.paused    paused by an operator"), "{told}");
    shop.upstream.set_faults(Faults { fail_task: 1.0, ..Faults::default() });
    let job = shop.service.submit(&["https://youtu.be/later".to_owned()]).await;
    assert!(shop.done(&["cancel", &job]).contains("is canceled"));
    assert_eq!(shop.not_done(&["cancel", &job]).0, 1);
    assert!(shop.done(&["resume"]).contains("Sending is not paused now."));

    shop.service.submit(&["https://youtu.be/fails".to_owned()]).await;
    let failed = shop.task_in("failed").await;
    shop.done(&["pause"]);
    let (code, shown, said) = shop.client.run(&["retry", &failed]);
    assert!(code == 0 && shown.contains(&format!("retry of     {failed}")), "{shown}");
    assert!(said.contains("scrapehook events --task task_"), "{said}");
    let (code, said) = shop.not_done(&["retry", &failed]);
    assert!(code == 1 && said.contains("already retried"), "{said}");
    assert_eq!(shop.json(&["cancel", &shop.task_in("queued").await])[0]["state"], "canceled");
    shop.service.stop().await;
}

/// How full the disk of the machine is that runs this is no matter here.
fn without_disk(mut status: Value) -> Value {
    status["problems"].as_array_mut().unwrap().retain(|problem| problem["code"] != "disk");
    status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_that_needs_no_new_task_says_so() {
    let faults = Faults { fail_task: 1.0, ..Faults::default() };
    let shop = Shop::open(Settings { faults, ..Settings::default() }).await;
    let post = ["https://youtu.be/a"];
    shop.service.submit_with(json!({ "video_urls": post })).await;
    let failed = shop.task_in("failed").await;
    shop.upstream.set_faults(Faults::default());
    shop.service.submit_with(json!({ "video_urls": post, "force": true })).await;
    shop.task_in("indexed").await;
    let (code, shown, said) = shop.client.run(&["retry", &failed]);
    assert!(code == 0 && shown.contains(&failed), "{shown}");
    assert!(said.contains("No new task was needed") && !said.contains("This is the new"), "{said}");
    assert_eq!(shop.service.items("/v1/tasks").await.len(), 2);
    shop.service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_all_is_well_status_ends_with_zero() {
    let shop = Shop::open(Settings::default()).await;
    let (code, status, _) = shop.client.run(&["status"]);
    // How full the disk of the machine is that runs this is no matter here.
    let is_well = shop.service.get("/v1/status").await["problems"] == json!([]);
    assert_eq!((code == 0, status.contains("Nothing is wrong.")), (is_well, is_well), "{status}");
    shop.service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_missing_or_wrong_is_told_without_showing_it() {
    let keys = format!("me:write:{API_KEY},look:read:another-key");
    let (_upstream, service) = Scene::new().set("AUTH__API_KEYS", &keys).start().await;
    let client = |key: &str| Binary::bare().set("URL", &service.base).set("API_KEY", key);
    let said = |key: &str, arguments: &[&str], wanted: i32| {
        let (code, stdout, stderr) = client(key).run(arguments);
        assert_eq!((code, stdout.as_str()), (wanted, ""), "{stderr}");
        assert!(key.trim().is_empty() || !stderr.contains(key), "{stderr}");
        stderr
    };
    for key in ["", " "] {
        let said = said(key, &["jobs"], 2);
        assert!(said.contains("requires an API key. Set SCRAPEHOOK_API_KEY"), "{said}");
    }
    assert!(said("wrong-key-that-must-not-show", &["status"], 2).contains("Correct SCRAPEHOOK_API_KEY"));
    for key in ["a\nb", "a\tb", "a\u{7f}b", "schl\u{fc}ssel"] {
        assert!(said(key, &["status"], 2).contains("SCRAPEHOOK_API_KEY: "));
    }
    assert!(said("another-key", &["pause"], 1).contains("role `read`"));
    assert_eq!(client("another-key").run(&["jobs"]).0, 0);
    assert_eq!(client(API_KEY).run(&["submit", "https://youtu.be/a"]).0, 0);
    service.stop().await;
}

#[test]
fn a_service_that_is_not_there_is_named_with_what_to_do() {
    let [base, other] = [(); 2].map(|()| format!("http://{}", free_address()));
    let client = Binary::bare().set("URL", &base);
    for arguments in [
        vec!["jobs"],
        vec!["status"],
        vec!["watch", "job_1"],
        vec!["submit", "x"],
        vec!["events", "--follow"],
    ] {
        let (code, stdout, stderr) = client.run(&arguments);
        assert_eq!((code, stdout.as_str()), (1, ""), "{stderr}");
        assert!(stderr.contains(&format!("{base} cannot be reached")), "{stderr}");
        for word in ["scrapehook serve", "SCRAPEHOOK_URL", "--server"] {
            assert!(stderr.contains(word), "{stderr}");
        }
    }
    // The flag wins.
    let (_, _, stderr) = client.run(&["jobs", "--server", &format!("{other}/")]);
    assert!(stderr.contains(&format!("{other} cannot")), "{stderr}");
}

#[test]
fn what_would_be_ignored_is_refused() {
    // Where nobody listens: what is asked at all ends with 1.
    let client = Binary::bare().set("URL", &format!("http://{}", free_address()));
    for arguments in [
        "jobs job_1 --state done",
        "jobs job_1 --limit 3",
        "jobs job_1 --limit 50",
        "jobs job_1 --all",
        "jobs job_1 --label a=b",
        "jobs --urls",
        "tasks task_1 --state queued",
        "tasks task_1 --limit 3",
        "tasks task_1 --all",
        "videos VI1 --state failed",
        "videos VI1 --limit 3",
        "videos VI1 --all",
        "events --follow --limit 3",
        "events --follow --all",
    ] {
        let (code, stdout, stderr) = client.run(&arguments.split(' ').collect::<Vec<_>>());
        assert_eq!((code, stdout.as_str()), (2, ""), "{arguments}: {stderr}");
        let option = arguments.split(' ').find(|word| word.starts_with("--")).unwrap();
        assert!(stderr.contains(option), "{arguments}: {stderr}");
    }
    for arguments in ["jobs job_1 --urls --state failed --limit 3", "jobs job_1 --urls --all", "tasks --all"]
    {
        assert_eq!(client.run(&arguments.split(' ').collect::<Vec<_>>()).0, 1, "{arguments}");
    }
}

#[test]
fn an_address_that_can_not_be_meant_is_refused_unquoted() {
    for url in [
        "nonsense",
        "ftp://x",
        "http://",
        "http://me:secret@127.0.0.1:9",
        "me:secret@x",
        "http://x/?secret",
        "http://x/a secret",
        "http:/x/secret",
        "http://{secret}.example",
    ] {
        let (code, _, stderr) = Binary::bare().run(&["jobs", "--server", url]);
        assert_eq!(code, 2, "{url}: {stderr}");
        assert!(stderr.contains("SCRAPEHOOK_URL or --server: ") && !stderr.contains("secret"), "{stderr}");
        let (code, _, stderr) = Binary::bare().set("URL", url).run(&["health"]);
        assert_eq!(code, 2, "{url}: {stderr}");
        assert!(stderr.contains("SCRAPEHOOK_URL or --url: ") && !stderr.contains("secret"), "{stderr}");
        let help = Binary::bare().set("URL", url).run(&["jobs", "--help"]).1;
        assert!(!help.contains("secret"), "{help}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_can_not_be_made_is_said_so_once_and_a_blank_address_is_none() {
    let shop = Shop::waiting().await;
    // Too long for a URL: nothing is sent, and it is no lost connection.
    let long = format!("a={}", "x".repeat(80_000));
    for arguments in [
        &["jobs", "--label", &long][..],
        &["submit", "-", "--label", &long],
        &["tasks", &long],
        &["cancel", &long],
    ] {
        let (code, said) = shop.not_done(arguments);
        assert_eq!((code, said.lines().count()), (2, 1), "{said}");
        assert!(said.contains("this request cannot be sent"), "{said}");
    }
    for blank in ["", " "] {
        let (_, _, stderr) = Binary::bare().set("URL", blank).run(&["jobs", "--limit", "1"]);
        assert!(!stderr.contains("--server: "), "{stderr}");
        // The address is that of the configuration.
        let (code, _, stderr) =
            Binary::new().set("URL", blank).set("SERVER__LISTEN", "nowhere").run(&["health"]);
        assert!(code == 2 && stderr.contains("server.listen"), "{stderr}");
    }
    shop.service.stop().await;
}

#[test]
fn every_command_explains_itself_and_completes_in_every_shell() {
    let binary = Binary::bare();
    for command in [
        "submit",
        "watch",
        "status",
        "jobs",
        "tasks",
        "videos",
        "events",
        "retry",
        "adopt",
        "refresh",
        "cancel",
        "priority",
        "pause",
        "resume",
        "completions",
    ] {
        let (code, help, _) = binary.run(&[command, "--help"]);
        assert!(code == 0 && help.contains("Examples:") && help.contains("scrapehook"), "{help}");
        assert!(!help.contains("Arguments of"), "{help}");
        // On the usual terminal, too, an example can be copied whole.
        let examples = help.lines().filter(|line| line.starts_with("    scrapehook "));
        assert_eq!(examples.filter(|line| line.len() > 80).collect::<Vec<_>>(), [""; 0]);
        let (code, stdout, _) = binary.run(&[command, "--nonsense"]);
        assert_eq!((code, stdout.as_str()), (2, ""), "{command}");
    }
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (code, script, _) = binary.run(&["completions", shell]);
        assert!(code == 0 && script.contains("idempotency-key"), "{shell}");
    }
}
