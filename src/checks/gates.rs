//! `gates.data` of `mlops.yml`: table → column → check → requirement, as typed checks.

use std::collections::{BTreeMap, BTreeSet};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

use super::{Check, Kind, On, Target, Within, kinds};
use crate::catalogue::switched_off;
use crate::mistakes::{Mistakes, Place, suggestion};
use crate::names::TableName;
use crate::node::{Key, Node, Value};
use crate::outcome::{Location, Status};

/// All data gates of a project.
#[derive(Default)]
pub struct Gates {
    pub tables: Vec<TableGates>,
    /// Columns whose values no report may show.
    pub redacted: BTreeSet<(TableName, String)>,
}

impl Gates {
    /// The checks whose measures are remembered, by their paths.
    pub fn with_history(&self) -> Vec<String> {
        self.tables.iter().flat_map(|table| &table.checks).filter(|planned| planned.check.has_history()).map(Planned::path).collect()
    }

    /// How many checks there are.
    pub fn count(&self) -> usize {
        self.tables.iter().map(|table| table.checks.len()).sum()
    }
}

pub struct TableGates {
    pub table: TableName,
    /// `where` of the whole table.
    pub filter: Option<String>,
    /// An empty table fails every check but `rows`, unless this is set.
    pub allow_empty: bool,
    pub checks: Vec<Planned>,
}

/// One check with what every check may say.
pub struct Planned {
    pub kind: &'static str,
    pub target: Target,
    pub check: Box<dyn Check>,
    pub level: Level,
    pub on_broken: OnBroken,
    /// The user's own name for it.
    pub name: Option<String>,
    pub tags: Vec<String>,
    pub owner: Option<String>,
    pub location: Location,
}

impl Planned {
    /// The name under which it is reported.
    pub fn title(&self) -> String {
        self.name.as_ref().map_or_else(|| self.kind.to_owned(), |name| format!("{} ({name})", self.kind))
    }

    /// `data.flights.tailnum.references`: what `--only` selects by.
    pub fn path(&self) -> String {
        let name = self.name.as_ref().map(|name| format!(".{name}")).unwrap_or_default();
        format!("data.{}.{}{name}", self.target.subject(), self.kind)
    }

    /// What the check's own settings make of a result.
    pub fn apply(&self, status: Status) -> Status {
        match (self.on_broken, status) {
            (OnBroken::Warn, Status::Broken) => Status::Warned,
            _ => self.level.apply(status),
        }
    }

    /// Whom to ask.
    pub fn remedy(&self, status: Status) -> Option<String> {
        let owner = self.owner.as_ref().filter(|_| matches!(status, Status::Failed | Status::Warned | Status::Broken))?;
        Some(format!("owner: {owner}"))
    }
}

/// How much a failure matters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    #[default]
    Fail,
    Warn,
    Info,
}

impl Level {
    /// Not evaluated stays not evaluated, whatever the level.
    pub fn apply(self, status: Status) -> Status {
        match (self, status) {
            (Self::Warn, Status::Failed) => Status::Warned,
            (Self::Info, Status::Failed | Status::Warned) => Status::Passed,
            _ => status,
        }
    }
}

/// What becomes of a check that could not be evaluated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnBroken {
    #[default]
    Fail,
    Warn,
}

/// The keys that every check takes.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Common {
    /// Only rows for which this SQL condition holds.
    #[serde(rename = "where")]
    filter: Option<String>,
    /// A name of your own, shown in the report.
    name: Option<String>,
    /// What a failure does to the verdict.
    #[serde(default)]
    level: Level,
    /// What becomes of it when it could not be evaluated: `fail` (exit 3) or `warn`.
    #[serde(default)]
    on_broken: OnBroken,
    /// Words to select it by with `--tags`.
    #[serde(default)]
    tags: Vec<String>,
    /// Whom to ask when it fails.
    owner: Option<String>,
}

const COMMON: [&str; 6] = ["where", "name", "level", "on_broken", "tags", "owner"];
const TABLE_KEYS: [&str; 5] = ["where", "allow_empty", "columns", "tags", "owner"];
/// What a column may say of itself, beside its checks.
const COLUMN_KEYS: [&str; 3] = ["redact", "tags", "owner"];
/// Asked by themselves for every table; there is nothing to write.
const IMPLIED: [&str; 2] = ["exists", "columns"];

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
        let target = Target { table: table.clone(), column: None, table_filter: filter.clone(), filter: None };
        let scope = Scope { target, on: On::Table, tags: self.setting(node, "tags").unwrap_or_default(), owner: self.setting(node, "owner") };
        let mut checks = Vec::new();
        self.build("exists", &scope, &Node::map(vec![], key.place), key.place, &mut checks);
        let columns = node.get("columns");
        if let Some(columns) = columns.filter(|c| !c.entries().is_empty()) {
            self.build("columns", &scope, &listed(columns, "required"), columns.place, &mut checks);
        } else if let Some(columns) = columns {
            self.mistakes.add(columns.place, "`columns` is a map of columns, and it is empty");
        }
        for (key, node) in node.entries().iter().filter(|(k, _)| !TABLE_KEYS.contains(&k.name.as_str())) {
            self.entry(key, node, &scope, columns, &mut checks);
        }
        for (name, node) in columns.map(Node::entries).unwrap_or_default() {
            self.column(name, node, &scope, &mut checks);
        }
        Some(TableGates { table, filter, allow_empty, checks })
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
            self.entry(key, node, &scope, None, checks);
        }
    }

    /// One key: a check, several of one kind, a group of checks, or a mistake.
    fn entry(&mut self, key: &Key, node: &Node, scope: &Scope, columns: Option<&Node>, checks: &mut Vec<Planned>) {
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
        // Which columns are listed is a part of what `schema` asks.
        let listed = columns.filter(|_| kind.wants_columns).map(|columns| listed(columns, "listed"));
        if node.is_null() {
            self.mistakes.add(key.place, format!("`{name}` has no value"));
        } else if matches!(&node.value, Value::List(items) if items.is_empty()) {
            self.mistakes.add(node.place, format!("`{name}` is an empty list, so nothing would be checked"));
        } else if matches!(&node.value, Value::Map(entries) if entries.is_empty()) {
            self.mistakes.add(node.place, format!("`{name}` is an empty map"));
        } else if several {
            for item in node.items() {
                self.build(name, scope, &joined(item, listed.as_ref()), key.place, checks);
            }
        } else if !switched_off(node) {
            self.build(name, scope, &joined(node, listed.as_ref()), key.place, checks);
        }
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
                if settings.is_null() {
                    self.mistakes.add(part.place, format!("`{}` has no value", part.name));
                } else if settings.is_map() && settings.entries().is_empty() {
                    self.mistakes.add(settings.place, format!("`{}` is an empty map", part.name));
                } else if !switched_off(settings) {
                    let shared = node.entries().iter().filter(|(k, _)| within.shared.contains(&k.name.as_str()) || COMMON.contains(&k.name.as_str()));
                    let own =
                        if within.whole { Node::map(vec![(part.clone(), settings.clone())], settings.place) } else { self.long(name, settings) };
                    let more = Node::map(shared.cloned().collect(), node.place);
                    self.build(name, scope, &joined(&own, Some(&more)), part.place, checks);
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
            (Value::Bool(true), Some(kind)) if kind.entry.short != Some("value") => Node::map(vec![], settings.place),
            (_, Some(kind)) => kind.entry.long_form(settings),
            (_, None) => settings.clone(),
        }
    }

    /// Takes keys that the check does not have out, each with the nearest of those that it has.
    fn known_keys(&mut self, name: &'static str, own: Vec<(Key, Node)>) -> Option<Vec<(Key, Node)>> {
        let kind = self.kinds.iter().find(|kind| kind.entry.name == name)?;
        let known = self.settings.entry(name).or_insert_with(|| {
            let schema: Json = kind.entry.schema(&mut SchemaGenerator::default()).into();
            schema["properties"].as_object().into_iter().flat_map(Map::keys).cloned().collect()
        });
        // Filled in by the program.
        let is_known = |key: &Key| known.contains(&key.name) || known.is_empty() || key.name == "listed";
        let (known_ones, unknown): (Vec<_>, Vec<_>) = own.into_iter().partition(|(key, _)| is_known(key));
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

/// The names of the columns, as a setting.
fn listed(columns: &Node, key: &str) -> Node {
    let names = columns.entries().iter().map(|(k, _)| Node::text(&k.name, k.place)).collect();
    Node::map(vec![(Key { name: key.into(), place: columns.place }, Node::new(Value::List(names), columns.place))], columns.place)
}

/// A map with more settings in it; what it says itself holds.
fn joined(node: &Node, more: Option<&Node>) -> Node {
    let Some(more) = more.filter(|_| node.is_map() || matches!(node.value, Value::Bool(true))) else { return node.clone() };
    let mut entries = node.entries().to_vec();
    entries.extend(more.entries().iter().filter(|(key, _)| node.get(&key.name).is_none()).cloned());
    Node::map(entries, node.place)
}

/// The schema of `gates.data`, from the catalogue.
pub fn schema(generator: &mut SchemaGenerator) -> Schema {
    let (mut table, mut column) = (Map::new(), Map::new());
    let mut groups: BTreeMap<&str, Map<String, Json>> = BTreeMap::new();
    for kind in kinds().iter().filter(|kind| !IMPLIED.contains(&kind.entry.name)) {
        if let Some(within) = kind.within {
            part(kind, within, groups.entry(within.group).or_default(), generator);
            continue;
        }
        let schema = setting(kind, generator);
        if kind.on != On::Column {
            let many = json!({"type": "array", "items": schema.clone()});
            let summary = kind.entry.summary();
            let on_table = if kind.repeats { json!({"description": summary, "anyOf": [many, schema]}) } else { schema.clone() };
            table.insert(kind.entry.name.into(), on_table);
        }
        if kind.on != On::Table {
            column.insert(kind.entry.name.into(), schema);
        }
    }
    for (name, mut properties) in groups {
        properties.extend(common(generator));
        table.insert(name.into(), json!({"type": "object", "additionalProperties": false, "properties": properties}));
    }
    let tags = json!({"type": "array", "items": {"type": "string"}, "description": "Words to select all of its checks by with `--tags`."});
    let owner = json!({"type": "string", "description": "Whom to ask when a check fails."});
    column.insert("redact".into(), json!({"type": "boolean", "description": "Personal data: reports show that there is a value, not which."}));
    for keys in [&mut table, &mut column] {
        keys.insert("tags".into(), tags.clone());
        keys.insert("owner".into(), owner.clone());
    }
    let columns = json!({
        "type": "object", "minProperties": 1, "description": "Columns that must be there, each with its checks.",
        "additionalProperties": {"type": ["object", "null"], "additionalProperties": false, "properties": column},
    });
    table.insert("columns".into(), columns);
    table.insert(
        "where".into(),
        json!({"type": "string", "description": "Only rows for which this SQL condition holds, in every check of the table."}),
    );
    table.insert("allow_empty".into(), json!({"type": "boolean", "description": "Let checks pass on a table without rows."}));
    json_schema!({
        "type": "object",
        "description": "Data gates: table, column, check, requirement.",
        "additionalProperties": {"type": ["object", "null"], "additionalProperties": false, "properties": table},
    })
}

fn common(generator: &mut SchemaGenerator) -> Map<String, Json> {
    let common: Json = Common::json_schema(generator).into();
    common["properties"].as_object().cloned().unwrap_or_default()
}

/// One check of a group: its own key, and the keys that it shares.
fn part(kind: &Kind, within: Within, group: &mut Map<String, Json>, generator: &mut SchemaGenerator) {
    let mut long: Json = kind.entry.schema(generator).into();
    let Some(properties) = long.pointer_mut("/properties").and_then(Json::as_object_mut) else { return };
    for shared in within.shared {
        group.extend(properties.remove(*shared).map(|schema| ((*shared).to_owned(), schema)));
    }
    if within.whole {
        group.extend(properties.remove(within.key).map(|schema| (within.key.to_owned(), schema)));
        return;
    }
    let short = kind.entry.short.and_then(|short| properties.get(short).cloned());
    properties.extend(common(generator));
    if let Some(object) = long.as_object_mut() {
        object.remove("required");
    }
    let forms: Vec<Json> = [long].into_iter().chain(short).chain([json!({"type": "boolean"})]).collect();
    group.insert(within.key.into(), json!({"description": kind.entry.doc(), "anyOf": forms}));
}

/// The long form with the common keys, the short form, and `true`.
fn setting(kind: &Kind, generator: &mut SchemaGenerator) -> Json {
    let mut long: Json = kind.entry.schema(generator).into();
    let short = kind.entry.short.and_then(|short| long.pointer(&format!("/properties/{short}")).cloned());
    let more = common(generator);
    if let Some(properties) = long.pointer_mut("/properties").and_then(Json::as_object_mut) {
        // Filled in by the program.
        properties.remove("listed");
        properties.extend(more);
    } else if let Some(object) = long.as_object_mut() {
        object.insert("properties".into(), more.into());
    }
    // Named once, referred to from columns, tables, lists and environments.
    let name = format!("check.{}", kind.entry.name);
    generator.definitions_mut().insert(name.clone(), long);
    let long = json!({"$ref": format!("#/definitions/{name}")});
    let mut forms = vec![long.clone(), json!({"type": "array", "items": long})];
    forms.extend(short);
    if kind.on != On::Table {
        forms.push(json!({"type": "boolean"}));
    }
    json!({"description": kind.entry.doc(), "anyOf": forms})
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn info_never_hides_what_could_not_be_evaluated() {
        assert_eq!(Level::Info.apply(Status::Broken), Status::Broken);
        assert_eq!((Level::Info.apply(Status::Failed), Level::Warn.apply(Status::Failed)), (Status::Passed, Status::Warned));
    }
}
