//! Rows in the order of their scores, the highest first, rows of one score together.

/// What follows from that order. A tie is worth one half in `area`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Curve {
    pub positives: f64,
    pub negatives: f64,
    /// Pairs of a positive above a negative.
    pub area: f64,
    /// The sum over the thresholds of the step in true positives times the precision there.
    pub precision: f64,
}

/// One row of the order.
#[derive(Debug, Clone, Copy)]
pub struct Ranked {
    pub score: f64,
    pub truth: bool,
    pub weight: f64,
}

/// Calls `visit` with the positives and negatives at each distinct score, and the score.
#[derive(Debug, Clone, Copy)]
pub struct Blocks {
    score: f64,
    positives: f64,
    negatives: f64,
}

impl Default for Blocks {
    fn default() -> Self {
        Self { score: f64::NAN, positives: 0.0, negatives: 0.0 }
    }
}

impl Blocks {
    #[inline]
    pub fn add(&mut self, row: Ranked, visit: &mut impl FnMut(f64, f64, f64)) {
        if row.score != self.score {
            self.end(visit);
            *self = Self { score: row.score, positives: 0.0, negatives: 0.0 };
        }
        if row.truth {
            self.positives += row.weight;
        } else {
            self.negatives += row.weight;
        }
    }

    #[inline]
    pub fn end(self, visit: &mut impl FnMut(f64, f64, f64)) {
        if self.positives + self.negatives > 0.0 {
            visit(self.score, self.positives, self.negatives);
        }
    }
}

impl Curve {
    pub const EMPTY: Self = Self { positives: 0.0, negatives: 0.0, area: 0.0, precision: 0.0 };

    #[inline]
    pub fn step(&mut self, positives: f64, negatives: f64) {
        self.area += negatives * (self.positives + positives / 2.0);
        self.positives += positives;
        self.negatives += negatives;
        self.precision += positives * self.positives / (self.positives + self.negatives);
    }

    /// Of rows in any order.
    pub fn of(mut rows: Vec<Ranked>) -> Self {
        rows.sort_unstable_by(|a, b| b.score.total_cmp(&a.score));
        let (mut curve, mut blocks) = (Self::EMPTY, Blocks::default());
        let mut step = |_: f64, positives: f64, negatives: f64| curve.step(positives, negatives);
        rows.into_iter().for_each(|row| blocks.add(row, &mut step));
        blocks.end(&mut step);
        curve
    }

    /// Not a number with one class only.
    pub fn auc(&self) -> f64 {
        self.area / (self.positives * self.negatives)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_are_counted_together() {
        let row = |score: f64, truth: bool| Ranked { score, truth, weight: 1.0 };
        let curve = Curve::of(vec![row(0.5, true), row(0.5, false), row(0.9, true), row(0.0, false)]);
        assert_eq!((curve.positives, curve.negatives, curve.auc()), (2.0, 2.0, 0.875));
    }
}
