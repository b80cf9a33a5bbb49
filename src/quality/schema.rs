//! The JSON schema of `gates.model`, from the catalogues.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value as Json, json};

use super::metrics::kinds;
use super::source::Source;
use crate::bounds::Bounds;

pub fn schema(generator: &mut SchemaGenerator) -> Schema {
    let mut metrics = Map::new();
    let bounds: Json = Bounds::json_schema(generator).into();
    for kind in kinds() {
        let mut long: Json = kind.entry.schema(generator).into();
        if let (Some(object), Some(bounds)) = (long.as_object_mut(), bounds["properties"].as_object()) {
            let own = object.entry("properties").or_insert_with(|| json!({}));
            own.as_object_mut().into_iter().for_each(|own| own.extend(bounds.clone()));
        }
        let many = json!({"type": "array", "items": long});
        metrics.insert(kind.entry.name.into(), json!({"description": kind.entry.doc(), "anyOf": [long, {"type": "number"}, many]}));
    }
    let source = generator.subschema_for::<Source>();
    let mut properties = Map::new();
    properties.insert("predictions".into(), source.into());
    properties.insert(
        "metrics".into(),
        json!({"type": "object", "additionalProperties": false, "properties": metrics, "description": "Metrics of the test split, each with its bounds."}),
    );
    for entry in super::gates().entries {
        let long: Json = entry.schema(generator).into();
        let mut forms = vec![long.clone(), json!({"type": "array", "items": long})];
        forms.extend(entry.short.map(|_| json!({"type": ["string", "number"]})));
        properties.insert(entry.name.into(), json!({"description": entry.doc(), "anyOf": forms}));
    }
    json_schema!({
        "type": "object",
        "description": "Model gates: a model's predictions and what must hold of them.",
        "additionalProperties": {"type": "object", "additionalProperties": false, "required": ["predictions"], "properties": properties},
    })
}
