//! `/docs`: the API's description as a page. It loads nothing from another host.

use axum::Router;
use axum::http::header;
use axum::response::{IntoResponse, Redirect};
use axum::routing::get;

use crate::http::context::Context;

/// A part of the page: its type, its encoding, and its bytes.
type Asset = (&'static str, &'static str, &'static [u8]);

macro_rules! asset {
    ($name:literal, $media_type:literal, $encoding:literal) => {
        ($media_type, $encoding, include_bytes!(concat!("../../assets/swagger-ui/", $name)))
    };
}

const INDEX: Asset = asset!("index.html", "text/html; charset=utf-8", "identity");
const INITIALIZER: Asset = asset!("initializer.js", "text/javascript; charset=utf-8", "identity");
// Every browser accepts gzip, so no other form is kept.
const STYLE: Asset = asset!("swagger-ui.css.gz", "text/css; charset=utf-8", "gzip");
const BUNDLE: Asset = asset!("swagger-ui-bundle.js.gz", "text/javascript; charset=utf-8", "gzip");

/// The page and its parts.
pub(super) fn routes() -> Router<Context> {
    Router::new()
        .route("/docs", get(async || Redirect::permanent("/docs/")))
        .route("/docs/", get(async || part(INDEX)))
        .route("/docs/initializer.js", get(async || part(INITIALIZER)))
        .route("/docs/swagger-ui.css", get(async || part(STYLE)))
        .route("/docs/swagger-ui-bundle.js", get(async || part(BUNDLE)))
}

fn part(asset: Asset) -> impl IntoResponse {
    let (media_type, encoding, bytes) = asset;
    let headers = [
        (header::CONTENT_TYPE, media_type),
        (header::CONTENT_ENCODING, encoding),
        (header::CACHE_CONTROL, "public, max-age=3600"),
    ];
    (headers, bytes)
}
