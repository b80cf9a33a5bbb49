//! Distances over values that have an order.

use super::float;

/// A value, and how often either side has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    pub value: f64,
    pub reference: u64,
    pub current: u64,
}

/// Both sides' counts by value, ascending.
pub fn pairs(reference: &[(f64, u64)], current: &[(f64, u64)]) -> Vec<Pair> {
    let side = |counts: &[(f64, u64)], first: bool| {
        counts.iter().map(|(value, n)| Pair { value: *value, reference: if first { *n } else { 0 }, current: if first { 0 } else { *n } }).collect()
    };
    let mut all: Vec<Pair> = side(reference, true);
    all.extend::<Vec<Pair>>(side(current, false));
    all.sort_by(|a, b| a.value.total_cmp(&b.value));
    let mut merged: Vec<Pair> = Vec::with_capacity(all.len());
    for pair in all {
        match merged.last_mut() {
            // Zero has two signs.
            Some(last) if last.value == pair.value => {
                last.reference += pair.reference;
                last.current += pair.current;
            }
            _ => merged.push(pair),
        }
    }
    merged
}

/// The two cumulative shares after each value.
fn cumulative(pairs: &[Pair]) -> Option<Vec<(f64, f64)>> {
    let n = float(pairs.iter().map(|p| p.reference).sum());
    let m = float(pairs.iter().map(|p| p.current).sum());
    let (mut a, mut b) = (0, 0);
    let step = |p: &Pair| {
        a += p.reference;
        b += p.current;
        (float(a) / n, float(b) / m)
    };
    (n > 0.0 && m > 0.0).then(|| pairs.iter().map(step).collect())
}

/// The Kolmogorov–Smirnov statistic: the greatest distance between the two cumulative shares. Nothing where a side has
/// no values.
pub fn kolmogorov_smirnov(pairs: &[Pair]) -> Option<f64> {
    Some(cumulative(pairs)?.into_iter().map(|(f, g)| (f - g).abs()).fold(0.0, f64::max))
}

/// The first Wasserstein distance: how far the average value has to be moved, in the values' own unit. Nothing where it
/// is no finite number.
pub fn wasserstein(pairs: &[Pair]) -> Option<f64> {
    let shares = cumulative(pairs)?;
    let widths = pairs.windows(2).map(|pair| pair[1].value - pair[0].value);
    let distance: f64 = shares.iter().zip(widths).map(|((f, g), width)| (f - g).abs() * width).sum();
    distance.is_finite().then_some(distance)
}

/// Mean and standard deviation (that of a population) of counted values; nothing where they are no finite numbers.
pub fn mean_and_deviation(counts: &[(f64, u64)]) -> Option<(f64, f64)> {
    let n = float(counts.iter().map(|(_, n)| n).sum());
    let mean = counts.iter().map(|(value, k)| value * float(*k)).sum::<f64>() / n;
    let deviation = (counts.iter().map(|(value, k)| (value - mean) * (value - mean) * float(*k)).sum::<f64>() / n).sqrt();
    (mean.is_finite() && deviation.is_finite()).then_some((mean, deviation))
}

/// For i = 1 … 9 the smallest value whose cumulative share is at least i/10 (`percentile_disc`), each once. `counts`
/// ascends.
pub fn deciles(counts: &[(f64, u64)]) -> Vec<f64> {
    let n: u64 = counts.iter().map(|(_, n)| n).sum();
    let mut edges = Vec::new();
    let (mut at, mut seen) = (0, 0);
    for i in 1..10 {
        let rank = (n * i).div_ceil(10);
        while at < counts.len() && seen + counts[at].1 < rank {
            seen += counts[at].1;
            at += 1;
        }
        if let Some((value, _)) = counts.get(at)
            && edges.last() != Some(value)
        {
            edges.push(*value);
        }
    }
    edges
}
