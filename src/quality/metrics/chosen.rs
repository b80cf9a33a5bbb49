use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer};
use serde_json::Value as Json;

use super::{Metric, kinds};
use crate::mistakes::{Mistakes, Place, suggestion};
use crate::node::{Key, Node, Value};
use crate::quality::range::Range;
use crate::quality::score::Score;
use crate::quality::task::Task;
use crate::quality::view::View;

/// A metric by its name, or `{name: {setting: …}}`.
#[derive(Clone)]
pub struct Chosen {
    pub name: &'static str,
    pub metric: Arc<dyn Metric>,
    pub tasks: &'static [Task],
    pub scores: bool,
    pub higher_is_better: bool,
}

impl Chosen {
    pub fn new(name: &str, settings: &Node, mistakes: &mut Mistakes) -> Option<Self> {
        let Some(kind) = kinds().into_iter().find(|kind| kind.entry.name == name) else {
            let names = kinds().iter().map(|kind| kind.entry.name).collect::<Vec<_>>();
            mistakes.add_with_help(settings.place, format!("unknown metric `{name}`"), suggestion(name, names.iter().copied(), "metrics"));
            return None;
        };
        let metric = kind.entry.build(settings, mistakes)?;
        Some(Self { name: kind.entry.name, metric: metric.into(), tasks: kind.tasks, scores: kind.scores, higher_is_better: kind.higher_is_better() })
    }

    pub fn compute(&self, view: &View) -> Score {
        self.metric.compute(view)
    }

    /// How much better the first is than the second.
    pub fn gain(&self, one: f64, other: f64) -> f64 {
        if self.higher_is_better { one - other } else { other - one }
    }

    pub fn range(&self) -> Range {
        self.metric.range().unwrap_or(if self.higher_is_better { Range::SHARE } else { Range::LOSS })
    }

    /// What a model that is never wrong has.
    pub fn perfect(&self) -> f64 {
        if self.higher_is_better { 1.0 } else { 0.0 }
    }

    /// Why it cannot be of such predictions.
    pub fn misfit(&self, task: Task, scores: bool) -> Option<String> {
        if !self.tasks.contains(&task) {
            let of = self.tasks.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
            return Some(format!("`{}` judges {of} predictions, and these are of a {task} model", self.name));
        }
        (self.scores && !scores).then(|| format!("`{}` is computed from probabilities, and the predictions name no column with them", self.name))
    }
}

impl fmt::Debug for Chosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl<'de> Deserialize<'de> for Chosen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (name, settings) = match Json::deserialize(deserializer)? {
            Json::String(name) => (name, Json::Object(serde_json::Map::new())),
            Json::Object(map) if map.len() == 1 => map.into_iter().next().unwrap_or_default(),
            _ => return Err(de::Error::custom("expected a metric's name, or one with its settings: `{f1: {average: macro}}`")),
        };
        let mut mistakes = Mistakes::default();
        let chosen = Self::new(&name, &node(&settings), &mut mistakes);
        chosen.ok_or_else(|| {
            let all = mistakes.sorted().into_iter().map(|m| [Some(m.message), m.help].into_iter().flatten().collect::<Vec<_>>().join("; "));
            de::Error::custom(all.collect::<Vec<_>>().join("; "))
        })
    }
}

fn node(json: &Json) -> Node {
    let place = Place::default();
    let value = match json {
        Json::Null => Value::Null,
        Json::Bool(b) => Value::Bool(*b),
        Json::Number(n) => n.as_i64().map_or_else(|| Value::Float(n.as_f64().unwrap_or(f64::NAN)), Value::Int),
        Json::String(s) => return Node::text(s, place),
        Json::Array(items) => Value::List(items.iter().map(node).collect()),
        Json::Object(map) => Value::Map(map.iter().map(|(k, v)| (Key { name: k.clone(), place }, node(v))).collect()),
    };
    Node::new(value, place)
}

impl JsonSchema for Chosen {
    fn schema_name() -> Cow<'static, str> {
        "ChosenMetric".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<&str> = kinds().iter().map(|kind| kind.entry.name).collect();
        let properties: serde_json::Map<String, Json> =
            names.iter().map(|name| ((*name).to_owned(), serde_json::json!({"type": "object"}))).collect();
        json_schema!({
            "description": "A metric by its name, or one with its settings: `{f1: {average: macro}}`.",
            "anyOf": [
                {"type": "string", "enum": names},
                {"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": false, "properties": properties}
            ]
        })
    }
}
