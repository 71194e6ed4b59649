//! Documents and comments name files, folders and items of the source that exist.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// Endings of file names.
const ENDINGS: [&str; 6] = [".rs", ".sql", ".toml", ".md", ".yaml", ".sh"];
/// Folders that hold no source.
const NOT_SOURCE: [&str; 2] = ["target", ".git"];
/// Folders that runs create. A fresh clone has none of them.
const WRITTEN_BY_RUNS: [&str; 4] = ["fuzz/found", "fuzz/artifacts", "deploy/secrets", "target"];

/// Every file and folder of the project, relative to its root.
struct Tree {
    files: BTreeSet<String>,
    folders: BTreeSet<String>,
}

/// The project, or another checkout of it, as for the rules of `architecture/mod.rs`.
fn root() -> &'static Path {
    static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
        env::var_os("SCRAPEHOOK_SOURCE").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into()).into()
    });
    &ROOT
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

impl Tree {
    fn read() -> Self {
        let mut tree = Self { files: BTreeSet::new(), folders: BTreeSet::new() };
        tree.walk(root());
        tree
    }

    fn walk(&mut self, folder: &Path) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let path = entry.path();
            let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            if !entry.file_type().unwrap().is_dir() {
                self.files.insert(name);
            } else if !NOT_SOURCE.iter().any(|not| entry.file_name() == *not) {
                self.folders.insert(name);
                self.walk(&path);
            }
        }
    }

    fn has(&self, name: &str) -> bool {
        let name = name.trim_end_matches('/');
        let is_written = WRITTEN_BY_RUNS.iter().any(|written| Path::new(name).starts_with(written));
        is_written || self.files.contains(name) || self.folders.contains(name)
    }

    /// The path from the root of a name in a document: as it stands, in `src`, in `tests/it`, beside the
    /// document, or above it.
    fn find(&self, name: &str, beside: &str) -> Option<String> {
        if let Some(above) = name.strip_prefix("../") {
            let (folder, _) = beside.rsplit_once('/').unwrap_or_default();
            return self.find(above, folder).filter(|_| !beside.is_empty());
        }
        let places =
            [name.to_owned(), format!("src/{name}"), format!("tests/it/{name}"), format!("{beside}/{name}")];
        places.into_iter().find(|place| self.has(place))
    }

    /// Whether a word of prose must be a path of the project.
    fn is_path(&self, word: &str) -> bool {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "_./-".contains(c);
        if !word.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '.') || !word.chars().all(is_plain) {
            return false;
        }
        let first = word.split('/').next().unwrap();
        let is_below = word.contains('/') && self.find(first, "src").is_some();
        is_below
            || ENDINGS.iter().any(|ending| word.strip_suffix(ending).is_some_and(|stem| !stem.is_empty()))
    }

    /// The paths that these lines name and the project does not have.
    ///
    /// A name without a folder is looked for in the folder that its line named last, and everywhere if there is none.
    fn missing<'a>(&self, lines: impl Iterator<Item = &'a str>, beside: &str) -> Vec<String> {
        let mut missing = Vec::new();
        for line in lines {
            let mut folder: Option<String> = None;
            let ends_word = |c: char| c.is_whitespace() || "`'\"()[]{}<>|,;:*#=".contains(c);
            for word in line.split(ends_word).map(|word| word.trim_end_matches('.')) {
                if !self.is_path(word) {
                    continue;
                }
                let found = match (&folder, word.contains('/')) {
                    (Some(folder), false) if self.has(&format!("{folder}/{word}")) => Some(String::new()),
                    (_, false) => self.find(word, beside).or_else(|| {
                        let ending = format!("/{word}");
                        let is_anywhere =
                            folder.is_none() && self.files.iter().any(|file| file.ends_with(&ending));
                        is_anywhere.then(String::new)
                    }),
                    (_, true) => self.find(word, beside),
                };
                match found {
                    None => missing.push(format!("{word} ({line})")),
                    Some(path) if self.folders.contains(&path) => folder = Some(path),
                    Some(path) => {
                        folder = path.rsplit_once('/').map(|(folder, _)| folder.to_owned()).or(folder);
                    }
                }
            }
        }
        missing
    }
}

/// A document's lines without those of its code blocks, which are a user's commands and files.
fn prose(document: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    document.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_fence && !is_code
    })
}

fn comments(source: &str) -> impl Iterator<Item = &str> {
    source.lines().map(str::trim_start).filter(|line| line.starts_with("//"))
}

/// All but the changelog, which names what there was, and the site's contents: `docs/build` makes some of its pages and
/// checks its links.
fn documents(tree: &Tree) -> Vec<&String> {
    let is_document = |file: &&String| {
        let is_ours = file.starts_with("docs/") || !file.contains('/') || *file == "tests/README.md";
        is_ours && file.ends_with(".md") && !["CHANGELOG.md", "docs/SUMMARY.md"].contains(&file.as_str())
    };
    tree.files.iter().filter(is_document).collect()
}

#[test]
fn every_file_that_is_named_exists() {
    let tree = Tree::read();
    let mut missing = Vec::new();
    let documents = documents(&tree);
    assert!(documents.len() >= 7, "{documents:?}");
    for file in documents {
        let beside = file.rsplit_once('/').map_or("", |(folder, _)| folder);
        missing.extend(tree.missing(prose(&text(file)), beside).iter().map(|name| format!("{file}: {name}")));
    }
    let is_source = |file: &&String| {
        file.ends_with(".rs")
            && ["src/", "tests/", "fuzz/", "benches/"].iter().any(|folder| file.starts_with(folder))
    };
    for file in tree.files.iter().filter(is_source) {
        let beside = file.rsplit_once('/').map_or("", |(folder, _)| folder);
        missing
            .extend(tree.missing(comments(&text(file)), beside).iter().map(|name| format!("{file}: {name}")));
    }
    assert!(missing.is_empty(), "{} names are of nothing:\n{}", missing.len(), missing.join("\n"));
}

#[test]
fn a_file_that_is_gone_is_seen() {
    let tree = Tree::read();
    let missing = |line: &str| tree.missing([line].into_iter(), "docs").len();
    for there in [
        "`store/writer/apply.rs` and the time (`clock.rs`)",
        "see [the contract](api.md), or docs/api.md.",
        "`cli/client/commands` has a command: `submit.rs` sends",
        "`migrations/0001_initial.sql` is the full description",
        "and/or, 1/2, text/plain, `/etc/nowhere.yaml`, https://a.example/store/gone.rs",
    ] {
        assert_eq!(missing(there), 0, "{there}");
    }
    for gone in [
        "`Pulse` in `app.rs`",
        "`store/gone.rs`",
        "`store/writer/apply.rs` and what it keeps (`peer.rs`)",
        "the folder `store/gone`",
        "[a page](gone.md)",
        "see docs/gone.md.",
        "`gone.toml`",
    ] {
        assert_eq!(missing(gone), 1, "{gone}");
    }
}

/// Whether a source defines this item.
fn defines(source: &str, item: &str) -> bool {
    ["fn", "struct", "enum", "trait", "type", "const", "mod"].iter().any(|word| {
        let ends = |rest: &str| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        source.split(&format!("{word} {item}")).skip(1).any(ends)
    })
}

/// The items that a document names, each with the file that it is said to be in.
///
/// An item counts if the text says which file has it, or if it is a path such as `Type::item`. A lone word may be
/// anything else, such as a state.
fn items(document: &str) -> Vec<(String, Option<String>)> {
    let is_item = |name: &str| {
        let is_word =
            |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        name.split("::").all(is_word)
    };
    let mut items = Vec::new();
    for line in prose(document) {
        let spans: Vec<_> = line.split('`').collect();
        for place in (1..spans.len()).step_by(2) {
            let file = match spans.get(place + 1..place + 3) {
                Some([" in ", file]) if file.ends_with(".rs") => Some((*file).to_owned()),
                _ => None,
            };
            let name = spans[place];
            if is_item(name) && (file.is_some() || name.contains("::")) {
                items.push((name.to_owned(), file));
            }
        }
    }
    items
}

/// Whether the file that is named, or any if none is, defines the item and, for a method, implements its type.
fn is_defined((name, file): &(String, Option<String>), sources: &[(String, String)]) -> bool {
    sources.iter().any(|(path, source)| {
        let is_meant = file.as_ref().is_none_or(|file| path.ends_with(&format!("/{file}")));
        let is_whole = match name.rsplit_once("::") {
            None => defines(source, name),
            Some((owner, item)) => {
                let is_implemented = |line: &str| line.starts_with("impl") && line.contains(owner);
                defines(source, item)
                    && (source.lines().any(is_implemented) || path.contains(&format!("/{owner}/")))
            }
        };
        is_meant && is_whole
    })
}

fn sources(tree: &Tree) -> Vec<(String, String)> {
    let is_source = |file: &&String| file.starts_with("src/") && file.ends_with(".rs");
    tree.files.iter().filter(is_source).map(|file| (file.clone(), text(file))).collect()
}

#[test]
fn every_item_that_the_architecture_names_exists() {
    let sources = sources(&Tree::read());
    let items = items(&text("docs/architecture.md"));
    assert!(items.len() > 20, "{items:?}");
    for item in items {
        assert!(is_defined(&item, &sources), "docs/architecture.md names {item:?}");
    }
}

#[test]
fn an_item_that_is_gone_is_seen() {
    let sources = sources(&Tree::read());
    for (document, is_there) in [
        ("`submit_job` in `http/api/jobs/mod.rs`", true),
        ("`Store::end_submit` writes, and sees `upstream::wire`", true),
        ("a task is `queued`", true),
        ("`submit_job` in `http/api/tasks.rs`", false),
        ("`submit_jo` in `http/api/jobs/mod.rs`", false),
        ("`Store::begin_sub` writes", false),
        ("`Gone::begin_submit` writes", false),
    ] {
        let is_found = items(document).iter().all(|item| is_defined(item, &sources));
        assert_eq!(is_found, is_there, "{document}");
    }
}
