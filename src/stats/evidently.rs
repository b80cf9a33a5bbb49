//! Evidently's numbers (0.7), for who moves from it: other bins, another base, another way with zeros.

use super::float;
use super::table::divergence;
use super::values::{Pair, mean_and_deviation, wasserstein};

/// The shares of both sides by Evidently's bins: by value up to 20 different ones in the reference, else in equal widths
/// over both sides, as many as Sturges' rule asks for. Nothing where there is no such width.
pub fn shares(pairs: &[Pair]) -> Option<Vec<(f64, f64)>> {
    let (n, m): (u64, u64) = pairs.iter().fold((0, 0), |(n, m), p| (n + p.reference, m + p.current));
    if n == 0 || m == 0 {
        return None;
    }
    let share = |(a, b): (u64, u64)| (float(a) / float(n), float(b) / float(m));
    if pairs.iter().filter(|p| p.reference > 0).count() <= 20 {
        return Some(pairs.iter().map(|p| share((p.reference, p.current))).collect());
    }
    let edges = sturges(pairs.first()?.value, pairs.last()?.value, n + m)?;
    let mut bins = vec![(0, 0); edges.len() - 1];
    for pair in pairs {
        let at = edges.partition_point(|edge| *edge <= pair.value).saturating_sub(1).min(bins.len() - 1);
        bins[at].0 += pair.reference;
        bins[at].1 += pair.current;
    }
    Some(bins.into_iter().map(share).collect())
}

/// numpy's `histogram_bin_edges(…, bins="sturges")`, step by step: rounding decides on the number of bins.
fn sturges(low: f64, high: f64, n: u64) -> Option<Vec<f64>> {
    let range = high - low;
    let width = range / (float(n).log2() + 1.0);
    let bins = (range / width).ceil();
    let step = range / bins;
    if !step.is_finite() || bins < 1.0 {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the logarithm of a number of rows")]
    let bins = bins as u64;
    let mut edges: Vec<f64> = (0..bins).map(|i| float(i) * step + low).collect();
    edges.push(high);
    edges.windows(2).all(|pair| pair[0] < pair[1]).then_some(edges)
}

/// A side's zeros become 0.0001, or a millionth of its smallest share where that is no more.
fn filled(shares: &[f64]) -> Vec<f64> {
    let least = shares.iter().copied().filter(|p| *p > 0.0).fold(f64::INFINITY, f64::min);
    let fill = if least <= 1e-4 { least / 1e6 } else { 1e-4 };
    shares.iter().map(|p| if *p == 0.0 { fill } else { *p }).collect()
}

/// The population stability index.
pub fn psi(shares: &[(f64, f64)]) -> f64 {
    let (p, q): (Vec<f64>, Vec<f64>) = shares.iter().copied().unzip();
    filled(&p).iter().zip(filled(&q)).map(|(p, q)| (p - q) * (p / q).ln()).sum()
}

/// The Jensen–Shannon distance to the base e: at most 0.83.
pub fn jensen_shannon(shares: &[(f64, f64)]) -> f64 {
    divergence(shares).sqrt()
}

/// The Wasserstein distance in standard deviations of the reference, which are not below 0.001. Where the deviation is no
/// number Evidently says 0; that would be "no drift", so it is nothing here.
pub fn wasserstein_normed(pairs: &[Pair]) -> Option<f64> {
    let reference: Vec<(f64, u64)> = pairs.iter().filter(|p| p.reference > 0).map(|p| (p.value, p.reference)).collect();
    let (_, deviation) = mean_and_deviation(&reference)?;
    Some(wasserstein(pairs)? / deviation.max(0.001))
}
