//! Where predictions are, and which columns mean what.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::metrics::Chosen;
use super::super::task::Task;
use super::Wanted;
use crate::names::{RelPath, TableName};

/// Where predictions are and which columns mean what.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "settings such as `{file: predictions.parquet, label: y, score: p}`")]
pub struct Source {
    /// A `.parquet` or `.csv` file.
    pub file: Option<RelPath>,
    /// A table or view of the database.
    pub table: Option<TableName>,
    /// The file with a query.
    pub query: Option<RelPath>,
    /// A dataset of this run, by its name.
    pub dataset: Option<String>,
    /// The model that makes the predictions, a `.onnx` file: it is evaluated here, on the rows.
    pub onnx: Option<RelPath>,
    /// The columns that the model is fed with, in its order; of a model with several inputs the columns of each.
    pub features: Option<Features>,
    /// The column with the truth: of two classes true/false, 0/1, or text with `positive`.
    pub label: String,
    /// The column with the predicted probability of the positive class, or the score by which a query's rows are ordered.
    pub score: Option<String>,
    /// Of several classes: the column with the probability of each.
    pub scores: Option<Scores>,
    /// The column with the predicted number or class.
    pub prediction: Option<String>,
    /// The class that is looked for, where labels are not true/false or 0/1.
    #[serde(default, deserialize_with = "class")]
    #[schemars(with = "Option<Class>")]
    pub positive: Option<String>,
    /// The column that tells `train`, `val` and `test` apart; metrics are of `test`.
    pub split: Option<String>,
    /// The column that says which row is which, to compare with another model on the same rows.
    pub key: Option<String>,
    /// The column with the weight of each row.
    pub weight: Option<String>,
    /// The column that says which query a row belongs to, for ranking.
    pub qid: Option<String>,
    /// The column with the seconds that each prediction took.
    pub seconds: Option<String>,
    /// A score from here on is a positive decision, or how to choose it. Default: 0.5.
    pub threshold: Option<Threshold>,
    /// `binary`, `multiclass`, `regression` or `ranking`, where the columns do not tell.
    pub task: Option<Task>,
}

/// The name of a class; `positive: 2` and `positive: true` are names too.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected the name of a class")]
enum Class {
    Flag(bool),
    Number(i64),
    Text(String),
}

fn class<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let class = Option::<Class>::deserialize(deserializer)?;
    Ok(class.map(|class| match class {
        Class::Flag(flag) => flag.to_string(),
        Class::Number(number) => number.to_string(),
        Class::Text(text) => text,
    }))
}

/// Classes and their columns, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scores(pub Vec<(String, String)>);

impl<'de> Deserialize<'de> for Scores {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let map = serde_json::Map::deserialize(deserializer)?;
        let pair = |(class, column): (String, serde_json::Value)| match column {
            serde_json::Value::String(column) => Ok((class, column)),
            other => Err(serde::de::Error::custom(format!("the column of the class `{class}` is a name, and not {other}"))),
        };
        map.into_iter().map(pair).collect::<Result<_, _>>().map(Self)
    }
}

impl JsonSchema for Scores {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Scores".into()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        BTreeMap::<String, String>::json_schema(generator)
    }
}

/// Columns of a model's one input, or of each by its name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a list of columns, or `{input: [columns]}`")]
pub enum Features {
    One(Vec<String>),
    Each(BTreeMap<String, Vec<String>>),
}

/// Where a positive decision begins.
#[derive(Debug, Clone, JsonSchema)]
#[serde(untagged)]
pub enum Threshold {
    At(f64),
    Best(Best),
}

impl<'de> Deserialize<'de> for Threshold {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::Number(number) => Ok(Self::At(number.as_f64().unwrap_or(f64::NAN))),
            // Its own words say what is wrong in it.
            map @ serde_json::Value::Object(_) => serde_json::from_value(map).map(Self::Best).map_err(serde::de::Error::custom),
            other => Err(serde::de::Error::custom(format!("expected a number, or `{{maximize: f1, on: val}}`, and not {other}"))),
        }
    }
}

/// The threshold at which a metric is best on another split.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Best {
    /// A metric of decisions: `f1`, `balanced_accuracy` (Youden's index), `mcc` …
    pub maximize: Chosen,
    /// The split on which it is chosen: `val` or `train`.
    pub on: On,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum On {
    Val,
    Train,
}

/// Where the rows are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place<'a> {
    File(&'a RelPath),
    Table(&'a TableName),
    Query(&'a RelPath),
    Dataset(&'a str),
}

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) | Self::Query(path) => write!(f, "{path}"),
            Self::Table(table) => write!(f, "{table}"),
            Self::Dataset(name) => write!(f, "dataset {name}"),
        }
    }
}

impl Source {
    /// Nothing only where `mistake` says so.
    pub fn place(&self) -> Option<Place<'_>> {
        let (file, table, query) = (self.file.as_ref(), self.table.as_ref(), self.query.as_ref());
        file.map(Place::File).or(table.map(Place::Table)).or(query.map(Place::Query)).or(self.dataset.as_deref().map(Place::Dataset))
    }

    pub fn shown(&self) -> String {
        let place = self.place().map(|place| place.to_string()).unwrap_or_default();
        self.onnx.as_ref().map_or(place.clone(), |model| format!("{model} on {place}"))
    }

    pub fn task(&self) -> Option<Task> {
        self.task.or(match (&self.qid, &self.scores, &self.score) {
            _ if self.onnx.is_some() => Some(Task::Binary),
            (Some(_), _, _) => Some(Task::Ranking),
            (_, Some(_), _) => Some(Task::Multiclass),
            (_, _, Some(_)) => Some(Task::Binary),
            _ => None,
        })
    }

    /// Whether probabilities are there, and not decisions alone.
    pub fn has_scores(&self) -> bool {
        self.score.is_some() || self.scores.is_some() || self.onnx.is_some()
    }

    /// Every column that is read.
    pub fn columns<'a>(&'a self, wanted: &'a Wanted) -> Vec<&'a str> {
        let one = [&self.score, &self.prediction, &self.split, &self.key, &self.weight, &self.qid, &self.seconds];
        let many = self
            .scores
            .iter()
            .flat_map(|scores| scores.0.iter().map(|(_, column)| column))
            .chain(&wanted.labels)
            .chain(&wanted.features)
            .chain(&wanted.others);
        let mut all: Vec<&str> = std::iter::once(&self.label).chain(one.into_iter().flatten()).chain(many).map(String::as_str).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// What contradicts itself.
    pub fn mistake(&self) -> Option<String> {
        let places = [self.file.is_some(), self.table.is_some(), self.query.is_some(), self.dataset.is_some()];
        match places.iter().filter(|there| **there).count() {
            0 => return Some("say where the rows are: `file`, `table`, `query` or `dataset`".into()),
            1 => {}
            _ => return Some("the rows are in one place: `file`, `table`, `query` or `dataset`".into()),
        }
        if self.onnx.is_some() && (self.score.is_some() || self.scores.is_some() || self.prediction.is_some()) {
            return Some("predictions are made by the model in `onnx`, or stand in a column: name one of them".into());
        }
        let columns: Vec<&String> = self.scores.iter().flat_map(|scores| scores.0.iter().map(|(_, column)| column)).collect();
        if let Some((_, twice)) = columns.iter().enumerate().find(|(i, column)| columns[..*i].contains(column)) {
            return Some(format!("`scores` names the column `{twice}` for two classes"));
        }
        if self.score.is_some() && (self.scores.is_some() || self.prediction.is_some()) {
            return Some("`score` stands beside neither `scores` nor `prediction`: its decisions are made by `threshold`".into());
        }
        let predicted = self.score.iter().chain(&self.prediction).chain(columns);
        if let Some(column) = predicted.into_iter().find(|column| **column == self.label || Some(*column) == self.weight.as_ref()) {
            return Some(format!("the column `{column}` is named as a prediction, and as the label or the weight too"));
        }
        if self.weight.as_ref() == Some(&self.label) {
            return Some("the label is no weight".into());
        }
        if self.onnx.is_none() && self.features.is_some() {
            return Some("`features` are what a model in `onnx` is fed with".into());
        }
        let Some(task) = self.task() else {
            return Some("name the column of the `score`, the `scores` or the `prediction`; with `prediction` alone also `task`".into());
        };
        let needs = |what: &str, there: bool| (!there).then(|| format!("a {task} model needs {what}"));
        let wrong = match task {
            Task::Ranking if self.onnx.is_some() => Some("a ranking model in ONNX is not evaluated here".into()),
            _ if self.onnx.is_some() => None,
            Task::Binary => needs("`score` or `prediction`", self.score.is_some() || self.prediction.is_some()),
            Task::Multiclass => needs("`scores` or `prediction`", self.scores.is_some() || self.prediction.is_some()),
            Task::Regression => needs("`prediction`", self.prediction.is_some()),
            Task::Ranking => needs("`score` and `qid`", self.score.is_some() && self.qid.is_some()),
        };
        if wrong.is_some() {
            return wrong;
        }
        if self.positive.is_some() && task != Task::Binary {
            return Some(format!("`positive` is for two classes, and these are of a {task} model"));
        }
        if self.scores.as_ref().is_some_and(|scores| scores.0.len() < 2) {
            return Some("`scores` names the column of each class: at least two".into());
        }
        match &self.threshold {
            Some(_) if task != Task::Binary || !self.has_scores() => Some("`threshold` is for the `score` of two classes".into()),
            Some(Threshold::At(at)) if !(0.0..=1.0).contains(at) => Some(format!("the threshold {at} is no probability")),
            Some(Threshold::Best(_)) if self.split.is_none() => Some("`threshold` is chosen on a split: name their column in `split`".into()),
            Some(Threshold::Best(best)) if best.maximize.scores => {
                Some(format!("`{}` does not depend on the threshold: maximize a metric of decisions, such as f1", best.maximize.name))
            }
            Some(Threshold::Best(best)) => best.maximize.misfit(Task::Binary, true),
            _ => None,
        }
    }
}
