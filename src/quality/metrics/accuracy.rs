use schemars::JsonSchema;
use serde::Deserialize;

use super::prelude::*;

/// The share of right decisions.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Accuracy {}

impl Named for Accuracy {
    const NAME: &'static str = "accuracy";
    const SHORT: Option<&'static str> = Some("min");
}

impl MetricType for Accuracy {
    const TASKS: &'static [Task] = CLASSES;
}

impl Metric for Accuracy {
    fn of_counts(&self, counts: &Confusion) -> Option<Score> {
        Some(Score::from(counts.right() / counts.total()))
    }
}
