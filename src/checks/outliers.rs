use schemars::JsonSchema;
use serde::Deserialize;

use super::known::{Known, finite};
use super::{Answer, Check, CheckType, Cost, Judgement, On, Question, Target, aggregate};
use crate::bounds::Limit;
use crate::catalogue::Named;
use crate::units::Amount;

/// At most so many values far from the others.
///
/// `iqr` (the default): outside the quartiles by more than `k` (1.5) times the distance between them, Tukey's fences.
/// `zscore`: more than `k` (3) standard deviations from the mean. NULL, NaN and infinity are left out of both.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Outliers {
    /// What counts as far.
    #[serde(default)]
    pub method: Method,
    /// How far. Default: 1.5 for `iqr`, 3 for `zscore`.
    pub k: Option<f64>,
    /// More outliers than this fail. Default: 0.
    pub max: Option<Amount>,
    /// More outliers than this warn.
    pub warn: Option<Amount>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    #[default]
    Iqr,
    Zscore,
}

impl Named for Outliers {
    const NAME: &'static str = "outliers";
    const SHORT: Option<&'static str> = Some("max");
}

impl CheckType for Outliers {
    const ON: On = On::Column;
    const COST: Cost = Cost::Statement;
}

impl Outliers {
    /// The rows with a number.
    fn numbers(target: &Target, known: &Known) -> String {
        let value = format!("t.{}", target.column());
        target.column_facts(&known.catalog).map_or_else(|_| format!("{value} is not null"), |facts| finite(&value, facts))
    }

    fn k(&self) -> f64 {
        self.k.unwrap_or(if self.method == Method::Iqr { 1.5 } else { 3.0 })
    }

    fn limit(&self) -> Limit {
        Limit { max: self.max, warn: self.warn }
    }

    /// A table with the two fences.
    fn fences(&self, target: &Target, known: &Known) -> String {
        let value = format!("t.{}::float8", target.column());
        let from = target.selection(Some(&Self::numbers(target, known)));
        let k = self.k();
        match self.method {
            Method::Iqr => format!(
                "(select q[1] - {k} * (q[2] - q[1]) as low, q[2] + {k} * (q[2] - q[1]) as high from (select percentile_cont(array[0.25, 0.75]) \
                 within group (order by {value}) as q {from}) s)"
            ),
            Method::Zscore => {
                format!("(select avg({value}) - {k} * stddev_samp({value}) as low, avg({value}) + {k} * stddev_samp({value}) as high {from})")
            }
        }
    }

    fn beyond(&self, target: &Target, known: &Known) -> String {
        let value = format!("t.{}::float8", target.column());
        let fences = self.fences(target, known);
        format!("{} and ({value} < (select low from {fences} f) or {value} > (select high from {fences} f))", Self::numbers(target, known))
    }
}

impl Check for Outliers {
    fn ask(&self, target: &Target, known: &Known) -> Result<Question, String> {
        aggregate::number(target, known)?;
        let value = format!("t.{}::float8", target.column());
        let (fences, from) = (self.fences(target, known), target.selection(Some(&Self::numbers(target, known))));
        let counted = format!("count(*) filter (where {value} < f.low or {value} > f.high)");
        let from = from.replacen(" t where ", &format!(" t cross join {fences} f where "), 1);
        Ok(Question::single(format!(
            "select {counted} || ' ' || count(*) || ' ' || coalesce(min(f.low)::text, '') || ' ' || coalesce(min(f.high)::text, '') {from}"
        )))
    }

    fn judge(&self, _: &Target, answer: &Answer) -> Judgement {
        let parts: Vec<&str> = answer.single(0).unwrap_or_default().split(' ').collect();
        let numbers = (parts.first().and_then(|n| n.parse().ok()), parts.get(1).and_then(|n| n.parse().ok()));
        let (Some(outliers), Some(values)) = numbers else { return Judgement::broken("the server gave no count") };
        let (low, high) = (parts.get(2).copied().unwrap_or_default(), parts.get(3).copied().unwrap_or_default());
        if low.is_empty() && answer.rows > 0 {
            return Judgement::broken("there are too few values to tell what is far from them");
        }
        let message = self.limit().sentence(outliers, values, &format!("lie outside {low} to {high}"));
        Judgement::new(self.limit().judge(outliers, values), message).measured(crate::units::share(outliers, values), self.limit().expected())
    }

    fn sample(&self, target: &Target, known: &Known) -> Option<String> {
        Some(target.rows_where(known, &self.beyond(target, known)))
    }

    fn mistake(&self) -> Option<String> {
        let k = self.k().is_finite() && self.k() > 0.0;
        (!k).then(|| "`k` is above 0".into()).or_else(|| self.limit().mistake())
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{answer, settings, target};
    use super::*;
    use crate::outcome::Status;

    #[test]
    fn the_share_is_of_the_values_and_too_few_are_no_verdict() {
        let outliers: Outliers = settings(r#"{"max": "5%", "warn": "1%"}"#);
        let status = |value: &str| outliers.judge(&target(Some("c")), &answer(200, &[], &[value])).status;
        assert_eq!([status("1 100 0 9"), status("3 100 0 9"), status("6 100 0 9")], [Status::Passed, Status::Warned, Status::Failed]);
        assert_eq!(status("0 1  "), Status::Broken);
        assert!(settings::<Outliers>(r#"{"k": -1}"#).mistake().is_some());
    }
}
