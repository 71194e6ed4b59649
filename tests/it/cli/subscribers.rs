//! `subscribers` with its commands, and `submit --callback-url`.

use crate::support::binary::Binary;
use crate::support::receiver::{Receiver, SECRET};
use crate::support::{Scene, mixed_urls};

#[test]
fn the_secret_of_webhooks_is_the_one_of_the_configuration_or_of_the_database() {
    let (code, stdout, _) = Binary::new().set("FORWARD__SECRET", SECRET).run(&["subscribers", "secret"]);
    assert_eq!((code, stdout.trim_end()), (0, SECRET));
    let (code, _, stderr) = Binary::new().run(&["subscribers", "secret"]);
    assert_eq!(code, 1);
    assert!(stderr.contains("has no secret for webhooks yet. Start the service once"), "{stderr}");
    for (secret, words) in [("whsec_c2hvcnQ=", "at least 24"), ("secret", "begins with `whsec_`")] {
        let line = Binary::new().set("FORWARD__SECRET", secret).refused(&["subscribers", "secret"]);
        assert!(line.contains("forward.secret ") && line.contains(words) && !line.contains("c2hv"), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_keeps_one_secret_and_the_command_line_gives_a_callback_url() {
    let receiver = Receiver::start(|_, _| 200).await;
    let scene = Scene::new().set("FORWARD__ALLOW_PRIVATE", "true").set("FORWARD__ALLOW_HTTP", "true");
    let (_upstream, service) = scene.start().await;
    let url = receiver.url("127.0.0.1", "/cli");
    let client = Binary::bare().variable("SCRAPEHOOK_URL", &service.base);
    let (code, job, stderr) = client.run(&["submit", &mixed_urls(1)[0], "--callback-url", &url]);
    assert_eq!(code, 0, "{stderr}");
    let webhook = receiver.until(1).await.remove(0);
    assert_eq!((webhook.path.as_str(), &webhook.body["data"]["job"]["id"]), ("/cli", &job.trim_end().into()));
    let setup = service.stop().await;
    let base = setup.config().upstream.base_url;
    let path = setup.database();
    let secret = || {
        let binary = Binary::with_upstream(&base).set("STORE__PATH", path.to_str().unwrap());
        let (code, stdout, stderr) = binary.run(&["subscribers", "secret"]);
        assert_eq!(code, 0, "{stderr}");
        stdout
    };
    assert!(secret().starts_with("whsec_") && secret() == secret());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_command_about_subscribers_does_what_it_says() {
    let receiver = Receiver::start(|received, _| if received.path == "/bad" { 500 } else { 200 }).await;
    let scene = Scene::new().set("FORWARD__ALLOW_PRIVATE", "true").set("FORWARD__ALLOW_HTTP", "true");
    let (_upstream, service) = scene.start().await;
    let client = Binary::bare().variable("SCRAPEHOOK_URL", &service.base);
    let run = |arguments: &[&str]| {
        let (code, stdout, stderr) = client.run(&[&["subscribers"], arguments].concat());
        (code, stdout, stderr)
    };
    let (code, stdout, _) = run(&[]);
    assert_eq!((code, stdout.contains("There are no subscribers")), (0, true), "{stdout}");
    let url = receiver.url("127.0.0.1", "/good?token=secret");
    let arguments = ["add", &url, "--name", "mine", "--event", "job.*", "--label", "team=a", "--json"];
    let (code, stdout, stderr) = run(&arguments);
    let added: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, added["labels"]["team"].as_str()), (0, Some("a")), "{stderr}");
    assert!(added["secret"].as_str().unwrap().starts_with("whsec_") && stderr.contains("only once"));
    let (code, stdout, _) = run(&["test", "mine"]);
    assert!(code == 0 && stdout.starts_with("Delivered: HTTP 200 after "), "{stdout}");
    let bad = receiver.url("127.0.0.1", "/bad");
    let (code, stdout, _) = run(&["set", "mine", "--url", &bad, "--event", "*", "--enabled", "false"]);
    assert!(code == 0 && stdout.contains("disabled") && stdout.contains("/bad"), "{stdout}");
    let (code, stdout, _) = run(&["test", "mine"]);
    assert!(code == 1 && stdout.starts_with("Not delivered: HTTP 500, after "), "{stdout}");
    let (code, _, stderr) = run(&["replay", "mine", "--from", "1"]);
    assert!(code == 1 && stderr.contains("is disabled"), "{stderr}");
    run(&["set", "mine", "--url", &url, "--enabled", "true"]);
    let job =
        service.submit_with(serde_json::json!({ "video_urls": mixed_urls(1), "labels": { "team": "a" } }));
    service.until_settled(&job.await).await;
    let (code, stdout, _) = run(&["replay", "mine", "--from", "1"]);
    assert!(code == 0 && stdout.starts_with("Events from 1 to "), "{stdout}");
    let (code, stdout, _) = run(&["replay", "mine"]);
    assert_eq!((code, stdout.as_str()), (0, "Dead deliveries that are sent again: 0.\n"));
    let (code, stdout, _) = run(&["deliveries", "mine", "--state", "delivered", "--all"]);
    assert!(code == 0 && stdout.starts_with("SEQ "), "{stdout}");
    let (code, stdout, _) = run(&["rotate", "mine"]);
    assert!(code == 0 && stdout.contains("whsec_") && stdout.contains("old secret until"), "{stdout}");
    for arguments in [&[][..], &["show", "mine"]] {
        let (code, stdout, _) = run(arguments);
        assert!(code == 0 && stdout.contains("mine") && !stdout.contains("whsec_"), "{stdout}");
        assert!(!stdout.contains("token"), "{stdout}");
    }
    let (code, _, stderr) = run(&["remove", "mine"]);
    assert!(code == 0 && stderr.contains("removed"), "{stderr}");
    let (code, _, stderr) = run(&["show", "mine"]);
    assert!(code == 1 && stderr.contains("No subscriber has this id or name"), "{stderr}");
    service.stop().await;
}
