use schemars::JsonSchema;
use serde::Deserialize;

use super::prelude::*;

/// The share of negative labels that are left alone: the recall of the other class.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Specificity {
    /// How classes become one value: `binary`, `macro`, `micro` or `weighted`. Default: `binary` with two classes, else `macro`.
    average: Option<Average>,
}

impl Named for Specificity {
    const NAME: &'static str = "specificity";
    const SHORT: Option<&'static str> = Some("min");
}

impl MetricType for Specificity {
    const TASKS: &'static [Task] = CLASSES;
}

impl Metric for Specificity {
    fn of_counts(&self, counts: &Confusion) -> Option<Score> {
        Some(counts.ratio(self.average, |c| (c.tn, c.tn + c.fp)))
    }
}
