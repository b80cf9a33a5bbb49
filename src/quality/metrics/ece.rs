use schemars::JsonSchema;
use serde::Deserialize;

use super::calibration::{BINS, bins};
use super::prelude::*;

/// The expected calibration error: how far probabilities lie from what happens, on average over bins of equal width.
///
/// With two classes of the probability of the positive one; with several of the most probable one's. Empty bins are left out.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ece {
    /// How many bins. Default: 15.
    bins: Option<usize>,
}

impl Named for Ece {
    const NAME: &'static str = "ece";
    const SHORT: Option<&'static str> = Some("max");
}

impl MetricType for Ece {
    const TASKS: &'static [Task] = CLASSES;
    const SCORES: bool = true;
}

impl Metric for Ece {
    fn range(&self) -> Option<Range> {
        Some(Range::SHARE)
    }

    fn compute(&self, view: &View) -> Score {
        let Some(bins) = bins(view, self.bins.unwrap_or(BINS)) else { return not_for_it() };
        let all: f64 = bins.iter().map(|bin| bin.weight).sum();
        bins.iter().map(|bin| bin.weight / all * (bin.said - bin.was).abs()).sum::<f64>().into()
    }

    fn mistake(&self) -> Option<String> {
        self.bins.is_some_and(|bins| !(1..=1000).contains(&bins)).then(|| "`bins` lies between 1 and 1000".into())
    }
}
