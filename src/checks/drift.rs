use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::against::Against;
use super::distance::{AtMost, Limits, Spread, bin, worst};
use super::known::{Known, finite, is_number};
use super::question::{Fold, Tally, Term};
use super::{Answer, Check, CheckType, Cost, Judgement, On, Question, Target};
use crate::bounds::Ceiling;
use crate::catalogue::Named;
use crate::names::ident;
use crate::outcome::Status;
use crate::picture::{self, Bar};
use crate::profile::{ColumnProfile, Shape, TableProfile};
use crate::units::{Amount, counted, share};

/// The values are spread as they were: in a column, or in every column of a table.
///
/// `psi`, the population stability index over the baseline's deciles or its categories, NULL counted as one of them (0.1
/// warns and 0.25 fails where nothing else is asked for); `ks`, the Kolmogorov–Smirnov statistic; `wasserstein`, the
/// distance in the baseline's standard deviations; `js`, the Jensen–Shannon distance to the base 2; `cramers_v`, the
/// effect size of the chi² test, and `chi2`, the least p-value that passes. The size of the effect is what to gate on: with
/// millions of rows every p-value is 0. Of a column with more than a thousand values the baseline keeps percentiles, and
/// the result says how exact its numbers are. A column that cannot be compared is broken where it was named, and told
/// where all were meant.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Drift {
    /// What it is compared with. Default: `baseline`.
    #[serde(default)]
    pub against: Against,
    /// On a table: `all` (the default), or the columns.
    #[serde(default)]
    pub columns: Columns,
    /// The population stability index: at most this. Default: `{max: 0.25, warn: 0.1}` where nothing is asked for.
    pub psi: Option<AtMost>,
    /// The Kolmogorov–Smirnov statistic, of numbers: at most this.
    pub ks: Option<AtMost>,
    /// The Wasserstein distance in standard deviations of the baseline, of numbers: at most this.
    pub wasserstein: Option<AtMost>,
    /// The Jensen–Shannon distance to the base 2: at most this.
    pub js: Option<AtMost>,
    /// Cramér's V, the effect size of the chi² test: at most this.
    pub cramers_v: Option<AtMost>,
    /// The p-value of the chi² test of homogeneity: at least this.
    pub chi2: Option<f64>,
    /// On a table: other limits for a column, or `false` to leave it out.
    #[serde(default)]
    pub except: BTreeMap<String, Except>,
    /// On a table: it fails only when more columns than this have drifted. Default: one is enough.
    pub share: Option<Amount>,
    /// Whose formulas: `own`, or `evidently` for `psi`, `js` and `wasserstein` as Evidently 0.7 has them.
    #[serde(default)]
    pub method: Method,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    #[default]
    Own,
    Evidently,
}

/// `all`, or a list.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected `all` or a list of columns")]
pub enum Columns {
    #[default]
    Default,
    All(All),
    Named(Vec<String>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum All {
    All,
}

/// Limits of one column, or `false`.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected limits, or `false` to leave the column out")]
pub enum Except {
    Out(bool),
    Limits(Limits),
}

impl Named for Drift {
    const NAME: &'static str = "drift";
}

impl CheckType for Drift {
    const ON: On = On::Both;
    const COST: Cost = Cost::Counts;
}

const DEFAULT: Limits = Limits {
    psi: Some(AtMost::Bounds(Ceiling { max: Some(0.25), warn: Some(0.1) })),
    ks: None,
    wasserstein: None,
    js: None,
    cramers_v: None,
    chi2: None,
};

impl Drift {
    fn own(&self) -> Limits {
        Limits { psi: self.psi, ks: self.ks, wasserstein: self.wasserstein, js: self.js, cramers_v: self.cramers_v, chi2: self.chi2 }
    }

    fn limits(&self, column: &str) -> Option<Limits> {
        let own = self.own();
        match self.except.get(column) {
            Some(Except::Out(true)) | None => Some(if own.is_empty() { DEFAULT } else { own }),
            Some(Except::Out(false)) => None,
            Some(Except::Limits(limits)) => Some(*limits),
        }
    }

    /// Whether it was this column that was asked for, and not all of them.
    fn is_named(&self, target: &Target) -> bool {
        target.column.is_some() || matches!(self.columns, Columns::Named(_))
    }

    fn columns<'r>(&self, target: &Target, before: &'r TableProfile) -> Result<Vec<&'r ColumnProfile>, String> {
        let named: Vec<&String> = match (&target.column, &self.columns) {
            (Some(column), _) => vec![column],
            (None, Columns::Named(columns)) => columns.iter().collect(),
            (None, _) => return Ok(before.columns.iter().filter(|c| self.limits(&c.name).is_some()).collect()),
        };
        let one = |name: &String| before.column(name).ok_or_else(|| format!("{} has no column {name}", self.against.shown()));
        named.into_iter().map(one).collect()
    }
}

impl Check for Drift {
    fn ask(&self, target: &Target, known: &Known) -> Result<Question, String> {
        let before = self.against.profile(target, known)?;
        let facts = target.facts(&known.catalog)?;
        let mut question = Question { reference: Some(before.clone()), ..Question::default() };
        for column in self.columns(target, before)? {
            let Some(now) = facts.column(&column.name) else { return Err(format!("the table has no column `{}` any more", column.name)) };
            let name = format!("t.{}", ident(&column.name));
            let (by, size) = match &column.shape {
                Shape::Values(values) => (name.clone(), 2 * values.len() + 2),
                Shape::Bins { edges, .. } => (bin(&name, edges), edges.len() + 3),
                Shape::Unknown(_) => continue,
            };
            if column.numbers.is_some() != is_number(now) {
                return Err(format!("`{}` was {} and is {}", column.name, column.type_name, now.type_name));
            }
            question.names.push(column.name.clone());
            question.tallies.push(Tally { by: vec![by], filter: target.filter.clone(), size: Some(size) });
            if matches!(column.shape, Shape::Bins { .. }) {
                for (fold, call) in [(Fold::Min, "min"), (Fold::Max, "max")] {
                    let term = target.aggregate(fold, format!("{call}({name}::float8)"));
                    question.scan.push(Term { when: Some(finite(&name, now)), ..term });
                }
            }
        }
        if question.names.is_empty() {
            return Err(match self.columns(target, before)?.first().map(|c| &c.shape) {
                Some(Shape::Unknown(why)) if self.is_named(target) => why.clone(),
                _ => format!("{} has no column whose spread it knows", self.against.shown()),
            });
        }
        Ok(question)
    }

    fn judge(&self, target: &Target, answer: &Answer) -> Judgement {
        let Some(before) = &answer.reference else { return Judgement::broken("there is nothing to compare with") };
        let (mut lines, mut statuses, mut range) = (Vec::new(), Vec::new(), 0);
        for (name, now) in answer.names.iter().zip(&answer.tallies) {
            let Some(column) = before.column(name) else { continue };
            let ends = if matches!(column.shape, Shape::Bins { .. }) {
                range += 2;
                answer.number(range - 2).zip(answer.number(range - 1))
            } else {
                None
            };
            let Some(mut limits) = self.limits(name) else { continue };
            // What is asked of several columns is asked of those that have an order; of the others what is left.
            if column.numbers.is_none() && target.column.is_none() && !matches!(self.except.get(name), Some(Except::Limits(_))) {
                let rest = Limits { ks: None, wasserstein: None, ..limits };
                limits = match (rest.is_empty(), self.is_named(target)) {
                    (false, _) => rest,
                    (true, false) => DEFAULT,
                    (true, true) => limits,
                };
            }
            match Spread::new(column, now, ends).and_then(|spread| spread.judge(&limits, self.method == Method::Evidently)) {
                Ok(judged) => {
                    let said = judged.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                    let first = judged.iter().max_by_key(|j| j.status).and_then(|j| j.value);
                    statuses.push((worst(&judged), name, first));
                    lines.push((worst(&judged), format!("{name}: {said}")));
                }
                Err(why) => {
                    statuses.push((Status::Broken, name, None));
                    lines.push((Status::Broken, format!("{name}: {why}")));
                }
            }
        }
        let left_out: Vec<String> = self
            .columns(target, before)
            .unwrap_or_default()
            .iter()
            .filter_map(|c| match &c.shape {
                Shape::Unknown(why) => Some(format!("{}: not compared: {why}", c.name)),
                _ => None,
            })
            .collect();
        if self.is_named(target) && !left_out.is_empty() {
            return Judgement::broken(left_out.join("; "));
        }
        let drifted = statuses.iter().filter(|(status, ..)| *status == Status::Failed).count() as u64;
        let total = statuses.len() as u64;
        let any = |wanted: Status| statuses.iter().any(|(status, ..)| *status == wanted);
        let status = match self.share {
            _ if any(Status::Broken) => Status::Broken,
            Some(most) if !most.allows(drifted, total) => Status::Failed,
            None if drifted > 0 => Status::Failed,
            _ if drifted > 0 || any(Status::Warned) => Status::Warned,
            _ => Status::Passed,
        };
        if let ([(_, line)], Some(_)) = (lines.as_slice(), &target.column) {
            let said = line.split_once(": ").map_or(line.as_str(), |(_, said)| said);
            let judgement = Judgement::new(status, format!("{said}, against {}", self.against.shown()));
            return match statuses[0].2 {
                Some(value) => judgement.measured(value, said.to_owned()),
                None => judgement,
            };
        }
        let bars = bars(&statuses);
        // The worst first; of many columns that did not move nobody wants to read.
        lines.sort_by_key(|(status, _)| std::cmp::Reverse(*status));
        let evidence =
            lines.into_iter().filter(|(status, _)| *status != Status::Passed).map(|(_, line)| line).chain(left_out.iter().cloned()).collect();
        let allowed = self.share.map(|most| format!("; allowed: {most}")).unwrap_or_default();
        let others = if left_out.is_empty() { String::new() } else { format!(" ({} cannot be compared)", left_out.len()) };
        let message = format!("{drifted} of {}{others} drifted against {}{allowed}", counted(total, "column"), self.against.shown());
        Judgement::new(status, message.clone())
            .drawn(picture::Shape::Bars { value: "distance".into(), bars, reference: None }, message)
            .measured(share(drifted, total), self.share.map_or_else(|| "none".into(), |m| format!("at most {m}")))
            .with_evidence(evidence)
    }

    fn against(&self) -> Option<&Against> {
        Some(&self.against)
    }

    fn mistake(&self) -> Option<String> {
        let except = self.except.iter().find_map(|(name, except)| match except {
            Except::Out(_) => None,
            Except::Limits(limits) if limits.is_empty() => Some(format!("`except` asks nothing of `{name}`; leave it out with `false`")),
            Except::Limits(limits) => limits.mistake(),
        });
        self.against.mistake().or_else(|| self.own().mistake()).or(except)
    }
}

/// The farthest first.
fn bars(columns: &[(Status, &String, Option<f64>)]) -> Vec<Bar> {
    let bar = |(status, name, value): &(Status, &String, Option<f64>)| {
        Some(Bar { name: (*name).to_owned(), value: (*value)?, out: matches!(status, Status::Failed | Status::Warned) })
    };
    let mut bars: Vec<Bar> = columns.iter().filter_map(bar).collect();
    bars.sort_by(|a, b| b.value.total_cmp(&a.value));
    bars.truncate(BARS);
    bars
}

/// More are no picture.
const BARS: usize = 25;

#[cfg(test)]
mod tests {
    use super::super::test_support::{settings, target};
    use super::*;

    fn judged(json: &str, on: Option<&str>, now: &[(&str, u64)]) -> Judgement {
        let shape = Shape::Values(vec![("a".into(), 50), ("b".into(), 50)]);
        let column = ColumnProfile { name: "c".into(), type_name: "text".into(), nulls: 0, numbers: None, shape };
        let odd = ColumnProfile { name: "odd".into(), shape: Shape::Unknown("too many values".into()), ..column.clone() };
        let counts = now.iter().map(|(v, n)| (vec![Some((*v).to_owned())], *n)).collect();
        let reference = Some(TableProfile { rows: 100, columns: vec![column, odd] });
        let answer = Answer { rows: 100, names: vec!["c".into()], tallies: vec![counts], reference, ..Answer::default() };
        settings::<Drift>(json).judge(&target(on), &answer)
    }

    #[test]
    fn the_usual_bounds_hold_where_none_are_given() {
        assert_eq!(judged("{}", Some("c"), &[("a", 50), ("b", 50)]).status, Status::Passed);
        assert_eq!(judged("{}", Some("c"), &[("a", 66), ("b", 34)]).status, Status::Warned);
        assert_eq!(judged("{}", Some("c"), &[("a", 90), ("b", 10)]).status, Status::Failed);
        assert_eq!(judged(r#"{"psi": 9}"#, Some("c"), &[("a", 90), ("b", 10)]).status, Status::Passed);
    }

    #[test]
    fn a_column_that_cannot_be_compared_is_told_or_broken() {
        let all = judged("{}", None, &[("a", 50), ("b", 50)]);
        assert_eq!((all.status, all.evidence), (Status::Passed, vec!["odd: not compared: too many values".to_owned()]));
        assert_eq!(judged(r#"{"columns": ["c", "odd"]}"#, None, &[("a", 50), ("b", 50)]).status, Status::Broken);
    }

    #[test]
    fn a_distance_of_numbers_is_not_asked_of_letters_among_other_columns() {
        let same = [("a", 50), ("b", 50)];
        assert_eq!(judged(r#"{"columns": ["c"], "ks": 0.1, "psi": 0.1}"#, None, &same).status, Status::Passed);
        assert_eq!(judged(r#"{"columns": ["c"], "ks": 0.1}"#, None, &same).status, Status::Broken);
        assert_eq!(judged(r#"{"ks": 0.1, "psi": 0.1}"#, Some("c"), &same).status, Status::Broken);
    }

    #[test]
    fn a_share_of_the_columns_may_be_allowed() {
        assert_eq!(judged("{}", None, &[("a", 90), ("b", 10)]).status, Status::Failed);
        assert_eq!(judged(r#"{"share": "100%"}"#, None, &[("a", 90), ("b", 10)]).status, Status::Warned);
    }

    #[test]
    fn bounds_that_mean_nothing_are_mistakes() {
        for json in [r#"{"chi2": 5}"#, r#"{"psi": {}}"#, r#"{"ks": {"max": 0.1, "warn": 0.2}}"#, r#"{"except": {"c": {}}}"#, r#"{"against": "../x"}"#]
        {
            assert!(settings::<Drift>(json).mistake().is_some(), "{json}");
        }
        for json in [r#"{"psi": {"mxa": 1}}"#, r#"{"columns": "al"}"#, r#"{"psy": 1}"#] {
            assert!(serde_json::from_str::<Drift>(json).is_err(), "{json}");
        }
    }
}
