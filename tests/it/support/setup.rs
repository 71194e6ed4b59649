//! A service that is not running yet: its folder, its address and its settings.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use scrapehook::app::App;
use scrapehook::config::Config;
use tempfile::TempDir;

use super::ports::free_address;
use super::service::Service;
use super::upstream::UPSTREAM_KEY;

/// A service that is not running yet.
pub struct Setup {
    folder: TempDir,
    upstream: String,
    address: SocketAddr,
    with_callbacks: bool,
    timeout: Option<Duration>,
    settings: Vec<(String, String)>,
}

impl Setup {
    /// On a free port, with this upstream, and as fast as it goes.
    pub fn new(upstream: &str) -> Self {
        let address = free_address();
        Self {
            folder: tempfile::tempdir().unwrap(),
            upstream: upstream.to_owned(),
            address,
            with_callbacks: true,
            timeout: None,
            settings: Vec::new(),
        }
    }

    /// Without a public URL: polling alone.
    pub fn polling_only(mut self) -> Self {
        self.with_callbacks = false;
        self.set("RECONCILE__AFTER", "50ms")
    }

    /// Waits so long for upstream's answers: less than the configuration allows, for tests that wait for it.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.settings.push((format!("SCRAPEHOOK_{key}"), value.to_owned()));
        self
    }

    pub fn database(&self) -> PathBuf {
        self.folder.path().join("scrapehook.db")
    }

    pub fn config(&self) -> Config {
        let mut environment = vec![
            ("SCRAPEHOOK_SERVER__LISTEN".to_owned(), self.address.to_string()),
            ("SCRAPEHOOK_STORE__PATH".to_owned(), self.database().display().to_string()),
            ("SCRAPEHOOK_UPSTREAM__BASE_URL".to_owned(), self.upstream.clone()),
            ("SCRAPEHOOK_UPSTREAM__API_KEY".to_owned(), UPSTREAM_KEY.to_owned()),
            ("SCRAPEHOOK_DISPATCH__MIN_INTERVAL".to_owned(), "1ms".to_owned()),
        ];
        if self.with_callbacks {
            environment
                .push(("SCRAPEHOOK_SERVER__PUBLIC_URL".to_owned(), format!("http://{}", self.address)));
        }
        environment.extend(self.settings.clone());
        let mut config = Config::load_with(None, environment).unwrap();
        config.upstream.timeout = self.timeout.unwrap_or(config.upstream.timeout);
        config
    }

    pub async fn start(self) -> Service {
        let app = App::bind(&self.config(), false).await.unwrap();
        Service::new(self, app)
    }
}
