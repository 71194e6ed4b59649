//! TLS of outgoing connections: `ring` is its cryptography. A client that is built without it panics.

/// A builder of HTTP clients.
#[expect(clippy::disallowed_methods, reason = "the one place that builds clients")]
pub fn client() -> reqwest::ClientBuilder {
    install();
    reqwest::Client::builder()
}

/// Lets every TLS connection of this process use `ring`.
pub(crate) fn install() {
    // It fails if there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
