use schemars::JsonSchema;
use serde::Deserialize;

use super::prelude::*;

/// The share of positive labels that are found; 0 when there are none.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Recall {
    /// How classes become one value: `binary`, `macro`, `micro` or `weighted`. Default: `binary` with two classes, else `macro`.
    average: Option<Average>,
}

impl Named for Recall {
    const NAME: &'static str = "recall";
    const SHORT: Option<&'static str> = Some("min");
}

impl MetricType for Recall {
    const TASKS: &'static [Task] = CLASSES;
}

impl Metric for Recall {
    fn of_counts(&self, counts: &Confusion) -> Option<Score> {
        Some(counts.ratio(self.average, |c| (c.tp, c.tp + c.fn_)))
    }
}
