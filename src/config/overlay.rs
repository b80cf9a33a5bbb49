//! `environments:` lays one of its entries over the rest of the file.

use crate::mistakes::{Mistakes, Place, suggestion};
use crate::node::{Key, Node, Value};

pub(super) fn apply(mut root: Node, chosen: Option<&str>, mistakes: &mut Mistakes) -> Node {
    let Value::Map(entries) = &mut root.value else { return root };
    let at = entries.iter().position(|(key, _)| key.name == "environments");
    let environments = at.map(|at| entries.remove(at));
    for (key, node) in environments.iter().flat_map(|(key, node)| std::iter::once((key, node)).chain(node.entries().iter().map(|(k, n)| (k, n)))) {
        if !node.is_map() {
            mistakes.add(key.place, format!("`{}` is a map of {}", key.name, if key.name == "environments" { "environments" } else { "sections" }));
        }
    }
    let Some(chosen) = chosen else { return root };
    let place = environments.as_ref().map_or(Place { line: 1, column: 1 }, |(key, _)| key.place);
    let overlay = environments.as_ref().and_then(|(_, node)| node.get(chosen));
    match overlay {
        Some(overlay) if overlay.is_map() => merge(&mut root, overlay),
        Some(_) => {}
        None => {
            let names: Vec<&str> = environments.iter().flat_map(|(_, node)| node.entries()).map(|(key, _)| key.name.as_str()).collect();
            mistakes.add_with_help(place, format!("there is no environment `{chosen}`"), suggestion(chosen, names, "environments"));
        }
    }
    root
}

/// Maps are merged key by key; anything else is replaced.
fn merge(base: &mut Node, over: &Node) {
    let (Value::Map(entries), Value::Map(overs)) = (&mut base.value, &over.value) else {
        *base = over.clone();
        return;
    };
    for (key, value) in overs {
        match entries.iter_mut().find(|(k, _)| k.name == key.name) {
            Some((_, node)) => merge(node, value),
            None => entries.push((key.clone(), value.clone())),
        }
    }
}

/// Sets a dotted key to a text.
pub(super) fn set(root: &mut Node, dotted: &str, text: &str) {
    let place = root.place;
    let leaf = Node::text(text, place);
    let over = dotted.rsplit('.').fold(leaf, |node, name| Node::map(vec![(Key { name: name.to_owned(), place }, node)], place));
    merge(root, &over);
}
