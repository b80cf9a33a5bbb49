//! Distances over categories or bins: two rows of counts.

use statrs::distribution::{ChiSquared, ContinuousCDF as _};

use super::float;

/// The smallest share that the population stability index calculates with.
const FLOOR: f64 = 1e-4;

fn total(counts: &[u64]) -> f64 {
    float(counts.iter().sum())
}

/// The population stability index: the shares' differences, weighed by the logarithm of their quotients. Shares are not
/// below 0.0001, so that a category that is new does not make it infinite. Nothing where a side has no rows.
pub fn psi(reference: &[u64], current: &[u64]) -> Option<f64> {
    let (n, m) = (total(reference), total(current));
    if n == 0.0 || m == 0.0 {
        return None;
    }
    let there = reference.iter().zip(current).filter(|(a, b)| **a + **b > 0);
    Some(there.map(|(a, b)| ((float(*a) / n).max(FLOOR), (float(*b) / m).max(FLOOR))).map(|(p, q)| (q - p) * (q / p).ln()).sum())
}

/// The Jensen–Shannon distance to the base 2: 0 for equal shares, 1 for shares that never meet.
pub fn jensen_shannon(reference: &[u64], current: &[u64]) -> Option<f64> {
    let (n, m) = (total(reference), total(current));
    (n > 0.0 && m > 0.0).then(|| {
        let shares: Vec<(f64, f64)> = reference.iter().zip(current).map(|(a, b)| (float(*a) / n, float(*b) / m)).collect();
        (divergence(&shares) / std::f64::consts::LN_2).sqrt()
    })
}

/// In natural units. Each term is the relative entropy to the mean, so that equal shares give 0 exactly.
pub(super) fn divergence(shares: &[(f64, f64)]) -> f64 {
    let entropy = |p: f64, mean: f64| if p > 0.0 { p * (p / mean).ln() } else { 0.0 };
    let sum: f64 = shares.iter().map(|(p, q)| entropy(*p, f64::midpoint(*p, *q)) + entropy(*q, f64::midpoint(*p, *q))).sum();
    (sum / 2.0).max(0.0)
}

/// The test of homogeneity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Chi2 {
    pub statistic: f64,
    pub p: f64,
    pub df: u64,
    /// The effect: 0 for independent, 1 for determined.
    pub cramers_v: f64,
}

/// Pearson's test over a table of counts, without continuity correction; empty rows and columns are left out. With one
/// row or column left there is nothing to tell apart. Nothing for a table without counts.
pub fn chi2(table: &[Vec<u64>]) -> Option<Chi2> {
    let (statistic, rows, columns, n) = pearson(table)?;
    let df = (rows - 1) * (columns - 1);
    if df == 0 {
        return Some(Chi2 { statistic: 0.0, p: 1.0, df: 0, cramers_v: 0.0 });
    }
    let p = ChiSquared::new(float(df)).ok()?.sf(statistic);
    Some(Chi2 { statistic, p, df, cramers_v: (statistic / (n * float(rows.min(columns) - 1))).sqrt() })
}

/// Cramér's V without the part that chance puts in (Bergsma 2013): many categories and few rows look related otherwise.
pub fn corrected_cramers_v(table: &[Vec<u64>]) -> Option<f64> {
    let (statistic, rows, columns, n) = pearson(table)?;
    let (r, k) = (float(rows), float(columns));
    if rows < 2 || columns < 2 || n < 2.0 {
        return Some(0.0);
    }
    let phi2 = (statistic / n - (k - 1.0) * (r - 1.0) / (n - 1.0)).max(0.0);
    let shrunk = |m: f64| m - (m - 1.0) * (m - 1.0) / (n - 1.0);
    let most = shrunk(k).min(shrunk(r)) - 1.0;
    Some(if most > 0.0 { (phi2 / most).sqrt().min(1.0) } else { 0.0 })
}

/// The statistic, the rows and columns that are not empty, and the sum of all counts.
fn pearson(table: &[Vec<u64>]) -> Option<(f64, u64, u64, f64)> {
    let rows: Vec<f64> = table.iter().map(|row| total(row)).collect();
    let width = table.iter().map(Vec::len).max().unwrap_or(0);
    let columns: Vec<f64> = (0..width).map(|at| float(table.iter().filter_map(|row| row.get(at)).sum())).collect();
    let n: f64 = rows.iter().sum();
    if n == 0.0 {
        return None;
    }
    let mut statistic = 0.0;
    for (row, row_sum) in table.iter().zip(&rows).filter(|(_, sum)| **sum > 0.0) {
        for (at, column_sum) in columns.iter().enumerate().filter(|(_, sum)| **sum > 0.0) {
            let expected = row_sum * column_sum / n;
            let off = float(row.get(at).copied().unwrap_or(0)) - expected;
            statistic += off * off / expected;
        }
    }
    let there = |sums: &[f64]| sums.iter().filter(|sum| **sum > 0.0).count() as u64;
    Some((statistic, there(&rows), there(&columns), n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_determined_label_has_an_effect_of_one_and_chance_has_none() {
        let determined = vec![vec![500, 0], vec![0, 500]];
        assert!((corrected_cramers_v(&determined).expect("v") - 1.0).abs() < 1e-9);
        // Every row its own category: uncorrected, this is 1.
        let identifiers: Vec<Vec<u64>> = (0..50).map(|i| if i % 2 == 0 { vec![1, 0] } else { vec![0, 1] }).collect();
        assert!((chi2(&identifiers).expect("chi2").cramers_v - 1.0).abs() < 1e-9);
        assert!(corrected_cramers_v(&identifiers).expect("v") < 0.2);
    }

    #[test]
    fn nothing_cannot_be_compared() {
        assert_eq!((psi(&[0, 0], &[1, 2]), jensen_shannon(&[], &[]), chi2(&[vec![0], vec![0]])), (None, None, None));
        assert_eq!(chi2(&[vec![3, 0], vec![4, 0]]).expect("one column").p, 1.0);
    }
}
