//! How far two spreads are apart, and how far they may be.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::question::Counts;
use crate::bounds::Ceiling;
use crate::outcome::Status;
use crate::profile::{ColumnProfile, Shape};
use crate::stats::{self, Pair, evidently, float};

/// `0.25`, or `{max: 0.25, warn: 0.1}`.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a number or `{max: …, warn: …}`")]
pub enum AtMost {
    Max(f64),
    Bounds(Ceiling),
}

impl AtMost {
    fn ceiling(self) -> Ceiling {
        match self {
            Self::Max(max) => Ceiling { max: Some(max), warn: None },
            Self::Bounds(ceiling) => ceiling,
        }
    }
}

/// What is asked of each distance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// The population stability index.
    pub psi: Option<AtMost>,
    /// The Kolmogorov–Smirnov statistic, of numbers.
    pub ks: Option<AtMost>,
    /// The Wasserstein distance in standard deviations of the baseline, of numbers.
    pub wasserstein: Option<AtMost>,
    /// The Jensen–Shannon distance to the base 2.
    pub js: Option<AtMost>,
    /// Cramér's V, the effect size of the chi² test.
    pub cramers_v: Option<AtMost>,
    /// The least p-value of the chi² test of homogeneity that passes.
    pub chi2: Option<f64>,
}

impl Limits {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub fn mistake(&self) -> Option<String> {
        let p = self.chi2.filter(|p| !(0.0..=1.0).contains(p)).map(|p| format!("`chi2` is a p-value between 0 and 1, and {p} is not"));
        let all = [self.psi, self.ks, self.wasserstein, self.js, self.cramers_v];
        p.or_else(|| all.into_iter().flatten().find_map(|limit| limit.ceiling().mistake()))
    }
}

/// One number, what it is called, and the verdict on it.
pub struct Judged {
    pub name: &'static str,
    /// Nothing where it is not defined.
    pub value: Option<f64>,
    pub bound: String,
    pub status: Status,
    /// How far the number may be from the one over all values.
    pub exact_to: Option<f64>,
}

impl std::fmt::Display for Judged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.value {
            Some(value) => write!(f, "{} {value:.4}", self.name)?,
            None => write!(f, "{} is not defined", self.name)?,
        }
        self.exact_to.map_or(Ok(()), |bound| write!(f, " ± {bound:.4}"))?;
        write!(f, " ({})", self.bound)
    }
}

/// Two spreads of one column, over the same bins or values.
pub struct Spread<'a> {
    before: &'a ColumnProfile,
    /// Values in order, where the column has numbers and every value is known.
    pairs: Option<Vec<Pair>>,
    /// Edges with the counts between them, where only those are known.
    bins: Option<(&'a [f64], Vec<u64>, Vec<u64>)>,
    /// Categories, or the deciles' bins; NULL and NaN at the end.
    reference: Vec<u64>,
    current: Vec<u64>,
    range: Option<(f64, f64)>,
}

impl<'a> Spread<'a> {
    /// `now` is tallied by value, or by [`bin`] where the baseline has bins; `range` is the least and the greatest.
    pub fn new(before: &'a ColumnProfile, now: &Counts, range: Option<(f64, f64)>) -> Result<Self, String> {
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        let mut nulls = 0;
        for (value, n) in now {
            match &value[0] {
                Some(value) => *counts.entry(value).or_default() += n,
                None => nulls += n,
            }
        }
        let tail = |nan: u64| ([before.nulls, before.numbers.map_or(0, |n| n.nan)], [nulls, nan]);
        match &before.shape {
            Shape::Unknown(why) => Err(why.clone()),
            Shape::Values(values) if before.numbers.is_some() => {
                let number = |text: &str| text.parse::<f64>().ok().filter(|v| !v.is_nan());
                let reference: Vec<(f64, u64)> = values.iter().filter_map(|(v, n)| Some((number(v)?, *n))).collect();
                let current: Vec<(f64, u64)> = counts.iter().filter_map(|(v, n)| Some((number(v)?, *n))).collect();
                let nan: u64 = counts.iter().filter(|(v, _)| number(v).is_none()).map(|(_, n)| n).sum();
                let pairs = stats::pairs(&reference, &current);
                let sorted: Vec<(f64, u64)> = pairs.iter().filter(|p| p.reference > 0).map(|p| (p.value, p.reference)).collect();
                let edges = stats::deciles(&sorted);
                let mut bins = (vec![0; edges.len() + 1], vec![0; edges.len() + 1]);
                for pair in &pairs {
                    let at = edges.partition_point(|edge| *edge <= pair.value);
                    bins.0[at] += pair.reference;
                    bins.1[at] += pair.current;
                }
                let (a, b) = tail(nan);
                Ok(Self { before, pairs: Some(pairs), bins: None, reference: [&bins.0[..], &a].concat(), current: [&bins.1[..], &b].concat(), range })
            }
            Shape::Values(values) => {
                let known: BTreeMap<&str, u64> = values.iter().map(|(v, n)| (v.as_str(), *n)).collect();
                let all: std::collections::BTreeSet<&str> = known.keys().chain(counts.keys()).copied().collect();
                let of = |side: &BTreeMap<&str, u64>, last: [u64; 2]| {
                    all.iter().map(|v| side.get(v).copied().unwrap_or(0)).chain(last).collect::<Vec<u64>>()
                };
                let (a, b) = tail(0);
                Ok(Self { before, pairs: None, bins: None, reference: of(&known, a), current: of(&counts, b), range })
            }
            Shape::Bins { edges, counts: reference } => {
                let nan = counts.get("-1").copied().unwrap_or(0);
                let current: Vec<u64> = (0..=edges.len()).map(|at| counts.get(at.to_string().as_str()).copied().unwrap_or(0)).collect();
                let (ten, eleven) = merged(reference, &current);
                let (a, b) = tail(nan);
                Ok(Self {
                    before,
                    pairs: None,
                    bins: Some((edges, reference.clone(), current)),
                    reference: [&ten[..], &a].concat(),
                    current: [&eleven[..], &b].concat(),
                    range,
                })
            }
        }
    }

    /// Every distance that has a limit.
    pub fn judge(&self, limits: &Limits, theirs: bool) -> Result<Vec<Judged>, String> {
        let mut all = Vec::new();
        let mut put = |name, value: Option<f64>, limit: Option<AtMost>, exact_to| {
            if let Some(limit) = limit {
                let ceiling = limit.ceiling();
                let status = value.map_or(Status::Broken, |value| ceiling.judge(value));
                all.push(Judged { name, value, bound: ceiling.to_string(), status, exact_to });
            }
        };
        let shares = if theirs { Some(self.their_shares()?) } else { None };
        let psi = shares.as_ref().map_or_else(|| stats::psi(&self.reference, &self.current), |shares| Some(evidently::psi(shares)));
        put("PSI", psi, limits.psi, None);
        let js =
            shares.as_ref().map_or_else(|| stats::jensen_shannon(&self.reference, &self.current), |shares| Some(evidently::jensen_shannon(shares)));
        put("Jensen–Shannon", js, limits.js, None);
        let numbers = || if self.before.numbers.is_some() { Ok(()) } else { Err(format!("{} is no number", self.before.type_name)) };
        if limits.ks.is_some() {
            numbers()?;
            let (ks, bound) = self.kolmogorov_smirnov();
            put("KS", ks, limits.ks, bound);
        }
        if limits.wasserstein.is_some() {
            numbers()?;
            let (distance, bound) = self.wasserstein();
            put("Wasserstein", distance, limits.wasserstein, bound);
        }
        if limits.cramers_v.is_some() || limits.chi2.is_some() {
            // One side alone would be the same as itself.
            let both = [&self.reference, &self.current].iter().all(|side| side.iter().sum::<u64>() > 0);
            let chi2 = if both { stats::chi2(&[self.reference.clone(), self.current.clone()]) } else { None };
            put("Cramér's V", chi2.map(|c| c.cramers_v), limits.cramers_v, None);
            if let Some(least) = limits.chi2 {
                let p = chi2.map(|c| c.p);
                let status = p.map_or(Status::Broken, |p| if p < least { Status::Failed } else { Status::Passed });
                all.push(Judged { name: "chi² p", value: p, bound: format!("at least {least}"), status, exact_to: None });
            }
        }
        Ok(all)
    }

    fn their_shares(&self) -> Result<Vec<(f64, f64)>, String> {
        let empty = || "a side has no value".to_owned();
        if let Some(pairs) = &self.pairs {
            return evidently::shares(pairs).ok_or_else(empty);
        }
        if self.bins.is_some() {
            return Err("Evidently's bins need every value, and of so many the baseline keeps percentiles".into());
        }
        // Evidently leaves NULL out.
        let categories = self.reference.len() - 2;
        let (n, m) = (self.reference[..categories].iter().sum::<u64>(), self.current[..categories].iter().sum::<u64>());
        if n == 0 || m == 0 {
            return Err(empty());
        }
        Ok(self.reference[..categories].iter().zip(&self.current).map(|(a, b)| (float(*a) / float(n), float(*b) / float(m))).collect())
    }

    /// Exact over values; over bins exact up to the greatest share of one of them.
    fn kolmogorov_smirnov(&self) -> (Option<f64>, Option<f64>) {
        if let Some(pairs) = &self.pairs {
            return (stats::kolmogorov_smirnov(pairs), None);
        }
        let Some((_, reference, current)) = &self.bins else { return (None, None) };
        // The bins in their order: the statistic looks at nothing else.
        let bins = reference.iter().zip(current).enumerate();
        let at_edges: Vec<Pair> = bins.map(|(at, (a, b))| Pair { value: float(at as u64), reference: *a, current: *b }).collect();
        let (n, m) = (float(reference.iter().sum()), float(current.iter().sum()));
        let most = reference.iter().zip(current).map(|(a, b)| (float(*a) / n).max(float(*b) / m)).fold(0.0, f64::max);
        (stats::kolmogorov_smirnov(&at_edges), Some(most))
    }

    /// In standard deviations of the baseline, as Evidently norms it; over bins as if the values of a bin were spread
    /// evenly, which is exact up to the bins' widths weighed by their shares.
    fn wasserstein(&self) -> (Option<f64>, Option<f64>) {
        let deviation = self.before.numbers.map_or(0.0, |n| n.stddev).max(0.001);
        if let Some(pairs) = &self.pairs {
            return (evidently::wasserstein_normed(pairs), None);
        }
        let (Some((edges, reference, current)), Some((low, high)), Some(numbers)) = (&self.bins, self.range, self.before.numbers) else {
            return (None, None);
        };
        let points: Vec<f64> = std::iter::once(low.min(numbers.min)).chain(edges.iter().copied()).chain([high.max(numbers.max)]).collect();
        let (n, m) = (float(reference.iter().sum()), float(current.iter().sum()));
        let (mut off, mut distance, mut bound) = (0.0f64, 0.0, 0.0);
        for (at, pair) in points.windows(2).enumerate() {
            let (p, q) = (float(reference[at]) / n, float(current[at]) / m);
            let (before, after, width) = (off, off + p - q, pair[1] - pair[0]);
            // Between two edges the difference is a straight line; where it changes its sign the areas add up.
            let area = if before * after < 0.0 {
                (before * before + after * after) / (2.0 * (before - after).abs())
            } else {
                f64::midpoint(before.abs(), after.abs())
            };
            distance += area * width;
            bound += p.max(q) * width;
            off = after;
        }
        let finite = |v: f64| Some(v / deviation).filter(|v| v.is_finite());
        (finite(distance), finite(bound))
    }
}

/// Percentiles' bins put together to the baseline's tenths.
fn merged(reference: &[u64], current: &[u64]) -> (Vec<u64>, Vec<u64>) {
    let n: u64 = reference.iter().sum();
    let (mut ten, mut other) = (vec![0], vec![0]);
    let mut seen = 0;
    for (at, (a, b)) in reference.iter().zip(current).enumerate() {
        if let (Some(last), Some(last_other)) = (ten.last_mut(), other.last_mut()) {
            *last += a;
            *last_other += b;
        }
        seen += a;
        let tenth = ten.len() as u64;
        if at + 1 < reference.len() && seen * 10 >= n * tenth && ten.len() < 10 {
            ten.push(0);
            other.push(0);
        }
    }
    (ten, other)
}

/// The expression by which a column is tallied where the baseline has bins: the number of edges that are not above the
/// value, -1 for NaN.
pub fn bin(column: &str, edges: &[f64]) -> String {
    let list: Vec<String> = edges.iter().map(|edge| format!("{edge:e}")).collect();
    format!("case when {column}::float8 = 'NaN' then -1 else width_bucket({column}::float8, array[{}]::float8[]) end", list.join(", "))
}

/// The worst of some verdicts; nothing judged is broken.
pub fn worst(all: &[Judged]) -> Status {
    all.iter().map(|j| j.status).max().unwrap_or(Status::Broken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Numbers;

    fn column(shape: Shape, numbers: bool) -> ColumnProfile {
        let numbers = numbers.then_some(Numbers { min: 0.0, max: 99.0, mean: 49.5, stddev: 28.9, nan: 0 });
        ColumnProfile { name: "c".into(), type_name: "double precision".into(), nulls: 0, numbers, shape }
    }

    fn counts(values: &[(&str, u64)]) -> Counts {
        values.iter().map(|(v, n)| (vec![Some((*v).to_owned())], *n)).collect()
    }

    const ALL: Limits = Limits {
        psi: Some(AtMost::Max(0.1)),
        ks: Some(AtMost::Max(0.1)),
        wasserstein: Some(AtMost::Max(0.1)),
        js: Some(AtMost::Max(0.1)),
        cramers_v: Some(AtMost::Max(0.1)),
        chi2: Some(0.05),
    };

    #[test]
    fn the_same_spread_is_no_distance_whatever_is_known_of_it() {
        let values: Vec<(String, u64)> = (0..100).map(|i| (i.to_string(), 2)).collect();
        let same: Counts = values.iter().map(|(v, n)| (vec![Some(v.clone())], *n)).collect();
        let edges: Vec<f64> = (1..100).map(f64::from).collect();
        let bins = Shape::Bins { edges, counts: vec![2; 100] };
        for shape in [Shape::Values(values), bins] {
            let before = column(shape, true);
            let judged = Spread::new(&before, &same, Some((0.0, 99.0))).expect("spread").judge(&ALL, false).expect("distances");
            assert_eq!(judged.len(), 6);
            assert!(judged.iter().all(|j| j.status == Status::Passed), "{:?}", judged.iter().map(ToString::to_string).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_new_category_and_a_shift_are_distances() {
        let before = column(Shape::Values(vec![("a".into(), 50), ("b".into(), 50)]), false);
        let spread = Spread::new(&before, &counts(&[("a", 50), ("c", 50)]), None).expect("spread");
        let limits = Limits { psi: Some(AtMost::Max(0.25)), js: Some(AtMost::Max(0.25)), ..Limits::default() };
        assert_eq!(worst(&spread.judge(&limits, false).expect("distances")), Status::Failed);
        assert!(spread.judge(&ALL, false).is_err(), "letters have no order");
        let before = column(Shape::Bins { edges: vec![1.0, 2.0], counts: vec![10, 10, 10] }, true);
        let spread = Spread::new(&before, &counts(&[("2", 30)]), Some((2.0, 3.0))).expect("spread");
        assert!(spread.judge(&ALL, false).expect("distances").iter().all(|j| j.status == Status::Failed));
    }

    #[test]
    fn no_value_is_no_verdict() {
        let before = column(Shape::Values(vec![("1".into(), 50)]), true);
        let spread = Spread::new(&before, &vec![], None).expect("spread");
        assert!(spread.judge(&ALL, false).expect("distances").iter().all(|j| j.status == Status::Broken));
    }
}
