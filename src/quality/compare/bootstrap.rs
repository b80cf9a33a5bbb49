//! The paired bootstrap: rows are drawn anew, with both models' predictions for them, and the difference measured again.
//!
//! Nothing is sorted again: a resample is how often each row was drawn, and both tables stay in their order. Where the
//! counts of right and wrong are all that a metric needs, or a mean, even the rows are not looked at again.

use std::num::NonZero;

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Binomial, Distribution as _};

use super::super::confusion::Confusion;
use super::super::metrics::Chosen;
use super::super::table::{Data, Table};
use super::super::view::{Draw, View};
use super::{Interval, Pair, aligned};
use crate::quality::float;

/// How to draw.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub resamples: usize,
    pub seed: u64,
    pub confidence: f64,
}

/// Percentiles of the differences; nothing where the metric is not defined for resamples.
pub fn bootstrap(metric: &Chosen, pair: &Pair, plan: Plan) -> Option<Interval> {
    let differences = match cells(metric, pair) {
        Some(cells) => differences(plan, || (), |rng, ()| cells.resample(metric, rng)),
        None => {
            let rows = Rows::of(metric, pair);
            differences(plan, || rows.scratch(), |rng, scratch| rows.resample(metric, pair, rng, scratch))
        }
    };
    let mut differences: Vec<f64> = differences;
    if differences.iter().any(|d| d.is_nan()) {
        return None;
    }
    differences.sort_unstable_by(f64::total_cmp);
    let at = |q: f64| percentile(&differences, q);
    let tail = (1.0 - plan.confidence) / 2.0;
    Some(Interval { low: at(tail), high: at(1.0 - tail) })
}

/// Between the two nearest values, as numpy has it.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in a list")]
fn percentile(sorted: &[f64], q: f64) -> f64 {
    let place = q * float(sorted.len() - 1);
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * place.fract()
}

/// Each resample has a stream of random numbers of its own: the threads do not change the result.
fn differences<S>(plan: Plan, scratch: impl Fn() -> S + Sync, one: impl Fn(&mut ChaCha8Rng, &mut S) -> f64 + Sync) -> Vec<f64> {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get).min(plan.resamples.max(1));
    let mut all = vec![f64::NAN; plan.resamples];
    std::thread::scope(|scope| {
        let size = plan.resamples.div_ceil(threads).max(1);
        for (part, values) in all.chunks_mut(size).enumerate() {
            let (one, scratch) = (&one, &scratch);
            scope.spawn(move || {
                let mut scratch = scratch();
                for (i, value) in values.iter_mut().enumerate() {
                    let mut rng = ChaCha8Rng::seed_from_u64(plan.seed);
                    rng.set_stream((part * size + i) as u64);
                    *value = one(&mut rng, &mut scratch);
                }
            });
        }
    });
    all
}

/// How many rows have each combination of truth, our decision and theirs: all that a metric of counts can see.
struct Cells {
    classes: usize,
    counts: Vec<u64>,
    total: u64,
    empty: Confusion,
}

fn decisions(table: &Table, at: &[u32], classes: &[String]) -> Vec<(u32, u32)> {
    let code = |names: &[String], code: u32| {
        let place = classes.iter().position(|c| *c == names[code as usize]);
        place.and_then(|p| u32::try_from(p).ok()).unwrap_or(0)
    };
    aligned(at, |row| match &table.data {
        Data::Binary(b) => (u32::from(b.y[row]), u32::from(b.p[row] >= b.threshold)),
        Data::Classes(c) => (code(&c.names, c.y[row]), code(&c.names, c.decided[row])),
        _ => (0, 0),
    })
}

/// Nothing where the metric needs more, or rows have weights.
fn cells(metric: &Chosen, pair: &Pair) -> Option<Cells> {
    let like = View::all(&pair.one).confusion().clone();
    metric.metric.of_counts(&like)?;
    if pair.one.weights.is_some() {
        return None;
    }
    let names = match &pair.one.data {
        Data::Classes(c) => c.names.clone(),
        Data::Binary(_) => vec![String::new(), String::new()],
        _ => return None,
    };
    if let (Data::Classes(a), Data::Classes(b)) = (&pair.one.data, &pair.other.data)
        && b.names.iter().any(|name| !a.names.contains(name))
    {
        return None;
    }
    let k = names.len();
    let mut counts = vec![0; k * k * k];
    let (ours, theirs) = (decisions(&pair.one, &pair.at_one, &names), decisions(&pair.other, &pair.at_other, &names));
    for ((y, a), (_, b)) in ours.into_iter().zip(theirs) {
        counts[(y as usize * k + a as usize) * k + b as usize] += 1;
    }
    Some(Cells { classes: k, total: counts.iter().sum(), counts, empty: like.emptied() })
}

impl Cells {
    /// The counts of a resample, cell by cell: of the rows that are left, binomially many fall into the next.
    fn resample(&self, metric: &Chosen, rng: &mut ChaCha8Rng) -> f64 {
        let (mut left, mut rows) = (self.total, self.total);
        let (mut ours, mut theirs) = (self.empty.clone(), self.empty.clone());
        for (cell, count) in self.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let share = float_u64(*count) / float_u64(rows);
            let drawn = Binomial::new(left, share.min(1.0)).map_or(0, |binomial| binomial.sample(rng));
            rows -= count;
            left -= drawn;
            let (y, a, b) = (cell / self.classes / self.classes, cell / self.classes % self.classes, cell % self.classes);
            ours.add(y, a, float_u64(drawn));
            theirs.add(y, b, float_u64(drawn));
        }
        let of = |counts: &Confusion| metric.metric.of_counts(counts).map_or(f64::NAN, |score| score.value);
        of(&ours) - of(&theirs)
    }
}

fn float_u64(n: u64) -> f64 {
    crate::stats::float(n)
}

/// Rows to draw from.
struct Rows {
    n: usize,
    /// Rows of one class each: of a metric of ranks, each class is drawn by itself.
    strata: Vec<Vec<u32>>,
    /// What each row adds to the means of both, in the order of the join, with its weight.
    terms: Option<Vec<[f64; 3]>>,
}

struct Scratch {
    times: Vec<u16>,
}

impl Rows {
    fn of(metric: &Chosen, pair: &Pair) -> Self {
        let n = pair.one.len();
        let of = |table: &Table, at: &[u32]| {
            let term = metric.metric.terms(table)?;
            Some(aligned(at, |row| (term(row), table.weights.as_ref().map_or(1.0, |w| w[row]))))
        };
        let terms = of(&pair.one, &pair.at_one).zip(of(&pair.other, &pair.at_other));
        let terms = terms.map(|(ours, theirs)| ours.into_iter().zip(theirs).map(|((a, w), (b, _))| [w * a, w * b, w]).collect());
        let strata = match (&pair.one.data, &terms) {
            (Data::Binary(b), None) => {
                let of = |class: bool| pair.at_one.iter().zip(&b.y).filter(|(_, y)| **y == class).map(|(at, _)| *at).collect();
                vec![of(true), of(false)]
            }
            _ => vec![],
        };
        Self { n, strata, terms }
    }

    fn scratch(&self) -> Scratch {
        Scratch { times: vec![0; if self.terms.is_some() { 0 } else { self.n }] }
    }

    fn resample(&self, metric: &Chosen, pair: &Pair, rng: &mut ChaCha8Rng, scratch: &mut Scratch) -> f64 {
        if let Some(terms) = &self.terms {
            let (mut sums, mut draws) = ([0.0; 3], Draws::new(self.n));
            for _ in 0..self.n {
                let row = terms[draws.next(rng)];
                sums = [sums[0] + row[0], sums[1] + row[1], sums[2] + row[2]];
            }
            return metric.metric.of_mean(sums[0] / sums[2]).value - metric.metric.of_mean(sums[1] / sums[2]).value;
        }
        scratch.times.fill(0);
        if self.strata.is_empty() {
            let mut draws = Draws::new(self.n);
            (0..self.n).for_each(|_| bump(&mut scratch.times[draws.next(rng)]));
        }
        for stratum in self.strata.iter().filter(|s| !s.is_empty()) {
            let mut draws = Draws::new(stratum.len());
            stratum.iter().for_each(|_| bump(&mut scratch.times[stratum[draws.next(rng)] as usize]));
        }
        let of = |table: &Table, at: &[u32]| metric.compute(&View::drawn(table, Draw { times: &scratch.times, at })).value;
        of(&pair.one, &pair.at_one) - of(&pair.other, &pair.at_other)
    }
}

fn bump(times: &mut u16) {
    *times = times.saturating_add(1);
}

/// Numbers below `n`, two from each 64 random bits: `n` is a number of rows, below 2^32.
struct Draws {
    n: u64,
    left: Option<u32>,
}

impl Draws {
    fn new(n: usize) -> Self {
        Self { n: n as u64, left: None }
    }

    /// By multiplication: off by less than n / 2^32, far below what a resample can show.
    #[inline]
    fn next(&mut self, rng: &mut ChaCha8Rng) -> usize {
        let bits = self.left.take().unwrap_or_else(|| {
            let both = rng.next_u64();
            self.left = Some((both >> 32) as u32);
            (both & 0xffff_ffff) as u32
        });
        ((u64::from(bits) * self.n) >> 32) as usize
    }
}
