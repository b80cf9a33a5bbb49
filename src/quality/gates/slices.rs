use rayon::prelude::*;
use schemars::JsonSchema;
use serde::Deserialize;

use super::find::{Cut, Slice, adjusted, cuts, pairs};
use super::{Gate, GateType, Judged, misfit};
use crate::bounds::{Bounds, Ceiling, Warn};
use crate::catalogue::Named;
use crate::outcome::{Outcome, Status};
use crate::picture::{Bar, Picture, Shape};
use crate::quality::metrics::Chosen;
use crate::quality::score::digits;
use crate::quality::source::Source;
use crate::units::counted;

/// The metric must hold in every part of the rows, and not only on average.
///
/// Slices with fewer rows than `min_rows`, or for which the metric is not defined, are listed as too small and not judged.
/// With `depth: 2` every pair of columns is searched too: of those slices only the ones are judged that are worse than the
/// rest beyond chance (Welch's test of what each row costs, 5 % of false discoveries after Benjamini and Hochberg).
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "settings such as `{by: [country], metric: recall, min: 0.6}`")]
pub struct Slices {
    /// Columns whose values are the slices, or pairs of columns.
    by: Vec<By>,
    /// The metric to measure.
    metric: Chosen,
    /// Slices with fewer rows are not judged. Default: 30.
    min_rows: Option<usize>,
    /// The smallest value of a slice that passes.
    min: Option<f64>,
    /// The largest value of a slice that passes.
    max: Option<f64>,
    /// The earlier bound, on the same side as `min` or `max`.
    warn: Option<f64>,
    /// How much worse a slice may be than all rows together.
    gap: Option<Ceiling>,
    /// 2: pairs of columns are searched for slices that are worse beyond chance. Default: 1.
    depth: Option<u8>,
}

/// A column, or two.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a column or a pair of columns")]
enum By {
    One(String),
    Two([String; 2]),
}

/// What was found in the slices of a column.
struct Found {
    /// The worst first: its name, rows, value, and how it ended.
    judged: Vec<(String, usize, f64, Status)>,
    small: usize,
}

const ROWS: usize = 30;
/// The share of false discoveries.
const ALPHA: f64 = 0.05;
const SHOWN: usize = 10;
const BARS: usize = 20;

impl Named for Slices {
    const NAME: &'static str = "slices";
}

impl GateType for Slices {}

impl Slices {
    fn bounds(&self) -> Bounds {
        Bounds { min: self.min, max: self.max, between: None, warn: self.warn.map(Warn::At) }
    }

    fn has_bounds(&self) -> bool {
        self.min.is_some() || self.max.is_some()
    }

    /// The sides of a bound and of the gap, the worse of both.
    fn status(&self, value: f64, overall: f64) -> Status {
        let bound = if self.has_bounds() { self.bounds().judge(value) } else { Status::Passed };
        let gap = self.gap.map_or(Status::Passed, |gap| gap.judge(self.metric.gain(overall, value)));
        bound.max(gap)
    }

    fn look(&self, cuts: &[Cut], overall: f64) -> Found {
        let large = |cut: &&Cut| cut.view.len() >= self.min_rows.unwrap_or(ROWS);
        let scores: Vec<_> = cuts.par_iter().filter(large).map(|cut| (cut, self.metric.compute(&cut.view))).collect();
        let sound = scores.into_iter().filter(|(_, score)| score.value.is_finite() && score.note.is_none());
        let judged = sound.map(|(cut, score)| (cut.name.to_owned(), cut.view.len(), score.value, self.status(score.value, overall)));
        let mut judged: Vec<_> = judged.collect();
        judged.sort_by(|a, b| self.metric.gain(a.2, b.2).total_cmp(&0.0));
        Found { small: cuts.len() - judged.len(), judged }
    }

    /// The same slices asked for twice.
    fn twice(&self) -> bool {
        let same = |by: &By| match by {
            By::One(name) => vec![name.clone()],
            By::Two(pair) => {
                let mut pair = pair.to_vec();
                pair.sort_unstable();
                pair
            }
        };
        let all: Vec<Vec<String>> = self.by.iter().map(same).collect();
        all.iter().enumerate().any(|(i, by)| all[..i].contains(by) || (by.len() == 2 && by[0] == by[1]))
    }

    fn expected(&self) -> String {
        let bound = self.has_bounds().then(|| self.bounds().sentence());
        let gap = self.gap.map(|gap| format!("gap to all rows: {gap}"));
        [bound, gap].into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    fn outcome(&self, judged: &Judged, name: &str, what: &str, found: &Found, overall: f64) -> Outcome {
        let metric = self.metric.name;
        let small = if found.small > 0 { format!(", {} too small to say", found.small) } else { String::new() };
        let Some((worst, rows, value, _)) = found.judged.first() else {
            let why = format!(
                "none of the {what} has {} or more for which {metric} is defined{small}",
                counted(self.min_rows.unwrap_or(ROWS) as u64, "row")
            );
            return judged.outcome(name, Status::Broken, why);
        };
        let status = found.judged.iter().map(|(.., status)| *status).max().unwrap_or(Status::Broken);
        let bad = found.judged.iter().filter(|(.., status)| *status != Status::Passed).count();
        let message = format!(
            "{bad} of {} {what} out of bounds{small}; the worst is {worst} with {metric} {} over {}, beside {} of all rows; {}",
            found.judged.len(),
            digits(*value),
            counted(*rows as u64, "row"),
            digits(overall),
            self.expected(),
        );
        judged.show(self.picture(judged, what, found, overall));
        let line = |(name, rows, value, status): &(String, usize, f64, Status)| {
            format!("{}: {name}: {metric} {} over {}", status.word(), digits(*value), counted(*rows as u64, "row"))
        };
        let evidence: Vec<String> = found.judged.iter().filter(|(.., status)| *status != Status::Passed).take(SHOWN).map(line).collect();
        judged.outcome(name, status, message).measured(*value, self.expected()).with_evidence(evidence)
    }

    fn picture(&self, judged: &Judged, what: &str, found: &Found, overall: f64) -> Picture {
        let bar = |(name, _, value, status): &(String, usize, f64, Status)| Bar { name: name.clone(), value: *value, out: *status >= Status::Warned };
        let bars: Vec<Bar> = found.judged.iter().take(BARS).map(bar).collect();
        let shown =
            if bars.len() < found.judged.len() { format!("the worst {} of {}", bars.len(), found.judged.len()) } else { format!("{}", bars.len()) };
        Picture {
            title: format!("{}: {} in {what}", judged.model, self.metric.name),
            about: format!("{shown} {what}, the worst first; {} of all rows is {}.", self.metric.name, digits(overall)),
            shape: Shape::Bars { value: self.metric.name.into(), bars, reference: Some(overall) },
        }
    }

    /// Every value and pair of values of the listed columns.
    fn search(&self, judged: &Judged, overall: f64) -> Option<Outcome> {
        let columns: Vec<_> = self.labels().iter().filter_map(|name| judged.test.labels(name)).collect();
        let mut all = Vec::new();
        for (i, a) in columns.iter().enumerate() {
            for b in &columns[i + 1..] {
                all.extend(pairs(a, b));
            }
        }
        let there = all.len();
        all.retain(|slice| slice.rows.len() >= self.min_rows.unwrap_or(ROWS));
        let small = if all.len() < there { format!(", {} too small to say", there - all.len()) } else { String::new() };
        let (name, tested) = ("slices.pairs", all.len());
        if tested == 0 {
            let least = counted(self.min_rows.unwrap_or(ROWS) as u64, "row");
            return Some(judged.outcome(name, Status::Broken, format!("no pair of values has {least} or more{small}: nothing was judged")));
        }
        let p = adjusted(&self.metric, judged.test, &all)?;
        let worse: Vec<Slice> = all.into_iter().zip(p).filter(|(_, p)| *p <= ALPHA).map(|(slice, _)| slice).collect();
        if worse.is_empty() {
            let message = format!("none of {} of values is worse than the rest beyond chance{small}", counted(tested as u64, "pair"));
            return Some(judged.outcome(name, Status::Passed, message).measured(0.0, "none worse beyond chance"));
        }
        let found = self.look(&cuts(judged.test, &worse), overall);
        let mut outcome = self.outcome(judged, name, "slices of two columns", &found, overall);
        outcome.message =
            format!("{} of {} are worse than the rest beyond chance{small}; {}", worse.len(), counted(tested as u64, "pair"), outcome.message);
        Some(outcome)
    }
}

impl Gate for Slices {
    fn mistake(&self, source: &Source) -> Option<String> {
        if self.by.is_empty() {
            return Some("`by` names the columns that cut the rows into slices".into());
        }
        if !self.has_bounds() && self.gap.is_none() {
            return Some("a bound is missing: `min`, `max` or `gap`".into());
        }
        if self.twice() {
            return Some("`by` names a column twice".into());
        }
        if self.has_bounds()
            && let Some(why) = self.bounds().mistake().or_else(|| self.metric.range().misses(self.min, self.max))
        {
            return Some(why);
        }
        match self.depth {
            Some(0 | 3..) => return Some("`depth` is 1 or 2".into()),
            Some(2) if self.labels().len() < 2 => return Some("`depth: 2` looks at pairs: name at least two columns in `by`".into()),
            _ => {}
        }
        self.gap.and_then(Ceiling::mistake).or_else(|| misfit(&self.metric, source))
    }

    fn labels(&self) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        for name in self.by.iter().flat_map(|by| match by {
            By::One(name) => std::slice::from_ref(name),
            By::Two(names) => names,
        }) {
            if !all.contains(name) {
                all.push(name.clone());
            }
        }
        all
    }

    fn judge(&self, judged: &Judged) -> Vec<Outcome> {
        let overall = self.metric.compute(judged.view);
        if !overall.value.is_finite() {
            return judged.broken(Self::NAME, format!("{} is not defined{}", self.metric.name, overall.aside()));
        }
        let mut outcomes = Vec::new();
        for by in &self.by {
            let (name, found) = match by {
                By::One(name) => (name.clone(), self.look(judged.cuts(name), overall.value)),
                By::Two([a, b]) => {
                    let slices = judged.test.labels(a).zip(judged.test.labels(b)).map(|(a, b)| pairs(a, b)).unwrap_or_default();
                    (format!("{a}+{b}"), self.look(&cuts(judged.test, &slices), overall.value))
                }
            };
            outcomes.push(self.outcome(judged, &format!("slices.{name}"), &format!("slices by {name}"), &found, overall.value));
        }
        if self.depth == Some(2) {
            outcomes.extend(self.search(judged, overall.value));
        }
        outcomes
    }
}
