//! The modules of the crate, the paths that they name, and the file that a path leads to.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{
    Attribute, ImplItemFn, Item, ItemMod, ItemUse, Macro, MetaList, UseTree, VisRestricted, Visibility,
};

use super::source::Source;

/// A module, which is a file or a part of one.
#[derive(Default)]
struct Module {
    file: String,
    children: BTreeSet<String>,
    /// The names that its imports bring in, with the paths as written.
    imports: BTreeMap<String, Vec<String>>,
}

/// A path that stands in the source: in an import, in code, or in a macro's arguments.
pub struct Named {
    pub file: String,
    pub line: usize,
    module: Vec<String>,
    /// From the root of the crate on.
    pub path: Vec<String>,
    /// Whether a test build alone compiles the place.
    pub is_test: bool,
    /// Whether it is a `pub use`, which passes an item on and does nothing with it.
    pub is_passed_on: bool,
}

/// What the source says about its modules.
#[derive(Default)]
pub struct Imports {
    modules: BTreeMap<Vec<String>, Module>,
    pub named: Vec<Named>,
}

impl Imports {
    pub fn of(sources: &[Source]) -> Self {
        let mut reader = Reader {
            sources,
            module: Vec::new(),
            file: String::new(),
            is_test: false,
            read: Self::default(),
        };
        for (root, module) in [("lib.rs", None), ("main.rs", Some("main"))] {
            if let Some(source) = sources.iter().find(|source| source.name == root) {
                reader.module = module.into_iter().map(str::to_owned).collect();
                reader.read_file(source);
            }
        }
        let mut read = reader.read;
        for mut named in std::mem::take(&mut read.named) {
            if let Some(path) = read.absolute(&named.module, &named.path) {
                named.path = path;
                read.named.push(named);
            }
        }
        read
    }

    /// The files that a `mod` leads to, and the roots.
    pub fn files(&self) -> BTreeSet<&str> {
        self.modules.values().map(|module| &*module.file).collect()
    }

    /// The file of the last module that a path names as it is written.
    pub fn written(&self, path: &[String]) -> &str {
        let modules = (0..=path.len()).rev().find_map(|length| self.modules.get(&path[..length]));
        &modules.expect("the root is a module").file
    }

    /// The file that defines the item of a path, behind every `use` that passes it on. A module alone is no item.
    pub fn definer(&self, path: &[String]) -> Option<&str> {
        let length = (0..=path.len()).rev().find(|length| self.modules.contains_key(&path[..*length]))?;
        let (module, item) = path.split_at(length);
        let import = self.modules[module].imports.get(item.first()?);
        match import {
            Some(import) => self.definer(&[&*self.absolute(module, import)?, &item[1..]].concat()),
            None => Some(&self.modules[module].file),
        }
    }

    /// A path as a module writes it, from the root on. None if it leads out of the crate.
    fn absolute(&self, module: &[String], path: &[String]) -> Option<Vec<String>> {
        let (first, rest) = path.split_first()?;
        let above = || module.split_last().map(|(_, above)| above);
        let begin = match first.as_str() {
            "crate" | "scrapehook" => Vec::new(),
            "self" => module.to_vec(),
            "super" if rest.first().is_some_and(|next| next == "super") => {
                return self.absolute(above()?, rest);
            }
            "super" => above()?.to_vec(),
            _ if self.modules[module].children.contains(first) => [module, &path[..1]].concat(),
            // `use serde::{self, …}` brings in the name of another crate.
            _ => {
                let import =
                    self.modules[module].imports.get(first).filter(|import| import.first() != Some(first))?;
                self.absolute(module, import)?
            }
        };
        Some([&begin, rest].concat())
    }
}

/// Reads the modules of the crate, from the roots on.
struct Reader<'a> {
    sources: &'a [Source],
    module: Vec<String>,
    file: String,
    is_test: bool,
    read: Imports,
}

impl Reader<'_> {
    fn read_file(&mut self, source: &Source) {
        self.file = source.name.clone();
        self.read_items(&source.file.items);
    }

    fn read_items(&mut self, items: &[Item]) {
        let module = Module { file: self.file.clone(), ..Module::default() };
        self.read.modules.insert(self.module.clone(), module);
        items.iter().for_each(|item| self.visit_item(item));
    }

    fn here(&mut self) -> &mut Module {
        self.read.modules.get_mut(&self.module).expect("the module that is read")
    }

    fn name(&mut self, path: Vec<String>, at: Span, is_passed_on: bool) {
        self.read.named.push(Named {
            file: self.file.clone(),
            line: at.start().line,
            module: self.module.clone(),
            path,
            is_test: self.is_test,
            is_passed_on,
        });
    }

    /// Each path of an import: `a::{self, b as c, d::*}` has `a`, `a::b` and `a::d::*`.
    fn import(&mut self, tree: &UseTree, before: &[String], is_passed_on: bool) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        let (path, name) = match tree {
            UseTree::Path(path) => return self.import(&path.tree, &with(&path.ident), is_passed_on),
            UseTree::Group(group) => {
                return group.items.iter().for_each(|tree| self.import(tree, before, is_passed_on));
            }
            UseTree::Glob(glob) => {
                let path = [before, &["*".to_owned()]].concat();
                return self.name(path, glob.star_token.spans[0], is_passed_on);
            }
            UseTree::Name(name) if name.ident == "self" => (before.to_vec(), before.last().cloned()),
            UseTree::Name(name) => (with(&name.ident), Some(name.ident.to_string())),
            UseTree::Rename(rename) => (with(&rename.ident), Some(rename.rename.to_string())),
        };
        if let Some(name) = name {
            self.here().imports.insert(name, path.clone());
        }
        self.name(path, syn::spanned::Spanned::span(tree), is_passed_on);
    }

    /// The paths among the arguments of a macro or an attribute.
    fn read_tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        let mut begin = Span::call_site();
        for token in tokens {
            match token {
                TokenTree::Ident(ident) if colons == 2 && !path.is_empty() => path.push(ident.to_string()),
                TokenTree::Ident(ident) => {
                    self.end_path(&mut path, begin);
                    begin = ident.span();
                    path = vec![ident.to_string()];
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => {
                    colons += 1;
                    continue;
                }
                TokenTree::Group(group) => {
                    self.end_path(&mut path, begin);
                    self.read_tokens(group.stream());
                }
                _ => self.end_path(&mut path, begin),
            }
            colons = 0;
        }
        self.end_path(&mut path, begin);
    }

    fn end_path(&mut self, path: &mut Vec<String>, begin: Span) {
        if !path.is_empty() {
            self.name(std::mem::take(path), begin, false);
        }
    }
}

fn is_of_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let list = attribute.meta.require_list();
        list.is_ok_and(|list| list.path.is_ident("cfg") && list.tokens.to_string() == "test")
    })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        let before = self.is_test;
        self.is_test |= is_of_tests(attributes(item));
        visit::visit_item(self, item);
        self.is_test = before;
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        let before = self.is_test;
        self.is_test |= is_of_tests(&function.attrs);
        visit::visit_impl_item_fn(self, function);
        self.is_test = before;
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        let name = item.ident.to_string();
        self.here().children.insert(name.clone());
        self.module.push(name);
        let file = self.file.clone();
        match &item.content {
            Some((_, items)) => self.read_items(items),
            None => {
                let path = self.module.join("/");
                let files = [format!("{path}.rs"), format!("{path}/mod.rs")];
                let source = self.sources.iter().find(|source| files.contains(&source.name));
                self.read_file(source.unwrap_or_else(|| panic!("{path} has no file")));
            }
        }
        self.file = file;
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if item.leading_colon.is_none() {
            self.import(&item.tree, &[], !matches!(item.vis, Visibility::Inherited));
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() {
            let at = syn::spanned::Spanned::span(path);
            self.name(path.segments.iter().map(|segment| segment.ident.to_string()).collect(), at, false);
        }
        visit::visit_path(self, path);
    }

    /// `pub(in a::b)` says who may import, and imports nothing.
    fn visit_vis_restricted(&mut self, _: &'ast VisRestricted) {}

    fn visit_macro(&mut self, call: &'ast Macro) {
        self.read_tokens(call.tokens.clone());
        visit::visit_macro(self, call);
    }

    fn visit_meta_list(&mut self, list: &'ast MetaList) {
        self.read_tokens(list.tokens.clone());
        visit::visit_meta_list(self, list);
    }
}

/// A crate of these files. A line of `lib.rs` or of a `mod.rs` declares each of the others.
pub fn sample(files: &[(&str, &str)]) -> Vec<Source> {
    files.iter().map(|(name, text)| Source::new(name, text)).collect()
}

#[test]
fn paths_lead_to_the_file_that_defines_their_item() {
    let sources = sample(&[
        ("lib.rs", "mod a; mod b;"),
        ("a/mod.rs", "mod child; pub use child::Passed; pub struct Own;"),
        ("a/child.rs", "use super::Own; pub struct Passed;"),
        (
            "b.rs",
            "use crate::a::{self, Passed as Other}; use std::fs;
            fn f(own: a::Own) -> Other { vec![crate::a::Own, fs::x] }
            #[cfg(test)] mod tests { use super::*; }",
        ),
    ]);
    let imports = Imports::of(&sources);
    let found = |named: &Named| {
        let end = if named.is_test { " in a test" } else { "" };
        let end = if named.is_passed_on { " passed on" } else { end };
        let to = imports.definer(&named.path)?;
        Some(format!("{} names {} of {to}{end}", named.file, named.path.join("::")))
    };
    assert_eq!(
        imports.named.iter().filter_map(found).collect::<Vec<_>>(),
        [
            "a/child.rs names a::Own of a/mod.rs",
            "a/mod.rs names a::child::Passed of a/child.rs passed on",
            "b.rs names a::Passed of a/child.rs",
            "b.rs names a::Own of a/mod.rs",
            "b.rs names a::Passed of a/child.rs",
            "b.rs names a::Own of a/mod.rs",
            "b.rs names b::* of b.rs in a test",
        ]
    );
    assert_eq!(imports.written(&["a".to_owned(), "Passed".to_owned()]), "a/mod.rs");
}
