//! Predictions, from a file or the database, checked before anything is computed from them.

mod batch;
mod columns;
mod file;
mod onnx;
mod settings;

use std::any::Any;
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use async_trait::async_trait;

pub use self::columns::Columns;
pub use self::file::kinds;
use self::onnx::Evaluated;
pub use self::settings::{Best, Features, On, Place, Source, Threshold};
use super::QualityError;
use super::confusion::Confusion;
use super::table::{Data, Table};
use super::view::View;
use crate::names::RelPath;
use crate::ports::files::Workspace;

pub type Batches = Box<dyn Iterator<Item = Result<RecordBatch, QualityError>> + Send>;

/// Where rows of the database come from.
#[async_trait]
pub trait Server: Sync {
    async fn batches(&self, place: &Place<'_>, columns: &[&str]) -> Result<Batches, QualityError>;

    /// The file of a dataset of this run.
    fn dataset(&self, name: &str) -> Option<RelPath>;

    /// The model that stands in a stage of the registry.
    async fn champion(&self, stage: &str) -> Result<Artifact, QualityError>;
}

/// A model's file on this machine, and what removes it when nobody needs it any more.
pub struct Artifact {
    path: PathBuf,
    _keeper: Box<dyn Any + Send + Sync>,
}

impl Artifact {
    pub fn new(path: PathBuf, keeper: impl Any + Send + Sync) -> Self {
        Self { path, _keeper: Box::new(keeper) }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Metrics are of `test`; `train` is what the overfit gap compares it with, and a threshold may be chosen on `val`.
#[derive(Debug)]
pub struct Splits {
    pub test: Table,
    pub train: Option<Table>,
    pub val: Option<Table>,
    /// Values of the split column that name no split that is used.
    pub unused: Vec<String>,
    /// Columns that were read, and what they hold.
    pub kinds: Vec<(String, &'static str)>,
    /// The threshold that was chosen.
    pub chosen: Option<f64>,
    /// How long each of some predictions took, in seconds: of a model that was evaluated here.
    pub timings: Vec<f64>,
}

/// Columns that gates want beside truth and prediction.
#[derive(Debug, Default)]
pub struct Wanted {
    /// Those that cut the rows into slices.
    pub labels: Vec<String>,
    /// Numbers that a baseline learns from.
    pub features: Vec<String>,
    /// Those of which only the kind counts.
    pub others: Vec<String>,
}

/// Reads every split.
pub async fn read(source: &Source, wanted: &Wanted, workspace: &Workspace, server: &dyn Server) -> Result<Splits, QualityError> {
    read_with(source, wanted, None, workspace, server).await
}

/// `model`: the file that `onnx` stands for, where it is none of the workspace.
pub async fn read_with(
    source: &Source,
    wanted: &Wanted,
    model: Option<&Path>,
    workspace: &Workspace,
    server: &dyn Server,
) -> Result<Splits, QualityError> {
    let named = |error: QualityError| match error {
        QualityError::Wrong(why) => QualityError::Wrong(format!("{}: {why}", source.shown())),
        QualityError::NotThere(why) => QualityError::NotThere(format!("{}: {why}", source.shown())),
        other => other,
    };
    read_rows(source, wanted, model, workspace, server).await.map_err(named)
}

async fn read_rows(
    source: &Source,
    wanted: &Wanted,
    model: Option<&Path>,
    workspace: &Workspace,
    server: &dyn Server,
) -> Result<Splits, QualityError> {
    let open = |path: &RelPath| match model {
        Some(path) => Evaluated::open(source, path),
        None => Evaluated::open(source, &workspace.path(path)?),
    };
    let model = source.onnx.as_ref().map(open).transpose()?;
    let mut columns = source.columns(wanted);
    columns.extend(model.iter().flat_map(|m| m.columns()));
    columns.sort_unstable();
    columns.dedup();
    let file = |path: &RelPath| file::batches(&workspace.path(path)?, path, &columns, &wanted.labels);
    let batches = match source.place() {
        Some(Place::File(path)) => file(path)?,
        Some(Place::Dataset(name)) => match server.dataset(name) {
            Some(path) => file(&path)?,
            None => return Err(QualityError::Wrong("this run has not written it; name its `file`".into())),
        },
        Some(place) => server.batches(&place, &columns).await?,
        None => return Err(QualityError::Wrong("there is no place to read from".into())),
    };
    let Some(mut model) = model else { return gathered(source, wanted, batches) };
    let filled = model.source.clone();
    let mut splits = gathered(&filled, wanted, model.predict(batches))?;
    splits.timings = model.timings()?;
    Ok(splits)
}

fn gathered(source: &Source, wanted: &Wanted, batches: impl Iterator<Item = Result<RecordBatch, QualityError>>) -> Result<Splits, QualityError> {
    let mut columns = Columns::new(source, wanted)?;
    let mut kinds = vec![];
    for batch in batches {
        let batch = batch?;
        if kinds.is_empty() {
            kinds = batch::kinds(&batch);
        }
        columns.add(&batch)?;
    }
    Ok(Splits { kinds, ..columns.finish()? })
}

impl Splits {
    fn choose_threshold(&mut self, best: &Best) -> Result<(), QualityError> {
        let (split, name) = match best.on {
            On::Val => (&self.val, "val"),
            On::Train => (&self.train, "train"),
        };
        let Some(split) = split else {
            return Err(QualityError::Wrong(format!("no row is of the split `{name}`, on which the threshold is chosen")));
        };
        let chosen = best_threshold(split, best);
        for table in [Some(&mut self.test), self.train.as_mut(), self.val.as_mut()].into_iter().flatten() {
            if let Data::Binary(b) = &mut table.data {
                b.threshold = chosen;
            }
        }
        self.chosen = Some(chosen);
        Ok(())
    }
}

/// Of the scores that occur, the first from above at which the metric is best.
fn best_threshold(table: &Table, best: &Best) -> f64 {
    let view = View::all(table);
    let (positives, negatives) = (view.curve().positives, view.curve().negatives);
    let (mut tp, mut fp, mut chosen) = (0.0, 0.0, (f64::NEG_INFINITY, 1.0));
    view.blocks(|score, up, down| {
        tp += up;
        fp += down;
        let counts = Confusion::binary(negatives - fp, fp, positives - tp, tp);
        let value = best.maximize.metric.of_counts(&counts).map_or(f64::NAN, |score| score.value);
        let value = best.maximize.gain(value, 0.0);
        if value > chosen.0 {
            chosen = (value, score);
        }
    });
    chosen.1
}

#[cfg(test)]
mod tests {
    use super::*;

    struct NoServer;

    #[async_trait]
    impl Server for NoServer {
        async fn batches(&self, _: &Place<'_>, _: &[&str]) -> Result<Batches, QualityError> {
            Err(QualityError::Wrong("there is none".into()))
        }

        fn dataset(&self, _: &str) -> Option<RelPath> {
            None
        }

        async fn champion(&self, _: &str) -> Result<Artifact, QualityError> {
            Err(QualityError::Wrong("there is none".into()))
        }
    }

    fn read_csv(csv: &str, json: &str) -> Result<Splits, String> {
        let dir = tempfile::tempdir().expect("dir");
        std::fs::write(dir.path().join("p.csv"), csv).expect("write");
        let source: Source = serde_json::from_str(json).expect("source");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
        runtime
            .block_on(read(
                &source,
                &Wanted { labels: vec!["origin".into()], features: vec![], others: vec![] },
                &Workspace::new(dir.path()),
                &NoServer,
            ))
            .map_err(|e| e.to_string())
    }

    const SOURCE: &str = r#"{"file": "p.csv", "label": "late", "score": "p", "split": "split"}"#;

    #[test]
    fn splits_are_told_apart() {
        let csv = "late,p,split,origin\n1,0.2,test,JFK\n0,0.9,test,LGA\n1,0.5,train,JFK\n";
        let splits = read_csv(csv, SOURCE).expect("splits");
        let Data::Binary(test) = &splits.test.data else { panic!("binary") };
        assert_eq!((&test.y, &test.p), (&vec![false, true], &vec![0.9, 0.2]), "the highest score first");
        assert_eq!(splits.test.labels("origin").expect("labels").codes, [1, 0]);
        assert_eq!(splits.train.map(|t| t.len()), Some(1));
    }

    #[test]
    fn a_threshold_is_chosen_on_another_split() {
        let csv = "late,p,split,origin\n1,0.3,test,x\n1,0.4,val,x\n1,0.3,val,x\n0,0.2,val,x\n0,0.35,val,x\n";
        let source = r#"{"file": "p.csv", "label": "late", "score": "p", "split": "split", "threshold": {"maximize": "recall", "on": "val"}}"#;
        assert_eq!(read_csv(csv, source).expect("splits").chosen, Some(0.3));
    }

    #[test]
    fn what_cannot_be_judged_is_an_error_that_names_the_file() {
        for (csv, expected) in [
            ("late,p,split,origin\n1,0.9,train,x\n", "is `test`"),
            ("late,p,split,origin\n1,,test,x\n", "all 1 predictions are NULL or not finite"),
            ("late,p,split,origin\n1,NaN,test,x\n", "all 1 predictions"),
            ("late,p,split,origin\n1,1.5,test,x\n", "the score 1.5 is no probability"),
            ("late,p,split,origin\n2,0.5,test,x\n", "the label `late` holds 2"),
            ("late,p,split,origin\n,0.5,test,x\n", "column `late` has 1 NULL"),
            ("lat,p,split,origin\n1,0.5,test,x\n", "did you mean `lat`?"),
            ("late,p,split,origin\nyes,0.5,test,x\n", "name its positive value"),
            ("late,p,split,origin\n1,high,test,x\n", "not numbers"),
            ("late,p,split,origin\n", "there are no predictions"),
        ] {
            let why = read_csv(csv, SOURCE).expect_err(csv);
            assert!(why.starts_with("p.csv: ") && why.contains(expected), "{csv}: {why}");
        }
    }
}
