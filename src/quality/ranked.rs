//! Predictions in the order of their scores, and sums that keep their digits.

use super::Predictions;

/// `(positives, negatives)` at each distinct score, the highest first.
pub(super) fn by_score(predictions: &Predictions) -> Vec<(f64, f64)> {
    let mut order: Vec<(f64, bool)> = predictions.p.iter().copied().zip(predictions.y.iter().copied()).collect();
    order.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    let counted = order.chunk_by(|a, b| a.0 == b.0).map(|tied| {
        let positives = tied.iter().filter(|(_, y)| *y).map(|_| 1.0).sum::<f64>();
        (positives, tied.iter().map(|_| 1.0).sum::<f64>() - positives)
    });
    counted.collect()
}

/// Neumaier's compensated sum: exact to the last digits over any number of terms.
pub(super) fn sum(terms: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut lost) = (0.0_f64, 0.0_f64);
    for term in terms {
        let next = sum + term;
        lost += if sum.abs() >= term.abs() { (sum - next) + term } else { (term - next) + sum };
        sum = next;
    }
    sum + lost
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_are_counted_together() {
        let predictions = Predictions::new(vec![true, false, true, false], vec![0.5, 0.5, 0.9, 0.0], 0.5).expect("predictions");
        assert_eq!(by_score(&predictions), [(1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]);
    }

    #[test]
    fn small_terms_are_not_lost() {
        assert_eq!(sum([1e100, 1.0, -1e100].into_iter()), 1.0);
    }
}
