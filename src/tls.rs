//! TLS of outgoing connections, with `ring` as its cryptography. A client must never be built without it, because
//! that panics.

/// Returns a builder of HTTP clients.
#[expect(clippy::disallowed_methods, reason = "the one place that builds clients")]
pub fn client() -> reqwest::ClientBuilder {
    install();
    reqwest::Client::builder()
}

/// Installs `ring` for every TLS connection of this process.
pub(crate) fn install() {
    // This fails if a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
