use schemars::JsonSchema;
use serde::Deserialize;

use super::{Gate, GateType, Judged};
use crate::bounds::Bounds;
use crate::catalogue::Named;
use crate::outcome::{Outcome, Status};
use crate::quality::range::Range;
use crate::quality::score::digits;
use crate::quality::source::Source;
use crate::quality::task::Task;
use crate::quality::view::View;

/// Groups must be decided on alike.
///
/// Differences are the highest rate of a group less the lowest, ratios the lowest over the highest, as in Fairlearn.
/// Groups with fewer rows than `min_rows`, or without the labels that a rate counts, are named and left out.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "settings such as `{group: gender, demographic_parity_difference: {max: 0.1}}`")]
pub struct Fairness {
    /// The column with the group of each row.
    group: String,
    /// Groups with fewer rows are left out. Default: 30.
    min_rows: Option<usize>,
    /// Of the shares of positive decisions.
    demographic_parity_difference: Option<Bounds>,
    /// Of the shares of positive decisions.
    demographic_parity_ratio: Option<Bounds>,
    /// The larger of the differences of true and of false positive rates.
    equalized_odds_difference: Option<Bounds>,
    /// The smaller of the ratios of true and of false positive rates.
    equalized_odds_ratio: Option<Bounds>,
    /// Of the true positive rates.
    equal_opportunity_difference: Option<Bounds>,
    /// Of the true positive rates.
    equal_opportunity_ratio: Option<Bounds>,
}

const ROWS: usize = 30;

/// Rates of one group; nothing where there are no rows to count.
struct Rates {
    name: String,
    selection: f64,
    tpr: Option<f64>,
    fpr: Option<f64>,
}

impl Rates {
    fn of(name: &str, view: &View) -> Self {
        let cells = view.confusion().positive();
        let rate = |part: f64, rest: f64| (part + rest > 0.0).then(|| part / (part + rest));
        let selection = (cells.tp + cells.fp) / (cells.tp + cells.fp + cells.fn_ + cells.tn);
        Self { name: name.to_owned(), selection, tpr: rate(cells.tp, cells.fn_), fpr: rate(cells.fp, cells.tn) }
    }
}

/// The highest less the lowest, and the lowest over the highest.
#[derive(Clone, Copy)]
struct Spread {
    difference: f64,
    ratio: f64,
}

fn spread(rates: impl Iterator<Item = f64>) -> Option<Spread> {
    let rates: Vec<f64> = rates.collect();
    let (low, high) = rates.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), r| (l.min(*r), h.max(*r)));
    (rates.len() >= 2).then(|| Spread { difference: high - low, ratio: low / high })
}

impl Named for Fairness {
    const NAME: &'static str = "fairness";
}

impl GateType for Fairness {}

impl Fairness {
    fn bounds(&self) -> [(&'static str, Option<Bounds>); 6] {
        [
            ("demographic_parity_difference", self.demographic_parity_difference),
            ("demographic_parity_ratio", self.demographic_parity_ratio),
            ("equalized_odds_difference", self.equalized_odds_difference),
            ("equalized_odds_ratio", self.equalized_odds_ratio),
            ("equal_opportunity_difference", self.equal_opportunity_difference),
            ("equal_opportunity_ratio", self.equal_opportunity_ratio),
        ]
    }

    fn measure(name: &str, groups: &[Rates]) -> Option<f64> {
        let selection = spread(groups.iter().map(|g| g.selection));
        let (tpr, fpr) = (spread(groups.iter().filter_map(|g| g.tpr)), spread(groups.iter().filter_map(|g| g.fpr)));
        Some(match name {
            "demographic_parity_difference" => selection?.difference,
            "demographic_parity_ratio" => selection?.ratio,
            "equalized_odds_difference" => tpr?.difference.max(fpr?.difference),
            "equalized_odds_ratio" => tpr?.ratio.min(fpr?.ratio),
            "equal_opportunity_difference" => tpr?.difference,
            _ => tpr?.ratio,
        })
    }
}

impl Gate for Fairness {
    fn mistake(&self, source: &Source) -> Option<String> {
        if source.task() != Some(Task::Binary) {
            return Some("it judges decisions between two classes".into());
        }
        if self.bounds().iter().all(|(_, bounds)| bounds.is_none()) {
            return Some("nothing to judge: add `demographic_parity_difference: {max: 0.1}` or another".into());
        }
        self.bounds().iter().find_map(|(name, bounds)| {
            let bounds = bounds.as_ref()?;
            let why = bounds.mistake().or_else(|| Range::SHARE.misses(bounds.low(), bounds.high()))?;
            Some(format!("{name}: {why}"))
        })
    }

    fn labels(&self) -> Vec<String> {
        vec![self.group.clone()]
    }

    fn judge(&self, judged: &Judged) -> Vec<Outcome> {
        let (large, small): (Vec<_>, Vec<_>) = judged.cuts(&self.group).iter().partition(|cut| cut.view.len() >= self.min_rows.unwrap_or(ROWS));
        let rates: Vec<Rates> = large.into_iter().map(|cut| Rates::of(cut.name, &cut.view)).collect();
        let show = |rate: Option<f64>| rate.map_or_else(|| "none to count".into(), digits);
        let line = |r: &Rates| {
            format!("{}: {} decided positive; true positive rate {}, false positive rate {}", r.name, digits(r.selection), show(r.tpr), show(r.fpr))
        };
        let left_out = small.iter().map(|slice| format!("{}: too small", slice.name));
        let evidence: Vec<String> = rates.iter().map(line).chain(left_out).take(20).collect();
        let of = |(name, bounds): (&'static str, Option<Bounds>)| {
            let bounds = bounds?;
            let Some(value) = Self::measure(name, &rates) else {
                return Some(judged.outcome(
                    name,
                    Status::Broken,
                    format!("fewer than two groups of `{}` have the rows that {name} counts", self.group),
                ));
            };
            let message = if value.is_nan() {
                format!("{name} by {} is not defined: nothing is decided positive", self.group)
            } else {
                format!("{name} by {} is {}; {}", self.group, digits(value), bounds.sentence())
            };
            Some(judged.outcome(name, bounds.judge(value), message).measured(value, bounds.sentence()).with_evidence(evidence.clone()))
        };
        self.bounds().into_iter().filter_map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value as Json;

    use super::*;
    use crate::quality::gates::slices;
    use crate::quality::table::{Binary, Data, Labels, Names, Table};

    const GOLDEN: &str = include_str!("../../../fixtures/golden/quality.json");
    const SHARED: &str = include_str!("../../../fixtures/golden/metrics.json");

    /// Groups without the labels that a rate counts are left out here, and 0 there: those cases are not compared.
    #[test]
    fn groups_are_compared_as_fairlearn_does() {
        let mut compared = 0;
        for text in [GOLDEN, SHARED] {
            let golden: Json = serde_json::from_str(text).expect("json");
            for case in golden["cases"].as_array().expect("cases").iter().filter(|case| case["kind"] == "fairness") {
                let numbers = |key: &str| case[key].as_array().expect(key).iter().map(|v| v.as_f64().expect("number")).collect::<Vec<_>>();
                let mut names = Names::default();
                let codes = case["groups"].as_array().expect("groups").iter().map(|g| names.code(g.as_str().expect("group"))).collect();
                let data = Data::Binary(Binary { y: numbers("y").iter().map(|y| *y == 1.0).collect(), p: numbers("d"), threshold: 0.5 });
                let labels = vec![Labels { name: "g".into(), values: names.values, codes }];
                let table = Table { data, weights: None, labels, key: None, features: vec![], seconds: vec![], unusable: 0 }.ready().expect("table");
                let slices = slices(table.labels("g").expect("labels"));
                let rates: Vec<Rates> = slices.iter().map(|s| Rates::of(&s.name, &View::of(&table, &s.rows))).collect();
                if rates.len() < 2 || rates.iter().any(|r| r.tpr.is_none() || r.fpr.is_none()) {
                    continue;
                }
                for (name, theirs) in case["expect"].as_object().expect("expect").iter().filter(|(name, _)| !name.ends_with("_to_overall")) {
                    let ours = Fairness::measure(name, &rates).expect(name);
                    match theirs.as_f64() {
                        Some(theirs) => assert!((ours - theirs).abs() <= 1e-9, "{name} of {}: {ours} instead of {theirs}", case["name"]),
                        None => assert!(ours.is_nan(), "{name} of {}: {ours} instead of {theirs}", case["name"]),
                    }
                    compared += 1;
                }
            }
        }
        assert!(compared >= 100, "only {compared} values were compared");
    }
}
