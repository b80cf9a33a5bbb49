use schemars::JsonSchema;
use serde::Deserialize;

use super::{Metric, Predictions};
use crate::catalogue::Named;

/// The share of right decisions at the threshold.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Accuracy {}

impl Named for Accuracy {
    const NAME: &'static str = "accuracy";
    const SHORT: Option<&'static str> = Some("min");
}

impl Metric for Accuracy {
    fn compute(&self, predictions: &Predictions) -> f64 {
        let c = predictions.confusion();
        (c.tp + c.tn) / predictions.len()
    }
}
