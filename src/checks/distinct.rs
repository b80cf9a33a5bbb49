use schemars::JsonSchema;
use serde::Deserialize;

use super::known::Known;
use super::{Answer, Check, CheckType, Cost, Judgement, On, Question, Target};
use crate::catalogue::Named;
use crate::outcome::Status;
use crate::units::{Amount, count, counted, share};

/// How many different values a column has: `distinct: {min: 2}` forbids a constant column, `distinct: {max: 50}` one of
/// high cardinality.
///
/// A share is of the rows with a value, so `{max: 90%}` finds identifiers. NULL is no value.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Distinct {
    /// Fewer fail.
    pub min: Option<Amount>,
    /// More fail.
    pub max: Option<Amount>,
    /// The earlier bound, on the side of `max`, or of `min` where there is no `max`.
    pub warn: Option<Amount>,
}

impl Named for Distinct {
    const NAME: &'static str = "distinct";
    const SHORT: Option<&'static str> = Some("min");
}

impl CheckType for Distinct {
    const ON: On = On::Column;
    const COST: Cost = Cost::Statement;
}

/// Whether `n` of `total` reach an amount.
#[expect(clippy::cast_precision_loss, reason = "compared with a share")]
fn reaches(amount: Amount, n: u64, total: u64) -> bool {
    match amount {
        Amount::Count(min) => n >= min,
        Amount::Share(min) => n as f64 >= min * total as f64,
    }
}

impl Check for Distinct {
    fn ask(&self, target: &Target, known: &Known) -> Result<Question, String> {
        target.column_facts(&known.catalog)?;
        let column = target.column();
        // Grouped, and not `count(distinct)`: that sorts in one process.
        let from = target.selection(Some(&format!("t.{column} is not null")));
        Ok(Question::single(format!("select count(*) || ' ' || coalesce(sum(n), 0) from (select count(*) as n {from} group by t.{column}) g")))
    }

    fn judge(&self, _: &Target, answer: &Answer) -> Judgement {
        let numbers: Option<Vec<u64>> = answer.single(0).map(|text| text.split(' ').filter_map(|n| n.parse().ok()).collect());
        let Some([distinct, rows]) = numbers.as_deref().and_then(|n| <[u64; 2]>::try_from(n).ok()) else {
            return Judgement::broken("the server gave no count");
        };
        let status = match (self.min, self.max, self.warn) {
            (Some(min), ..) if !reaches(min, distinct, rows) => Status::Failed,
            (_, Some(max), _) if !max.allows(distinct, rows) => Status::Failed,
            (_, Some(_), Some(warn)) | (None, None, Some(warn)) if !warn.allows(distinct, rows) => Status::Warned,
            (Some(_), None, Some(warn)) if !reaches(warn, distinct, rows) => Status::Warned,
            _ => Status::Passed,
        };
        let bound = match (self.min, self.max) {
            (Some(min), Some(max)) => format!("must be {min} to {max}"),
            (Some(min), None) => format!("must be at least {min}"),
            (None, Some(max)) => format!("must be at most {max}"),
            (None, None) => "warning only".into(),
        };
        let warn = self.warn.map(|warn| format!(" (warning at {warn})")).unwrap_or_default();
        let of = format!("{} with a value", counted(rows, "row"));
        #[expect(clippy::cast_precision_loss, reason = "a count of values")]
        let measured = distinct as f64;
        let percent = crate::units::percent(share(distinct, rows));
        let message = format!("{} different values in {of} ({percent}); {bound}{warn}", count(distinct));
        Judgement::new(status, message).measured(measured, bound)
    }

    fn mistake(&self) -> Option<String> {
        match (self.min, self.max, self.warn) {
            (None, None, None) => Some("a bound is missing: `min` or `max`".into()),
            (Some(Amount::Count(min)), Some(Amount::Count(max)), _) if min > max => Some(format!("`min` {min} is above `max` {max}")),
            (Some(Amount::Share(min)), Some(Amount::Share(max)), _) if min > max => {
                Some(format!("`min` {} is above `max` {}", Amount::Share(min), Amount::Share(max)))
            }
            (Some(Amount::Count(min)), Some(_), Some(Amount::Count(warn))) if warn < min => {
                Some("`warn` lies below `min`, so it would always warn".into())
            }
            (_, Some(Amount::Count(max)), Some(Amount::Count(warn))) if warn > max => Some("`warn` lies above `max`, so it could never warn".into()),
            (_, Some(Amount::Share(max)), Some(Amount::Share(warn))) if warn > max => Some("`warn` lies above `max`, so it could never warn".into()),
            (Some(Amount::Count(min)), None, Some(Amount::Count(warn))) if warn < min => {
                Some("`warn` lies below `min`, so it could never warn".into())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{answer, settings, target};
    use super::*;

    #[test]
    fn a_constant_and_an_identifier_are_found() {
        let status = |json: &str, value: &str| settings::<Distinct>(json).judge(&target(Some("c")), &answer(100, &[], &[value])).status;
        assert_eq!([status(r#"{"min": 2}"#, "1 100"), status(r#"{"min": 2}"#, "2 100")], [Status::Failed, Status::Passed]);
        assert_eq!(status(r#"{"max": "90%", "warn": "50%"}"#, "95 100"), Status::Failed);
        assert_eq!(status(r#"{"max": "90%", "warn": "50%"}"#, "60 100"), Status::Warned);
        assert_eq!(status(r#"{"min": 2, "warn": 5}"#, "4 100"), Status::Warned);
        assert_eq!(status(r#"{"min": 2}"#, "null"), Status::Broken);
    }
}
