use schemars::JsonSchema;
use serde::Deserialize;

use super::known::{Known, is_inexact, is_instant, is_number};
use super::{Answer, Check, CheckType, Judgement, On, Question, Target};
use crate::bounds::Limit;
use crate::catalogue::Named;
use crate::names::literal;
use crate::ports::postgres::catalog::ColumnFacts;
use crate::scalar::Scalar;
use crate::units::{Amount, count, share};

/// Every value lies between these two, both included; `null` leaves a side open.
///
/// Of numbers, dates and timestamps. NULL passes: see `not_null` for it. NaN is told apart: it lies in no range and
/// fails as what it is. A `check` constraint that rules the breach out proves it at no cost.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// The smallest and the largest accepted value.
    pub between: [Option<Scalar>; 2],
    /// More rows outside than this fail. Default: 0.
    pub max: Option<Amount>,
    /// More rows outside than this warn.
    pub warn: Option<Amount>,
}

impl Named for Range {
    const NAME: &'static str = "range";
    const SHORT: Option<&'static str> = Some("between");
}

impl CheckType for Range {
    const ON: On = On::Column;
}

impl Range {
    /// What lies in no range, NaN too. Bounds as they are written, so that large integers keep their digits; for `real` in its own precision, because
    /// 0.1 as double is less than 0.1 as real.
    fn outside(&self, target: &Target, facts: &ColumnFacts) -> Result<String, String> {
        let column = target.column();
        let bound = |value: &Scalar| match value {
            Scalar::Int(_) | Scalar::Float(_) if is_number(facts) => {
                Ok(format!("({value}){}", if facts.base_type == "real" { "::real" } else { "" }))
            }
            Scalar::Text(text) if is_instant(facts) => Ok(format!("{}::{}", literal(text), facts.base_type)),
            _ => Err(format!("`{value}` is no bound for {}, which is {}", target.subject(), facts.base_type)),
        };
        if !is_number(facts) && !is_instant(facts) {
            return Err(format!("a range needs numbers or dates, and {} is {}", target.subject(), facts.base_type));
        }
        let mut sides = Vec::new();
        for (sign, value) in ["<", ">"].iter().zip(&self.between) {
            if let Some(value) = value {
                sides.push(format!("{column} {sign} {}", bound(value)?));
            }
        }
        // Without an upper bound NaN, which is greater than every number, would pass.
        if is_inexact(facts) && self.between[1].is_none() {
            sides.push(format!("{column} = 'NaN'"));
        }
        Ok(format!("({})", sides.join(" or ")))
    }

    fn limit(&self) -> Limit {
        Limit { max: self.max, warn: self.warn }
    }

    fn words(&self) -> String {
        match &self.between {
            [Some(low), Some(high)] => format!("lie outside {low} to {high}"),
            [Some(low), None] => format!("lie below {low}"),
            [None, Some(high)] => format!("lie above {high}"),
            [None, None] => String::new(),
        }
    }
}

impl Check for Range {
    fn ask(&self, target: &Target, known: &Known) -> Result<Question, String> {
        let facts = target.column_facts(&known.catalog)?;
        let outside = self.outside(target, facts)?;
        let column = target.column();
        let nulls = target.count_values(format!("{column} is null"));
        let detail = if is_inexact(facts) { vec![target.count_values(format!("{column} = 'NaN'"))] } else { vec![] };
        Ok(Question { detail, refute: Some(outside.clone()), ..Question::scan([target.count_values(&outside), nulls]) })
    }

    fn judge(&self, _: &Target, answer: &Answer) -> Judgement {
        let (broken, nulls, nan) = (answer.count(0), answer.count(1), answer.count(2));
        let limit = self.limit();
        let mut message = limit.sentence(broken - nan, answer.rows, &self.words());
        if nan > 0 {
            message = format!("{} NaN, which lie in no range, and {message}", count(nan));
        }
        if nulls > 0 {
            message.push_str(&format!(" (nulls ignored: {})", count(nulls)));
        }
        // NaN counts like a value outside.
        Judgement::new(limit.judge(broken, answer.rows), message).measured(share(broken, answer.rows), limit.expected())
    }

    fn sample(&self, target: &Target, known: &Known) -> Option<String> {
        let facts = target.column_facts(&known.catalog).ok()?;
        Some(target.rows_where(known, &self.outside(target, facts).ok()?))
    }

    fn mistake(&self) -> Option<String> {
        let number = |value: &Option<Scalar>| match value {
            #[expect(clippy::cast_precision_loss, reason = "for an order of magnitude")]
            Some(Scalar::Int(n)) => Some(*n as f64),
            Some(Scalar::Float(n)) => Some(*n),
            _ => None,
        };
        let wrong = match &self.between {
            [None, None] => Some("a range without bounds holds everything".to_owned()),
            [low, high] => match (number(low), number(high)) {
                (Some(l), Some(h)) if l > h => Some(format!("nothing lies between {l} and {h}")),
                _ => None,
            },
        };
        wrong.or_else(|| self.limit().mistake())
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{answer, known, settings, target};
    use super::*;
    use crate::outcome::Status;

    #[test]
    fn a_nan_fails_as_nan() {
        let range: Range = settings(r#"{"between": [0, 1]}"#);
        let judged = range.judge(&target(Some("p")), &answer(10, &["1", "0", "1"], &[]));
        assert_eq!(judged.status, Status::Failed);
        assert!(judged.message.starts_with("1 NaN"), "{}", judged.message);
        assert_eq!(range.judge(&target(Some("p")), &answer(10, &["0", "4", "0"], &[])).status, Status::Passed);
    }

    #[test]
    fn bounds_fit_the_type_and_a_side_may_be_open() {
        let when = |json: &str, kind: &str| {
            let range: Range = settings(json);
            range.ask(&target(Some("p")), &known(&[("p", kind)])).map(|q| q.scan[0].when.clone().unwrap_or_default())
        };
        assert_eq!(when(r#"{"between": [0, null]}"#, "integer").expect("question"), "(\"p\" < (0))");
        assert_eq!(when(r#"{"between": [null, 0.5]}"#, "real").expect("question"), "(\"p\" > (0.5)::real)");
        assert_eq!(when(r#"{"between": ["2013-01-01", null]}"#, "date").expect("question"), "(\"p\" < '2013-01-01'::date)");
        assert_eq!(when(r#"{"between": [0, null]}"#, "numeric").expect("question"), "(\"p\" < (0) or \"p\" = 'NaN')");
        assert!(when(r#"{"between": [0, 1]}"#, "text").is_err() && when(r#"{"between": ["a", "b"]}"#, "integer").is_err());
        assert!(settings::<Range>(r#"{"between": [null, null]}"#).mistake().is_some());
        assert!(settings::<Range>(r#"{"between": [2, 1]}"#).mistake().is_some());
    }
}
