use schemars::JsonSchema;
use serde::Deserialize;

use super::by_query::mean;
use super::prelude::*;
use crate::quality::float;

/// Normalised discounted cumulative gain: relevance by place, the first counting most, against the best order there is.
///
/// The gain is the relevance itself, the discount 1 / log2(place + 1), rows of one score share their places, and a query
/// without anything relevant counts 0.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ndcg {
    /// How many rows of a query are looked at. Default: all.
    k: Option<usize>,
}

impl Named for Ndcg {
    const NAME: &'static str = "ndcg";
    const SHORT: Option<&'static str> = Some("min");
}

impl MetricType for Ndcg {
    const TASKS: &'static [Task] = &[Task::Ranking];
}

impl Metric for Ndcg {
    fn compute(&self, view: &View) -> Score {
        let Data::Queries(q) = &view.table.data else { return not_for_it() };
        if q.relevance.iter().any(|r| *r < 0.0) {
            return Score::undefined("a relevance is negative");
        }
        mean(view, |relevance, score| {
            let discounts = discounts(relevance.len(), self.k);
            let mut best = relevance.to_vec();
            best.sort_by(|a, b| b.total_cmp(a));
            let ideal: f64 = best.iter().enumerate().map(|(i, r)| r * (discounts[i + 1] - discounts[i])).sum();
            let (mut gain, mut at) = (0.0, 0);
            for tied in score.chunk_by(|a, b| a == b) {
                let end = at + tied.len();
                gain += relevance[at..end].iter().sum::<f64>() / float(tied.len()) * (discounts[end] - discounts[at]);
                at = end;
            }
            if ideal == 0.0 { 0.0 } else { gain / ideal }
        })
    }

    fn mistake(&self) -> Option<String> {
        (self.k == Some(0)).then(|| "`k` is at least 1".into())
    }
}

/// Sums of the discounts before each place.
fn discounts(n: usize, k: Option<usize>) -> Vec<f64> {
    let discount = |place: usize| if k.is_some_and(|k| place >= k) { 0.0 } else { 1.0 / (float(place) + 2.0).log2() };
    let mut sum = 0.0;
    let sums = (0..n).map(|place| {
        sum += discount(place);
        sum
    });
    std::iter::once(0.0).chain(sums).collect()
}
