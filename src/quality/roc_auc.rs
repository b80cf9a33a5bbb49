use schemars::JsonSchema;
use serde::Deserialize;

use super::ranked::by_score;
use super::{Metric, Predictions};
use crate::catalogue::Named;

/// The area under the ROC curve: how often a positive scores above a negative, a tie counting half.
///
/// With one class only it is not defined, and the gate is broken.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RocAuc {}

impl Named for RocAuc {
    const NAME: &'static str = "roc_auc";
    const SHORT: Option<&'static str> = Some("min");
}

impl Metric for RocAuc {
    fn compute(&self, predictions: &Predictions) -> f64 {
        let (mut tp, mut fp, mut area) = (0.0, 0.0, 0.0);
        for (positives, negatives) in by_score(predictions) {
            area += negatives * (tp + positives / 2.0);
            tp += positives;
            fp += negatives;
        }
        area / (tp * fp)
    }
}
