//! `gates.model` of `mlops.yml`: predictions, metrics with bounds, and the gap between training and test.

use std::time::Instant;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

use super::predictions::{Splits, read};
use super::{Metric, Predictions, Source, catalogue};
use crate::bounds::Bounds;
use crate::mistakes::{Mistakes, suggestion};
use crate::node::{Key, Node};
use crate::outcome::{Location, Outcome, Status};
use crate::ports::files::Workspace;

/// All model gates of a project.
#[derive(Default)]
pub struct Gates {
    pub models: Vec<ModelGate>,
}

pub struct ModelGate {
    pub name: String,
    pub source: Source,
    metrics: Vec<Gated>,
    overfit: Option<(Overfit, Gated)>,
    location: Location,
}

struct Gated {
    name: &'static str,
    metric: Box<dyn Metric>,
    bounds: Bounds,
    location: Location,
}

/// How far the metric of the training split may lie from that of the test split.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Overfit {
    /// The metric to compare.
    metric: String,
    /// A larger distance fails.
    max: f64,
    /// A larger distance warns.
    warn: Option<f64>,
}

const BOUNDS: [&str; 4] = ["min", "max", "between", "warn"];

pub fn parse(node: &Node, file: &str, mistakes: &mut Mistakes) -> Gates {
    if !node.is_map() {
        mistakes.add(node.place, "`gates.model` is a map of models");
    }
    Gates { models: node.entries().iter().filter_map(|(key, node)| model(key, node, file, mistakes)).collect() }
}

fn model(key: &Key, node: &Node, file: &str, mistakes: &mut Mistakes) -> Option<ModelGate> {
    let keys = ["predictions", "metrics", "overfit"];
    for (unknown, _) in node.entries().iter().filter(|(k, _)| !keys.contains(&k.name.as_str())) {
        mistakes.add_with_help(
            unknown.place,
            format!("unknown key `{}` in model `{}`", unknown.name, key.name),
            suggestion(&unknown.name, keys, "keys"),
        );
    }
    let source = match node.get("predictions") {
        Some(node) => node.decode::<Source>(mistakes),
        None => {
            mistakes.add(key.place, format!("model `{}` has no `predictions`", key.name));
            None
        }
    };
    let locate = |key: &Key| Location { file: file.to_owned(), line: key.place.line, column: key.place.column };
    let metrics = node.get("metrics").map(Node::entries).unwrap_or_default();
    let metrics: Vec<Gated> = metrics.iter().filter_map(|(key, node)| gated(key, node, locate(key), mistakes)).collect();
    let overfit = node.entries().iter().find(|(k, _)| k.name == "overfit").and_then(|(key, node)| overfit(key, node, locate(key), mistakes));
    let source = source?;
    if metrics.is_empty() && overfit.is_none() {
        mistakes.add(key.place, format!("model `{}` has no `metrics`, so nothing would be gated", key.name));
    }
    if overfit.is_some() && source.split.is_none() {
        mistakes.add(key.place, "`overfit` compares splits: name their column in `predictions.split`");
    }
    Some(ModelGate { name: key.name.clone(), source, metrics, overfit, location: locate(key) })
}

fn gated(key: &Key, node: &Node, location: Location, mistakes: &mut Mistakes) -> Option<Gated> {
    let catalogue = catalogue();
    let Some(entry) = catalogue.get(&key.name) else {
        mistakes.add_with_help(key.place, format!("unknown metric `{}`", key.name), suggestion(&key.name, catalogue.names(), "metrics"));
        return None;
    };
    let settings = entry.long_form(node);
    let (bounds, own): (Vec<_>, Vec<_>) = settings.entries().iter().cloned().partition(|(k, _)| BOUNDS.contains(&k.name.as_str()));
    let bounds = Node::map(bounds, settings.place).decode::<Bounds>(mistakes);
    let metric = entry.build(&Node::map(own, settings.place), mistakes);
    let bounds = bounds?;
    if let Some(why) = bounds.mistake() {
        mistakes.add(node.place, format!("{}: {why}", entry.name));
        return None;
    }
    Some(Gated { name: entry.name, metric: metric?, bounds, location })
}

fn overfit(key: &Key, node: &Node, location: Location, mistakes: &mut Mistakes) -> Option<(Overfit, Gated)> {
    let settings = node.decode::<Overfit>(mistakes)?;
    let bounds = Bounds { max: Some(settings.max), warn: settings.warn.map(crate::bounds::Warn::At), ..Bounds::default() };
    if let Some(why) = bounds.mistake() {
        mistakes.add(key.place, format!("overfit: {why}"));
        return None;
    }
    let catalogue = catalogue();
    let Some(entry) = catalogue.get(&settings.metric) else {
        let place = node.get("metric").map_or(node.place, |n| n.place);
        mistakes.add_with_help(place, format!("unknown metric `{}`", settings.metric), suggestion(&settings.metric, catalogue.names(), "metrics"));
        return None;
    };
    let metric = entry.build(&Node::map(vec![], node.place), mistakes)?;
    Some((settings, Gated { name: entry.name, metric, bounds, location }))
}

impl ModelGate {
    /// What `plan` says.
    pub fn describe(&self) -> String {
        let mut names: Vec<&str> = self.metrics.iter().map(|m| m.name).collect();
        if self.overfit.is_some() {
            names.push("overfit");
        }
        format!("{}: {} of {}", self.name, names.join(", "), self.source.file)
    }

    pub fn evaluate(&self, workspace: &Workspace) -> Vec<Outcome> {
        let started = Instant::now();
        let splits = match read(&self.source, workspace) {
            Ok(splits) => splits,
            Err(error) => {
                let outcome = Outcome::new(&self.name, "predictions", Status::Broken, error.to_string());
                return vec![outcome.at(Some(self.location.clone())).took(started.elapsed())];
            }
        };
        let mut outcomes = vec![self.read_outcome(&splits).took(started.elapsed())];
        for gated in &self.metrics {
            let started = Instant::now();
            outcomes.push(self.judge(gated, gated.name, gated.metric.compute(&splits.test)).took(started.elapsed()));
        }
        if let Some((settings, gated)) = &self.overfit {
            let started = Instant::now();
            outcomes.push(self.judge_overfit(settings, gated, &splits).took(started.elapsed()));
        }
        outcomes
    }

    fn read_outcome(&self, splits: &Splits) -> Outcome {
        let rows = |p: &Predictions| crate::units::counted(p.y.len() as u64, "row");
        let share = crate::units::percent(splits.test.y.iter().filter(|y| **y).map(|_| 1.0).sum::<f64>() / splits.test.len());
        let train = splits.train.as_ref().map(|t| format!(", {} for training", rows(t))).unwrap_or_default();
        let message = format!("{} to judge ({share} positive){train}, from {}", rows(&splits.test), self.source.file);
        Outcome::new(&self.name, "predictions", Status::Passed, message).at(Some(self.location.clone()))
    }

    fn judge(&self, gated: &Gated, name: &str, value: f64) -> Outcome {
        let expected = gated.bounds.sentence();
        let message = if value.is_nan() {
            format!("{name} is not defined for these predictions (one class only); {expected}")
        } else {
            format!("{name} is {}; {expected}", digits(value))
        };
        Outcome::new(&self.name, name, gated.bounds.judge(value), message).measured(value, expected).at(Some(gated.location.clone()))
    }

    fn judge_overfit(&self, settings: &Overfit, gated: &Gated, splits: &Splits) -> Outcome {
        let Some(train) = &splits.train else {
            let message = format!("{}: no row of the split column is `train`, so the gap cannot be measured", self.source.file);
            return Outcome::new(&self.name, "overfit", Status::Broken, message).at(Some(gated.location.clone()));
        };
        let (train, test) = (gated.metric.compute(train), gated.metric.compute(&splits.test));
        let mut outcome = self.judge(gated, "overfit", (train - test).abs());
        if !(train - test).is_nan() {
            let of = format!("{} is {} in training and {} in test", settings.metric, digits(train), digits(test));
            outcome.message = format!("{of}: a gap of {}; {}", digits((train - test).abs()), gated.bounds.sentence());
        }
        outcome
    }
}

/// Four decimals are enough to read; `report.json` has them all.
fn digits(value: f64) -> String {
    format!("{value:.4}")
}

/// The schema of `gates.model`, from the catalogue.
pub fn schema(generator: &mut SchemaGenerator) -> Schema {
    let mut metrics = Map::new();
    let bounds: Json = Bounds::json_schema(generator).into();
    for entry in catalogue().entries {
        let mut long: Json = entry.schema(generator).into();
        if let Some(object) = long.as_object_mut() {
            object.insert("properties".into(), bounds["properties"].clone());
        }
        metrics.insert(entry.name.into(), json!({"description": entry.doc(), "anyOf": [long, {"type": "number"}]}));
    }
    let (source, overfit) = (generator.subschema_for::<Source>(), generator.subschema_for::<Overfit>());
    json_schema!({
        "type": "object",
        "description": "Model gates: a model's predictions and what must hold of them.",
        "additionalProperties": {
            "type": "object", "additionalProperties": false, "required": ["predictions"],
            "properties": {
                "predictions": source,
                "metrics": {"type": "object", "additionalProperties": false, "properties": metrics, "description": "Metrics of the test split, each with its bounds."},
                "overfit": overfit,
            },
        },
    })
}
