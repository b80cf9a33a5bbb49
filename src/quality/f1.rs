use schemars::JsonSchema;
use serde::Deserialize;

use super::predictions::Confusion;
use super::{Metric, Predictions};
use crate::catalogue::Named;

/// The harmonic mean of precision and recall, from counts: 2 TP / (2 TP + FN + FP).
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct F1 {}

impl Named for F1 {
    const NAME: &'static str = "f1";
    const SHORT: Option<&'static str> = Some("min");
}

impl Metric for F1 {
    fn compute(&self, predictions: &Predictions) -> f64 {
        let c = predictions.confusion();
        Confusion::ratio(2.0 * c.tp, 2.0 * c.tp + c.fn_ + c.fp)
    }
}
