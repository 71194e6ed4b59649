//! README, documents, help and the description of the API are in plain English, as far as that can be counted: few
//! clauses with "what", few semicolons. `cargo test --test it prose -- --nocapture` prints the counts.

use std::path::{Path, PathBuf};

use clap::Command;
use serde_json::Value;

/// Most of each in a thousand words.
const WHATS: f64 = 3.0;
const SEMICOLONS: f64 = 4.0;

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

fn markdown(folder: &Path, found: &mut Vec<PathBuf>) {
    for item in std::fs::read_dir(folder).unwrap() {
        let path = item.unwrap().path();
        if path.is_dir() {
            markdown(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

#[test]
fn documents_are_plain() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = vec![root.join("README.md"), root.join("CONTRIBUTING.md"), root.join("SECURITY.md")];
    markdown(&root.join("docs"), &mut files);
    files.sort();
    assert!(files.len() > 12, "{files:?}");
    for file in files {
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
