use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Number;

use super::{Answer, Check, CheckType, Judgement, On, Question, Target};
use crate::bounds::Limit;
use crate::catalogue::Named;
use crate::outcome::Status;
use crate::ports::postgres::catalog::Catalog;
use crate::units::{Amount, count};

/// Every value lies between these two, both included.
///
/// NULL passes: see `not_null` for it. NaN is told apart: it lies in no range and fails as what it is.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// The smallest and the largest accepted value.
    pub between: [Number; 2],
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

const NUMBERS: [&str; 6] = ["smallint", "integer", "bigint", "real", "double precision", "numeric"];

impl Range {
    /// Bounds as they are written, so that large integers keep their digits; for `real` in its own precision, because
    /// 0.1 as double is less than 0.1 as real.
    fn outside(&self, target: &Target, catalog: &Catalog) -> String {
        let [low, high] = &self.between;
        let column = target.column();
        let cast = if target.column_facts(catalog).is_ok_and(|facts| facts.base_type == "real") { "::real" } else { "" };
        format!("({column} < ({low}){cast} or {column} > ({high}){cast}) and {column} <> 'NaN'::float8")
    }
}

impl Check for Range {
    fn ask(&self, target: &Target, catalog: &Catalog) -> Result<Question, String> {
        let facts = target.column_facts(catalog)?;
        let found = &facts.base_type;
        if !NUMBERS.iter().any(|number| found.starts_with(number)) {
            return Err(format!("a range needs a number, and {} is {}", target.subject(), facts.type_name));
        }
        let column = target.column();
        let nan = format!("{column} = 'NaN'::float8");
        Ok(Question::scan([target.count(&self.outside(target, catalog)), target.count(&nan), target.count(&format!("{column} is null"))]))
    }

    fn judge(&self, _: &Target, answer: &Answer) -> Judgement {
        let limit = Limit { max: self.max, warn: self.warn };
        let (outside, nan, nulls) = (answer.count(0), answer.count(1), answer.count(2));
        let [low, high] = &self.between;
        let mut message = limit.sentence(outside, answer.rows, &format!("lie outside {low} to {high}"));
        if nulls > 0 {
            message.push_str(&format!(" (nulls ignored: {})", count(nulls)));
        }
        if nan > 0 {
            message = format!("{} NaN, which lies in no range; {message}", count(nan));
            return Judgement::new(Status::Failed, message);
        }
        Judgement::new(limit.judge(outside, answer.rows), message)
    }

    fn sample(&self, target: &Target, catalog: &Catalog) -> Option<String> {
        Some(target.rows_where(catalog, &format!("({}) or {} = 'NaN'::float8", self.outside(target, catalog), target.column())))
    }

    fn mistake(&self) -> Option<String> {
        let [low, high] = &self.between;
        let none = (low.as_f64() > high.as_f64()).then(|| format!("nothing lies between {low} and {high}"));
        none.or_else(|| Limit { max: self.max, warn: self.warn }.mistake())
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{answer, catalog, settings, target};
    use super::*;

    #[test]
    fn a_nan_fails_as_nan() {
        let range: Range = settings(r#"{"between": [0, 1]}"#);
        let judged = range.judge(&target(Some("p")), &answer(10, &["0", "1", "0"], &[]));
        assert_eq!(judged.status, Status::Failed);
        assert!(judged.message.starts_with("1 NaN"), "{}", judged.message);
        assert_eq!(range.judge(&target(Some("p")), &answer(10, &["0", "0", "4"], &[])).status, Status::Passed);
    }

    #[test]
    fn text_has_no_range() {
        let range: Range = settings(r#"{"between": [0, 1]}"#);
        assert!(range.ask(&target(Some("p")), &catalog(&[("p", "text")])).is_err());
    }
}
