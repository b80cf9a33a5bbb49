//! How likely a difference is by chance alone.

use statrs::distribution::{Binomial, ChiSquared, ContinuousCDF, DiscreteCDF, Normal, StudentsT};

use super::float;

/// Both tails of the standard normal distribution.
pub fn two_sided(z: f64) -> f64 {
    if z == 0.0 { 1.0 } else { (2.0 * Normal::standard().sf(z.abs())).min(1.0) }
}

/// How many standard deviations around its mean hold a share of the standard normal distribution.
pub fn deviations(confidence: f64) -> f64 {
    Normal::standard().inverse_cdf(f64::midpoint(1.0, confidence))
}

/// `McNemar`'s test of two classifiers on the same rows, from how often only one of both is right: exact for few such rows,
/// else chi-squared with continuity correction.
pub fn mcnemar(only_first: u64, only_second: u64) -> f64 {
    let (fewer, all) = (only_first.min(only_second), only_first + only_second);
    if all == 0 {
        return 1.0;
    }
    if all < 25 {
        return Binomial::new(0.5, all).map_or(f64::NAN, |b| (2.0 * b.cdf(fewer)).min(1.0));
    }
    let statistic = (float(only_first.abs_diff(only_second)) - 1.0).powi(2) / float(all);
    ChiSquared::new(1.0).map_or(f64::NAN, |chi2| chi2.sf(statistic))
}

/// Count, mean and variance (with n - 1) of a sample.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    pub n: f64,
    pub mean: f64,
    pub variance: f64,
}

/// Welch's test: the probability that two samples with the same mean lie at least so far apart, the first higher.
pub fn welch_greater(a: Sample, b: Sample) -> f64 {
    let (va, vb) = (a.variance / a.n, b.variance / b.n);
    if va + vb == 0.0 {
        return if a.mean > b.mean { 0.0 } else { 1.0 };
    }
    let t = (a.mean - b.mean) / (va + vb).sqrt();
    let freedom = (va + vb).powi(2) / (va * va / (a.n - 1.0) + vb * vb / (b.n - 1.0));
    StudentsT::new(0.0, 1.0, freedom).map_or(f64::NAN, |d| d.sf(t))
}

/// Adjusted p-values after Benjamini and Hochberg, in the order given: at most `alpha` of those at or below `alpha` are
/// false discoveries.
pub fn benjamini_hochberg(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*b].total_cmp(&p[*a]));
    let (mut adjusted, mut least) = (vec![1.0; p.len()], 1.0_f64);
    for (i, at) in order.into_iter().enumerate() {
        let rank = p.len() - i;
        least = least.min(p[at] * float(p.len() as u64) / float(rank as u64));
        adjusted[at] = least;
    }
    adjusted
}
