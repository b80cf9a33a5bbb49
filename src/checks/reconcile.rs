use schemars::JsonSchema;
use serde::Deserialize;

use super::known::Known;
use super::no_rows::subquery;
use super::{Answer, Check, CheckType, Cost, Judgement, On, Question, Target};
use crate::bounds::Limit;
use crate::catalogue::Named;
use crate::names::statement;
use crate::outcome::Status;
use crate::units::Amount;

/// Two queries agree: on their numbers, or on their rows.
///
/// `compare: numbers` (the default): each gives one row, and its columns agree in order within the tolerance: `select
/// count(*), sum(amount) from {table}` with the same from where the data came from. `compare: rows`: no row of one is
/// missing in the other, repeated rows counted. `{table}` stands for the table's quoted name.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reconcile {
    /// The query on this side. Default: `select count(*) from {table}`.
    #[serde(default = "rows_of_table")]
    pub sql: String,
    /// The query on the other side.
    pub with: String,
    /// What has to agree.
    #[serde(default)]
    pub compare: Compare,
    /// How far two numbers may differ, as a share of the other side's (`1%`) or as a number. Default: 0.
    pub tolerance: Option<Tolerance>,
    /// Of rows: more differences fail. Default: 0.
    pub max: Option<Amount>,
    /// Of rows: more differences warn.
    pub warn: Option<Amount>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compare {
    #[default]
    Numbers,
    Rows,
}

/// A share, or a number.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a number or a share such as `1%`")]
pub enum Tolerance {
    Number(f64),
    Amount(Amount),
}

fn rows_of_table() -> String {
    "select count(*) from {table}".into()
}

impl Named for Reconcile {
    const NAME: &'static str = "reconcile";
    const SHORT: Option<&'static str> = Some("with");
}

impl CheckType for Reconcile {
    const ON: On = On::Table;
    const COST: Cost = Cost::Statement;
    const REPEATS: bool = true;
}

impl Reconcile {
    fn sides(&self, target: &Target) -> [String; 2] {
        [subquery(&self.sql, target), subquery(&self.with, target)]
    }

    fn limit(&self) -> Limit {
        Limit { max: self.max, warn: self.warn }
    }

    fn allows(&self, here: f64, there: f64) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "a tolerance")]
        let allowed = match self.tolerance {
            None => 0.0,
            Some(Tolerance::Number(n)) => n,
            Some(Tolerance::Amount(Amount::Count(n))) => n as f64,
            Some(Tolerance::Amount(Amount::Share(s))) => s * there.abs(),
        };
        (here - there).abs() <= allowed
    }
}

impl Check for Reconcile {
    fn ask(&self, target: &Target, known: &Known) -> Result<Question, String> {
        target.facts(&known.catalog)?;
        let [here, there] = self.sides(target);
        Ok(match self.compare {
            // As text, in order; more than one row is an error of the server's.
            Compare::Numbers => {
                let list = |query: &str| {
                    format!(
                        "select (select string_agg(coalesce(v, 'NULL'), ' ' order by at) from json_each_text(row_to_json(q)) with ordinality e(k, v, at)) from {query} q"
                    )
                };
                Question { singles: vec![single(list(&here)), single(list(&there))], ..Question::default() }
            }
            Compare::Rows => Question::single(format!(
                "select (select count(*) from (select * from {here} a except all select * from {there} b) x) || ' ' || \
                 (select count(*) from (select * from {there} b except all select * from {here} a) y) || ' ' || (select count(*) from {there} b)"
            )),
        })
    }

    fn judge(&self, _: &Target, answer: &Answer) -> Judgement {
        match self.compare {
            Compare::Numbers => self.judge_numbers(answer.single(0), answer.single(1)),
            Compare::Rows => {
                let n: Vec<u64> = answer.single(0).unwrap_or_default().split(' ').filter_map(|n| n.parse().ok()).collect();
                let [here, there, rows] = n[..] else { return Judgement::broken("the server gave no count") };
                if rows == 0 && here == 0 {
                    return Judgement::broken("neither side has a row, so nothing was compared");
                }
                let (differ, limit) = (here + there, self.limit());
                let message = format!("{here} rows are only here, {there} only there (of {rows}); {}", limit.expected());
                Judgement::new(limit.judge(differ, rows.max(1)), message).measured(crate::units::share(differ, rows.max(1)), limit.expected())
            }
        }
    }

    fn sample(&self, target: &Target, _: &Known) -> Option<String> {
        let [here, there] = self.sides(target);
        (self.compare == Compare::Rows).then(|| {
            format!(
                "select 'only here' as \"mlops.side\", x.* from (select * from {here} a except all select * from {there} b) x union all \
                 select 'only there', y.* from (select * from {there} b except all select * from {here} a) y"
            )
        })
    }

    fn mistake(&self) -> Option<String> {
        let numbers = self.compare == Compare::Numbers;
        if statement(&self.with).is_empty() || statement(&self.sql).is_empty() {
            Some("a query is empty".into())
        } else if numbers && (self.max.is_some() || self.warn.is_some()) {
            Some("`max` and `warn` count rows that differ; numbers have a `tolerance`".into())
        } else if !numbers && self.tolerance.is_some() {
            Some("`tolerance` is for numbers; rows that differ have a `max`".into())
        } else if self.tolerance.is_some_and(|t| matches!(t, Tolerance::Number(n) if n < 0.0)) {
            Some("`tolerance` is not below 0".into())
        } else {
            self.limit().mistake()
        }
    }
}

fn single(exact: String) -> super::question::Single {
    super::question::Single { quick: None, exact: format!("select ({exact})") }
}

impl Reconcile {
    fn judge_numbers(&self, here: Option<&str>, there: Option<&str>) -> Judgement {
        let numbers =
            |text: Option<&str>| text.unwrap_or_default().split(' ').map(|n| n.parse::<f64>().ok().filter(|n| n.is_finite())).collect::<Vec<_>>();
        let (Some(left), Some(right)) = (here, there) else { return Judgement::broken("a side gives no row") };
        let (a, b) = (numbers(here), numbers(there));
        if a.len() != b.len() {
            return Judgement::broken(format!("this side has {} numbers and the other {}", a.len(), b.len()));
        }
        let Some(pairs) = a.iter().zip(&b).map(|(a, b)| Some(((*a)?, (*b)?))).collect::<Option<Vec<_>>>() else {
            return Judgement::broken(format!("not everything is a number: {left} here, {right} there"));
        };
        let differ = pairs.iter().position(|(a, b)| !self.allows(*a, *b));
        let tolerance = match self.tolerance {
            None => "they must be equal".to_owned(),
            Some(Tolerance::Number(n)) => format!("they may differ by {n}"),
            Some(Tolerance::Amount(amount)) => format!("they may differ by {amount}"),
        };
        let worst = pairs.iter().map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        let status = if differ.is_some() { Status::Failed } else { Status::Passed };
        Judgement::new(status, format!("{left} here, {right} there; {tolerance}")).measured(worst, tolerance)
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{answer, settings, target};
    use super::*;

    #[test]
    fn numbers_agree_within_the_tolerance() {
        let status = |json: &str, here: &str, there: &str| settings::<Reconcile>(json).judge(&target(None), &answer(1, &[], &[here, there])).status;
        let exact = r#"{"with": "select 1"}"#;
        assert_eq!([status(exact, "3 4.50", "3 4.5"), status(exact, "3", "4")], [Status::Passed, Status::Failed]);
        assert_eq!([status(exact, "3", "NULL"), status(exact, "3", "3 4"), status(exact, "null", "3")], [Status::Broken; 3]);
        let one = r#"{"with": "select 1", "tolerance": "1%"}"#;
        assert_eq!([status(one, "99", "100"), status(one, "98", "100")], [Status::Passed, Status::Failed]);
    }

    #[test]
    fn rows_agree_both_ways() {
        let rows: Reconcile = settings(r#"{"with": "select 1", "compare": "rows"}"#);
        let status = |value: &str| rows.judge(&target(None), &answer(1, &[], &[value])).status;
        assert_eq!(
            [status("0 0 9"), status("0 1 9"), status("1 0 9"), status("0 0 0")],
            [Status::Passed, Status::Failed, Status::Failed, Status::Broken]
        );
        assert!(settings::<Reconcile>(r#"{"with": "select 1", "max": 3}"#).mistake().is_some());
    }
}
