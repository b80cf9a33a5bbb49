//! The published JSON Schemas, from the types and the catalogues.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value as Json, json};

use crate::config::Core;
use crate::outcome::RunReport;
use crate::stages::kinds;

fn generator() -> SchemaGenerator {
    // Inlined: an editor shows the text of the key itself, and each catalogue entry stays whole.
    SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true).into_generator()
}

/// The schema of `mlops.yml`.
pub fn config_schema() -> Json {
    let mut generator = generator();
    let mut root: Json = Core::json_schema(&mut generator).into();
    let mut overlay = Map::new();
    if let Some(properties) = root["properties"].as_object_mut() {
        for kind in kinds().iter().filter(|kind| kind.section != "database") {
            insert(properties, kind.section, kind.schema(&mut generator).into(), &kind.doc());
        }
        for (name, section) in properties.iter().filter(|(name, _)| *name != "version") {
            overlay.insert(name.clone(), loose(section));
        }
        properties.insert(
            "environments".into(),
            json!({
                "type": "object", "description": "Each entry lies over the rest of the file when it is chosen with --environment.",
                "additionalProperties": {"type": "object", "additionalProperties": false, "properties": overlay},
            }),
        );
    }
    root["definitions"] = Json::Object(generator.take_definitions(true));
    root["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    root["title"] = json!("mlops.yml");
    root["description"] = json!("The configuration of mlops-action, version 1.");
    root
}

/// `gates.data` goes into the object `gates`.
fn insert(properties: &mut Map<String, Json>, dotted: &str, mut schema: Json, doc: &str) {
    if let Some(object) = schema.as_object_mut() {
        object.entry("description").or_insert_with(|| json!(doc));
        object.remove("title");
    }
    match dotted.split_once('.') {
        None => drop(properties.insert(dotted.into(), schema)),
        Some((head, rest)) => {
            let parent = properties.entry(head).or_insert_with(|| json!({"type": "object", "additionalProperties": false, "properties": {}}));
            parent["properties"][rest] = schema;
        }
    }
}

/// An overlay needs only what it changes.
fn loose(schema: &Json) -> Json {
    match schema {
        Json::Object(object) => Json::Object(object.iter().filter(|(key, _)| *key != "required").map(|(k, v)| (k.clone(), loose(v))).collect()),
        Json::Array(items) => Json::Array(items.iter().map(loose).collect()),
        other => other.clone(),
    }
}

/// The schema of `report.json`.
pub fn report_schema() -> Json {
    let mut schema: Json = generator().into_root_schema_for::<RunReport>().into();
    schema["title"] = json!("report.json");
    schema
}
