//! Receivers of webhooks that speak HTTP by hand, so they can misbehave.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::interval;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{ServerConfig, version};

/// What a receiver does with each request.
#[derive(Clone)]
pub enum Behavior {
    /// Sends this and keeps the connection.
    Answer(String),
    /// Sends this and closes the connection.
    Close(String),
    /// Sends this, then a byte again and again, and never ends.
    Drip(String),
    /// Sends this before any request and waits for the other side to close.
    Greet(String),
    /// Says nothing.
    Silence,
}

/// A request as it arrived.
#[derive(Clone, Default)]
pub struct Arrived {
    pub head: String,
    pub body: Vec<u8>,
}

impl Arrived {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(key, _)| *key == name).map(|(_, value)| value).next()
    }
}

#[derive(Default)]
struct Log {
    connections: usize,
    requests: Vec<Arrived>,
}

/// A receiver that runs until it is dropped.
pub struct Receiver {
    pub address: SocketAddr,
    log: Arc<Mutex<Log>>,
    running: JoinHandle<()>,
}

impl Receiver {
    pub async fn start(behavior: Behavior) -> Self {
        Self::listen(behavior, None).await
    }

    /// With a certificate for this name that nobody has issued whom this machine trusts.
    pub async fn untrusted(name: &str, behavior: Behavior) -> Self {
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(ring::default_provider().into())
            .with_protocol_versions(&[&version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        Self::listen(behavior, Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn listen(behavior: Behavior, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let log = Arc::new(Mutex::new(Log::default()));
        let logs = log.clone();
        let running = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (behavior, log, tls) = (behavior.clone(), logs.clone(), tls.clone());
                log.lock().unwrap().connections += 1;
                tokio::spawn(async move {
                    match tls {
                        // A client that does not trust the certificate goes.
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => speak(stream, behavior, log).await,
                            Err(_) => None,
                        },
                        None => speak(stream, behavior, log).await,
                    }
                });
            }
        });
        Self { address, log, running }
    }

    pub fn url(&self, host: &str, path: &str) -> String {
        format!("http://{host}:{}{path}", self.address.port())
    }

    pub fn connections(&self) -> usize {
        self.log.lock().unwrap().connections
    }

    pub fn requests(&self) -> Vec<Arrived> {
        self.log.lock().unwrap().requests.clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.running.abort();
    }
}

/// An answer with this status line, these further headers, and a body of so many bytes.
pub fn answer(status: &str, headers: &str, body: usize) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {body}\r\n\r\n{}", "x".repeat(body))
}

/// Answers requests until the connection ends.
async fn speak(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    behavior: Behavior,
    log: Arc<Mutex<Log>>,
) -> Option<()> {
    if let Behavior::Greet(text) = &behavior {
        stream.write_all(text.as_bytes()).await.ok()?;
        stream.read_to_end(&mut Vec::new()).await.ok()?;
    }
    loop {
        let request = read(&mut stream).await?;
        log.lock().unwrap().requests.push(request);
        match &behavior {
            Behavior::Answer(text) => stream.write_all(text.as_bytes()).await.ok()?,
            Behavior::Close(text) => {
                stream.write_all(text.as_bytes()).await.ok()?;
                return stream.shutdown().await.ok();
            }
            Behavior::Drip(text) => {
                stream.write_all(text.as_bytes()).await.ok()?;
                let mut ticks = interval(Duration::from_millis(20));
                loop {
                    ticks.tick().await;
                    stream.write_all(b"x").await.ok()?;
                }
            }
            Behavior::Greet(_) | Behavior::Silence => {}
        }
    }
}

/// Reads one request. None if the connection ends.
async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Arrived> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let mut arrived = Arrived { head: String::from_utf8(head).unwrap(), body: Vec::new() };
    let length = arrived.header("content-length").map_or(0, |length| length.parse().unwrap());
    arrived.body.resize(length, 0);
    stream.read_exact(&mut arrived.body).await.ok()?;
    Some(arrived)
}
