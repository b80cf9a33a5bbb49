//! The model as a file, asked for the same request.

use serde_json::Value as Json;

use super::settings::OfflineSettings;
use crate::onnx::{Data, Input, Model, Type, Value};
use crate::ports::files::Workspace;

pub struct Offline {
    model: Model,
    features: Option<Vec<String>>,
    /// Which class's probability is answered; nothing of a regression.
    class: Option<usize>,
    pub field: String,
    pub tolerance: f64,
}

impl Offline {
    pub fn open(settings: &OfflineSettings, workspace: &Workspace) -> Result<Self, String> {
        let named = |why: String| format!("{}: {why}", settings.onnx);
        let path = workspace.path(&settings.onnx).map_err(|e| e.to_string())?;
        let bytes = std::fs::read(path).map_err(|e| named(e.to_string()))?;
        let model = Model::read(&bytes).map_err(|e| named(e.to_string()))?;
        // A regression has no classes.
        let positive = || model.positive(settings.positive.as_deref()).map_err(|e| named(e.to_string()));
        let class = if model.classes.is_empty() { None } else { Some(positive()?) };
        let tolerance = settings.tolerance.unwrap_or(1e-5);
        Ok(Self { model, features: settings.features.clone(), class, field: settings.field.clone(), tolerance })
    }

    pub fn predict(&self, body: &Json) -> Result<f64, String> {
        let columns = |input: &Input| match &self.features {
            Some(features) if self.model.inputs.len() == 1 => features.clone(),
            _ => vec![input.name.clone()],
        };
        let inputs = self.model.inputs.iter().map(|input| Ok((input.name.clone(), value(body, input, &columns(input))?)));
        let numbers = self.model.predict(inputs.collect::<Result<_, String>>()?, 1).map_err(|e| e.to_string())?;
        Ok(numbers[self.class.unwrap_or(0)])
    }
}

/// One row.
fn value(body: &Json, input: &Input, columns: &[String]) -> Result<Value, String> {
    let fields = columns.iter().map(|name| body.get(name).ok_or_else(|| format!("the request has no `{name}`")));
    let fields = fields.collect::<Result<Vec<_>, String>>()?;
    let shape = vec![1, columns.len()];
    if input.kind == Type::Text {
        let texts = fields.iter().map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned)).collect();
        return Ok(Value::new(shape, Data::Text(texts)));
    }
    if input.kind == Type::Int {
        // Exact, however large.
        let whole = fields.iter().map(|v| v.as_i64().ok_or_else(|| format!("{v} is no whole number")));
        return Ok(Value::ints(shape, whole.collect::<Result<_, String>>()?));
    }
    let number = |v: &&Json| match v {
        Json::Null => Ok(f64::NAN),
        Json::Bool(b) => Ok(f64::from(u8::from(*b))),
        other => other.as_f64().ok_or_else(|| format!("{other} is no number")),
    };
    Ok(Value::like(input.kind, shape, fields.iter().map(number).collect::<Result<_, String>>()?))
}
