use schemars::JsonSchema;
use serde::Deserialize;

use super::prelude::*;

/// The harmonic mean of precision and recall, from counts: 2 TP / (2 TP + FN + FP).
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct F1 {
    /// How classes become one value: `binary`, `macro`, `micro` or `weighted`. Default: `binary` with two classes, else `macro`.
    average: Option<Average>,
}

impl Named for F1 {
    const NAME: &'static str = "f1";
    const SHORT: Option<&'static str> = Some("min");
}

impl MetricType for F1 {
    const TASKS: &'static [Task] = CLASSES;
}

impl Metric for F1 {
    fn of_counts(&self, counts: &Confusion) -> Option<Score> {
        Some(counts.ratio(self.average, |c| (2.0 * c.tp, 2.0 * c.tp + c.fn_ + c.fp)))
    }
}
