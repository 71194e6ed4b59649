//! The real service on a free port, a real SQLite file in a folder of its own, and the simulator.

pub mod aftermath;
pub mod binary;
pub mod file;
pub mod multiplied;
pub mod proxy;
pub mod raw;
pub mod recompute;

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, StatusCode};
use scrapehook::app::App;
use scrapehook::config::Config;
use scrapehook::simulator::{Settings, Simulator};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use recompute::assert_states_follow_from_facts;

/// Longest wait for a fact; far beyond what a slow machine needs.
pub const DEADLINE: Duration = Duration::from_secs(30);
/// A delay that no test lives to see the end of.
pub const NEVER: Duration = Duration::from_secs(86_400);
pub const UPSTREAM_KEY: &str = "upstream-key-that-must-not-show";

/// A client that goes to its target directly.
pub fn client() -> Client {
    scrapehook::tls::client().no_proxy().build().unwrap()
}

/// Ports for tests: below those that the system hands out automatically.
const PORTS: Range<u16> = 10_000..32_000;
const BLOCK: u16 = 50;

/// Ports that only this process of tests hands out, each once.
struct Ports {
    left: Range<u16>,
    /// On the block's first port, so that other processes see that it is taken. It ends with this process.
    _taken: UdpSocket,
}

impl Ports {
    fn take() -> Self {
        // Each process begins at another block: a service that has just been ended may not have closed its port yet.
        let blocks = PORTS.len() / usize::from(BLOCK);
        let first = std::process::id() as usize;
        let free = (first..first + blocks).find_map(|block| {
            let start = PORTS.start + BLOCK * u16::try_from(block % blocks).unwrap();
            let taken = UdpSocket::bind((Ipv4Addr::LOCALHOST, start)).ok()?;
            Some(Self { left: start..start + BLOCK, _taken: taken })
        });
        free.expect("a block of ports that no other process of tests has")
    }
}

/// An address that stays free until it is bound, also if other processes run tests at the same time.
pub fn free_address() -> SocketAddr {
    static TAKEN: Mutex<Vec<Ports>> = Mutex::new(Vec::new());
    let mut taken = TAKEN.lock().unwrap();
    loop {
        let Some(port) = taken.last_mut().and_then(|ports| ports.left.next()) else {
            taken.push(Ports::take());
            continue;
        };
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        // Another program may listen there.
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

// The sockets tell two takers of one process apart as they do two processes.
#[test]
fn no_port_is_handed_out_twice() {
    let [one, two] = [Ports::take(), Ports::take()];
    assert!(
        one.left.end <= two.left.start || two.left.end <= one.left.start,
        "{:?} {:?}",
        one.left,
        two.left
    );
    let (first, second) = (free_address(), free_address());
    assert!(first != second && !one.left.contains(&first.port()) && !two.left.contains(&first.port()));
}

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
    pub async fn new(upstream: &str) -> Self {
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
        let base = format!("http://{}", app.address());
        let stop = app.stop_token();
        let running = tokio::spawn(app.join());
        let client = client();
        Service { setup: self, base, stop, running, client }
    }
}

/// A running service, as a client sees it.
pub struct Service {
    pub setup: Setup,
    pub base: String,
    pub client: Client,
    stop: CancellationToken,
    running: JoinHandle<anyhow::Result<()>>,
}

impl Service {
    /// Stops in order, checks the file, and gives back what it needs to be started again on the same file.
    pub async fn stop(self) -> Setup {
        self.stop.cancel();
        tokio::time::timeout(DEADLINE, self.running).await.expect("stops in time").unwrap().unwrap();
        assert_states_follow_from_facts(&self.setup.database()).await;
        self.setup
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    pub async fn get(&self, path: &str) -> Value {
        let answer = self.request(Method::GET, path).send().await.unwrap();
        let status = answer.status();
        let body: Value = answer.json().await.unwrap();
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    }

    pub async fn items(&self, path: &str) -> Vec<Value> {
        self.get(path).await["items"].as_array().unwrap().clone()
    }

    pub async fn submit(&self, urls: &[String]) -> String {
        self.submit_with(json!({ "video_urls": urls })).await
    }

    pub async fn submit_with(&self, body: Value) -> String {
        let answer = self.request(Method::POST, "/v1/jobs").json(&body).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
        let job: Value = answer.json().await.unwrap();
        job["id"].as_str().unwrap().to_owned()
    }

    /// An operator's call; gives the status and the body.
    pub async fn call(&self, path: &str, body: Value) -> (u16, Value) {
        let mut request = self.request(Method::POST, path);
        if !body.is_null() {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    pub async fn post_callback(&self, path: &str, body: impl Into<reqwest::Body>) -> StatusCode {
        self.request(Method::POST, path).body(body).send().await.unwrap().status()
    }

    /// Asks until the answer at `path` is as wanted; each question waits for the next commit's events.
    pub async fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let ask = async {
            loop {
                let body = self.get(path).await;
                if wanted(&body) {
                    return body;
                }
                tokio::task::yield_now().await;
            }
        };
        match tokio::time::timeout(DEADLINE, ask).await {
            Ok(body) => body,
            Err(_) => panic!("{path} never came to that: {}", self.get(path).await),
        }
    }

    pub async fn until_settled(&self, job: &str) -> Value {
        self.until(&format!("/v1/jobs/{job}"), |job| job["state"] != "running").await
    }
}

pub async fn simulator(settings: Settings) -> Simulator {
    Simulator::bind(Settings { api_key: UPSTREAM_KEY.to_owned(), seed: 7, ..settings }).await.unwrap()
}

/// `count` posts of three platforms, mixed.
pub fn mixed_urls(count: usize) -> Vec<String> {
    (0..count)
        .map(|n| match n % 3 {
            0 => format!("https://www.tiktok.com/@user/video/73000000000{n:08}"),
            1 => format!("https://www.youtube.com/watch?v=video{n:06}"),
            _ => format!("https://www.instagram.com/p/Post{n:06}/"),
        })
        .collect()
}
