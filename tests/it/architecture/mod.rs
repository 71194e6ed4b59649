//! The rules of the source hold: its layers, its imports, and how long things are.
//!
//! `SCRAPEHOOK_SOURCE=<checkout>` counts how often the source of another checkout breaks each rule, and fails for none.

mod cycles;
mod imports;
mod layers;
mod sizes;
mod source;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use source::{Source, read};

/// Finds the places that break a rule.
type Find = fn(&[Source]) -> Vec<String>;

const RULES: [(&str, Find); 10] = [
    ("imports go down the floors and layers", layers::broken),
    ("every file is declared by a `mod`", layers::undeclared),
    ("files import from each other in one direction", cycles::broken),
    ("no file is too long", sizes::long_files),
    ("every file begins with what it owns", sizes::nameless_files),
    ("no line is too long", sizes::long_lines),
    ("no function is too long", sizes::long_functions),
    ("no function takes too many parameters", sizes::long_signatures),
    ("no parameter is a tuple pattern", sizes::tuple_patterns),
    ("no tuple has too many fields", sizes::long_tuples),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).canonicalize().unwrap()
}

#[test]
fn the_source_keeps_every_rule() {
    let other = env::var_os("SCRAPEHOOK_SOURCE");
    let sources = read(&other.as_ref().map_or_else(root, PathBuf::from).join("src"));
    assert!(sources.len() > 40, "the walk found {} files", sources.len());
    let mut broken = Vec::new();
    for (rule, find) in RULES {
        let found = find(&sources);
        println!("{:>5}  {rule}", found.len());
        broken.extend(found.iter().map(|place| format!("{rule}: {place}")));
    }
    match other {
        Some(_) => println!("{}", broken.join("\n")),
        None => assert!(broken.is_empty(), "{} places break a rule:\n{}", broken.len(), broken.join("\n")),
    }
}

#[test]
fn every_module_is_on_the_map() {
    let lib = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    for line in lib.lines() {
        if let Some(module) = line.strip_prefix("pub mod ") {
            let module = module.trim_end_matches(';');
            assert!(lib.contains(&format!("[`{module}`]")), "{module} is missing from the map");
        }
    }
}

#[test]
fn what_the_binary_includes_is_not_kept_from_the_image() {
    let root = root();
    let ignored = fs::read_to_string(root.join(".dockerignore")).unwrap();
    let mut included = 0;
    for Source { name, text, .. } in read(&root.join("src")) {
        let file = root.join("src").join(name);
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
