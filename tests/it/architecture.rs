//! The floors hold: imports go down only.

use std::fs;
use std::path::{Path, PathBuf};

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The floor of a module; none for one that is missing from the map.
fn floor(module: &str) -> Option<u8> {
    Some(match module {
        "domain" => 0,
        "clock" | "config" | "failpoint" | "network" | "telemetry" => 1,
        "upstream" | "store" | "reach" => 2,
        "http" | "workers" => 3,
        "app" => 4,
        "cli" | "main" | "lib" => 5,
        "simulator" => 4,
        _ => return None,
    })
}

fn is_allowed(from: &str, line: &str) -> bool {
    let to = line.split("crate::").nth(1).unwrap();
    let to: String = to.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    if from == to {
        return true;
    }
    if from == "simulator" {
        return line.contains("crate::upstream::wire");
    }
    match (floor(from), floor(&to)) {
        (Some(from), Some(to)) => to < from,
        _ => false,
    }
}

#[test]
fn imports_go_down_only() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 40, "the walk found {} files", files.len());
    for file in files {
        let inside = file.strip_prefix(&root).unwrap();
        let module = inside.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
        assert!(floor(module).is_some(), "{} is not on the map", inside.display());
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.lines().count() <= 400, "{} has more than 400 lines", inside.display());
        assert!(text.starts_with("//!"), "{} does not say what it owns", inside.display());
        let long = text.lines().find(|line| line.chars().count() > 120);
        assert_eq!(long, None, "{} has a line of more than 120 characters", inside.display());
        for line in text.lines().filter(|line| line.contains("crate::") && !line.contains("$crate")) {
            assert!(is_allowed(module, line), "{}: {line}", inside.display());
        }
    }
}

#[test]
fn an_upward_import_is_seen() {
    assert!(!is_allowed("domain", "use crate::store::Store;"));
    assert!(!is_allowed("store", "use crate::upstream::Budget;"));
    assert!(!is_allowed("simulator", "use crate::domain::id::TaskId;"));
    assert!(is_allowed("http", "use crate::store::Store;"));
}

#[test]
fn every_module_is_on_the_map() {
    let lib = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    for line in lib.lines() {
        if let Some(module) = line.strip_prefix("pub mod ") {
            let module = module.trim_end_matches(';');
            assert!(lib.contains(&format!("[`{module}`]")), "{module} is missing from the map");
        }
    }
}

#[test]
fn what_the_binary_includes_is_not_kept_from_the_image() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).canonicalize().unwrap();
    let ignored = fs::read_to_string(root.join(".dockerignore")).unwrap();
    let mut files = Vec::new();
    sources(&root.join("src"), &mut files);
    let mut included = 0;
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        for rest in text.split("include_str!(\"").skip(1) {
            let path = file.parent().unwrap().join(rest.split('"').next().unwrap()).canonicalize().unwrap();
            let path = path.strip_prefix(&root).unwrap();
            let is_named = ignored.lines().any(|line| path.starts_with(line));
            let is_text = path.extension().is_some_and(|extension| extension == "md");
            assert!(!is_named && !is_text, "{} is in .dockerignore", path.display());
            included += 1;
        }
    }
    assert!(included > 0);
}
