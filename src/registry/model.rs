//! The section `model`: the model that a run registers.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names::{RelPath, Slug};

/// The model that a run registers.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// The model's name in the registry.
    pub name: Slug,
    /// A semantic version or any label. The registry numbers versions by itself.
    pub version: String,
    /// The model's file or folder.
    pub artifact: RelPath,
    /// What the model is, for people.
    pub description: Option<String>,
    /// What made it, and what can load it; by default told from the artifact.
    pub framework: Option<Framework>,
    /// What it was trained with, such as `{learning_rate: 0.1}`.
    #[serde(default)]
    pub params: BTreeMap<String, Param>,
    /// The dataset whose columns it is fed with; needed where there are several and the artifact does not tell.
    pub dataset: Option<String>,
    /// The columns that it is fed with, in its order; else those of `dataset`.
    #[serde(default)]
    pub features: Vec<String>,
}

/// What can load an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Framework {
    /// `model.onnx`
    Onnx,
    /// A pickle by scikit-learn: `model.pkl`. What joblib dumps is none, and MLflow cannot load it
    Sklearn,
    /// A folder with an `MLmodel` file, as `mlflow.….save_model` writes it
    Mlflow,
    /// Anything else: it is kept, but MLflow cannot load it
    Other,
}

impl Framework {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Onnx => "onnx",
            Self::Sklearn => "sklearn",
            Self::Mlflow => "mlflow",
            Self::Other => "other",
        }
    }

    /// By the names of the files; of several that could be one, none.
    pub fn of(paths: &[&str]) -> Self {
        if paths.contains(&"MLmodel") {
            return Self::Mlflow;
        }
        let ends = |suffixes: &[&str]| paths.iter().filter(|path| suffixes.iter().any(|suffix| path.ends_with(suffix))).count() == 1;
        match () {
            () if ends(&[".onnx"]) => Self::Onnx,
            () if ends(&[".pkl", ".pickle"]) => Self::Sklearn,
            () => Self::Other,
        }
    }
}

/// A number, a text, or true or false.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a number, a text, or true or false")]
pub enum Param {
    Flag(bool),
    Whole(i64),
    Number(f64),
    Text(String),
}

impl Model {
    pub fn mistake(&self) -> Option<&'static str> {
        match self.version.trim() {
            "" => Some("`model.version` is empty"),
            "latest" => Some("`latest` is the newest version, whatever it is called: give this one another label"),
            label if label.starts_with('@') => Some("`@…` names a stage: give the version another label"),
            label if label.chars().count() > 200 => Some("`model.version` has more than 200 characters"),
            label if label.chars().any(char::is_control) => Some("`model.version` holds a control character"),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_made_an_artifact_is_told_by_its_files() {
        for (paths, framework) in [
            (&["model.onnx"][..], Framework::Onnx),
            (&["m/model.onnx", "README.md"], Framework::Onnx),
            (&["a.onnx", "b.onnx"], Framework::Other),
            (&["model.joblib"], Framework::Other),
            (&["model.pkl"], Framework::Sklearn),
            (&["MLmodel", "model.pkl"], Framework::Mlflow),
            (&["weights.bin"], Framework::Other),
        ] {
            assert_eq!(Framework::of(paths), framework, "{paths:?}");
        }
    }
}
