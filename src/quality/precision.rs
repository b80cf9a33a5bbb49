use schemars::JsonSchema;
use serde::Deserialize;

use super::predictions::Confusion;
use super::{Metric, Predictions};
use crate::catalogue::Named;

/// The share of positive decisions that are right; 0 when there are none.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Precision {}

impl Named for Precision {
    const NAME: &'static str = "precision";
    const SHORT: Option<&'static str> = Some("min");
}

impl Metric for Precision {
    fn compute(&self, predictions: &Predictions) -> f64 {
        let c = predictions.confusion();
        Confusion::ratio(c.tp, c.tp + c.fp)
    }
}
