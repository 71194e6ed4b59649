//! `subscribers secret` and `submit --callback-url`.

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
