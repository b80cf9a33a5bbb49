//! From the file to typed checks; every mistake at once, each with its place and the nearest word.

use std::collections::{BTreeMap, BTreeSet};

use super::{COLUMN_KEYS, COMMON, Common, Gates, IMPLIED, Planned, TABLE_KEYS, TableGates};
use crate::catalogue::switched_off;
use crate::checks::{Kind, On, Target, Within, kinds};
use crate::mistakes::{Mistakes, Place, suggestion};
use crate::names::TableName;
use crate::node::{Key, Node, Value};
use crate::outcome::Location;

/// `file` is where the locations of the report point to.
pub fn parse(node: &Node, file: &str, mistakes: &mut Mistakes) -> Gates {
    let mut reader = Reader { kinds: kinds(), file, mistakes, redacted: BTreeSet::new(), settings: BTreeMap::new() };
    if !node.is_map() {
        reader.mistakes.add(node.place, "`gates.data` is a map of tables");
    }
    let tables = node.entries().iter().filter_map(|(key, node)| reader.table(key, node)).collect();
    Gates { tables, redacted: reader.redacted }
}

/// Where a check stands: what it looks at, and what the table and the column say for all of theirs.
#[derive(Clone)]
struct Scope {
    target: Target,
    on: On,
    tags: Vec<String>,
    owner: Option<String>,
}

struct Reader<'a> {
    kinds: Vec<Kind>,
    file: &'a str,
    mistakes: &'a mut Mistakes,
    redacted: BTreeSet<(TableName, String)>,
    /// The settings of each kind that has been met.
    settings: BTreeMap<&'static str, Vec<String>>,
}

impl Reader<'_> {
    fn table(&mut self, key: &Key, node: &Node) -> Option<TableGates> {
        let table = TableName::parse(&key.name).map_err(|why| self.mistakes.add(key.place, why)).ok()?;
        if !node.is_map() && !node.is_null() {
            self.mistakes.add(node.place, format!("`{table}` is a map of checks"));
            return None;
        }
        let filter = self.setting::<String>(node, "where");
        let allow_empty = self.setting::<bool>(node, "allow_empty").unwrap_or(false);
        let target = Target::of_table(table.clone(), filter.clone());
        let scope = Scope { target, on: On::Table, tags: self.setting(node, "tags").unwrap_or_default(), owner: self.setting(node, "owner") };
        let mut checks = Vec::new();
        self.build("exists", &scope, &Node::map(vec![], key.place), key.place, &mut checks);
        let columns = node.get("columns");
        match columns {
            Some(columns) if !columns.is_map() => self.mistakes.add(columns.place, "`columns` is a map: each column with its checks"),
            Some(columns) if columns.entries().is_empty() => self.mistakes.add(columns.place, "`columns` is a map of columns, and it is empty"),
            Some(columns) => self.build("columns", &scope, &Node::map(vec![], columns.place), columns.place, &mut checks),
            None => {}
        }
        for (key, node) in node.entries().iter().filter(|(k, _)| !TABLE_KEYS.contains(&k.name.as_str())) {
            self.entry(key, node, &scope, &mut checks);
        }
        for (name, node) in columns.map(Node::entries).unwrap_or_default() {
            self.column(name, node, &scope, &mut checks);
        }
        let columns = columns.map(Node::entries).unwrap_or_default().iter().map(|(name, _)| name.name.clone()).collect();
        Some(TableGates { table, filter, allow_empty, columns, checks })
    }

    fn setting<T: serde::de::DeserializeOwned>(&mut self, node: &Node, name: &str) -> Option<T> {
        node.get(name).and_then(|n| n.decode::<T>(self.mistakes))
    }

    fn column(&mut self, name: &Key, node: &Node, table: &Scope, checks: &mut Vec<Planned>) {
        let target = Target { column: Some(name.name.clone()), ..table.target.clone() };
        if !node.is_map() && !node.is_null() {
            self.mistakes.add(node.place, format!("`{}` is a map of checks", name.name));
        }
        if self.setting::<bool>(node, "redact") == Some(true) {
            self.redacted.insert((target.table.clone(), name.name.clone()));
        }
        let tags = table.tags.iter().cloned().chain(self.setting::<Vec<String>>(node, "tags").unwrap_or_default()).collect();
        let owner = self.setting(node, "owner").or_else(|| table.owner.clone());
        let scope = Scope { target, on: On::Column, tags, owner };
        for (key, node) in node.entries().iter().filter(|(k, _)| !COLUMN_KEYS.contains(&k.name.as_str())) {
            self.entry(key, node, &scope, checks);
        }
    }

    /// One key: a check, several of one kind, a group of checks, or a mistake.
    fn entry(&mut self, key: &Key, node: &Node, scope: &Scope, checks: &mut Vec<Planned>) {
        if scope.on == On::Table && self.kinds.iter().any(|kind| kind.within.is_some_and(|w| w.group == key.name)) {
            self.group(key, node, scope, checks);
            return;
        }
        let here = |kind: &&Kind| (kind.on == scope.on || kind.on == On::Both) && !IMPLIED.contains(&kind.entry.name) && kind.within.is_none();
        let Some(kind) = self.kinds.iter().filter(here).find(|kind| kind.entry.name == key.name) else {
            let groups = self.kinds.iter().filter_map(|kind| kind.within).map(|within| within.group).filter(|_| scope.on == On::Table);
            let extra: &[&str] = if scope.on == On::Table { &TABLE_KEYS } else { &COLUMN_KEYS };
            let known: Vec<&str> = self.kinds.iter().filter(here).map(|kind| kind.entry.name).chain(extra.iter().copied()).chain(groups).collect();
            let help = suggestion(&key.name, known, "checks");
            let what = if scope.on == On::Table { "check on a table" } else { "check on a column" };
            self.mistakes.add_with_help(key.place, format!("unknown {what} `{}`", key.name), help);
            return;
        };
        let name = kind.entry.name;
        let several = match &node.value {
            Value::List(items) => (kind.repeats && scope.on == On::Table) || (!items.is_empty() && items.iter().all(Node::is_map)),
            _ => false,
        };
        if self.says_something(key, node) {
            let items = if several { node.items() } else { vec![node] };
            items.into_iter().for_each(|item| self.build(name, scope, item, key.place, checks));
        }
    }

    /// Whether there is a check to build: `false` is none, and what is empty is a mistake.
    fn says_something(&mut self, key: &Key, node: &Node) -> bool {
        let why = match &node.value {
            Value::Null => "has no value",
            Value::List(items) if items.is_empty() => "is an empty list, so nothing would be checked",
            Value::Map(entries) if entries.is_empty() => "is an empty map",
            _ => return !switched_off(node),
        };
        self.mistakes.add(if node.is_null() { key.place } else { node.place }, format!("`{}` {why}", key.name));
        false
    }

    /// `split: {column: …, ratios: …, overlap: …}`: several checks that share settings.
    fn group(&mut self, key: &Key, node: &Node, scope: &Scope, checks: &mut Vec<Planned>) {
        let parts: Vec<(&'static str, Within)> =
            self.kinds.iter().filter_map(|kind| Some((kind.entry.name, kind.within.filter(|w| w.group == key.name)?))).collect();
        if !node.is_map() {
            self.mistakes.add(node.place, format!("`{}` is a map", key.name));
            return;
        }
        let is_shared = |name: &str| COMMON.contains(&name) || parts.iter().any(|(_, w)| w.shared.contains(&name));
        let mut found = false;
        for (part, settings) in node.entries() {
            if let Some((name, within)) = parts.iter().find(|(_, w)| w.key == part.name) {
                found = true;
                if self.says_something(part, settings) {
                    let shared = node.entries().iter().filter(|(k, _)| within.shared.contains(&k.name.as_str()) || COMMON.contains(&k.name.as_str()));
                    let own =
                        if within.whole { Node::map(vec![(part.clone(), settings.clone())], settings.place) } else { self.long(name, settings) };
                    let more = Node::map(shared.cloned().collect(), node.place);
                    self.build(name, scope, &joined(&own, &more), part.place, checks);
                }
            } else if !is_shared(&part.name) {
                let known = parts.iter().flat_map(|(_, w)| w.shared.iter().copied().chain([w.key])).chain(COMMON);
                let help = suggestion(&part.name, known.collect::<Vec<_>>(), "keys");
                self.mistakes.add_with_help(part.place, format!("unknown key `{}` in `{}`", part.name, key.name), help);
            }
        }
        if !found {
            let keys: Vec<&str> = parts.iter().map(|(_, w)| w.key).collect();
            self.mistakes.add_with_help(key.place, format!("`{}` asks for nothing", key.name), format!("write one of {}", keys.join(", ")));
        }
    }

    /// `true` is "with the defaults".
    fn long(&self, name: &str, settings: &Node) -> Node {
        match (&settings.value, self.kinds.iter().find(|kind| kind.entry.name == name)) {
            (Value::Bool(true), _) => Node::map(vec![], settings.place),
            (_, Some(kind)) => kind.entry.long_form(settings),
            (_, None) => settings.clone(),
        }
    }

    /// Takes keys that the check does not have out, each with the nearest of those that it has.
    fn known_keys(&mut self, name: &'static str, own: Vec<(Key, Node)>) -> Option<Vec<(Key, Node)>> {
        let kind = self.kinds.iter().find(|kind| kind.entry.name == name)?;
        let known = self.settings.entry(name).or_insert_with(|| kind.entry.settings().into_iter().map(|(key, _)| key).collect());
        let (known_ones, unknown): (Vec<_>, Vec<_>) = own.into_iter().partition(|(key, _)| known.contains(&key.name));
        for (key, _) in &unknown {
            let words: Vec<&str> = known.iter().map(String::as_str).chain(COMMON).collect();
            self.mistakes.add_with_help(key.place, format!("unknown key `{}`", key.name), suggestion(&key.name, words, "keys"));
        }
        unknown.is_empty().then_some(known_ones)
    }

    fn build(&mut self, name: &'static str, scope: &Scope, settings: &Node, place: Place, checks: &mut Vec<Planned>) {
        let settings = self.long(name, settings);
        if !settings.is_map() {
            self.mistakes.add(settings.place, format!("`{name}` is a map of settings, or `true` where it needs none"));
            return;
        }
        for (key, _) in settings.entries().iter().filter(|(_, value)| value.is_null()) {
            self.mistakes.add(key.place, format!("`{}` has no value", key.name));
        }
        let (common, own): (Vec<_>, Vec<_>) = settings.entries().iter().cloned().partition(|(k, _)| COMMON.contains(&k.name.as_str()));
        let common = Node::map(common, settings.place).decode::<Common>(self.mistakes);
        let Some(own) = self.known_keys(name, own) else { return };
        let Some(kind) = self.kinds.iter().find(|kind| kind.entry.name == name) else { return };
        let check = kind.entry.build(&Node::map(own, settings.place), self.mistakes);
        let (Some(common), Some(check)) = (common, check) else { return };
        checks.push(Planned {
            kind: name,
            target: Target { filter: common.filter, ..scope.target.clone() },
            check,
            level: common.level,
            on_broken: common.on_broken,
            name: common.name,
            tags: scope.tags.iter().cloned().chain(common.tags).collect(),
            owner: common.owner.or_else(|| scope.owner.clone()),
            location: Location { file: self.file.to_owned(), line: place.line, column: place.column },
        });
    }
}

/// A map with more settings in it; what it says itself holds.
fn joined(node: &Node, more: &Node) -> Node {
    // Anything else is a mistake that is told as what it is.
    if !node.is_map() {
        return node.clone();
    }
    let mut entries = node.entries().to_vec();
    entries.extend(more.entries().iter().filter(|(key, _)| node.get(&key.name).is_none()).cloned());
    Node::map(entries, node.place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::gates::Level;

    fn read(yaml: &str) -> (Gates, Vec<(usize, String)>) {
        let node: Node = serde_saphyr::from_str(yaml).expect("yaml");
        let mut mistakes = Mistakes::default();
        let gates = parse(&node, "mlops.yml", &mut mistakes);
        (gates, mistakes.sorted().into_iter().map(|m| (m.place.line, format!("{}; {}", m.message, m.help.unwrap_or_default()))).collect())
    }

    #[test]
    fn short_and_long_forms_and_lists_become_checks() {
        let (gates, mistakes) = read(
            "flights:\n  rows: 10\n  unique: [id, [a, b], {columns: c, level: warn}]\n  columns:\n    id: {not_null: true, unique: false}\n    \
             a: {in: [1, 2], range: [{between: [0, 1], where: x}, {between: [0, 2]}]}\n",
        );
        assert_eq!(mistakes, []);
        let kinds: Vec<_> = gates.tables[0].checks.iter().map(|c| format!("{} {}", c.target.subject(), c.kind)).collect();
        assert_eq!(
            kinds,
            [
                "flights exists",
                "flights columns",
                "flights rows",
                "flights unique",
                "flights unique",
                "flights unique",
                "flights.id not_null",
                "flights.a in",
                "flights.a range",
                "flights.a range",
            ]
        );
        assert_eq!(gates.tables[0].checks[5].level, Level::Warn);
        assert_eq!(gates.tables[0].checks[8].target.filter.as_deref(), Some("x"));
    }

    #[test]
    fn every_typo_is_found_with_its_line_and_the_nearest_word() {
        let (_, mistakes) = read(
            "flights:\n  rwos: 10\n  rows: {mni: 1}\n  columns:\n    id: {uniqe: true, nulls: {max: 3%, wran: 1%}}\n    b: {not_null:}\n  metric: [{sql: select 1}]\n",
        );
        let expect = [
            (2, "unknown check on a table `rwos`; did you mean `rows`?"),
            (3, "unknown key `mni`; did you mean `min`?"),
            (5, "unknown check on a column `uniqe`; did you mean `unique`?"),
            (5, "unknown key `wran`; did you mean `warn`?"),
            (6, "`not_null` has no value; "),
            (7, "metric: a bound is missing: `min`, `max` or `between`; "),
        ];
        assert_eq!(mistakes, expect.map(|(line, text)| (line, text.to_owned())));
    }
}
