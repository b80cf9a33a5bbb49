//! The JSON schema of `gates.data`, from the catalogue.

use std::collections::BTreeMap;

use schemars::{JsonSchema as _, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value as Json, json};

use super::{Common, IMPLIED};
use crate::checks::{Kind, On, Within, kinds};

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
