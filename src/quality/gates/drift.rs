use schemars::JsonSchema;
use serde::Deserialize;

use super::{Elsewhere, Gate, GateType, Judged, Missing};
use crate::bounds::Ceiling;
use crate::catalogue::Named;
use crate::outcome::{Outcome, Status};
use crate::picture::{Bar, Picture, Shape};
use crate::quality::score::digits;
use crate::quality::source::Source;
use crate::quality::table::{Data, Table};
use crate::quality::task::Task;
use crate::stats;

/// How far the predictions may lie from others: those of the training split, or of the champion.
///
/// Labels and weights do not count. Numbers are compared by the deciles of the others, classes by how often each is decided.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "settings such as `{against: train, psi: 0.2}`")]
pub struct Drift {
    /// `train`, or `champion` with its `predictions`.
    against: Against,
    /// Where the champion's predictions are; without, those of the `champion` gate.
    predictions: Option<Elsewhere>,
    /// The population stability index.
    psi: Option<Ceiling>,
    /// The Jensen–Shannon distance to the base 2.
    jensen_shannon: Option<Ceiling>,
    /// The Kolmogorov–Smirnov statistic of the predicted numbers.
    ks: Option<Ceiling>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Against {
    Train,
    Champion,
}

/// The predictions of one side as numbers, or as classes with how often each is decided.
enum Side {
    Numbers(Vec<(f64, u64)>),
    Classes(Vec<(String, u64)>),
}

fn side(table: &Table) -> Side {
    let numbers = match &table.data {
        Data::Binary(b) => &b.p,
        Data::Numbers(n) => &n.p,
        Data::Queries(q) => &q.score,
        Data::Classes(c) => {
            let mut counts = vec![0; c.names.len()];
            c.decided.iter().for_each(|d| counts[*d as usize] += 1);
            return Side::Classes(c.names.iter().cloned().zip(counts).collect());
        }
    };
    let mut sorted = numbers.clone();
    sorted.sort_unstable_by(f64::total_cmp);
    Side::Numbers(sorted.chunk_by(|a, b| a == b).map(|run| (run[0], run.len() as u64)).collect())
}

/// How many lie in each bin, a bin's edge belonging to it.
fn binned(counts: &[(f64, u64)], edges: &[f64]) -> Vec<u64> {
    let mut bins = vec![0; edges.len() + 1];
    counts.iter().for_each(|(value, n)| bins[edges.partition_point(|edge| edge < value)] += n);
    bins
}

impl Named for Drift {
    const NAME: &'static str = "drift";
}

impl GateType for Drift {}

impl Drift {
    fn measures(&self) -> [(&'static str, Option<Ceiling>); 3] {
        [("psi", self.psi), ("jensen_shannon", self.jensen_shannon), ("ks", self.ks)]
    }

    fn distance(name: &str, reference: &Side, current: &Side) -> Option<f64> {
        let counts = match (reference, current) {
            (Side::Numbers(a), Side::Numbers(b)) => {
                if name == "ks" {
                    return stats::kolmogorov_smirnov(&stats::pairs(a, b));
                }
                let mut edges = stats::deciles(a);
                // Where many have the smallest value, what lies below it is told apart.
                if let (Some(first), Some((least, _))) = (edges.first().copied(), a.first())
                    && first == *least
                {
                    edges.insert(0, least.next_down());
                }
                [binned(a, &edges), binned(b, &edges)]
            }
            (Side::Classes(a), Side::Classes(b)) => {
                let mut names: Vec<&String> = a.iter().chain(b).map(|(name, _)| name).collect();
                names.sort_unstable();
                names.dedup();
                let of = |side: &[(String, u64)]| names.iter().map(|name| side.iter().filter(|(n, _)| n == *name).map(|(_, k)| k).sum()).collect();
                [of(a), of(b)]
            }
            _ => return None,
        };
        match name {
            "psi" => stats::psi(&counts[0], &counts[1]),
            "jensen_shannon" => stats::jensen_shannon(&counts[0], &counts[1]),
            _ => None,
        }
    }

    fn reference<'a>(&self, judged: &'a Judged) -> Result<&'a Table, String> {
        match self.against {
            Against::Train => judged.train.ok_or_else(|| "no row of the split column is `train`".into()),
            Against::Champion => match judged.champion(self.predictions.as_ref()) {
                Some(Ok(table)) => Ok(table),
                Some(Err(Missing::NotYet(why) | Missing::Unreadable(why))) => Err(format!("the champion's predictions: {why}")),
                None => Err("there is no champion".into()),
            },
        }
    }
}

impl Gate for Drift {
    fn mistake(&self, source: &Source) -> Option<String> {
        if self.measures().iter().all(|(_, ceiling)| ceiling.is_none()) {
            return Some("nothing to judge: add `psi: {max: 0.2}` or another".into());
        }
        if self.against == Against::Train && source.split.is_none() {
            return Some("it compares splits: name their column in `predictions.split`".into());
        }
        if self.against == Against::Train && self.predictions.is_some() {
            return Some("`predictions` are those of a champion".into());
        }
        if self.ks.is_some()
            && !matches!(source.task(), Some(Task::Regression | Task::Ranking))
            && !(source.has_scores() && source.task() == Some(Task::Binary))
        {
            return Some("`ks` compares numbers, and these are classes".into());
        }
        if let Some(why) = self.predictions.as_ref().and_then(|p| p.of(source).mistake()) {
            return Some(format!("the champion's predictions: {why}"));
        }
        self.measures().into_iter().find_map(|(name, ceiling)| ceiling?.mistake().map(|why| format!("{name}: {why}")))
    }

    fn champion(&self) -> Option<&Elsewhere> {
        self.predictions.as_ref()
    }

    fn judge(&self, judged: &Judged) -> Vec<Outcome> {
        if let (Against::Champion, Some(Err(Missing::NotYet(why)))) = (self.against, judged.champion(self.predictions.as_ref())) {
            return vec![judged.outcome(Self::NAME, Status::Skipped, format!("there is no champion yet: {why}"))];
        }
        let reference = match self.reference(judged) {
            Ok(reference) => side(reference),
            Err(why) => return judged.broken(Self::NAME, why),
        };
        let current = side(judged.test);
        let than = if self.against == Against::Train { "the training split's" } else { "the champion's" };
        let of = |(name, ceiling): (&str, Option<Ceiling>)| {
            let ceiling = ceiling?;
            let label = format!("{}.{name}", Self::NAME);
            let Some(distance) = Self::distance(name, &reference, &current).filter(|d| d.is_finite()) else {
                return Some(judged.outcome(label, Status::Broken, format!("{name} between the predictions and {than} is not defined")));
            };
            let message = format!("{name} between the predictions and {than} is {}; allowed: {ceiling}", digits(distance));
            Some(judged.outcome(label, ceiling.judge(distance), message).measured(distance, ceiling.to_string()))
        };
        let outcomes: Vec<Outcome> = self.measures().into_iter().filter_map(of).collect();
        judged.show(picture(judged.model, than, &outcomes));
        outcomes
    }
}

fn picture(model: &str, than: &str, outcomes: &[Outcome]) -> Picture {
    let bar = |o: &Outcome| {
        let value = o.measure.as_ref()?.value?;
        Some(Bar { name: o.name.clone(), value, out: matches!(o.status, Status::Failed | Status::Warned) })
    };
    let bars: Vec<Bar> = outcomes.iter().filter_map(bar).collect();
    let said = bars.iter().map(|b| format!("{} {}", b.name, digits(b.value))).collect::<Vec<_>>().join(", ");
    Picture {
        title: format!("{model}: drift of the predictions"),
        about: format!("How far the predictions lie from {than}: {said}"),
        shape: Shape::Bars { value: "distance".into(), bars, reference: None },
    }
}
