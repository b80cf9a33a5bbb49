use schemars::JsonSchema;
use serde::Deserialize;

use super::{Metric, Predictions};
use crate::catalogue::Named;

/// The mean recall of the classes that occur.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BalancedAccuracy {}

impl Named for BalancedAccuracy {
    const NAME: &'static str = "balanced_accuracy";
    const SHORT: Option<&'static str> = Some("min");
}

impl Metric for BalancedAccuracy {
    fn compute(&self, predictions: &Predictions) -> f64 {
        let c = predictions.confusion();
        let recalls: Vec<f64> =
            [(c.tp, c.tp + c.fn_), (c.tn, c.tn + c.fp)].iter().filter(|(_, all)| *all > 0.0).map(|(right, all)| right / all).collect();
        recalls.iter().sum::<f64>() / if recalls.len() == 2 { 2.0 } else { 1.0 }
    }
}
