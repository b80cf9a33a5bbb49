use schemars::JsonSchema;
use serde::Deserialize;

use super::predictions::Confusion;
use super::{Metric, Predictions};
use crate::catalogue::Named;

/// Matthews' correlation of labels and decisions, from -1 to 1; 0 when one of them is constant.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mcc {}

impl Named for Mcc {
    const NAME: &'static str = "mcc";
    const SHORT: Option<&'static str> = Some("min");
}

impl Metric for Mcc {
    fn compute(&self, predictions: &Predictions) -> f64 {
        let c = predictions.confusion();
        let scale = (c.tp + c.fp) * (c.tp + c.fn_) * (c.tn + c.fp) * (c.tn + c.fn_);
        Confusion::ratio(c.tp * c.tn - c.fp * c.fn_, scale.sqrt())
    }
}
