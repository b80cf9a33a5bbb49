use schemars::JsonSchema;
use serde::Deserialize;

use super::prelude::*;

/// Cohen's kappa: how far decisions agree with labels beyond chance, up to 1.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Kappa {}

impl Named for Kappa {
    const NAME: &'static str = "kappa";
    const SHORT: Option<&'static str> = Some("min");
}

impl MetricType for Kappa {
    const TASKS: &'static [Task] = CLASSES;
}

impl Metric for Kappa {
    fn range(&self) -> Option<Range> {
        Some(Range::CORRELATION)
    }

    fn of_counts(&self, counts: &Confusion) -> Option<Score> {
        let n = counts.total();
        let chance: f64 = (0..counts.classes()).map(|c| counts.support(c) * counts.decided(c) / n).sum();
        let by_chance = n - chance;
        Some(if by_chance == 0.0 {
            Score::undefined("one class only, in labels and decisions")
        } else {
            (1.0 - (n - counts.right()) / by_chance).into()
        })
    }
}
