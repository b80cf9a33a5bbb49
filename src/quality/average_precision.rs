use schemars::JsonSchema;
use serde::Deserialize;

use super::ranked::by_score;
use super::{Metric, Predictions};
use crate::catalogue::Named;

/// The sum over the thresholds of the step in recall times the precision there, without interpolation.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AveragePrecision {}

impl Named for AveragePrecision {
    const NAME: &'static str = "average_precision";
    const SHORT: Option<&'static str> = Some("min");
}

impl Metric for AveragePrecision {
    fn compute(&self, predictions: &Predictions) -> f64 {
        let (mut tp, mut all, mut sum) = (0.0, 0.0, 0.0);
        for (positives, negatives) in by_score(predictions) {
            tp += positives;
            all += positives + negatives;
            sum += positives * tp / all;
        }
        if tp == 0.0 { 0.0 } else { sum / tp }
    }
}
