//! README, documents, help, messages and the description of the API are in plain English, as far as that can be
//! counted: few clauses with "what", few semicolons. `cargo test --test it prose -- --nocapture` prints the counts.

use std::path::{Path, PathBuf};

use clap::Command;
use serde_json::Value;

/// Most of each in a thousand words.
const WHATS: f64 = 3.0;
const SEMICOLONS: f64 = 4.0;
/// Least words of a literal that is a message. Fewer are names and keys.
const MESSAGE: usize = 4;
/// The first words of SQL, which is code.
const SQL: [&str; 15] = [
    "ALTER", "AND", "ATTACH", "BEGIN", "CREATE", "DELETE", "DROP", "FROM", "INSERT", "JOIN", "PRAGMA",
    "SELECT", "UNION", "UPDATE", "WITH",
];

/// Text for people, without code: blocks, inline code and the targets of links.
fn without_code(text: &str) -> String {
    let blocks = text.split("\n```").step_by(2);
    let mut plain = String::new();
    for block in blocks {
        let words = block.split('`').step_by(2);
        plain.extend(words.flat_map(|part| [part, " "]));
    }
    let mut kept = String::new();
    let mut rest = plain.as_str();
    while let Some((before, after)) = rest.split_once("](") {
        kept.push_str(before);
        rest = after.split_once(')').map_or("", |(_, after)| after);
    }
    kept + rest
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    let is_letter = |character: char| character.is_alphabetic() || matches!(character, '\'' | '’');
    text.split(move |character| !is_letter(character)).filter(|word| !word.is_empty())
}

/// How many in a thousand words.
fn counts(text: &str) -> (usize, f64, f64) {
    let total = words(text).count();
    let of = |count: usize| 1_000.0 * count as f64 / total.max(1) as f64;
    let whats = words(text).filter(|word| word.eq_ignore_ascii_case("what")).count();
    (total, of(whats), of(text.matches(';').count()))
}

fn assert_plain(name: &str, text: &str) {
    let (total, whats, semicolons) = counts(text);
    println!("{name}: {total} words, in a thousand {whats:.1} times \"what\", {semicolons:.1} semicolons");
    assert!(whats <= WHATS && semicolons <= SEMICOLONS, "{name}: {whats:.1} and {semicolons:.1}");
}

/// Adds the files with this extension, in all folders below.
fn files(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for item in std::fs::read_dir(folder).unwrap() {
        let path = item.unwrap().path();
        if path.is_dir() {
            files(&path, extension, found);
        } else if path.extension().is_some_and(|own| own == extension) {
            found.push(path);
        }
    }
}

#[test]
fn documents_are_plain() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found: Vec<PathBuf> =
        ["README.md", "CONTRIBUTING.md", "SECURITY.md", "tests/README.md"].map(|file| root.join(file)).into();
    files(&root.join("docs"), "md", &mut found);
    found.sort();
    assert!(found.len() > 12, "{found:?}");
    for file in found {
        let text = std::fs::read_to_string(&file).unwrap();
        assert_plain(&file.strip_prefix(root).unwrap().display().to_string(), &without_code(&text));
    }
}

#[test]
fn the_example_of_the_configuration_is_plain() {
    let text = scrapehook::config::Config::EXAMPLE;
    let comments: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# ")).collect();
    assert_plain("config.example.toml", &without_code(&comments.join(" ")));
}

fn help(command: &mut Command) -> String {
    let mut text = command.render_long_help().to_string();
    for command in command.get_subcommands_mut() {
        text.push_str(&help(command));
    }
    text
}

#[test]
fn help_is_plain() {
    let text = help(&mut scrapehook::cli::command());
    // Examples of commands are code.
    let lines: Vec<&str> =
        text.lines().filter(|line| !line.starts_with("    ") || line.contains("  ")).collect();
    assert_plain("help", &lines.join("\n"));
}

/// The summaries and descriptions of a document. Both names can also be those of fields, which are objects.
fn descriptions(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if matches!(name.as_str(), "description" | "summary") => {
                        found.push(without_code(text));
                    }
                    value => descriptions(value, found),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| descriptions(value, found)),
        _ => {}
    }
}

#[test]
fn the_openapi_document_is_plain() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/openapi.json");
    let document: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut found = Vec::new();
    descriptions(&document, &mut found);
    assert!(found.len() > 500, "{}", found.len());
    assert_plain("openapi.json", &found.join("\n"));
}

#[test]
fn code_is_not_counted() {
    let text = "one `what; x` two [three](what;what)\n```sh\nwhat;\n```\nwhat four;";
    assert_eq!(counts(&without_code(text)), (5, 200.0, 200.0));
}

/// The length of the character literal at the start. A lifetime is none: of it, only the quote is skipped.
fn character(source: &str) -> usize {
    let mut rest = source.char_indices().skip(1);
    match rest.next() {
        Some((_, '\\')) => source.get(3..).and_then(|rest| rest.find('\'')).map_or(1, |end| 3 + end + 1),
        Some(_) => rest.next().filter(|(_, end)| *end == '\'').map_or(1, |(place, _)| place + 1),
        None => 1,
    }
}

/// Reads a literal after its opening quote, and gives the source behind it.
fn quoted(source: &str) -> (String, &str) {
    let mut text = String::new();
    let mut rest = source.chars();
    while let Some(next) = rest.next().filter(|next| *next != '"') {
        match (next, if next == '\\' { rest.next() } else { None }) {
            // The next line goes on behind its indentation.
            (_, Some('\n')) => rest = rest.as_str().trim_start().chars(),
            (_, Some('n' | 'r' | 't' | 'u')) => text.push(' '),
            (_, Some(escaped)) => text.push(escaped),
            (next, None) => text.push(next),
        }
    }
    (text, rest.as_str())
}

/// Reads a raw literal after its `r`, if it is one, and gives the source behind it.
fn raw(source: &str) -> Option<(String, &str)> {
    let text = source.trim_start_matches('#');
    let hashes = &source[..source.len() - text.len()];
    let (text, rest) = text.strip_prefix('"')?.split_once(&format!("\"{hashes}"))?;
    Some((text.to_owned(), rest))
}

/// The string literals of Rust source, without those in comments.
fn literals(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let after = &rest[first.len_utf8()..];
        let word = rest.len() - rest.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_').len();
        let literal = match &rest[..word] {
            "r" | "br" => raw(&rest[word..]),
            "" if first == '"' => Some(quoted(after)),
            _ => None,
        };
        rest = match literal {
            Some((text, behind)) => {
                found.push(text);
                behind
            }
            None if word > 0 => &rest[word..],
            None if rest.starts_with("//") => rest.split_once('\n').map_or("", |(_, next)| next),
            None if first == '\'' => &rest[character(rest)..],
            None => after,
        };
    }
    found
}

/// Text without what is between braces, which the program fills in.
fn without_placeholders(text: &str) -> String {
    let mut parts = text.split('{');
    let before = parts.next().unwrap_or_default().to_owned();
    before + &parts.map(|part| part.split_once('}').map_or(part, |(_, after)| after)).collect::<String>()
}

/// The messages of Rust source, without its tests.
fn messages(source: &str) -> Vec<String> {
    let source = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let mut found = literals(source);
    found.retain(|text| {
        let mut words = text.split_whitespace();
        !words.next().is_some_and(|first| SQL.contains(&first)) && words.count() + 1 >= MESSAGE
    });
    found.iter().map(|text| without_placeholders(&without_code(text)).trim().to_owned()).collect()
}

#[test]
fn messages_are_plain() {
    let (folder, mut sources) = (Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), Vec::new());
    files(&folder, "rs", &mut sources);
    let is_test = |path: &Path| path.iter().any(|part| part == "tests" || part == "tests.rs");
    sources.retain(|path| !is_test(path.strip_prefix(&folder).unwrap()));
    let found: Vec<String> =
        sources.iter().flat_map(|path| messages(&std::fs::read_to_string(path).unwrap())).collect();
    assert!(found.len() > 400, "{}", found.len());
    assert_plain("messages", &found.join("\n"));
}

#[test]
fn literals_are_read_as_the_compiler_reads_them() {
    let source = r###"
        // "a comment" and 'one more
        let a = ("one \"quoted\"", b"two", for_r, 'b');
        fn life<'a>(quote: char) { quote == '"' || quote == '\'' || quote == '\u{22}' }
        let lines = "three \
                     four\nfive"; // "six"
        let raw = (r"\seven\", r#"eight "nine""#, br##"ten"# "##);
    "###;
    let expected = ["one \"quoted\"", "two", "three four five", "\\seven\\", "eight \"nine\"", "ten\"# "];
    assert_eq!(literals(source), expected);
}

#[test]
fn names_queries_and_tests_are_no_messages() {
    let source = "f(\"a message about {name}\", \"only three words\", \"SELECT a FROM b WHERE c\");\n\
                  #[cfg(test)]\nmod tests { f(\"the name of a test\") }";
    assert_eq!(messages(source), ["a message about"]);
}
