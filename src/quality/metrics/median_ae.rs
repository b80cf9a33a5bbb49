use schemars::JsonSchema;
use serde::Deserialize;

use super::prelude::*;

/// The median absolute error; between two values, the mean of both.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MedianAe {}

impl Named for MedianAe {
    const NAME: &'static str = "median_ae";
    const SHORT: Option<&'static str> = Some("max");
}

impl MetricType for MedianAe {
    const TASKS: &'static [Task] = &[Task::Regression];
}

impl Metric for MedianAe {
    fn compute(&self, view: &View) -> Score {
        let Data::Numbers(n) = &view.table.data else { return not_for_it() };
        match median(view, |row| (n.y[row] - n.p[row]).abs()) {
            median if median.is_nan() => Score::undefined("there are no rows"),
            median => median.into(),
        }
    }
}

/// The weighted median; between two values, the mean of both.
pub fn median(view: &View, of: impl Fn(usize) -> f64) -> f64 {
    let mut values = Vec::with_capacity(view.len());
    view.each(|row, weight| {
        if weight > 0.0 {
            values.push((of(row), weight));
        }
    });
    values.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let half = values.iter().map(|(_, weight)| weight).sum::<f64>() / 2.0;
    let mut below = 0.0;
    for (i, (value, weight)) in values.iter().enumerate() {
        below += weight;
        if below > half {
            return *value;
        }
        if below == half {
            return values.get(i + 1).map_or(*value, |(next, _)| f64::midpoint(*value, *next));
        }
    }
    f64::NAN
}
