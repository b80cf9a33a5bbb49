use schemars::JsonSchema;
use serde::Deserialize;

use super::prelude::*;

/// The share of positive decisions that are right; 0 when there are none.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Precision {
    /// How classes become one value: `binary`, `macro`, `micro` or `weighted`. Default: `binary` with two classes, else `macro`.
    average: Option<Average>,
}

impl Named for Precision {
    const NAME: &'static str = "precision";
    const SHORT: Option<&'static str> = Some("min");
}

impl MetricType for Precision {
    const TASKS: &'static [Task] = CLASSES;
}

impl Metric for Precision {
    fn of_counts(&self, counts: &Confusion) -> Option<Score> {
        Some(counts.ratio(self.average, |c| (c.tp, c.tp + c.fp)))
    }
}
