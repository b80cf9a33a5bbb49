//! Areas under curves of several classes: one against the rest, or against another.

use super::prelude::*;
use crate::quality::curve::{Curve, Ranked};
use crate::quality::table::Classes;

/// The curve of a class by its own probability, of the rows that `within` lets in.
fn against(view: &View, c: &Classes, class: usize, within: impl Fn(usize) -> bool) -> Curve {
    let mut rows = Vec::with_capacity(view.len());
    view.each(|row, weight| {
        if within(c.y[row] as usize) {
            rows.push(Ranked { score: c.p[row * c.names.len() + class], truth: c.y[row] as usize == class, weight });
        }
    });
    Curve::of(rows)
}

pub(super) fn one_vs_rest(view: &View, c: &Classes, weighted: bool) -> Score {
    let counts = view.confusion();
    let (mut sum, mut all) = (0.0, 0.0);
    for (class, name) in c.names.iter().enumerate() {
        let weight = if weighted { counts.support(class) } else { 1.0 };
        if weight == 0.0 {
            continue;
        }
        let auc = against(view, c, class, |_| true).auc();
        if auc.is_nan() {
            let why = if counts.support(class) == 0.0 { "never" } else { "always" };
            return Score::undefined(format!("the class `{name}` {why} occurs"));
        }
        sum += weight * auc;
        all += weight;
    }
    if all == 0.0 { Score::undefined("there are no rows") } else { (sum / all).into() }
}

pub(super) fn pairs(view: &View, c: &Classes, weighted: bool) -> Score {
    let counts = view.confusion();
    let there: Vec<usize> = (0..c.names.len()).filter(|class| counts.support(*class) > 0.0).collect();
    let (mut sum, mut all) = (0.0, 0.0);
    for (i, &a) in there.iter().enumerate() {
        for &b in &there[i + 1..] {
            let of = |class: usize| against(view, c, class, |y| y == a || y == b).auc();
            let weight = if weighted { (counts.support(a) + counts.support(b)) / counts.total() } else { 1.0 };
            sum += weight * f64::midpoint(of(a), of(b));
            all += weight;
        }
    }
    if there.len() < 2 { Score::undefined("the labels are of one class only") } else { (sum / all).into() }
}

/// How many classes have a higher probability than the true one; of equal ones the later stands before.
pub(super) fn rank_of_truth(c: &Classes, row: usize) -> usize {
    let (k, y) = (c.names.len(), c.y[row] as usize);
    let p = &c.p[row * k..][..k];
    (0..k).filter(|other| p[*other] > p[y] || (p[*other] == p[y] && *other > y)).count()
}
