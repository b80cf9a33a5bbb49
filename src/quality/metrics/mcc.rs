use schemars::JsonSchema;
use serde::Deserialize;

use super::prelude::*;

/// Matthews' correlation of labels and decisions, from -1 to 1; 0 when one of them is constant.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mcc {}

impl Named for Mcc {
    const NAME: &'static str = "mcc";
    const SHORT: Option<&'static str> = Some("min");
}

impl MetricType for Mcc {
    const TASKS: &'static [Task] = CLASSES;
}

impl Metric for Mcc {
    fn range(&self) -> Option<Range> {
        Some(Range::CORRELATION)
    }

    fn of_counts(&self, counts: &Confusion) -> Option<Score> {
        let (n, classes) = (counts.total(), 0..counts.classes());
        let of = |a: &dyn Fn(usize) -> f64, b: &dyn Fn(usize) -> f64| classes.clone().map(|c| a(c) * b(c)).sum::<f64>();
        let (truth, decision) = (|c| counts.support(c), |c| counts.decided(c));
        let scale = (n * n - of(&decision, &decision)) * (n * n - of(&truth, &truth));
        let covariance = counts.right() * n - of(&truth, &decision);
        Some(if scale > 0.0 { (covariance / scale.sqrt()).into() } else { Score::noted(0.0, "labels or decisions are constant, so 0") })
    }
}
