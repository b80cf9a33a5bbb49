use schemars::JsonSchema;
use serde::Deserialize;

use super::{Gate, GateType, Judged};
use crate::catalogue::Named;
use crate::names::RelPath;
use crate::outcome::{Outcome, Status};
use crate::quality::source::{Features, Source, kinds};
use crate::units::counted;

/// The rows that are predicted must have the columns of the rows that the model was trained on, with the same kinds of values.
///
/// Kinds are numbers, text, true and false, times; a whole number may stand for any number.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "settings such as `{train: data/training.parquet, columns: [age, country]}`")]
pub struct Schema {
    /// The file with the training rows, `.parquet` or `.csv`.
    train: RelPath,
    /// The columns that are compared. Default: the `features` of a model in ONNX.
    columns: Option<Vec<String>>,
}

impl Named for Schema {
    const NAME: &'static str = "schema";
}

impl GateType for Schema {}

impl Schema {
    fn columns(&self, source: &Source) -> Vec<String> {
        self.columns.clone().unwrap_or_else(|| match &source.features {
            Some(Features::One(columns)) => columns.clone(),
            Some(Features::Each(each)) => each.values().flatten().cloned().collect(),
            None => vec![],
        })
    }
}

impl Gate for Schema {
    fn mistake(&self, source: &Source) -> Option<String> {
        self.columns(source).is_empty().then(|| "name the columns to compare in `columns`".into())
    }

    fn others(&self, source: &Source) -> Vec<String> {
        self.columns(source)
    }

    fn judge(&self, judged: &Judged) -> Vec<Outcome> {
        let columns = self.columns(judged.source);
        let names: Vec<&str> = columns.iter().map(String::as_str).collect();
        let path = judged.workspace.path(&self.train).map_err(|e| e.to_string());
        let train = match path.and_then(|path| kinds(&path, &self.train, &names).map_err(|e| e.to_string())) {
            Ok(train) => train,
            Err(why) => return judged.broken(Self::NAME, format!("{}: {why}", self.train)),
        };
        let find = |all: &[(String, &'static str)], name: &str| all.iter().find(|(n, _)| n == name).map(|(_, kind)| *kind);
        let differs = |name: &&str| match (find(&train, name), find(judged.kinds, name)) {
            (None, None) => Some(format!("`{name}` is in neither")),
            (None, Some(_)) => Some(format!("`{name}` is not among the training rows")),
            (Some(_), None) => Some(format!("`{name}` is missing")),
            (Some(then), Some(now)) => (then != now).then(|| format!("`{name}` holds {now}, and {then} in training")),
        };
        let wrong: Vec<String> = names.iter().filter_map(differs).collect();
        let all = counted(names.len() as u64, "column");
        let (status, message) = match wrong.first() {
            None => (Status::Passed, format!("{all} as in {}", self.train)),
            Some(first) => (Status::Failed, format!("{} of {all} not as in {}: {first}", wrong.len(), self.train)),
        };
        vec![judged.outcome(Self::NAME, status, message).with_evidence(wrong)]
    }
}
