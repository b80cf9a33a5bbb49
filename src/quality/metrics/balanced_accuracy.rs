use schemars::JsonSchema;
use serde::Deserialize;

use super::prelude::*;
use crate::quality::float;

/// The mean recall of the classes that occur.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BalancedAccuracy {}

impl Named for BalancedAccuracy {
    const NAME: &'static str = "balanced_accuracy";
    const SHORT: Option<&'static str> = Some("min");
}

impl MetricType for BalancedAccuracy {
    const TASKS: &'static [Task] = CLASSES;
}

impl Metric for BalancedAccuracy {
    fn of_counts(&self, counts: &Confusion) -> Option<Score> {
        let recalls = (0..counts.classes()).filter(|c| counts.support(*c) > 0.0).map(|c| counts.get(c, c) / counts.support(c));
        let recalls: Vec<f64> = recalls.collect();
        let never = (0..counts.classes()).filter(|c| counts.support(*c) == 0.0 && counts.decided(*c) > 0.0).count();
        let mean = recalls.iter().sum::<f64>() / float(recalls.len());
        Some(if never == 0 { mean.into() } else { Score::noted(mean, "a class that never occurs is decided, and left out") })
    }
}
