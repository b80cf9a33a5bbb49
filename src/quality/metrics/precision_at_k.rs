use schemars::JsonSchema;
use serde::Deserialize;

use super::by_query::mean;
use super::prelude::*;
use crate::quality::float;

/// The share of relevant rows among the first `k` of a query; the mean over the queries.
///
/// Rows of one score stand in any order: it is the expected value.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PrecisionAtK {
    /// How many rows of a query are looked at. Default: all.
    k: Option<usize>,
}

impl Named for PrecisionAtK {
    const NAME: &'static str = "precision_at_k";
    const SHORT: Option<&'static str> = Some("min");
}

impl MetricType for PrecisionAtK {
    const TASKS: &'static [Task] = &[Task::Ranking];
}

impl Metric for PrecisionAtK {
    fn compute(&self, view: &View) -> Score {
        mean(view, |relevance, score| {
            let k = self.k.unwrap_or(relevance.len());
            let (mut found, mut at) = (0.0, 0);
            for tied in score.chunk_by(|a, b| a == b) {
                if at >= k {
                    break;
                }
                let end = at + tied.len();
                let relevant = float(relevance[at..end].iter().filter(|r| **r > 0.0).count());
                // Of rows that share a score as many as fit, in any order.
                found += relevant * float(end.min(k) - at) / float(tied.len());
                at = end;
            }
            found / float(k)
        })
    }

    fn mistake(&self) -> Option<String> {
        (self.k == Some(0)).then(|| "`k` is at least 1".into())
    }
}
