//! A reverse proxy as people put one in front of the service, and certificates for it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use reqwest::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{ServerConfig, version};
use tower::ServiceExt;

/// What a proxy does to a request.
#[derive(Clone, Debug)]
pub enum Rule {
    /// Passes on what lies below this path, without it.
    Pass { below: &'static str },
    /// Passes on bodies of up to so many bytes, and answers others with this.
    Limit { most: usize, status: u16 },
    /// Answers by itself.
    Answer { status: u16, location: &'static str },
    /// Passes on a body that it has changed.
    Change,
    /// Hangs up.
    HangUp,
}

/// Anything goes through.
pub const OPEN: Rule = Rule::Pass { below: "" };

/// A proxy that runs until it is dropped.
pub struct Proxy {
    pub address: SocketAddr,
    rule: Arc<Mutex<Rule>>,
    running: JoinHandle<()>,
}

impl Proxy {
    /// In front of who listens on `to`.
    pub async fn start(to: &str, rule: Rule, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let rule = Arc::new(Mutex::new(rule));
        let (to, rules) = (to.to_owned(), rule.clone());
        let running = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (to, rules, tls) = (to.clone(), rules.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        // A client that does not like the certificate goes.
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                speak(stream, to, rules).await;
                            }
                        }
                        None => speak(stream, to, rules).await,
                    }
                });
            }
        });
        Self { address, rule, running }
    }

    pub fn set(&self, rule: Rule) {
        *self.rule.lock().unwrap() = rule;
    }

    pub fn http(&self) -> String {
        format!("http://{}", self.address)
    }

    /// By a name, as certificates want it.
    pub fn https(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.running.abort();
    }
}

async fn speak(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    to: String,
    rules: Arc<Mutex<Rule>>,
) {
    let service = tower::service_fn(move |request: Request<hyper::body::Incoming>| {
        let rule = rules.lock().unwrap().clone();
        answer(request.map(Body::new), to.clone(), rule)
    });
    let service = hyper_util::service::TowerToHyperService::new(service.boxed_clone());
    // Errors are the client's, or a hanging up that was asked for.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(request: Request, to: String, rule: Rule) -> Result<Response, std::io::Error> {
    let path = request.uri().path().to_owned();
    let is_changed = matches!(rule, Rule::Change);
    let (below, most, too_large) = match rule {
        Rule::Pass { below } => (below, usize::MAX, 413),
        Rule::Limit { most, status } => ("", most, status),
        Rule::Change => ("", usize::MAX, 413),
        Rule::Answer { status, location } => {
            let status = StatusCode::from_u16(status).unwrap();
            return Ok((status, [("location", location)], "<html>by the proxy</html>").into_response());
        }
        Rule::HangUp => return Err(std::io::Error::other("it hangs up")),
    };
    let Some(rest) = path.strip_prefix(below) else {
        return Ok((StatusCode::NOT_FOUND, "<html>no such page</html>").into_response());
    };
    let method = request.method().clone();
    let Ok(body) = to_bytes(request.into_body(), most).await else {
        return Ok((StatusCode::from_u16(too_large).unwrap(), "<html>too large</html>").into_response());
    };
    let body = if is_changed { [&body[..], b" "].concat() } else { body.to_vec() };
    let client = crate::support::client();
    let Ok(answer) = client.request(method, format!("http://{to}{rest}")).body(body).send().await else {
        return Ok((StatusCode::BAD_GATEWAY, "<html>bad gateway</html>").into_response());
    };
    let status = answer.status();
    Ok((status, answer.bytes().await.unwrap()).into_response())
}

/// An issuer whom nobody trusts who was not told to.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Writes its certificate where `SSL_CERT_FILE` can name it.
    pub fn write(&self, path: &Path) {
        std::fs::write(path, &self.pem).unwrap();
    }

    /// TLS with a certificate for this name, valid or not any more.
    pub fn tls(&self, name: &str, is_expired: bool) -> TlsAcceptor {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        if is_expired {
            params.not_before = date_time_ymd(2001, 1, 1);
            params.not_after = date_time_ymd(2002, 1, 1);
        }
        let key = KeyPair::generate().unwrap();
        acceptor(&params.signed_by(&key, &self.issuer).unwrap(), &key)
    }
}

/// TLS with a certificate that is its own issuer, as `openssl req -x509` makes it.
pub fn self_signed(name: &str) -> TlsAcceptor {
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    acceptor(&params.self_signed(&key).unwrap(), &key)
}

fn acceptor(certificate: &Certificate, key: &KeyPair) -> TlsAcceptor {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(ring::default_provider().into())
        .with_protocol_versions(&[&version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}
