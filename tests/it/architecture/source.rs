//! The source as parsed files.

use std::fs;
use std::path::{Path, PathBuf};

use syn::File;

/// One file of the source.
pub struct Source {
    /// Its path below the folder that was read.
    pub name: String,
    pub text: String,
    pub file: File,
}

impl Source {
    pub fn new(name: &str, text: &str) -> Self {
        let file = syn::parse_file(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        Self { name: name.to_owned(), text: text.to_owned(), file }
    }
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// All source files below a folder, in the order of their names.
pub fn read(root: &Path) -> Vec<Source> {
    let mut paths = Vec::new();
    walk(root, &mut paths);
    paths.sort();
    let name = |path: &Path| path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
    paths.iter().map(|path| Source::new(&name(path), &fs::read_to_string(path).unwrap())).collect()
}
