//! How far the mean probability of a bin lies from what happened there.

use super::prelude::*;
use crate::quality::float;
use crate::quality::sum::Sum;
use crate::quality::table::most_probable;

/// Bins of equal width.
pub const BINS: usize = 15;

/// One bin that has rows.
#[derive(Debug, Clone, Copy)]
pub struct Bin {
    pub weight: f64,
    /// The mean probability.
    pub said: f64,
    /// The share of positives.
    pub was: f64,
}

/// The bin of a probability: (low, high], and 0 in the first.
fn place(p: f64, edges: &[f64]) -> usize {
    edges.partition_point(|edge| *edge < p)
}

/// Of the positive class's probability; of several classes, of the most probable one's.
pub fn bins(view: &View, bins: usize) -> Option<Vec<Bin>> {
    // The edges between bins, as numpy's linspace has them.
    let edges: Vec<f64> = (1..bins).map(|i| float(i) * (1.0 / float(bins))).collect();
    let mut sums = vec![[Sum::default(); 3]; bins];
    let mut add = |p: f64, right: bool, weight: f64| {
        let [all, said, was] = &mut sums[place(p, &edges)];
        all.add(weight);
        said.add(weight * p);
        was.add(if right { weight } else { 0.0 });
    };
    match &view.table.data {
        Data::Binary(b) => view.each(|row, weight| add(b.p[row], b.y[row], weight)),
        Data::Classes(c) if !c.p.is_empty() => view.each(|row, weight| {
            let k = c.names.len();
            let p = &c.p[row * k..][..k];
            let best = most_probable(p);
            add(p[best as usize], best == c.y[row], weight);
        }),
        _ => return None,
    }
    let filled = sums.into_iter().map(|sums| sums.map(Sum::value)).filter(|[all, ..]| *all > 0.0);
    Some(filled.map(|[weight, said, was]| Bin { weight, said: said / weight, was: was / weight }).collect())
}
