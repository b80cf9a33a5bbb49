//! Models that know nothing of a row: what any model has to beat.

use schemars::JsonSchema;
use serde::Deserialize;

use super::trained::{Trained, predict};
use crate::quality::metrics::{Chosen, median};
use crate::quality::score::Score;
use crate::quality::table::{Binary, Classes, Data, Numbers, Table, most_probable};
use crate::quality::task::Task;
use crate::quality::view::View;
use crate::quality::{QualityError, float};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Baseline {
    /// Always the most frequent class, with certainty.
    Majority,
    /// The share of each class as its probability.
    Prior,
    /// A class by chance, each as often as it occurs: its expected value, without a draw.
    Stratified,
    /// A class by chance, all alike: its expected value, without a draw.
    Uniform,
    /// Always the mean.
    Mean,
    /// Always the median.
    Median,
    /// A logistic regression on `features`.
    Logistic,
    /// A linear regression on `features`.
    Linear,
    /// A random forest on `features`.
    RandomForest,
}

impl Baseline {
    pub fn word(self) -> &'static str {
        match self {
            Self::Majority => "majority",
            Self::Prior => "prior",
            Self::Stratified => "stratified",
            Self::Uniform => "uniform",
            Self::Mean => "mean",
            Self::Median => "median",
            Self::Logistic => "logistic",
            Self::Linear => "linear",
            Self::RandomForest => "random_forest",
        }
    }

    pub fn misfit(self, task: Task) -> Option<String> {
        let fits = match self {
            Self::Majority | Self::Prior | Self::Stratified | Self::Uniform => matches!(task, Task::Binary | Task::Multiclass),
            Self::Mean | Self::Median | Self::Linear => task == Task::Regression,
            Self::Logistic => task == Task::Binary,
            Self::RandomForest => matches!(task, Task::Binary | Task::Regression),
        };
        let known = match task {
            Task::Binary => "majority, prior, stratified, uniform, logistic, random_forest",
            Task::Multiclass => "majority, prior, stratified, uniform",
            Task::Regression => "mean, median, linear, random_forest",
            Task::Ranking => "none",
        };
        (!fits).then(|| format!("`{}` is no baseline of a {task} model; known are: {known}", self.word()))
    }

    /// The model that has to be trained, where it is one.
    pub fn trained(self) -> Option<Trained> {
        match self {
            Self::Logistic => Some(Trained::Logistic),
            Self::Linear => Some(Trained::Linear),
            Self::RandomForest => Some(Trained::RandomForest),
            _ => None,
        }
    }

    /// What the metric of the rows would be. The baseline is learned from `train` where there is one.
    pub fn score(self, metric: &Chosen, features: &[String], train: &Table, test: &Table) -> Result<Score, QualityError> {
        if let Some(model) = self.trained() {
            return learned(model, metric, features, train, test);
        }
        let shares = shares(train);
        let constant = |p: &[f64]| -> Result<Score, QualityError> { Ok(metric.compute(&View::all(&test.with(always(&test.data, p))?))) };
        match self {
            Self::Majority => constant(&sure(most_probable(&shares) as usize, shares.len())),
            Self::Prior => constant(&shares),
            Self::Mean | Self::Median | Self::Logistic | Self::Linear | Self::RandomForest => constant(&[self.number(train)]),
            Self::Uniform => {
                let alike = vec![1.0 / float(shares.len()); shares.len()];
                // Its probabilities are all alike; its decisions are drawn.
                let counts = metric.metric.of_counts(View::all(test).confusion()).is_some();
                if counts { mixture(metric, test, &alike) } else { constant(&alike) }
            }
            Self::Stratified => mixture(metric, test, &shares),
        }
    }

    fn number(self, train: &Table) -> f64 {
        let Data::Numbers(n) = &train.data else { return f64::NAN };
        if self == Self::Mean {
            return View::all(train).mean(|row| n.y[row]);
        }
        median(&View::all(train), |row| n.y[row])
    }
}

fn learned(model: Trained, metric: &Chosen, features: &[String], train: &Table, test: &Table) -> Result<Score, QualityError> {
    let p = predict(model, features, train, test)?;
    let data = match &test.data {
        Data::Binary(b) => Data::Binary(Binary { y: b.y.clone(), p, threshold: 0.5 }),
        Data::Numbers(n) => Data::Numbers(Numbers { y: n.y.clone(), p }),
        other => other.clone(),
    };
    Ok(metric.compute(&View::all(&test.with(data)?)))
}

fn sure(class: usize, classes: usize) -> Vec<f64> {
    (0..classes).map(|c| if c == class { 1.0 } else { 0.0 }).collect()
}

/// How often each class occurs; of two, the positive one last.
fn shares(table: &Table) -> Vec<f64> {
    let counts = View::all(table).confusion().clone();
    (0..counts.classes()).map(|class| counts.support(class) / counts.total()).collect()
}

/// The same probabilities for every row, or the same number.
fn always(data: &Data, p: &[f64]) -> Data {
    match data {
        Data::Binary(b) => Data::Binary(Binary { y: b.y.clone(), p: vec![p[1]; b.y.len()], threshold: 0.5 }),
        Data::Classes(c) => {
            let best = most_probable(p);
            let p = if c.p.is_empty() { vec![] } else { p.iter().copied().cycle().take(c.p.len()).collect() };
            Data::Classes(Classes { decided: vec![best; c.y.len()], p, ..c.clone() })
        }
        Data::Numbers(n) => Data::Numbers(Numbers { y: n.y.clone(), p: vec![p[0]; n.y.len()] }),
        Data::Queries(q) => Data::Queries(q.clone()),
    }
}

/// The expected value where a class is drawn: counts and means are those of the constant models, each by its share. A
/// ranking by chance has no other than half of all pairs right.
fn mixture(metric: &Chosen, test: &Table, drawn: &[f64]) -> Result<Score, QualityError> {
    let constants = (0..drawn.len()).map(|class| test.with(always(&test.data, &sure(class, drawn.len())))).collect::<Result<Vec<_>, _>>()?;
    let first = View::all(&constants[0]).confusion().clone();
    if metric.metric.of_counts(&first).is_some() {
        let mut share = drawn[0];
        let mut counts = first;
        for (table, p) in constants.iter().zip(drawn).skip(1) {
            share += p;
            let before = if share == 0.0 { 0.0 } else { (share - p) / share };
            counts = counts.mixed(before, View::all(table).confusion());
        }
        return Ok(metric.metric.of_counts(&counts).unwrap_or_else(|| Score::undefined("it is no metric of counts")));
    }
    if metric.metric.terms(&constants[0]).is_some() {
        let of = |(table, p): (&Table, &f64)| metric.metric.terms(table).map_or(f64::NAN, |term| p * View::all(table).mean(term));
        return Ok(metric.metric.of_mean(constants.iter().zip(drawn).map(of).sum()));
    }
    Ok(match metric.name {
        "roc_auc" => 0.5.into(),
        // Of decisions by chance the precision is the share of positives, wherever the threshold lies.
        "average_precision" => shares(test).last().copied().unwrap_or(f64::NAN).into(),
        _ => Score::undefined("a model by chance has no such value in closed form; use `prior` or `majority`"),
    })
}
