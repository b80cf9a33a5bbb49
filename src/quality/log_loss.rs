use schemars::JsonSchema;
use serde::Deserialize;

use super::ranked::sum;
use super::{Metric, Predictions};
use crate::catalogue::Named;

/// The mean negative logarithm of the probability given to the truth.
///
/// Scores are clipped by the smallest step of a double, so one certain error costs 36.04.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogLoss {}

impl Named for LogLoss {
    const NAME: &'static str = "log_loss";
    const SHORT: Option<&'static str> = Some("max");
}

impl Metric for LogLoss {
    fn compute(&self, predictions: &Predictions) -> f64 {
        let clip = |p: f64| p.clamp(f64::EPSILON, 1.0 - f64::EPSILON);
        let losses = predictions.y.iter().zip(&predictions.p).map(|(y, p)| -if *y { clip(*p).ln() } else { (1.0 - clip(*p)).ln() });
        sum(losses) / predictions.len()
    }
}
