//! Finds which file uses which, and which crates it names, from the syntax tree. Pure: sources in, a graph out.
//!
//! A path is resolved through `use` items to the file that defines its target. So a name taken from a parent's
//! re-export counts as an import of the defining file. Code under `#[cfg(test)]` is ignored.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, ItemUse, Macro, Meta, UseTree, Visibility};

/// The crate's own name, by which the binary refers to the library.
const CRATE: &str = "electra_server";

/// A path from a crate's root, outermost name first: `service::json` is `["service", "json"]`.
type Names = Vec<String>;

/// The imports between the files of a crate.
#[derive(Debug, Default)]
pub struct Imports {
    /// For each file, by its path from `src`, the files that it uses.
    pub files: BTreeMap<String, BTreeSet<String>>,
    /// For each file, the first segments of its paths: crates, and names in scope.
    pub crates: BTreeMap<String, BTreeSet<String>>,
}

/// The names that a module declares.
#[derive(Default)]
struct Module {
    file: String,
    /// Names that `use` items import, as they are called here.
    bindings: BTreeMap<String, Names>,
    /// Modules imported with a glob.
    globs: Vec<Names>,
}

/// The modules of a crate, by path.
type Modules = BTreeMap<Names, Module>;

impl Imports {
    /// Parses sources, given as each file's path from `src` and its text.
    ///
    /// # Panics
    /// If a text is not Rust.
    pub fn read<'a>(sources: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut modules = Modules::new();
        let mut references = Vec::new();
        for (file, text) in sources {
            let syntax = syn::parse_file(text).unwrap_or_else(|error| panic!("{file}: {error}"));
            let mut reader = Reader {
                file,
                is_contents: file.ends_with("mod.rs") || file == "lib.rs",
                module: module_of(file),
                modules: &mut modules,
                references: &mut references,
            };
            reader.declare();
            reader.visit_file(&syntax);
        }
        let mut imports = Self::default();
        for file in modules.values().map(|module| &module.file) {
            imports.files.entry(file.clone()).or_default();
            imports.crates.entry(file.clone()).or_default();
        }
        for Reference { module, names } in references {
            let from = &modules[&module].file;
            if let Some(first) = names.first() {
                let crates = imports.crates.entry(from.clone()).or_default();
                crates.insert(first.clone());
            }
            let target = absolute(&modules, &module, &names)
                .and_then(|names| defining_file(&modules, &names, 0));
            if let Some(to) = target.filter(|to| to != from && to != "lib.rs") {
                imports.files.entry(from.clone()).or_default().insert(to);
            }
        }
        imports
    }

    /// The imports between rooms: the folders of `src`, and the files beside them.
    pub fn rooms(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut rooms = BTreeMap::<String, BTreeSet<String>>::new();
        for (from, targets) in &self.files {
            let uses = rooms.entry(room(from).to_owned()).or_default();
            let others = targets.iter().map(|to| room(to));
            uses.extend(others.filter(|to| *to != room(from)).map(str::to_owned));
        }
        rooms.remove("lib");
        rooms
    }
}

/// The room of a file: `service` for `service/qa.rs` and for `service.rs`.
pub fn room(file: &str) -> &str {
    let first = file.split('/').next().unwrap_or(file);
    first.trim_end_matches(".rs")
}

/// The import cycles of a graph: sets of nodes that reach each other.
pub fn circles(graph: &BTreeMap<String, BTreeSet<String>>) -> Vec<Vec<String>> {
    let reach: BTreeMap<&String, BTreeSet<&String>> = graph
        .keys()
        .map(|start| {
            let mut seen = BTreeSet::new();
            let mut next: Vec<&String> = graph[start].iter().collect();
            while let Some(node) = next.pop() {
                if seen.insert(node) {
                    next.extend(graph.get(node).into_iter().flatten());
                }
            }
            (start, seen)
        })
        .collect();
    let mut circles = BTreeSet::new();
    for (node, seen) in &reach {
        if seen.contains(node) {
            let circle = seen.iter().filter(|other| reach[**other].contains(node));
            circles.insert(circle.map(|node| (*node).clone()).collect::<Vec<_>>());
        }
    }
    circles.into_iter().collect()
}

/// A path in a module's code, as written.
struct Reference {
    module: Names,
    names: Names,
}

struct Reader<'a> {
    file: &'a str,
    /// Whether the file is its folder's `mod.rs`, whose re-exports do not count as imports.
    is_contents: bool,
    module: Names,
    modules: &'a mut Modules,
    references: &'a mut Vec<Reference>,
}

impl Reader<'_> {
    fn declare(&mut self) {
        let file = self.file.to_owned();
        self.modules.entry(self.module.clone()).or_default().file = file;
    }

    fn refer(&mut self, names: Names) {
        self.references.push(Reference {
            module: self.module.clone(),
            names,
        });
    }

    fn import(&mut self, tree: &UseTree, mut names: Names, is_arrow: bool) {
        let (bound, names) = match tree {
            UseTree::Path(path) => {
                names.push(path.ident.to_string());
                return self.import(&path.tree, names, is_arrow);
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(tree, names.clone(), is_arrow);
                }
                return;
            }
            UseTree::Name(name) if name.ident == "self" => {
                (names.last().cloned().unwrap_or_default(), names)
            }
            UseTree::Name(name) => {
                names.push(name.ident.to_string());
                (name.ident.to_string(), names)
            }
            UseTree::Rename(rename) => {
                if rename.ident != "self" {
                    names.push(rename.ident.to_string());
                }
                (rename.rename.to_string(), names)
            }
            UseTree::Glob(_) => ("*".to_owned(), names),
        };
        if is_arrow {
            self.refer(names.clone());
        }
        let module = self.modules.entry(self.module.clone()).or_default();
        if bound == "*" {
            module.globs.push(names);
        } else {
            module.bindings.insert(bound, names);
        }
    }

    /// Collects paths from the tokens of a macro call, which are not parsed.
    fn scan(&mut self, tokens: TokenStream) {
        let mut names = Names::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.refer_if_long(std::mem::take(&mut names));
                    }
                    names.push(ident.to_string());
                    colons = 0;
                }
                other => {
                    self.refer_if_long(std::mem::take(&mut names));
                    colons = 0;
                    if let TokenTree::Group(group) = other {
                        self.scan(group.stream());
                    }
                }
            }
        }
        self.refer_if_long(names);
    }

    fn refer_if_long(&mut self, names: Names) {
        if names.len() > 1 {
            self.refer(names);
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !attributes(item).iter().any(is_for_tests) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        let Some((_, items)) = &item.content else {
            return;
        };
        self.module.push(item.ident.to_string());
        self.declare();
        for item in items {
            self.visit_item(item);
        }
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let is_public = !matches!(item.vis, Visibility::Inherited);
        self.import(&item.tree, Names::new(), !(self.is_contents && is_public));
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names = path.segments.iter().map(|name| name.ident.to_string());
        self.refer_if_long(names.collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        self.scan(call.tokens.clone());
        visit::visit_macro(self, call);
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Whether it is `#[cfg(test)]`, possibly with further conditions.
fn is_for_tests(attribute: &Attribute) -> bool {
    match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg") => {
            let mut tokens = list.tokens.clone().into_iter();
            tokens.any(|token| matches!(token, TokenTree::Ident(name) if name == "test"))
        }
        _ => false,
    }
}

/// Maps `service/json.rs` to the module `service::json`, and `service/mod.rs` to `service`.
fn module_of(file: &str) -> Names {
    let path = file.trim_end_matches(".rs");
    let path = path.trim_end_matches("mod").trim_end_matches('/');
    match path {
        "lib" => Names::new(),
        path => path.split('/').map(str::to_owned).collect(),
    }
}

/// Resolves a path written in a module to a path from the crate's root. `None` if it leads out of the crate.
fn absolute(modules: &Modules, module: &Names, names: &[String]) -> Option<Names> {
    let (first, rest) = names.split_first()?;
    let mut base = match first.as_str() {
        "crate" | CRATE => Names::new(),
        "self" => module.clone(),
        "super" => module[..module.len().checked_sub(1)?].to_vec(),
        name => {
            let mut child = module.clone();
            child.push(name.to_owned());
            if !modules.contains_key(&child) {
                return None;
            }
            child
        }
    };
    let mut rest = rest.iter().peekable();
    while rest.next_if(|name| *name == "super").is_some() {
        base.pop()?;
    }
    base.extend(rest.cloned());
    Some(base)
}

/// The file that defines the item at a path from the crate's root.
fn defining_file(modules: &Modules, names: &Names, depth: usize) -> Option<String> {
    let known = (0..=names.len())
        .rev()
        .find(|length| modules.contains_key(&names[..*length]))?;
    let (path, rest) = names.split_at(known);
    let module = &modules[path];
    let Some((name, rest)) = rest.split_first() else {
        return Some(module.file.clone());
    };
    // A cycle of re-exports does not compile. The limit prevents an endless loop if this code is wrong.
    if depth < 16 {
        let follow = |target: &Names, rest: &[String]| {
            let mut target = absolute(modules, &path.to_vec(), target)?;
            target.extend_from_slice(rest);
            defining_file(modules, &target, depth + 1)
        };
        if let Some(target) = module.bindings.get(name) {
            // A path that leads out of the crate has no defining file.
            return follow(target, rest);
        }
        let mut whole = vec![name.clone()];
        whole.extend_from_slice(rest);
        let globs = module.globs.iter();
        if let [glob] = globs.collect::<Vec<_>>()[..]
            && let Some(file) = follow(glob, &whole)
        {
            return Some(file);
        }
    }
    Some(module.file.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(sources: &[(&str, &str)]) -> Vec<(String, Vec<String>)> {
        let files = Imports::read(sources.iter().copied()).files.into_iter();
        files
            .map(|(from, to)| (from, to.into_iter().collect::<Vec<_>>()))
            .filter(|(_, to)| !to.is_empty())
            .collect()
    }

    #[test]
    fn a_path_leads_to_the_file_that_defines_its_target() {
        let shop = "mod cart; pub mod price; pub use cart::Cart; pub use price::Price as Cost;";
        let sources = [
            ("lib.rs", "mod shop; mod till;"),
            ("shop/mod.rs", shop),
            ("shop/cart.rs", "use super::price::Price; pub struct Cart;"),
            ("shop/price.rs", "pub struct Price;"),
            (
                "till.rs",
                "use crate::shop::Cost; fn sum() { println!(\"{}\", crate::shop::Cart::new()); }",
            ),
        ];
        let arrow = |from: &str, to: &[&str]| {
            (
                from.to_owned(),
                to.iter().map(|to| (*to).to_owned()).collect(),
            )
        };
        assert_eq!(
            files(&sources),
            [
                arrow("shop/cart.rs", &["shop/price.rs"]),
                arrow("till.rs", &["shop/cart.rs", "shop/price.rs"]),
            ]
        );
    }

    #[test]
    fn tests_are_left_out_and_circles_are_found() {
        let sources = [
            (
                "a.rs",
                "use crate::b::B; #[cfg(test)] mod tests { use crate::d::D; }",
            ),
            ("b.rs", "fn f() -> crate::c::C { loop {} }"),
            (
                "c.rs",
                "#[cfg(test)] use crate::d::D; fn f() { vec![super::a::A] }",
            ),
            ("d.rs", "use crate::a::A;"),
        ];
        let imports = Imports::read(sources);
        assert_eq!(circles(&imports.files), [["a.rs", "b.rs", "c.rs"]]);
        assert_eq!(circles(&imports.rooms()), [["a", "b", "c"]]);
    }
}
