//! A service, and the real binary as a client of it.

use scrapehook::simulator::{Settings, Simulator};
use serde_json::Value;

use super::binary::Binary;
use super::{NEVER, Scene, Service};

/// A service, and the binary as one of its clients.
pub struct Shop {
    pub upstream: Simulator,
    pub service: Service,
    pub client: Binary,
}

impl Shop {
    pub async fn open(settings: Settings) -> Self {
        let (upstream, service) = Scene::new().simulator(settings).start().await;
        let client = Binary::bare().set("URL", &service.base);
        Self { upstream, service, client }
    }

    /// Where nothing is ever downloaded.
    pub async fn waiting() -> Self {
        Self::open(Settings { download_delay: NEVER, ..Settings::default() }).await
    }

    /// What a command prints that is done.
    pub fn done(&self, arguments: &[&str]) -> String {
        let (code, stdout, stderr) = self.client.run(arguments);
        assert_eq!(code, 0, "{arguments:?}: {stderr}");
        stdout
    }

    /// What it prints for programs.
    pub fn json(&self, arguments: &[&str]) -> Vec<Value> {
        let printed = self.done(&[arguments, &["--json"]].concat());
        printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The exit code and the words of a command that is not done.
    pub fn not_done(&self, arguments: &[&str]) -> (i32, String) {
        let (code, stdout, stderr) = self.client.run(arguments);
        assert_eq!(stdout, "", "{arguments:?}");
        assert!(stderr.starts_with("scrapehook: "), "{arguments:?}: {stderr}");
        assert_ne!(code, 0, "{arguments:?}");
        (code, stderr)
    }

    pub async fn task_in(&self, state: &str) -> String {
        self.service.until_task(state).await.id
    }
}
