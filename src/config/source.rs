//! YAML text as a tree of nodes, each with its place.

use serde_saphyr::options::DuplicateKeyPolicy;

use crate::mistakes::{Mistakes, Place};
use crate::node::{Node, Value};

pub(super) fn parse(text: &str, mistakes: &mut Mistakes) -> Option<Node> {
    let options = serde_saphyr::options! {
        // Found below, all of them, with both places.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        // YAML 1.2: `NO` is a country.
        strict_booleans: true,
        with_snippet: false,
    };
    let root: Node = match serde_saphyr::from_str_with_options(text, options) {
        Ok(root) => root,
        Err(error) => {
            let place = error.location().map_or(Place { line: 1, column: 1 }, |at| {
                let number = |n: u64| usize::try_from(n).unwrap_or(1).max(1);
                Place { line: number(at.line()), column: number(at.column()) }
            });
            let message = error.to_string();
            let message = message.split(" at line ").next().unwrap_or_default().lines().next().unwrap_or_default();
            mistakes.add(place, format!("this is no valid YAML: {message}"));
            return None;
        }
    };
    if !root.is_map() {
        mistakes.add(Place { line: 1, column: 1 }, "the file must be a map of sections, starting with `version: 1`");
        return None;
    }
    duplicates(&root, mistakes);
    Some(root)
}

fn duplicates(node: &Node, mistakes: &mut Mistakes) {
    match &node.value {
        Value::Map(entries) => {
            for (i, (key, value)) in entries.iter().enumerate() {
                if let Some((first, _)) = entries[..i].iter().find(|(earlier, _)| earlier.name == key.name) {
                    mistakes.add(key.place, format!("the key `{}` stands here twice (first in line {})", key.name, first.place.line));
                }
                duplicates(value, mistakes);
            }
        }
        Value::List(items) => items.iter().for_each(|item| duplicates(item, mistakes)),
        _ => {}
    }
}
