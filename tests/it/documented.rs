//! Documents agree with the code: codes, routes, examples in docs/api.md, and the reasons for the crates.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::support::routes::described_routes;

fn text(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn schemas() -> Value {
    let document: Value = serde_json::from_str(&text("docs/openapi.json")).unwrap();
    document["components"]["schemas"].clone()
}

#[test]
fn every_code_is_explained_and_none_else() {
    let page = text("docs/api.md");
    let section =
        page.split("\n## Errors").nth(1).unwrap().split("The `error.code` of a task").next().unwrap();
    let explained: BTreeSet<&str> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|line| line.split('`').next())
        .collect();
    let schemas = schemas();
    let known: BTreeSet<&str> = schemas["ProblemBody"]["properties"]["code"]["enum"]
        .as_array()
        .unwrap()
        .iter()
        .map(|code| code.as_str().unwrap())
        .collect();
    assert!(known.len() > 15, "{known:?}");
    assert_eq!(explained, known);
}

/// A path as a pattern: ids and tokens are one segment each.
fn fits(pattern: &str, path: &str) -> bool {
    let (pattern, path): (Vec<_>, Vec<_>) = (pattern.split('/').collect(), path.split('/').collect());
    pattern.len() == path.len()
        && pattern.iter().zip(&path).all(|(wanted, found)| {
            wanted == found || (wanted.starts_with('{') && (found.starts_with('$') || found.starts_with('{')))
        })
}

/// The method of a command.
fn asked(line: &str) -> &'static str {
    let has = |option| line.contains(option);
    if has("-X PATCH") {
        "PATCH"
    } else if has("-X DELETE") {
        "DELETE"
    } else if has("-X POST") || has("--json") || has("--data-binary") {
        "POST"
    } else {
        "GET"
    }
}

#[test]
fn every_route_is_shown_and_each_command_asks_for_one() {
    let page = text("docs/api.md");
    let routes = described_routes();
    let mut shown = BTreeSet::new();
    let commands = page.lines().filter(|line| {
        line.contains("api /")
            || line.contains("api '/")
            || line.contains("api \"/")
            || line.contains("$API/")
    });
    for line in commands {
        let start = ["/serve/", "/v1", "/metrics"].iter().find_map(|path| line.find(path));
        let start = start.or_else(|| Some(line.find("$API/")? + 4));
        let path = &line[start.unwrap()..];
        let end = path.find(['?', '"', '\'', ' ']).unwrap_or(path.len());
        let (path, method) = (&path[..end], asked(line));
        let found = routes.iter().find(|(known, route)| known == method && fits(route, path));
        match found {
            Some((method, route)) => drop(shown.insert(format!("{method} {route}"))),
            None => assert_eq!(path, "/openapi.json", "{line}"),
        }
    }
    for (method, route) in &routes {
        let is_told =
            shown.contains(&format!("{method} {route}")) || page.contains(&format!("`{method} {route}`"));
        assert!(is_told, "{method} {route} has no example");
    }
}

#[test]
fn the_examples_are_those_of_the_description() {
    let page = text("docs/api.md");
    let schemas = schemas();
    let described: Vec<&Value> =
        schemas.as_object().unwrap().values().filter_map(|schema| schema["examples"].get(0)).collect();
    let mut count = 0;
    for block in page.split("```json example=").skip(1) {
        let (name, block) = block.split_once('\n').unwrap();
        let example: Value = serde_json::from_str(block.split("```").next().unwrap()).unwrap();
        assert!(described.contains(&&example), "{name} is not in docs/openapi.json");
        let file: Value = serde_json::from_str(&text(&format!("docs/examples/{name}.json"))).unwrap();
        assert_eq!(example, file, "{name}");
        count += 1;
    }
    assert_eq!(count, described.len(), "an example is not shown");
}

#[test]
fn the_test_that_is_quoted_is_the_one_that_runs() {
    let page = text("tests/README.md");
    let mut quoted = page.split("   ```rust file=").skip(1);
    let (file, rest) = quoted.next().unwrap().split_once('\n').unwrap();
    let code: Vec<&str> = rest.lines().take_while(|line| line.trim() != "```").collect();
    let code: Vec<&str> = code.iter().map(|line| line.strip_prefix("   ").unwrap_or(line)).collect();
    assert_eq!(code, text(file).lines().collect::<Vec<_>>(), "{file}");
    assert_eq!(quoted.count(), 0, "one file is quoted");
}

/// The names of the dependencies, those of tests among them.
fn dependencies() -> BTreeSet<String> {
    let manifest = text("Cargo.toml");
    let sections = manifest.split("\n[").filter_map(|section| section.split_once("]\n"));
    let lines =
        sections.filter(|(name, _)| name.ends_with("dependencies")).flat_map(|(_, lines)| lines.lines());
    lines.filter_map(|line| Some(line.split_once(" = ")?.0.to_owned())).collect()
}

#[test]
fn every_crate_has_a_reason() {
    let decisions = text("docs/decisions.md");
    let (_, crates) = decisions.split_once("## Crates").unwrap();
    let (crates, _) = crates.split_once("## More decisions").unwrap();
    let (given, table) = crates.split_once("The table has").unwrap();
    let (_, given) = given.split_once("given: ").unwrap();
    let given =
        given.trim_end_matches(". ").split([',', ' ']).filter(|word| !word.is_empty() && *word != "and");
    let rows = table.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next());
    let listed = rows.skip(1).flat_map(|names| names.split(", "));
    let named: BTreeSet<String> = given.chain(listed).map(str::to_owned).collect();
    assert_eq!(named, dependencies());
}
