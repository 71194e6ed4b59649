//! Which modules may import which.

use super::imports::{Imports, Named};
use super::source::Source;

/// The floor of a module of the crate. None for one that is missing from the map.
fn floor(module: &str) -> Option<u8> {
    Some(match module {
        "blocking" | "domain" | "tls" => 0,
        "clock" | "config" | "failpoint" | "network" | "telemetry" => 1,
        "upstream" | "store" | "callback_check" | "forward" => 2,
        "problems" | "webhooks" => 3,
        "http" | "workers" => 4,
        "app" | "simulator" => 5,
        "cli" => 6,
        "main" | "lib" => 7,
        _ => return None,
    })
}

/// The layer of a part of the store. None for one that is missing from the map.
fn layer(part: &str) -> Option<u8> {
    Some(match part {
        "policy" | "column" => 0,
        "error" => 1,
        "file" | "batch" => 2,
        "read" => 3,
        "derive" => 4,
        "live" | "ops" => 5,
        "writer" => 6,
        "mod" => 7,
        "deliveries" | "jobs" | "sessions" => 8,
        _ => return None,
    })
}

/// The first part of a path, which is a folder or a file without its ending.
fn part(file: &str) -> &str {
    file.split('/').next().unwrap_or(file).trim_end_matches(".rs")
}

/// Imports go down the floors, and never up or sideways. The simulator sees `upstream::wire` and `tls` alone.
fn is_on_a_lower_floor(from: &str, path: &[String]) -> bool {
    let to = &path[0];
    if from == to {
        return true;
    }
    if from == "simulator" {
        return path.starts_with(&["upstream".to_owned(), "wire".to_owned()]) || to == "tls";
    }
    matches!((floor(from), floor(to)), (Some(from), Some(to)) if to < from)
}

/// Imports of the store go down its layers, or stay in one part of it. Unit tests may import what they need.
fn is_on_a_lower_layer(imports: &Imports, named: &Named) -> bool {
    let to = imports.written(&named.path).strip_prefix("store/");
    let (Some(from), Some(to)) = (named.file.strip_prefix("store/"), to) else { return true };
    let (from, to) = (part(from), part(to));
    let is_lower = matches!((layer(from), layer(to)), (Some(from), Some(to)) if to < from);
    named.is_test || from == to || is_lower
}

/// Each import that goes up, and each module that is on no floor.
pub fn broken(sources: &[Source]) -> Vec<String> {
    let imports = Imports::of(sources);
    let is_on_map = |name: &str| {
        let is_part = name
            .strip_prefix("store/")
            .is_none_or(|inside| inside == "tests.rs" || layer(part(inside)).is_some());
        is_part && floor(part(name)).is_some()
    };
    let unknown = sources.iter().filter(|source| !is_on_map(&source.name));
    let unknown = unknown.map(|source| format!("{} is on no floor", source.name));
    let up = imports.named.iter().filter(|named| !named.path.is_empty()).filter(|named| {
        !is_on_a_lower_floor(part(&named.file), &named.path) || !is_on_a_lower_layer(&imports, named)
    });
    let up = up.map(|named| format!("{}:{} names {}", named.file, named.line, named.path.join("::")));
    unknown.chain(up).collect()
}

/// Each file that no `mod` leads to.
pub fn undeclared(sources: &[Source]) -> Vec<String> {
    let imports = Imports::of(sources);
    let files = imports.files();
    let names = sources.iter().map(|source| &source.name);
    names.filter(|name| !files.contains(&***name)).cloned().collect()
}

#[test]
fn an_upward_import_is_seen() {
    let names = ["domain", "http", "simulator", "store", "telemetry", "tls", "upstream"];
    let import = |from: &str, path: &str| {
        let all = names.map(|name| (format!("{name}/mod.rs"), "pub mod wire; pub mod read; pub mod ops;"));
        let rest = names
            .iter()
            .flat_map(|name| ["wire", "read", "ops"].map(|part| (format!("{name}/{part}.rs"), "")));
        let lib = names.map(|name| format!("mod {name};")).concat();
        let text = format!("mod m {{ use {path}; }}");
        let files = all.into_iter().chain(rest).filter(|(name, _)| *name != from);
        let mut files: Vec<Source> = files.map(|(name, text)| Source::new(&name, text)).collect();
        files.extend([Source::new("lib.rs", &lib), Source::new(from, &text)]);
        let broken = broken(&files).into_iter().filter(|line| line.contains("names"));
        broken.count()
    };
    for (from, path) in [
        ("domain/wire.rs", "crate::store::Store"),
        ("store/read.rs", "crate::upstream::Budget"),
        ("store/read.rs", "crate::{domain::A, http::B}"),
        ("store/read.rs", "crate::store::ops::jobs"),
        ("store/read.rs", "crate::store::Store"),
        ("simulator/wire.rs", "crate::domain::id::TaskId"),
        ("simulator/wire.rs", "crate::upstream::Upstream"),
    ] {
        assert_eq!(import(from, path), 1, "{from}: {path}");
    }
    for (from, path) in [
        ("http/wire.rs", "crate::store::{Store, read::x, ops}"),
        ("store/ops.rs", "crate::store::read::jobs"),
        ("simulator/wire.rs", "crate::upstream::wire::Envelope"),
        ("domain/wire.rs", "std::fs"),
    ] {
        assert_eq!(import(from, path), 0, "{from}: {path}");
    }
    assert_eq!(
        broken(&[Source::new("lib.rs", ""), Source::new("attic.rs", "")]),
        ["attic.rs is on no floor"]
    );
}
