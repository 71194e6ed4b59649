//! The usual set-up in one line: a simulator, and a service that sends to it.

use std::time::Duration;

use scrapehook::simulator::{Faults, Settings, Simulator};

use super::binary::Binary;
use super::{NEVER, Service, Setup, simulator};

/// A simulator and a service that are not running yet.
///
/// Without a further call, the simulator has no faults and no delays, and the service gets callbacks.
#[derive(Default)]
pub struct Scene {
    simulator: Settings,
    settings: Vec<(String, String)>,
    polling_only: bool,
}

impl Scene {
    pub fn new() -> Self {
        Self::default()
    }

    /// All settings of the simulator at once.
    pub fn simulator(mut self, settings: Settings) -> Self {
        self.simulator = settings;
        self
    }

    pub fn faults(mut self, faults: Faults) -> Self {
        self.simulator.faults = faults;
        self
    }

    /// Upstream accepts every submit, and then never downloads a video or sends a callback.
    pub fn downloads_nothing(self) -> Self {
        self.download_delay(NEVER)
    }

    pub fn download_delay(mut self, delay: Duration) -> Self {
        self.simulator.download_delay = delay;
        self
    }

    pub fn index_delay(mut self, delay: Duration) -> Self {
        self.simulator.index_delay = delay;
        self
    }

    /// How many URLs upstream takes before it refuses more.
    pub fn credits(mut self, credits: u64) -> Self {
        self.simulator.credits = Some(credits);
        self
    }

    /// A setting of the service, by the name of its variable without `SCRAPEHOOK_`.
    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.settings.push((key.to_owned(), value.to_owned()));
        self
    }

    /// The service has no public URL, and polls every task.
    pub fn polling_only(mut self) -> Self {
        self.polling_only = true;
        self
    }

    pub async fn start(self) -> (Simulator, Service) {
        let (upstream, setup) = self.set_up().await;
        (upstream, setup.start().await)
    }

    /// Starts the simulator alone, for tests that need the address or the folder of the service first.
    pub async fn set_up(self) -> (Simulator, Setup) {
        let upstream = simulator(self.simulator).await;
        let mut setup = Setup::new(&upstream.url());
        if self.polling_only {
            setup = setup.polling_only();
        }
        let setup = self.settings.iter().fold(setup, |setup, (key, value)| setup.set(key, value));
        (upstream, setup)
    }

    /// Starts the simulator, and prepares the real binary instead of a service in this process.
    pub async fn binary(self) -> (Simulator, Binary) {
        let upstream = simulator(self.simulator).await;
        let binary = Binary::with_upstream(&upstream.url());
        let binary = self.settings.iter().fold(binary, |binary, (key, value)| binary.set(key, value));
        (upstream, binary)
    }
}
