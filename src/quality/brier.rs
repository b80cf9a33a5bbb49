use schemars::JsonSchema;
use serde::Deserialize;

use super::ranked::sum;
use super::{Metric, Predictions};
use crate::catalogue::Named;

/// The mean squared distance of the score from the label.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Brier {}

impl Named for Brier {
    const NAME: &'static str = "brier";
    const SHORT: Option<&'static str> = Some("max");
}

impl Metric for Brier {
    fn compute(&self, predictions: &Predictions) -> f64 {
        let squares = predictions.y.iter().zip(&predictions.p).map(|(y, p)| (p - f64::from(u8::from(*y))).powi(2));
        sum(squares) / predictions.len()
    }
}
