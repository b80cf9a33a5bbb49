//! Labels and scores, read from a file and checked before anything is computed from them.

use polars::prelude::{DataFrame, DataType, Series};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::mistakes::suggestion;
use crate::names::RelPath;
use crate::ports::files::{FileError, Workspace};
use crate::ports::frame::{self, FrameError};

/// Where predictions are and which columns mean what.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// A `.parquet` or `.csv` file.
    pub file: RelPath,
    /// The column with the truth: true/false, 0/1, or text with `positive`.
    pub label: String,
    /// The column with the predicted probability of the positive class.
    pub score: String,
    /// The label's value that counts as positive, where it is text.
    pub positive: Option<String>,
    /// The column that tells `train` from `test`; metrics are of `test`.
    pub split: Option<String>,
    /// A score from here on is a positive prediction. Default: 0.5.
    #[serde(default = "half")]
    pub threshold: f64,
}

fn half() -> f64 {
    0.5
}

#[derive(Debug, thiserror::Error)]
pub enum QualityError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("{0}")]
    Wrong(String),
}

/// Truth and scores of one split: as many of each, at least one, all of them probabilities.
#[derive(Debug, Clone, PartialEq)]
pub struct Predictions {
    pub y: Vec<bool>,
    pub p: Vec<f64>,
    pub threshold: f64,
}

/// How often each combination of truth and decision occurs.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Confusion {
    pub(super) tp: f64,
    pub(super) fp: f64,
    pub(super) tn: f64,
    pub(super) fn_: f64,
}

impl Predictions {
    pub fn new(y: Vec<bool>, p: Vec<f64>, threshold: f64) -> Result<Self, QualityError> {
        let wrong = |why: String| Err(QualityError::Wrong(why));
        if y.is_empty() {
            return wrong("there are no predictions".into());
        }
        if y.len() != p.len() {
            return wrong(format!("{} labels but {} scores", y.len(), p.len()));
        }
        let nan = p.iter().filter(|p| p.is_nan()).count();
        if nan > 0 {
            return wrong(format!("{nan} of {} scores are NaN", p.len()));
        }
        if let Some(outside) = p.iter().find(|p| !(0.0..=1.0).contains(*p)) {
            return wrong(format!("the score {outside} is no probability"));
        }
        Ok(Self { y, p, threshold })
    }

    pub(super) fn confusion(&self) -> Confusion {
        let mut c = Confusion::default();
        for (y, p) in self.y.iter().zip(&self.p) {
            let cell = match (*y, *p >= self.threshold) {
                (true, true) => &mut c.tp,
                (false, true) => &mut c.fp,
                (false, false) => &mut c.tn,
                (true, false) => &mut c.fn_,
            };
            *cell += 1.0;
        }
        c
    }

    #[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^53")]
    pub(super) fn len(&self) -> f64 {
        self.y.len() as f64
    }
}

impl Confusion {
    /// A ratio of counts; scikit-learn's `zero_division=0` where it is undefined.
    pub(super) fn ratio(part: f64, whole: f64) -> f64 {
        if whole == 0.0 { 0.0 } else { part / whole }
    }
}

/// The splits of a file: `test` is what metrics are of, `train` what the overfit gap compares it with.
#[derive(Debug)]
pub(super) struct Splits {
    pub(super) test: Predictions,
    pub(super) train: Option<Predictions>,
}

pub(super) fn read(source: &Source, workspace: &Workspace) -> Result<Splits, QualityError> {
    let frame = frame::read(&workspace.path(&source.file)?, &source.file)?;
    let labels = labels(&column(&frame, source, &source.label)?, source)?;
    let scores = scores(&column(&frame, source, &source.score)?, source)?;
    let Some(split) = &source.split else {
        return Ok(Splits { test: Predictions::new(labels, scores, source.threshold).map_err(|e| named(source, &e))?, train: None });
    };
    let split = column(&frame, source, split)?;
    let split = split.str().map_err(|_| wrong(source, format!("column `{}` holds {}, not the names of splits", split.name(), split.dtype())))?;
    let of = |name: &str| {
        let rows = split.iter().zip(labels.iter().zip(&scores)).filter(|(s, _)| *s == Some(name));
        let (y, p): (Vec<bool>, Vec<f64>) = rows.map(|(_, (y, p))| (*y, *p)).unzip();
        (!y.is_empty()).then(|| Predictions::new(y, p, source.threshold).map_err(|e| named(source, &e))).transpose()
    };
    let test = of("test")?.ok_or_else(|| wrong(source, format!("no row of the split column `{}` is `test`", split.name())))?;
    Ok(Splits { test, train: of("train")? })
}

fn wrong(source: &Source, why: String) -> QualityError {
    QualityError::Wrong(format!("{}: {why}", source.file))
}

fn named(source: &Source, error: &QualityError) -> QualityError {
    wrong(source, error.to_string())
}

fn column(frame: &DataFrame, source: &Source, name: &str) -> Result<Series, QualityError> {
    let names: Vec<&str> = frame.get_column_names().into_iter().map(|n| n.as_str()).collect();
    let column = frame.column(name).map_err(|_| wrong(source, format!("there is no column `{name}`; {}", suggestion(name, names, "columns"))))?;
    let mut column = column.as_materialized_series().clone();
    if column.dtype().is_categorical() || column.dtype().is_enum() {
        column = column.cast(&DataType::String).map_err(|e| wrong(source, e.to_string()))?;
    }
    match column.null_count() {
        0 => Ok(column),
        n => Err(wrong(source, format!("column `{name}` has {}", crate::units::counted(n as u64, "NULL")))),
    }
}

fn labels(series: &Series, source: &Source) -> Result<Vec<bool>, QualityError> {
    let name = series.name();
    if let Ok(flags) = series.bool() {
        return Ok(flags.iter().map(|y| y == Some(true)).collect());
    }
    if let Ok(texts) = series.str() {
        let positive =
            source.positive.as_deref().ok_or_else(|| wrong(source, format!("the label `{name}` is text: name its positive value in `positive`")))?;
        let y: Vec<bool> = texts.iter().map(|y| y == Some(positive)).collect();
        let classes = series.n_unique().map_err(|e| wrong(source, e.to_string()))?;
        if classes > 2 {
            return Err(wrong(source, format!("the label `{name}` has {classes} values; two-class models are judged here")));
        }
        return if y.contains(&true) { Ok(y) } else { Err(wrong(source, format!("no label `{name}` is `{positive}`"))) };
    }
    let numbers = numbers(series, source)?;
    match numbers.iter().find(|y| **y != 0.0 && **y != 1.0) {
        Some(other) => Err(wrong(source, format!("the label `{name}` holds {other}; it must be 0 or 1, or true or false"))),
        None => Ok(numbers.iter().map(|y| *y == 1.0).collect()),
    }
}

fn scores(series: &Series, source: &Source) -> Result<Vec<f64>, QualityError> {
    numbers(series, source)
}

fn numbers(series: &Series, source: &Source) -> Result<Vec<f64>, QualityError> {
    if !series.dtype().is_primitive_numeric() && !series.dtype().is_decimal() {
        return Err(wrong(source, format!("column `{}` holds {}, not numbers", series.name(), series.dtype())));
    }
    let floats = series.cast(&DataType::Float64).map_err(|e| wrong(source, e.to_string()))?;
    let floats = floats.f64().map_err(|e| wrong(source, e.to_string()))?;
    Ok(floats.iter().map(|v| v.unwrap_or(f64::NAN)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_csv(csv: &str, json: &str) -> Result<Splits, String> {
        let dir = tempfile::tempdir().expect("dir");
        std::fs::write(dir.path().join("p.csv"), csv).expect("write");
        let source: Source = serde_json::from_str(json).expect("source");
        read(&source, &Workspace::new(dir.path())).map_err(|e| e.to_string())
    }

    const SOURCE: &str = r#"{"file": "p.csv", "label": "late", "score": "p", "split": "split"}"#;

    #[test]
    fn splits_are_told_apart() {
        let splits = read_csv("late,p,split\n1,0.9,test\n0,0.1,test\n1,0.5,train\n", SOURCE).expect("splits");
        assert_eq!((splits.test.p, splits.train.map(|t| t.y)), (vec![0.9, 0.1], Some(vec![true])));
    }

    #[test]
    fn what_cannot_be_judged_is_an_error_that_names_the_file() {
        for (csv, expected) in [
            ("late,p,split\n1,0.9,train\n", "is `test`"),
            ("late,p,split\n1,,test\n", "column `p` has 1 NULL"),
            ("late,p,split\n1,NaN,test\n", "1 of 1 scores are NaN"),
            ("late,p,split\n1,1.5,test\n", "the score 1.5 is no probability"),
            ("late,p,split\n2,0.5,test\n", "the label `late` holds 2"),
            ("lat,p,split\n1,0.5,test\n", "did you mean `lat`?"),
            ("late,p,split\nyes,0.5,test\n", "name its positive value"),
            ("late,p,split\n1,high,test\n", "not numbers"),
        ] {
            let why = read_csv(csv, SOURCE).expect_err(csv);
            assert!(why.starts_with("p.csv: ") && why.contains(expected), "{csv}: {why}");
        }
    }
}
