//! The floors hold: imports go down only.

use std::collections::{BTreeMap, BTreeSet};
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
        "blocking" | "domain" | "tls" => 0,
        "clock" | "config" | "failpoint" | "network" | "telemetry" => 1,
        "upstream" | "store" | "callback_check" => 2,
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
        return line.contains("crate::upstream::wire") || to == "tls";
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

/// The functions of a source file with more lines than this.
fn long_functions(text: &str, most: usize) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let mut long = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let indent = &line[..line.len() - code.len()];
        let words: Vec<&str> = code.split_whitespace().collect();
        let is_function = words.iter().position(|word| *word == "fn").is_some_and(|place| {
            words[..place].iter().all(|word| word.starts_with("pub") || is_qualifier(word))
        });
        let end = format!("{indent}}}");
        let length = lines[start..]
            .iter()
            .position(|line| *line == end || line.ends_with(" }") && line.contains("fn "));
        if is_function && length.is_some_and(|length| length + 1 > most) {
            long.push(code.to_owned());
        }
    }
    long
}

fn is_qualifier(word: &str) -> bool {
    matches!(word, "const" | "async") || word.starts_with("crate::") || word.ends_with(')')
}

#[test]
fn no_function_is_longer_than_seventy_lines() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        assert_eq!(long_functions(&text, 70), [""; 0], "{}", file.display());
    }
}

#[test]
fn a_long_function_is_seen() {
    let function =
        |head: &str, lines: usize| format!("    {head} {{\n{}    }}\n", "        x();\n".repeat(lines));
    for head in ["fn a()", "pub async fn a()", "pub(in crate::http) const fn a()"] {
        assert_eq!(long_functions(&function(head, 69), 70).len(), 1, "{head}");
        assert!(long_functions(&function(head, 68), 70).is_empty(), "{head}");
    }
}

#[test]
fn an_upward_import_is_seen() {
    assert!(!is_allowed("domain", "use crate::store::Store;"));
    assert!(!is_allowed("store", "use crate::upstream::Budget;"));
    assert!(!is_allowed("simulator", "use crate::domain::id::TaskId;"));
    assert!(is_allowed("http", "use crate::store::Store;"));
}

/// The layer of a part of the store; none for one that is missing from the map.
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
        "jobs" => 8,
        _ => return None,
    })
}

/// The source files of the store that a test build alone compiles.
fn is_test(inside: &Path) -> bool {
    inside.components().any(|part| matches!(part.as_os_str().to_str(), Some("tests.rs" | "tests")))
}

/// Each `crate::store::…` of a file, without what stands in its unit tests.
fn store_paths(text: &str) -> Vec<Vec<String>> {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let path = |rest: &str| -> Vec<String> {
        let end =
            rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':').unwrap_or(rest.len());
        let mut names: Vec<String> = rest[..end].split("::").map(str::to_owned).collect();
        names.retain(|name| !name.is_empty());
        names
    };
    let mut paths = Vec::new();
    for rest in text.split("crate::store::").skip(1) {
        let stem = path(rest);
        // `a::{self, b, C}`: one level of braces is all that imports have here.
        let braces =
            rest.split_once('{').filter(|(before, _)| before.ends_with("::") && path(before) == stem);
        match braces.and_then(|(_, inside)| inside.split_once('}')) {
            Some((names, _)) => {
                assert!(!names.contains('{'), "nested braces in an import: {names}");
                for name in names.split(',').map(str::trim).filter(|name| !name.is_empty()) {
                    paths.push(stem.iter().cloned().chain([name.to_owned()]).collect());
                }
            }
            None => paths.push(stem),
        }
    }
    paths
}

/// The file that a path of the store leads to: that of the longest part which names a module.
fn file_of(store: &Path, path: &[String]) -> PathBuf {
    for length in (1..=path.len()).rev() {
        let module: PathBuf = path[..length].iter().collect();
        for file in [module.with_extension("rs"), module.join("mod.rs")] {
            if store.join(&file).is_file() {
                return file;
            }
        }
    }
    PathBuf::from("mod.rs")
}

/// Each file of the store with those that it imports from.
fn store_imports() -> BTreeMap<PathBuf, BTreeSet<PathBuf>> {
    let store = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store");
    let mut files = Vec::new();
    sources(&store, &mut files);
    let mut imports = BTreeMap::new();
    for file in files {
        let inside = file.strip_prefix(&store).unwrap().to_owned();
        if is_test(&inside) || inside == Path::new("mod.rs") {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        assert!(!text.split("mod tests {").next().unwrap().contains("use super::"), "{}", inside.display());
        let to = store_paths(&text).iter().map(|path| file_of(&store, path)).collect();
        imports.insert(inside, to);
    }
    imports
}

fn part(inside: &Path) -> String {
    inside.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned()
}

#[test]
fn layers_of_the_store_import_downwards_only() {
    let imports = store_imports();
    assert!(imports.len() > 40, "the walk found {} files", imports.len());
    for (from, to) in &imports {
        let floor = layer(&part(from));
        assert!(floor.is_some(), "{} is not on the map", from.display());
        for to in to {
            let is_allowed = part(from) == part(to) || layer(&part(to)) < floor;
            assert!(is_allowed, "{} imports from {}", from.display(), to.display());
        }
    }
}

#[test]
fn files_of_the_store_import_from_each_other_in_one_direction() {
    let mut imports = store_imports();
    // Files that import from none of those left are taken away until none is left; a cycle stays.
    while !imports.is_empty() {
        let left: BTreeSet<PathBuf> = imports.keys().cloned().collect();
        imports.retain(|from, to| to.iter().any(|to| to != from && left.contains(to)));
        assert!(imports.len() < left.len(), "a cycle is among {:?}", imports.keys());
    }
}

/// The functions of a file with more than four parameters besides `self`.
fn long_signatures(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for rest in text.split("fn ").skip(1) {
        let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        let generics = rest[name.len()..].find('(').map(|open| name.len() + open);
        let Some(open) = generics.filter(|_| !name.is_empty()) else { continue };
        let (mut depth, mut parameters, mut is_empty) = (0, 0, true);
        let mut before = ' ';
        for c in rest[open..].chars() {
            match c {
                '(' | '[' | '{' | '<' => depth += 1,
                ')' | ']' | '}' => depth -= 1,
                '>' if before != '-' => depth -= 1,
                ',' if depth == 1 => {
                    parameters += 1;
                    is_empty = true;
                }
                c if !c.is_whitespace() && depth == 1 => is_empty = false,
                _ => {}
            }
            before = c;
            if depth == 0 {
                break;
            }
        }
        parameters += usize::from(!is_empty);
        let is_method = rest[open + 1..].trim_start().trim_start_matches("&mut ").trim_start_matches('&');
        let is_method = is_method.starts_with("self") || is_method.starts_with("mut self");
        if parameters > 4 + usize::from(is_method) {
            found.push(name);
        }
    }
    found
}

#[test]
fn functions_of_the_store_take_four_parameters_at_most() {
    let store = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store");
    let mut files = Vec::new();
    sources(&store, &mut files);
    for file in files {
        let long = long_signatures(&fs::read_to_string(&file).unwrap());
        assert!(long.is_empty(), "{}: {long:?}", file.display());
    }
    let long = "fn a(b: T<u8, u8>, c: (u8, u8), d: fn(u8) -> u8, e: u8,) {} async fn f(&self, a: A, b: B, c: C, d: D) {}";
    assert!(long_signatures(long).is_empty());
    assert_eq!(
        long_signatures("fn g<T: Into<u8>>(\n    a: T,\n    b: T,\n    c: T,\n    d: T,\n    e: T,\n)"),
        ["g"]
    );
    assert_eq!(long_signatures("fn h(&self, a: A, b: B, c: C, d: D, e: E)"), ["h"]);
}

#[test]
fn imports_within_the_store_are_understood() {
    let text = "use crate::store::read::jobs::{self, JobFilter};\nlet x = crate::store::column::json(1);";
    let paths: Vec<String> = store_paths(text).iter().map(|path| path.join("::")).collect();
    assert_eq!(paths, ["read::jobs::self", "read::jobs::JobFilter", "column::json"]);
    let store = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store");
    let file = |path: &str| file_of(&store, &path.split("::").map(str::to_owned).collect::<Vec<_>>());
    assert_eq!(file("read::jobs::JobFilter"), Path::new("read/jobs.rs"));
    assert_eq!(file("read::Readers"), Path::new("read/mod.rs"));
    assert_eq!(file("Store"), Path::new("mod.rs"));
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
