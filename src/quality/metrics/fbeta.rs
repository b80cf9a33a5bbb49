use schemars::JsonSchema;
use serde::Deserialize;

use super::prelude::*;

/// The harmonic mean of precision and recall in which recall counts `beta` times as much.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fbeta {
    /// How many times as much recall counts as precision.
    beta: f64,
    /// How classes become one value: `binary`, `macro`, `micro` or `weighted`. Default: `binary` with two classes, else `macro`.
    average: Option<Average>,
}

impl Named for Fbeta {
    const NAME: &'static str = "fbeta";
    const SHORT: Option<&'static str> = Some("min");
}

impl MetricType for Fbeta {
    const TASKS: &'static [Task] = CLASSES;
}

impl Metric for Fbeta {
    fn of_counts(&self, counts: &Confusion) -> Option<Score> {
        let square = self.beta * self.beta;
        Some(counts.ratio(self.average, |c| ((1.0 + square) * c.tp, (1.0 + square) * c.tp + square * c.fn_ + c.fp)))
    }

    fn mistake(&self) -> Option<String> {
        (self.beta <= 0.0).then(|| "`beta` is above 0".into())
    }
}
