use schemars::JsonSchema;
use serde::Deserialize;

use super::one_vs::rank_of_truth;
use super::prelude::*;

/// How often the truth is among the `k` most probable classes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TopKAccuracy {
    /// How many classes are looked at.
    k: usize,
}

impl Named for TopKAccuracy {
    const NAME: &'static str = "top_k_accuracy";
    const SHORT: Option<&'static str> = Some("min");
}

impl MetricType for TopKAccuracy {
    const TASKS: &'static [Task] = &[Task::Multiclass];
    const SCORES: bool = true;
}

impl Metric for TopKAccuracy {
    fn compute(&self, view: &View) -> Score {
        let Data::Classes(c) = &view.table.data else { return not_for_it() };
        view.mean(|row| f64::from(u8::from(rank_of_truth(c, row) < self.k))).into()
    }

    fn mistake(&self) -> Option<String> {
        (self.k == 0).then(|| "`k` is at least 1".into())
    }
}
