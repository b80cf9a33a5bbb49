//! Small models that are trained here, on the same features and the training split: what a model of effort has to beat.

use smartcore::ensemble::random_forest_regressor::{RandomForestRegressor, RandomForestRegressorParameters};
use smartcore::linalg::basic::arrays::Array as _;
use smartcore::linalg::basic::matrix::DenseMatrix;
use smartcore::linear::linear_regression::{LinearRegression, LinearRegressionParameters};
use smartcore::linear::logistic_regression::{LogisticRegression, LogisticRegressionParameters};

use crate::quality::table::{Data, Table};
use crate::quality::{QualityError, float};

/// More rows make such a model slower, and hardly better.
const ROWS: usize = 20_000;
const TREES: usize = 50;
const DEPTH: u16 = 12;

/// Which small model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trained {
    Logistic,
    Linear,
    RandomForest,
}

fn wrong(why: impl std::fmt::Display) -> QualityError {
    QualityError::Wrong(format!("the baseline could not be trained: {why}"))
}

/// Each feature in standard deviations from its mean in training; what is missing is the mean.
struct Scales(Vec<(f64, f64)>);

impl Scales {
    fn of(features: &[&[f64]], rows: &[usize]) -> Self {
        let scale = |column: &&[f64]| {
            let values: Vec<f64> = rows.iter().map(|row| column[*row]).filter(|v| v.is_finite()).collect();
            let n = float(values.len().max(1));
            let mean = values.iter().sum::<f64>() / n;
            let deviation = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
            (mean, if deviation > 0.0 { deviation } else { 1.0 })
        };
        Self(features.iter().map(scale).collect())
    }

    fn matrix(&self, features: &[&[f64]], rows: &[usize]) -> Result<DenseMatrix<f64>, QualityError> {
        let scaled = |v: f64, (mean, deviation): (f64, f64)| if v.is_finite() { (v - mean) / deviation } else { 0.0 };
        let row = |row: &usize| features.iter().zip(&self.0).map(|(column, scale)| scaled(column[*row], *scale)).collect();
        DenseMatrix::from_2d_vec(&rows.iter().map(row).collect::<Vec<Vec<f64>>>()).map_err(wrong)
    }
}

/// The truth as numbers.
fn truth(table: &Table, rows: &[usize]) -> Result<Vec<f64>, QualityError> {
    match &table.data {
        Data::Binary(b) => Ok(rows.iter().map(|row| f64::from(u8::from(b.y[*row]))).collect()),
        Data::Numbers(n) => Ok(rows.iter().map(|row| n.y[*row]).collect()),
        _ => Err(wrong("it needs two classes or numbers")),
    }
}

/// For each row of `test` a probability, or a number.
pub fn predict(model: Trained, features: &[String], train: &Table, test: &Table) -> Result<Vec<f64>, QualityError> {
    let unread = || wrong("its features were not read");
    let (learned, asked) = (train.features(features).ok_or_else(unread)?, test.features(features).ok_or_else(unread)?);
    // Evenly over all rows, which stand in the order of the score.
    let step = train.len().div_ceil(ROWS);
    let rows: Vec<usize> = (0..train.len()).step_by(step).collect();
    let scales = Scales::of(&learned, &rows);
    let (x, y) = (scales.matrix(&learned, &rows)?, truth(train, &rows)?);
    let to = scales.matrix(&asked, &(0..test.len()).collect::<Vec<_>>())?;
    match model {
        Trained::Linear => LinearRegression::fit(&x, &y, LinearRegressionParameters::default()).and_then(|m| m.predict(&to)).map_err(wrong),
        Trained::RandomForest => {
            let parameters =
                RandomForestRegressorParameters::default().with_n_trees(TREES).with_max_depth(DEPTH).with_min_samples_leaf(5).with_seed(0);
            RandomForestRegressor::fit(&x, &y, parameters).and_then(|m| m.predict(&to)).map_err(wrong).map(|p| match &test.data {
                // The mean of 0 and 1 is the share of the positive class, but for the last bit.
                Data::Binary(_) => p.into_iter().map(|p| p.clamp(0.0, 1.0)).collect(),
                _ => p,
            })
        }
        Trained::Logistic => {
            let classes: Vec<i32> = y.iter().map(|y| i32::from(*y == 1.0)).collect();
            let parameters = LogisticRegressionParameters::default().with_alpha(1.0);
            let model = LogisticRegression::fit(&x, &classes, parameters).map_err(wrong)?;
            let (weights, intercept) = (model.coefficients(), *model.intercept().get((0, 0)));
            let score = |row: usize| intercept + (0..scales.0.len()).map(|i| weights.get((0, i)) * to.get((row, i))).sum::<f64>();
            Ok((0..test.len()).map(|row| 1.0 / (1.0 + (-score(row)).exp())).collect())
        }
    }
}
