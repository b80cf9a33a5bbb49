//! What a model takes and gives: from the artifact where it tells, and by the columns of its dataset.

use serde_json::{Value as Json, json};

use super::model::{Framework, Model};
use super::version::Data;
use crate::mistakes::suggestion;
use crate::onnx;
use crate::ports::files::{Contents, Workspace};
use crate::units::counted;

/// Nothing where nobody tells; `Err` where what is told does not fit together.
pub fn signature(model: &Model, framework: Framework, contents: &Contents, datasets: &[Data], workspace: &Workspace) -> Result<Option<Json>, String> {
    let tensors = if framework == Framework::Onnx { Some(tensors(model, contents, workspace)?) } else { None };
    let features = features(model, datasets)?;
    if let (Some((inputs, _)), Some(features)) = (&tensors, &features)
        && let Some(width) = inputs.iter().map(width).sum::<Option<u64>>()
        && width != features.len() as u64
    {
        return Err(format!(
            "the model takes {} a row, and `model.features` names {}",
            counted(width, "value"),
            counted(features.len() as u64, "column")
        ));
    }
    let tensor = |t: &onnx::Tensor| json!({"name": t.name, "type": t.kind, "shape": t.shape});
    let side = |tensors: &[onnx::Tensor]| tensors.iter().map(tensor).collect::<Vec<_>>();
    Ok(match (tensors, features) {
        (None, None) => None,
        (Some((inputs, outputs)), features) => Some(json!({"inputs": side(&inputs), "outputs": side(&outputs), "features": features})),
        (None, features) => Some(json!({"features": features})),
    })
}

/// Values of a row; nothing where any number will do.
fn width(tensor: &onnx::Tensor) -> Option<u64> {
    match tensor.shape.as_slice() {
        [] | [_] => Some(1),
        [_, width] => u64::try_from(*width).ok(),
        _ => None,
    }
}

fn tensors(model: &Model, contents: &Contents, workspace: &Workspace) -> Result<(Vec<onnx::Tensor>, Vec<onnx::Tensor>), String> {
    let inside = contents.files().iter().map(|f| f.path.as_str()).find(|path| path.ends_with(".onnx"));
    let path = inside.map_or_else(|| model.artifact.to_string(), |inside| format!("{}/{inside}", model.artifact.trim_end_matches('/')));
    let bytes = workspace.read(&path).map_err(|e| e.to_string())?;
    onnx::signature(&bytes).map_err(|e| format!("{path}: {e}"))
}

/// The columns that the model is fed with, with their types.
fn features(model: &Model, datasets: &[Data]) -> Result<Option<Vec<Json>>, String> {
    let names = || datasets.iter().map(|d| d.name.as_str());
    let dataset = match (&model.dataset, datasets) {
        (Some(wanted), _) => Some(
            datasets
                .iter()
                .find(|d| d.name == *wanted)
                .ok_or_else(|| format!("`model.dataset: {wanted}` is no dataset of this run; {}", suggestion(wanted, names(), "datasets")))?,
        ),
        (None, [only]) => Some(only),
        (None, _) => None,
    };
    if model.features.is_empty() {
        return Ok(None);
    }
    let Some(dataset) = dataset else {
        return Err("`model.features` are columns of a dataset: name it in `model.dataset`".into());
    };
    let columns: Vec<(&str, &str)> = dataset
        .columns
        .as_ref()
        .and_then(Json::as_array)
        .into_iter()
        .flatten()
        .filter_map(|c| Some((c["name"].as_str()?, c["type"].as_str()?)))
        .collect();
    let feature = |name: &String| {
        let found = columns.iter().find(|(column, _)| column == name);
        found.map(|(name, kind)| json!({"name": name, "type": kind})).ok_or_else(|| {
            let help = suggestion(name, columns.iter().map(|(name, _)| *name), "columns");
            format!("`model.features`: the dataset `{}` has no column `{name}`; {help}", dataset.name)
        })
    };
    model.features.iter().map(feature).collect::<Result<_, _>>().map(Some)
}
