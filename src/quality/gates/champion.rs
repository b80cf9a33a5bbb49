use schemars::JsonSchema;
use serde::Deserialize;

use super::{Gate, GateType, Judged, Missing, misfit};
use crate::catalogue::Named;
use crate::names::{RelPath, Slug, TableName};
use crate::outcome::{Outcome, Status};
use crate::picture::{Interval, Picture, Shape};
use crate::quality::compare::{Interval as Between, Pair, Plan, aligned, bootstrap, delong, join};
use crate::quality::metrics::Chosen;
use crate::quality::score::digits;
use crate::quality::source::{Features, Source, Threshold};
use crate::quality::table::{Data, Table};
use crate::quality::view::View;
use crate::stats::mcnemar;
use crate::units::{Amount, counted, percent};

/// The model must not be worse than the one in production, beyond what chance explains.
///
/// Both are measured on the same rows, joined by `predictions.key`. It fails when the whole confidence interval of the
/// difference lies beyond the margin, and warns when only the difference itself does. The interval of `roc_auc` is by the
/// method of `DeLong`; every other by a paired bootstrap, whose seed the report names; beside `accuracy` stands the test of
/// `McNemar`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "settings such as `{predictions: {file: champion.parquet}, metric: roc_auc}`")]
pub struct Champion {
    /// Where the champion's predictions are. Columns that are not named are called as the model's.
    predictions: Elsewhere,
    /// The metric to compare.
    metric: Chosen,
    /// How much worse it may be, in the metric's own unit, or as a share of the champion's value (`1%`). Default: 0.
    not_worse_than: Option<Margin>,
    /// The confidence of the interval. Default: 95%.
    confidence: Option<Amount>,
    /// `auto`, `bootstrap` or `delong`. Default: `auto`.
    method: Option<Method>,
    /// How often rows are drawn anew. Default: 2000.
    resamples: Option<usize>,
    /// Where the random numbers begin. Default: 0.
    seed: Option<u64>,
    /// Which share of the model's rows the champion must have predicted too. Default: 50%.
    min_overlap: Option<Amount>,
    /// What it means that there are no such predictions: `broken`, or `skipped` for the first model of all. Default: `broken`.
    if_missing: Option<IfMissing>,
}

/// Predictions of the champion.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Elsewhere {
    /// A `.parquet` or `.csv` file.
    pub file: Option<RelPath>,
    /// A table or view of the database.
    pub table: Option<TableName>,
    /// The file with a query.
    pub query: Option<RelPath>,
    /// The champion itself, a `.onnx` file: it is evaluated here, on the rows.
    pub onnx: Option<RelPath>,
    /// The stage of the registry in which the champion stands: its artifact, an ONNX model, is evaluated here, on the model's
    /// rows where no others are named.
    pub registry: Option<Slug>,
    /// The columns that it is fed with, where they are not the model's.
    pub features: Option<Features>,
    /// The column with its score, where it is not called as the model's.
    pub score: Option<String>,
    /// The column with its predicted number or class, where it is not called as the model's.
    pub prediction: Option<String>,
    /// Its threshold, where it is not the model's; one that the model has chosen on a split is not the champion's. Default: 0.5.
    pub threshold: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Method {
    Auto,
    Bootstrap,
    Delong,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum IfMissing {
    Broken,
    Skipped,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a number, or a share of the champion's value such as `1%`")]
enum Margin {
    Absolute(f64),
    Relative(Amount),
}

impl Elsewhere {
    /// The model's settings, with what differs.
    pub fn of(&self, model: &Source) -> Source {
        let onnx = self.onnx.clone().or_else(|| self.registry.as_ref().and_then(|stage| RelPath::parse(&format!("@{stage}")).ok()));
        let made = onnx.is_some();
        let own = self.file.is_some() || self.table.is_some() || self.query.is_some();
        let same = self.registry.is_some() && !own;
        Source {
            file: self.file.clone().or_else(|| model.file.clone().filter(|_| same)),
            table: self.table.clone().or_else(|| model.table.clone().filter(|_| same)),
            query: self.query.clone().or_else(|| model.query.clone().filter(|_| same)),
            score: self.score.clone().or_else(|| model.score.clone()).filter(|_| !made),
            scores: model.scores.clone().filter(|_| !made),
            prediction: self.prediction.clone().or_else(|| model.prediction.clone()).filter(|_| !made),
            // What kind of model it is, its columns would say otherwise.
            task: model.task(),
            // What is chosen on a split is the model's own.
            threshold: self.threshold.map(Threshold::At).or_else(|| model.threshold.clone().filter(|t| matches!(t, Threshold::At(_)))),
            // The rows are those of the model, by their key.
            split: None,
            dataset: model.dataset.clone().filter(|_| same),
            onnx,
            features: self.features.clone().or_else(|| model.features.clone()).filter(|_| made),
            seconds: None,
            ..model.clone()
        }
    }
}

impl Named for Champion {
    const NAME: &'static str = "champion";
}

impl GateType for Champion {}

impl Champion {
    fn confidence(&self) -> f64 {
        match self.confidence {
            Some(Amount::Share(share)) => share,
            _ => 0.95,
        }
    }

    fn plan(&self) -> Plan {
        Plan { resamples: self.resamples.unwrap_or(2000), seed: self.seed.unwrap_or(0), confidence: self.confidence() }
    }

    /// The interval of how much better the model is, and how it was found.
    fn interval(&self, pair: &Pair) -> Option<(Between, String)> {
        let auc = self.metric.name == "roc_auc" && self.method != Some(Method::Bootstrap);
        if let Some(delong) = delong(pair).filter(|_| auc) {
            return Some((delong.interval(self.confidence()), format!("DeLong, p = {}", digits(delong.p))));
        }
        let plan = self.plan();
        let interval = bootstrap(&self.metric, pair, plan)?;
        let test = if self.metric.name == "accuracy" { format!(", McNemar p = {}", digits(discordant(pair))) } else { String::new() };
        Some((interval, format!("{} resamples, seed {}{test}", plan.resamples, plan.seed)))
    }

    fn compare(&self, judged: &Judged, champion: &Table) -> Result<Outcome, String> {
        let pair = join(judged.test, champion).map_err(|e| e.to_string())?;
        let (shared, all) = (pair.one.len() as u64, judged.test.len() as u64);
        let overlap = self.min_overlap.unwrap_or(Amount::Share(0.5));
        if matches!(overlap, Amount::Share(least) if crate::units::share(shared, all) < least) {
            return Err(format!(
                "the champion has predicted {} of {}; at least {overlap} are needed (`min_overlap`)",
                crate::units::count(shared),
                counted(all, "row")
            ));
        }
        let name = self.metric.name;
        let [ours, theirs] = [&pair.one, &pair.other].map(|table| self.metric.compute(&View::all(table)));
        let gain = self.metric.gain(ours.value, theirs.value);
        if !gain.is_finite() {
            return Err(format!("{name} is not defined: {}", ours.note.or(theirs.note).unwrap_or_default()));
        }
        let margin = match self.not_worse_than {
            None => 0.0,
            Some(Margin::Absolute(margin)) => margin,
            Some(Margin::Relative(Amount::Share(share))) if theirs.value != 0.0 => share * theirs.value.abs(),
            Some(Margin::Relative(_)) => {
                return Err(format!("the champion's {name} is 0, of which no share can be taken: write `not_worse_than` as a number"));
            }
        };
        let (interval, how) = self.interval(&pair).ok_or_else(|| format!("{name} is not defined for every resample of the rows"))?;
        // In the direction of better.
        let (low, high) = if self.metric.higher_is_better { (interval.low, interval.high) } else { (-interval.high, -interval.low) };
        // The last digits of singles are no difference.
        let allowed = margin + 1e-6 * theirs.value.abs().max(1e-3);
        let status = match () {
            () if high < -allowed => Status::Failed,
            () if gain < -allowed => Status::Warned,
            () => Status::Passed,
        };
        let verdict = match status {
            Status::Failed => "it is worse",
            Status::Warned => "inconclusive: it looks worse, which may be chance",
            _ if low > 0.0 => "it is better",
            _ if low < -margin => "inconclusive: it may be worse or better",
            _ => "it is not worse",
        };
        let word = |x: f64| format!("{} {}", digits(x.abs()), if x < 0.0 { "worse" } else { "better" });
        let expected = if margin == 0.0 { "not worse".into() } else { format!("at most {} worse", digits(margin)) };
        let message = format!(
            "{name} is {}, the champion's {} on the same {}: {} ({} interval from {} to {}; {how}); must be {expected}: {verdict}",
            digits(ours.value),
            digits(theirs.value),
            counted(shared, "row"),
            word(gain),
            percent(self.confidence()),
            word(low),
            word(high),
        );
        judged.show(Picture {
            title: format!("{}: {name} beside the champion", judged.model),
            about: format!(
                "How much better the model is than the champion: {}, {} interval from {} to {}.",
                word(gain),
                percent(self.confidence()),
                word(low),
                word(high)
            ),
            shape: Shape::Intervals {
                value: format!("{name}, better to the right"),
                intervals: vec![Interval { name: name.into(), value: gain, low, high }],
            },
        });
        let alone =
            |n: usize, whose: &str| (n > 0).then(|| format!("{} of {whose} are not among the other's and were left out", counted(n as u64, "row")));
        let evidence = [alone(pair.alone[0], "the model"), alone(pair.alone[1], "the champion")];
        Ok(judged.outcome(Self::NAME, status, message).measured(gain, expected).with_evidence(evidence.into_iter().flatten()))
    }
}

/// The test of right and wrong decisions.
fn discordant(pair: &Pair) -> f64 {
    let right = |table: &Table, at: &[u32]| {
        aligned(at, |row| match &table.data {
            Data::Binary(b) => (b.p[row] >= b.threshold) == b.y[row],
            Data::Classes(c) => c.decided[row] == c.y[row],
            _ => false,
        })
    };
    let (ours, theirs) = (right(&pair.one, &pair.at_one), right(&pair.other, &pair.at_other));
    let only = |a: &[bool], b: &[bool]| a.iter().zip(b).filter(|(a, b)| **a && !**b).count() as u64;
    mcnemar(only(&ours, &theirs), only(&theirs, &ours))
}

impl Gate for Champion {
    fn mistake(&self, source: &Source) -> Option<String> {
        if source.key.is_none() {
            return Some("both models are compared on the same rows: name the column that says which row is which in `predictions.key`".into());
        }
        if self.predictions.registry.is_some() && self.predictions.onnx.is_some() {
            return Some("the champion is the model of `onnx`, or the one that stands in the stage of `registry`: name one of them".into());
        }
        if let Some(why) = self.predictions.of(source).mistake() {
            return Some(format!("the champion's predictions: {why}"));
        }
        if !(self.confidence() > 0.5 && self.confidence() < 1.0) || matches!(self.confidence, Some(Amount::Count(_))) {
            return Some("`confidence` is written as `95%`, and lies between 50% and 100%".into());
        }
        if !(100..=1_000_000).contains(&self.plan().resamples) {
            return Some("`resamples` lies between 100 and 1,000,000".into());
        }
        if self.confidence() > 0.9999 {
            return Some("a `confidence` above 99.99% needs more than resamples can give".into());
        }
        if matches!(self.min_overlap, Some(Amount::Count(_))) {
            return Some("`min_overlap` is written as `50%`".into());
        }
        let width = self.metric.range().width();
        match self.not_worse_than {
            Some(Margin::Absolute(margin)) if margin >= width => {
                return Some(format!("two values are never more than {width} apart, so it can never fail"));
            }
            Some(Margin::Relative(Amount::Share(share))) if share >= 1.0 => return Some("a share of 100% allows any model".into()),
            _ => {}
        }
        let own = (&source.file, &source.table, &source.query, &source.onnx, source.score.as_ref(), source.prediction.as_ref());
        let other = self.predictions.of(source);
        if own == (&other.file, &other.table, &other.query, &other.onnx, other.score.as_ref(), other.prediction.as_ref())
            && self.predictions.threshold.is_none()
        {
            return Some("the champion's predictions are the model's own".into());
        }
        if self.method == Some(Method::Delong) && self.metric.name != "roc_auc" {
            return Some("`delong` is for `roc_auc`".into());
        }
        if matches!(self.not_worse_than, Some(Margin::Absolute(margin)) if margin < 0.0)
            || matches!(self.not_worse_than, Some(Margin::Relative(Amount::Count(_))))
        {
            return Some("`not_worse_than` is 0 or more".into());
        }
        misfit(&self.metric, source)
    }

    fn champion(&self) -> Option<&Elsewhere> {
        Some(&self.predictions)
    }

    fn may_be_missing(&self) -> bool {
        self.if_missing == Some(IfMissing::Skipped)
    }

    fn judge(&self, judged: &Judged) -> Vec<Outcome> {
        match judged.champion(Some(&self.predictions)) {
            Some(Ok(champion)) => match self.compare(judged, champion) {
                Ok(outcome) => vec![outcome],
                Err(why) => judged.broken(Self::NAME, why),
            },
            Some(Err(Missing::NotYet(why))) => {
                vec![judged.outcome(Self::NAME, Status::Skipped, format!("there is no champion yet: {why}"))]
            }
            Some(Err(Missing::Unreadable(why))) => judged.broken(Self::NAME, format!("the champion's predictions: {why}")),
            None => judged.broken(Self::NAME, "the champion's predictions were not read"),
        }
    }
}
