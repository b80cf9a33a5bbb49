//! `gates.data` of `mlops.yml`: table → column → check → requirement, as typed checks.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

use super::{Check, Kind, On, Target, kinds};
use crate::catalogue::switched_off;
use crate::mistakes::{Mistakes, Place, suggestion};
use crate::names::TableName;
use crate::node::{Key, Node, Value};
use crate::outcome::{Location, Status};

/// All data gates of a project.
#[derive(Default)]
pub struct Gates {
    pub tables: Vec<TableGates>,
}

pub struct TableGates {
    pub table: TableName,
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
    /// The user's own name for it.
    pub name: Option<String>,
    pub location: Location,
}

impl Planned {
    /// The name under which it is reported.
    pub fn title(&self) -> String {
        self.name.as_ref().map_or_else(|| self.kind.to_owned(), |name| format!("{} ({name})", self.kind))
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

/// The keys that every check takes.
#[derive(Debug, Default, Deserialize, JsonSchema)]
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
}

const COMMON: [&str; 3] = ["where", "name", "level"];
const TABLE_KEYS: [&str; 3] = ["where", "allow_empty", "columns"];
/// Asked by themselves for every table; there is nothing to write.
const IMPLIED: [&str; 2] = ["exists", "columns"];

/// `file` is where the locations of the report point to.
pub fn parse(node: &Node, file: &str, mistakes: &mut Mistakes) -> Gates {
    let mut reader = Reader { kinds: kinds(), file, mistakes };
    if !node.is_map() {
        reader.mistakes.add(node.place, "`gates.data` is a map of tables");
    }
    Gates { tables: node.entries().iter().filter_map(|(key, node)| reader.table(key, node)).collect() }
}

struct Reader<'a> {
    kinds: Vec<Kind>,
    file: &'a str,
    mistakes: &'a mut Mistakes,
}

impl Reader<'_> {
    fn table(&mut self, key: &Key, node: &Node) -> Option<TableGates> {
        let table = TableName::parse(&key.name).map_err(|why| self.mistakes.add(key.place, why)).ok()?;
        if !node.is_map() && !node.is_null() {
            self.mistakes.add(node.place, format!("`{table}` is a map of checks"));
            return None;
        }
        let table_filter = node.get("where").and_then(|n| n.decode::<String>(self.mistakes));
        let allow_empty = node.get("allow_empty").and_then(|n| n.decode::<bool>(self.mistakes)).unwrap_or(false);
        let target = Target { table: table.clone(), column: None, table_filter, filter: None };
        let mut checks = Vec::new();
        self.build("exists", &target, &Node::map(vec![], key.place), key.place, &mut checks);
        let columns = node.get("columns");
        if let Some(columns) = columns.filter(|c| !c.entries().is_empty()) {
            let names = columns.entries().iter().map(|(k, _)| Node::text(&k.name, k.place)).collect();
            let required = Key { name: "required".into(), place: columns.place };
            let settings = Node::map(vec![(required, Node::new(Value::List(names), columns.place))], columns.place);
            self.build("columns", &target, &settings, columns.place, &mut checks);
        } else if let Some(columns) = columns {
            self.mistakes.add(columns.place, "`columns` is a map of columns, and it is empty");
        }
        for (key, node) in node.entries().iter().filter(|(k, _)| !TABLE_KEYS.contains(&k.name.as_str())) {
            self.entry(key, node, &target, On::Table, &mut checks);
        }
        for (name, node) in columns.map(Node::entries).unwrap_or_default() {
            let target = Target { column: Some(name.name.clone()), ..target.clone() };
            if !node.is_map() && !node.is_null() {
                self.mistakes.add(node.place, format!("`{}` is a map of checks", name.name));
            }
            for (key, node) in node.entries() {
                self.entry(key, node, &target, On::Column, &mut checks);
            }
        }
        Some(TableGates { table, allow_empty, checks })
    }

    /// One key: a check, several of one kind, or a mistake.
    fn entry(&mut self, key: &Key, node: &Node, target: &Target, on: On, checks: &mut Vec<Planned>) {
        let here = |kind: &&Kind| (kind.on == on || kind.on == On::Both) && !IMPLIED.contains(&kind.entry.name);
        let Some(kind) = self.kinds.iter().filter(here).find(|kind| kind.entry.name == key.name) else {
            let extra: &[&str] = if on == On::Table { &TABLE_KEYS } else { &[] };
            let known: Vec<&str> = self.kinds.iter().filter(here).map(|kind| kind.entry.name).chain(extra.iter().copied()).collect();
            let help = suggestion(&key.name, known, "checks");
            let what = if on == On::Table { "check on a table" } else { "check on a column" };
            self.mistakes.add_with_help(key.place, format!("unknown {what} `{}`", key.name), help);
            return;
        };
        let name = kind.entry.name;
        let several = match &node.value {
            Value::List(items) => (kind.repeats && on == On::Table) || (!items.is_empty() && items.iter().all(Node::is_map)),
            _ => false,
        };
        if node.is_null() {
            self.mistakes.add(key.place, format!("`{name}` has no value"));
        } else if matches!(&node.value, Value::List(items) if items.is_empty()) {
            self.mistakes.add(node.place, format!("`{name}` is an empty list, so nothing would be checked"));
        } else if several {
            for item in node.items() {
                self.build(name, target, item, key.place, checks);
            }
        } else if !switched_off(node) {
            self.build(name, target, node, key.place, checks);
        }
    }

    fn build(&mut self, name: &'static str, target: &Target, settings: &Node, place: Place, checks: &mut Vec<Planned>) {
        let Some(kind) = self.kinds.iter().find(|kind| kind.entry.name == name) else { return };
        // `true` is "with the defaults".
        let on = settings.value == Value::Bool(true);
        let settings = if on { Node::map(vec![], settings.place) } else { kind.entry.long_form(settings) };
        let (common, own): (Vec<_>, Vec<_>) = settings.entries().iter().cloned().partition(|(k, _)| COMMON.contains(&k.name.as_str()));
        let common = Node::map(common, settings.place).decode::<Common>(self.mistakes);
        let check = kind.entry.build(&Node::map(own, settings.place), self.mistakes);
        let (Some(common), Some(check)) = (common, check) else { return };
        checks.push(Planned {
            kind: name,
            target: Target { filter: common.filter, ..target.clone() },
            check,
            level: common.level,
            name: common.name,
            location: Location { file: self.file.to_owned(), line: place.line, column: place.column },
        });
    }
}

/// The schema of `gates.data`, from the catalogue.
pub fn schema(generator: &mut SchemaGenerator) -> Schema {
    let (mut table, mut column) = (Map::new(), Map::new());
    for kind in kinds().iter().filter(|kind| !IMPLIED.contains(&kind.entry.name)) {
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

/// The long form with the common keys, the short form, and `true`.
fn setting(kind: &Kind, generator: &mut SchemaGenerator) -> Json {
    let mut long: Json = kind.entry.schema(generator).into();
    let common: Json = Common::json_schema(generator).into();
    let short = kind.entry.short.and_then(|short| long.pointer(&format!("/properties/{short}")).cloned());
    if let (Some(properties), Some(more)) = (long.pointer_mut("/properties").and_then(Json::as_object_mut), common["properties"].as_object()) {
        properties.extend(more.clone());
    } else if let Some(object) = long.as_object_mut() {
        object.insert("properties".into(), common["properties"].clone());
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
