//! Files import from each other in one direction.
//!
//! A file imports from another if it names an item that the other defines, in an import, in code or in a macro's
//! arguments. Where a `pub use` passes the item on, the import is from the file behind it, so a `mod.rs` that only
//! declares its files and passes items on imports from none of them. A `mod.rs` that works with its files does, and
//! then those files may not name what the `mod.rs` defines. Unit tests don't count, nor do calls of methods, which
//! need no import.

use std::collections::{BTreeMap, BTreeSet};

use super::imports::Imports;
use super::source::Source;

/// Each file with the files that it imports from, and one line that says so for each.
type Graph<'a> = BTreeMap<&'a str, BTreeMap<&'a str, String>>;

fn graph(imports: &Imports) -> Graph<'_> {
    let mut graph = Graph::new();
    for named in imports.named.iter().filter(|named| !named.is_test && !named.is_passed_on) {
        let to = imports.definer(&named.path).filter(|to| *to != named.file);
        if let Some(to) = to {
            let line = format!("{}:{} names {} of {to}", named.file, named.line, named.path.join("::"));
            graph.entry(&named.file).or_default().entry(to).or_insert(line);
        }
    }
    graph
}

/// The files that this one imports from, directly or through others.
fn reached<'a>(graph: &Graph<'a>, from: &str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut left = vec![from];
    while let Some(file) = left.pop() {
        for to in graph.get(file).into_iter().flat_map(BTreeMap::keys) {
            if reached.insert(*to) {
                left.push(to);
            }
        }
    }
    reached
}

/// Each set of files that all import from each other, directly or through others, with the imports among them.
pub fn broken(sources: &[Source]) -> Vec<String> {
    let imports = Imports::of(sources);
    let graph = graph(&imports);
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        graph.keys().map(|file| (*file, reached(&graph, file))).collect();
    let mut circles = BTreeSet::new();
    for (file, below) in &reached {
        if below.contains(file) {
            let circle: Vec<&str> = below
                .iter()
                .copied()
                .filter(|other| reached.get(other).is_some_and(|back| back.contains(file)))
                .collect();
            circles.insert(circle);
        }
    }
    let describe = |circle: Vec<&str>| {
        let lines = circle.iter().flat_map(|file| graph[file].iter());
        let lines: Vec<&str> = lines.filter(|(to, _)| circle.contains(to)).map(|(_, line)| &**line).collect();
        format!("{}:\n    {}", circle.join(", "), lines.join("\n    "))
    };
    circles.into_iter().map(describe).collect()
}

#[test]
fn a_cycle_is_seen() {
    let cycles = |a: &str, b: &str, module: &str| {
        let sources = [("lib.rs", "mod m;"), ("m/mod.rs", module), ("m/a.rs", a), ("m/b.rs", b)];
        broken(&sources.map(|(name, text)| Source::new(name, text))).len()
    };
    let module = "mod a; mod b; pub use a::A; pub struct M;";
    assert_eq!(cycles("use super::b::B; pub struct A;", "pub struct B;", module), 0);
    assert_eq!(
        cycles("use super::b::B; pub struct A;", "pub struct B; fn f() { crate::m::a::f() }", module),
        1
    );
    assert_eq!(cycles("use super::b::B; pub struct A;", "pub struct B(super::A);", module), 1);
    assert_eq!(cycles("use super::b; fn f(b: b::B) {}", "fn f() { vec![super::a::X] }", module), 1);
    assert_eq!(cycles("use super::b::B;", "#[cfg(test)] mod tests { use crate::m::a::X; }", module), 0);
    assert_eq!(cycles("use super::M;", "use super::M;", module), 0);
    assert_eq!(cycles("use super::M;", "", "mod a; mod b; pub struct M(a::A);"), 1);
}
