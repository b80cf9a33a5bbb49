use schemars::JsonSchema;
use serde::Deserialize;

use super::predictions::Confusion;
use super::{Metric, Predictions};
use crate::catalogue::Named;

/// The share of positive labels that are found; 0 when there are none.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Recall {}

impl Named for Recall {
    const NAME: &'static str = "recall";
    const SHORT: Option<&'static str> = Some("min");
}

impl Metric for Recall {
    fn compute(&self, predictions: &Predictions) -> f64 {
        let c = predictions.confusion();
        Confusion::ratio(c.tp, c.tp + c.fn_)
    }
}
