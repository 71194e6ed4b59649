//! `/`: the dashboard, a page that is a client of the public API and nothing else.
//!
//! Must never load anything from another host, or run a script that is not one of its files.

use std::sync::LazyLock;

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest, Sha256};
use tower_http::compression::CompressionLayer;

use crate::http::context::Context;
use crate::http::edge::problem::Problem;

/// A file of the page: its name, its type, and its bytes.
struct File {
    name: &'static str,
    media_type: &'static str,
    bytes: &'static [u8],
}

macro_rules! file {
    ($folder:literal $name:literal $media_type:ident) => {
        File {
            name: $name,
            media_type: $media_type,
            bytes: include_bytes!(concat!("../../assets/dashboard", $folder, "/", $name)),
        }
    };
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

const INDEX: File = file!("" "index.html" HTML);
const FILES: [File; 31] = [
    file!("" "style.css" CSS),
    file!("" "icon.svg" SVG),
    file!("/vendor" "preact.js" SCRIPT),
    file!("" "answers.js" SCRIPT),
    file!("" "api.js" SCRIPT),
    file!("" "app.js" SCRIPT),
    file!("" "decide.js" SCRIPT),
    file!("" "filters.js" SCRIPT),
    file!("" "format.js" SCRIPT),
    file!("" "job.js" SCRIPT),
    file!("" "jobs.js" SCRIPT),
    file!("" "live.js" SCRIPT),
    file!("" "overview.js" SCRIPT),
    file!("" "parts.js" SCRIPT),
    file!("" "paste.js" SCRIPT),
    file!("" "pasted.js" SCRIPT),
    file!("" "problems.js" SCRIPT),
    file!("" "quarantine.js" SCRIPT),
    file!("" "queue.js" SCRIPT),
    file!("" "raw.js" SCRIPT),
    file!("" "route.js" SCRIPT),
    file!("" "sign_in.js" SCRIPT),
    file!("" "stats.js" SCRIPT),
    file!("" "submit.js" SCRIPT),
    file!("" "subscribers.js" SCRIPT),
    file!("" "task.js" SCRIPT),
    file!("" "task_decisions.js" SCRIPT),
    file!("" "tasks.js" SCRIPT),
    file!("" "timeline.js" SCRIPT),
    file!("" "videos.js" SCRIPT),
    file!("" "views.js" SCRIPT),
];

/// Scripts, styles and requests of this service only, and no page of another one around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page and its files.
pub(super) fn routes() -> Router<Context> {
    Router::new()
        .route("/", get(async |headers: HeaderMap| answer(&INDEX, &headers)))
        .route("/assets/{name}", get(get_file))
        .layer(CompressionLayer::new())
}

async fn get_file(Path(name): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    let file = FILES.iter().find(|file| file.name == name);
    file.map(|file| answer(file, &headers)).ok_or_else(|| Problem::not_found("file"))
}

/// The file, or 304 if the browser has it. Browsers ask each time, so that an update is never half of two versions.
fn answer(file: &File, headers: &HeaderMap) -> Response {
    let tag = tag(file);
    let is_known = headers.get_all(header::IF_NONE_MATCH).iter().any(|known| {
        known
            .to_str()
            .is_ok_and(|known| known.split(',').any(|one| one.trim().trim_start_matches("W/") == tag))
    });
    let mut response = match is_known {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => ([(header::CONTENT_TYPE, file.media_type)], file.bytes).into_response(),
    };
    for (name, value) in [
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    if let Ok(tag) = HeaderValue::try_from(tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// The entity tag of a file, in quotes.
fn tag(file: &File) -> String {
    static TAGS: LazyLock<Vec<(&str, String)>> = LazyLock::new(|| {
        let tag = |file: &File| {
            let hash = Sha256::digest(file.bytes);
            let hex: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
            (file.name, format!("\"{hex}\""))
        };
        FILES.iter().chain([&INDEX]).map(tag).collect()
    });
    TAGS.iter().find(|(name, _)| *name == file.name).map(|(_, tag)| tag.clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::domain::event::EventKind;

    fn text(name: &str) -> &'static str {
        let file = FILES.iter().find(|file| file.name == name).unwrap();
        std::str::from_utf8(file.bytes).unwrap()
    }

    #[test]
    fn every_file_of_the_folder_is_served_and_every_import_has_a_file() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/dashboard");
        let names =
            std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
        let of_page: BTreeSet<String> = names.filter(|name| name != "vendor" && name != INDEX.name).collect();
        let mut served: BTreeSet<String> = FILES.iter().map(|file| file.name.to_owned()).collect();
        assert_eq!(served.len(), FILES.len());
        served.remove("preact.js");
        assert_eq!(served, of_page);
        for file in FILES.iter().filter(|file| file.media_type == SCRIPT) {
            let lazy =
                text(file.name).split("import(\"./").skip(1).map(|rest| rest.split('"').next().unwrap());
            for name in imports(file.name).chain(lazy) {
                assert!(FILES.iter().any(|file| file.name == name), "{} imports {name}", file.name);
            }
        }
    }

    fn imports(script: &str) -> impl Iterator<Item = &'static str> {
        text(script).split("from \"./").skip(1).map(|rest| rest.split('"').next().unwrap())
    }

    /// Browsers would ask for scripts one after the other, as they find their imports.
    #[test]
    fn the_page_asks_for_all_scripts_of_the_first_view_at_once() {
        let mut needed = BTreeSet::from(["app.js", "overview.js"]);
        let mut open = Vec::from_iter(needed.iter().copied());
        while let Some(script) = open.pop() {
            open.extend(imports(script).filter(|name| needed.insert(name)).collect::<Vec<_>>());
        }
        let page = std::str::from_utf8(INDEX.bytes).unwrap();
        let asked = page.split("/assets/").skip(1).map(|rest| rest.split('"').next().unwrap());
        let asked: Vec<&str> = asked.filter(|name| name.ends_with(".js")).collect();
        assert_eq!(BTreeSet::from_iter(asked.iter().copied()), needed);
        assert_eq!(asked.len(), needed.len(), "each once");
    }

    #[test]
    fn the_page_listens_to_every_kind_of_event() {
        let kinds = text("live.js").split("const KINDS").nth(1).unwrap();
        let kinds: BTreeSet<&str> = kinds.split('"').skip(1).step_by(2).collect();
        assert_eq!(kinds, EventKind::ALL.iter().map(|kind| kind.as_str()).collect());
    }
}
