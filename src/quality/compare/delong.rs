//! The difference of two areas under the ROC curve after `DeLong` and others (1988), by mid-ranks (Sun and Xu, 2014).

use super::super::table::Binary;
use super::{Pair, aligned};
use crate::quality::float;
use crate::quality::sum::Sum;
use crate::quality::table::Data;
use crate::stats::{deviations, two_sided};

/// Areas, the variance of their difference, and the probability of such a difference by chance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DeLong {
    pub one: f64,
    pub other: f64,
    pub variance: f64,
    pub p: f64,
}

impl DeLong {
    pub fn difference(&self) -> f64 {
        self.one - self.other
    }

    pub fn interval(&self, confidence: f64) -> super::Interval {
        let half = deviations(confidence) * self.variance.sqrt();
        super::Interval { low: self.difference() - half, high: self.difference() + half }
    }
}

/// Of each row of the join: the share of rows of the other class that it stands on the right side of, a tie counting half.
fn placements(b: &Binary, at: &[u32], positives: f64, negatives: f64) -> Vec<f64> {
    let mut placed = vec![0.0; at.len()];
    let (mut up, mut down, mut start) = (0.0, 0.0, 0);
    for tied in b.p.chunk_by(|x, y| x == y) {
        let rows = start..start + tied.len();
        let here = float(rows.clone().filter(|row| b.y[*row]).count());
        let there = float(tied.len()) - here;
        for row in rows.clone() {
            // A positive is above the negatives that follow; a negative is below the positives before it.
            placed[at[row] as usize] = if b.y[row] { (negatives - down - there / 2.0) / negatives } else { (up + here / 2.0) / positives };
        }
        up += here;
        down += there;
        start = rows.end;
    }
    placed
}

/// Nothing where one class is missing, or rows have weights.
pub fn delong(pair: &Pair) -> Option<DeLong> {
    let (Data::Binary(a), Data::Binary(b)) = (&pair.one.data, &pair.other.data) else { return None };
    if pair.one.weights.is_some() || pair.other.weights.is_some() {
        return None;
    }
    let positives = float(a.y.iter().filter(|y| **y).count());
    let negatives = float(a.y.len()) - positives;
    if positives == 0.0 || negatives == 0.0 {
        return None;
    }
    let truth = aligned(&pair.at_one, |row| a.y[row]);
    let ours = placements(a, &pair.at_one, positives, negatives);
    let theirs = placements(b, &pair.at_other, positives, negatives);
    let mean = |v: &[f64], of: bool, n: f64| v.iter().zip(&truth).filter(|(_, y)| **y == of).map(|(v, _)| *v).collect::<Sum>().value() / n;
    let (one, other) = (mean(&ours, true, positives), mean(&theirs, true, positives));
    let spread = |of: bool, n: f64| {
        let middle = mean(&ours, of, n) - mean(&theirs, of, n);
        let terms = ours.iter().zip(&theirs).zip(&truth).filter(|(_, y)| **y == of).map(|((a, b), _)| (a - b - middle).powi(2));
        // One row of a class has no variance of its own.
        if n < 2.0 { 0.0 } else { terms.collect::<Sum>().value() / (n - 1.0) / n }
    };
    let variance = spread(true, positives) + spread(false, negatives);
    let p = if variance > 0.0 { two_sided((one - other) / variance.sqrt()) } else { 1.0 };
    Some(DeLong { one, other, variance, p })
}
