//! Models in ONNX, evaluated here: what scikit-learn's pipelines, `LightGBM` and `XGBoost` are exported to.
//!
//! Every operator is made ready when the model is read, so that one that cannot run is known before the first row.

mod attributes;
mod ops;
mod proto;
mod signature;
mod value;

use std::collections::BTreeMap;

use prost::Message as _;

use self::attributes::Attributes;
use self::ops::Op;
pub use self::signature::{Tensor, signature};
pub use self::value::{Data, Type, Value};
use crate::mistakes::suggestion;
use crate::units::counted;

#[derive(Debug, thiserror::Error)]
pub enum OnnxError {
    #[error("it is no ONNX model: {0}")]
    Corrupt(String),
    #[error("it uses {0}, which cannot be evaluated here")]
    Unsupported(String),
    #[error("{0}")]
    Model(String),
}

pub struct Model {
    constants: BTreeMap<String, Value>,
    steps: Vec<Step>,
    pub inputs: Vec<Input>,
    pub outputs: Vec<String>,
    /// What the label's output calls the classes, in the order of the probabilities; nothing of a regression.
    pub classes: Vec<String>,
}

struct Step {
    op: Box<dyn Op>,
    kind: String,
    inputs: Vec<String>,
    outputs: Vec<String>,
}

/// What the model wants to be fed.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    pub name: String,
    pub kind: Type,
    /// Columns of a row; nothing where any will do.
    pub width: Option<usize>,
}

impl Model {
    pub fn read(bytes: &[u8]) -> Result<Self, OnnxError> {
        let model = proto::Model::decode(bytes).map_err(|e| OnnxError::Corrupt(e.to_string()))?;
        let Some(graph) = model.graph.filter(|graph| !graph.node.is_empty()) else {
            return Err(OnnxError::Corrupt("there is no graph in it".into()));
        };
        let opset = |domain: &str| model.opset_import.iter().find(|o| o.domain == domain).map_or(1, |o| o.version);
        let mut constants = BTreeMap::new();
        for tensor in &graph.initializer {
            constants.insert(tensor.name.clone(), Value::read(tensor)?);
        }
        let (mut steps, mut unknown) = (Vec::new(), Vec::new());
        for node in &graph.node {
            let domain = if node.domain == "ai.onnx" { "" } else { &node.domain };
            let kind = if domain.is_empty() { node.op_type.clone() } else { format!("{domain}.{}", node.op_type) };
            let attributes = Attributes::new(node, opset(domain));
            match ops::prepare(domain, &node.op_type, &attributes)? {
                Some(op) => steps.push(Step { op, kind, inputs: node.input.clone(), outputs: node.output.clone() }),
                None if unknown.contains(&kind) => {}
                None => unknown.push(kind),
            }
        }
        if !unknown.is_empty() {
            let noun = if unknown.len() == 1 { "the operator" } else { "the operators" };
            return Err(OnnxError::Unsupported(format!("{noun} {}", unknown.join(", "))));
        }
        let classes = classes(&graph, &steps, &constants);
        let inputs = graph.input.iter().filter(|i| !constants.contains_key(&i.name)).map(input).collect::<Result<_, _>>()?;
        let outputs = graph.output.into_iter().map(|o| o.name).collect();
        Ok(Self { constants, steps, inputs, outputs, classes })
    }

    /// The outputs in the model's order.
    pub fn run(&self, inputs: Vec<(String, Value)>) -> Result<Vec<Value>, OnnxError> {
        let mut values: BTreeMap<&str, Value> = BTreeMap::new();
        let inputs: Vec<(String, Value)> = inputs;
        for (name, value) in &inputs {
            values.insert(name, value.clone());
        }
        for step in &self.steps {
            let get = |name: &String| match name.as_str() {
                // An input that is left out.
                "" => Ok(None),
                name => {
                    let value = values.get(name).or_else(|| self.constants.get(name));
                    value.map(Some).ok_or_else(|| OnnxError::Model(format!("{}: nothing makes its input `{name}`", step.kind)))
                }
            };
            let given = step.inputs.iter().map(get).collect::<Result<Vec<_>, _>>()?;
            let made = step.op.run(&given).map_err(|e| match e {
                OnnxError::Model(why) => OnnxError::Model(format!("{}: {why}", step.kind)),
                other => other,
            })?;
            for (name, value) in step.outputs.iter().zip(made) {
                values.insert(name, value);
            }
        }
        let take = |name: &String| {
            let value = values.remove(name.as_str()).or_else(|| self.constants.get(name).cloned());
            value.ok_or_else(|| OnnxError::Model(format!("nothing makes the output `{name}`")))
        };
        self.outputs.iter().map(take).collect()
    }
}

impl Model {
    /// What it says of each row: the probabilities of all classes, or without classes one number.
    pub fn predict(&self, inputs: Vec<(String, Value)>, rows: usize) -> Result<Vec<f64>, OnnxError> {
        let width = self.classes.len().max(1);
        let outputs = self.run(inputs)?;
        let fits = |v: &&Value| matches!(v.kind(), Type::Float | Type::Double) && v.len() == rows * width;
        match outputs.iter().filter(fits).collect::<Vec<_>>().as_slice() {
            [] => Err(OnnxError::Model(format!("the model gives no {} for each row", counted(width as u64, "number")))),
            [_, _, ..] if self.classes.is_empty() => {
                Err(OnnxError::Model("the model gives several numbers for each row, of which none is named".into()))
            }
            [one, ..] => one.doubles(),
        }
    }

    /// The class that is looked for. Never by its place: with names the classes are in alphabetical order.
    pub fn positive(&self, wanted: Option<&str>) -> Result<usize, OnnxError> {
        let classes = &self.classes;
        let place = classes.iter().position(|class| wanted.map_or(matches!(class.as_str(), "1" | "true" | "True"), |wanted| wanted == class));
        place.ok_or_else(|| {
            OnnxError::Model(match wanted {
                Some(wanted) => format!("the model has no class `{wanted}`; {}", suggestion(wanted, classes.iter().map(String::as_str), "classes")),
                None => format!("which of the model's classes {} is looked for? Name it in `positive`", classes.join(" and ")),
            })
        })
    }
}

fn input(info: &proto::ValueInfo) -> Result<Input, OnnxError> {
    let wrong = || OnnxError::Model(format!("the input `{}` is of a type that no column can fill", info.name));
    let tensor = info.kind.as_ref().and_then(|k| k.tensor.as_ref()).ok_or_else(wrong)?;
    let width = match tensor.shape.as_ref().map(|s| s.dim.as_slice()) {
        Some([_, width]) => width.value.and_then(|w| usize::try_from(w).ok()).filter(|w| *w > 0),
        Some([] | [_]) => Some(1),
        _ => None,
    };
    Ok(Input { name: info.name.clone(), kind: Type::of(tensor.elem_type).ok_or_else(wrong)?, width })
}

/// What the label's output, or the names beside the probabilities, say of the classes. An estimator inside another may have
/// other names: only the way of the output counts.
fn classes(graph: &proto::Graph, steps: &[Step], constants: &BTreeMap<String, Value>) -> Vec<String> {
    let mut found = graph.output.iter().filter_map(|output| named(&output.name, graph, steps, constants, 0));
    found.next().unwrap_or_default()
}

fn named(output: &str, graph: &proto::Graph, steps: &[Step], constants: &BTreeMap<String, Value>, depth: usize) -> Option<Vec<String>> {
    let at = steps.iter().position(|step| step.outputs.iter().any(|name| name == output)).filter(|_| depth < 32)?;
    let (node, step) = (&graph.node[at], &steps[at]);
    match node.op_type.as_str() {
        "Cast" | "Identity" | "Reshape" | "Flatten" | "Squeeze" => named(node.input.first()?, graph, steps, constants, depth + 1),
        // The decided one is taken from a list.
        "ArrayFeatureExtractor" | "Gather" => constants.get(node.input.first()?).map(|list| match &list.data {
            Data::Text(names) => names.clone(),
            _ => list.integers().unwrap_or_default().iter().map(ToString::to_string).collect(),
        }),
        // The first output of a classifier is its label.
        _ if step.outputs.first().is_some_and(|first| first == output) || node.op_type == "ZipMap" => step.op.classes(),
        _ => None,
    }
}
