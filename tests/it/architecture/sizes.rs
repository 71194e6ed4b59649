//! How long a file, a function, a line, a list of parameters and a tuple may be. No parameter is a tuple pattern.

use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Block, FnArg, ImplItemFn, ItemFn, Pat, Signature, TraitItemFn, TypeTuple};

use super::source::Source;

const FILE_LINES: usize = 400;
const FUNCTION_LINES: usize = 70;
/// The letters of a line. rustfmt leaves attributes, comments and texts as they are.
const LINE_LETTERS: usize = 120;
/// The parameters of a function besides `self`.
const PARAMETERS: usize = 5;
const TUPLE_FIELDS: usize = 3;

/// Each file that is too long.
pub fn long_files(sources: &[Source]) -> Vec<String> {
    let lengths = sources.iter().map(|source| (&source.name, source.text.lines().count()));
    lengths
        .filter(|(_, lines)| *lines > FILE_LINES)
        .map(|(name, lines)| format!("{name} has {lines} lines"))
        .collect()
}

/// Each file that does not begin with what it owns.
pub fn nameless_files(sources: &[Source]) -> Vec<String> {
    sources
        .iter()
        .filter(|source| !source.text.starts_with("//!"))
        .map(|source| source.name.clone())
        .collect()
}

/// Each line that is too long.
pub fn long_lines(sources: &[Source]) -> Vec<String> {
    let lines =
        sources.iter().flat_map(|source| source.text.lines().enumerate().map(move |line| (source, line)));
    lines
        .filter(|(_, (_, line))| line.chars().count() > LINE_LETTERS)
        .map(|(source, (place, _))| format!("{}:{}", source.name, place + 1))
        .collect()
}

/// Collects what is too long in one file.
#[derive(Default)]
struct Finder {
    functions: Vec<String>,
    signatures: Vec<String>,
    patterns: Vec<String>,
    tuples: Vec<String>,
    file: String,
}

/// Whether a parameter is a tuple pattern, also behind a reference.
fn is_tuple(parameter: &FnArg) -> bool {
    let FnArg::Typed(parameter) = parameter else { return false };
    let mut pattern = &*parameter.pat;
    loop {
        pattern = match pattern {
            Pat::Reference(reference) => &reference.pat,
            Pat::Paren(paren) => &paren.pat,
            pattern => return matches!(pattern, Pat::Tuple(_)),
        }
    }
}

impl Finder {
    /// All files, each looked through from its beginning to its end.
    fn look(sources: &[Source]) -> Self {
        let mut finder = Self::default();
        for source in sources {
            finder.file.clone_from(&source.name);
            finder.visit_file(&source.file);
        }
        finder
    }

    fn measure(&mut self, signature: &Signature, block: &Block) {
        let (begin, end) = (signature.span().start().line, block.span().end().line);
        let lines = end - begin + 1;
        if lines > FUNCTION_LINES {
            self.functions.push(format!("{}:{begin} {} has {lines} lines", self.file, signature.ident));
        }
    }
}

impl<'ast> Visit<'ast> for Finder {
    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        self.measure(&function.sig, &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        self.measure(&function.sig, &function.block);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast TraitItemFn) {
        if let Some(block) = &function.default {
            self.measure(&function.sig, block);
        }
        visit::visit_trait_item_fn(self, function);
    }

    fn visit_signature(&mut self, signature: &'ast Signature) {
        let count = signature.inputs.len() - usize::from(signature.receiver().is_some());
        let (name, line) = (&signature.ident, signature.span().start().line);
        if count > PARAMETERS {
            self.signatures.push(format!("{}:{line} {name} has {count} parameters", self.file));
        }
        if signature.inputs.iter().any(is_tuple) {
            self.patterns.push(format!("{}:{line} {name} takes a tuple apart", self.file));
        }
        visit::visit_signature(self, signature);
    }

    fn visit_type_tuple(&mut self, tuple: &'ast TypeTuple) {
        let (count, line) = (tuple.elems.len(), tuple.span().start().line);
        if count > TUPLE_FIELDS {
            self.tuples.push(format!("{}:{line} a tuple has {count} fields", self.file));
        }
        visit::visit_type_tuple(self, tuple);
    }
}

/// Each function that is too long, from its head to its last brace.
pub fn long_functions(sources: &[Source]) -> Vec<String> {
    Finder::look(sources).functions
}

/// Each function with too many parameters.
pub fn long_signatures(sources: &[Source]) -> Vec<String> {
    Finder::look(sources).signatures
}

/// Each function that has a tuple pattern as a parameter, so its list of parameters looks shorter than it is.
pub fn tuple_patterns(sources: &[Source]) -> Vec<String> {
    Finder::look(sources).patterns
}

/// Each tuple with too many fields as a type: of a parameter, a result, a field, a local, or as an argument of another.
pub fn long_tuples(sources: &[Source]) -> Vec<String> {
    Finder::look(sources).tuples
}

fn count(rule: fn(&[Source]) -> Vec<String>, name: &str, text: &str) -> usize {
    rule(&[Source::new(name, text)]).len()
}

#[test]
fn a_long_file_and_a_nameless_one_are_seen() {
    assert_eq!(count(long_files, "a.rs", &"//\n".repeat(400)), 0);
    assert_eq!(count(long_files, "a.rs", &"//\n".repeat(401)), 1);
    assert_eq!(count(nameless_files, "a.rs", "//! What it owns."), 0);
    assert_eq!(count(nameless_files, "a.rs", "// What it owns."), 1);
}

#[test]
fn a_long_line_is_seen() {
    let attribute = |letters: usize| format!("#[doc = \"{}\"]\nfn a() {{}}", "é".repeat(letters - 11));
    assert_eq!(count(long_lines, "a.rs", &attribute(120)), 0);
    assert_eq!(long_lines(&[Source::new("a.rs", &attribute(121))]), ["a.rs:1"]);
    assert_eq!(count(long_lines, "a.rs", &format!("// {}", "a".repeat(118))), 1);
}

#[test]
fn a_long_function_is_seen() {
    for head in ["fn a()", "pub async fn a()", "pub(in crate::http) const fn a()", "fn a(\n)"] {
        let lines = |lines: usize| "x();\n".repeat(lines - head.lines().count() - 1);
        for (length, found) in [(70, 0), (71, 1)] {
            let function = format!("#[doc = \"\"]\n{head} {{\n{}}}\n", lines(length));
            assert_eq!(count(long_functions, "a.rs", &function), found, "{head}");
            let method = format!("impl A {{\n{function}}}\n");
            assert_eq!(count(long_functions, "a.rs", &method), found, "{head}");
        }
    }
}

#[test]
fn a_long_list_of_parameters_is_seen() {
    let five = "fn a<T: B<u8, u8>>(b: T, c: (u8, u8), d: fn(u8, u8) -> u8, e: u8, f: u8,) {}";
    assert_eq!(count(long_signatures, "a.rs", five), 0);
    assert_eq!(count(long_signatures, "a.rs", "fn a(b: A, c: A, d: A, e: A, f: A, g: A) {}"), 1);
    assert_eq!(count(long_signatures, "a.rs", "impl A { fn a(&self, b: A, c: A, d: A, e: A, f: A) {} }"), 0);
    assert_eq!(
        count(long_signatures, "a.rs", "trait A { fn a(self, b: A, c: A, d: A, e: A, f: A, g: A); }"),
        1
    );
}

#[test]
fn a_tuple_pattern_as_a_parameter_is_seen() {
    for head in ["fn a((b, c): (u8, u8))", "async fn a(d: u8, (b, c): (u8, u8))", "fn a(&(b, c): &(u8, u8))"]
    {
        assert_eq!(count(tuple_patterns, "a.rs", &format!("{head} {{}}")), 1, "{head}");
        assert_eq!(count(tuple_patterns, "a.rs", &format!("impl A {{ {head} {{}} }}")), 1, "{head}");
    }
    for head in ["fn a(b: (u8, u8))", "fn a(&self, B(c): B, D { e, f }: D)"] {
        assert_eq!(count(tuple_patterns, "a.rs", &format!("impl A {{ {head} {{}} }}")), 0, "{head}");
    }
    let closure = "fn a() { b(|(c, d): (u8, u8)| c); }";
    assert_eq!(count(tuple_patterns, "a.rs", closure), 0);
}

#[test]
fn a_long_tuple_is_seen() {
    for place in [
        "fn a(b: T) {}",
        "fn a() -> Vec<T> {}",
        "struct A { b: Option<T> }",
        "type A = T;",
        "fn a() { let b: T = c(); }",
        "fn a() { b::<T>(); }",
    ] {
        assert_eq!(count(long_tuples, "a.rs", &place.replace('T', "(u8, u8, u8)")), 0, "{place}");
        assert_eq!(count(long_tuples, "a.rs", &place.replace('T', "(u8, u8, u8, u8)")), 1, "{place}");
    }
}
