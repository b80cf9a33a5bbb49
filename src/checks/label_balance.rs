use schemars::JsonSchema;
use serde::Deserialize;

use super::known::Known;
use super::question::{Tally, find_column};
use super::{Answer, Check, CheckType, Cost, Judgement, On, Question, Target, Within};
use crate::catalogue::Named;
use crate::names::ident;
use crate::outcome::Status;
use crate::units::{Amount, count, percent, share};

/// The rarest class has at least this share of the commonest one's rows.
///
/// One class alone fails: nothing can be learned from it. NULL is no class.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LabelBalance {
    /// The label's column.
    pub column: String,
    /// Less fails.
    pub min: Amount,
    /// Less warns.
    pub warn: Option<Amount>,
}

impl Named for LabelBalance {
    const NAME: &'static str = "label_balance";
    const SHORT: Option<&'static str> = Some("min");
}

impl CheckType for LabelBalance {
    const ON: On = On::Table;
    const COST: Cost = Cost::Counts;
    const WITHIN: Option<Within> = Some(Within { group: "label", key: "balance", shared: &["column"], whole: false });
}

impl Check for LabelBalance {
    fn ask(&self, target: &Target, known: &Known) -> Result<Question, String> {
        find_column(&known.catalog, &target.table, &self.column)?;
        let tally = Tally { by: vec![format!("t.{}", ident(&self.column))], filter: target.filter.clone(), size: None };
        Ok(Question { tallies: vec![tally], ..Question::default() })
    }

    fn judge(&self, _: &Target, answer: &Answer) -> Judgement {
        let classes: Vec<(&str, u64)> = answer.tallies.iter().flatten().filter_map(|(value, n)| Some((value[0].as_deref()?, *n))).collect();
        let (Some(rare), Some(common)) = (classes.iter().min_by_key(|c| c.1), classes.iter().max_by_key(|c| c.1)) else {
            return if answer.rows == 0 {
                Judgement::new(Status::Passed, "there is no row, and that is allowed")
            } else {
                Judgement::broken("no row has a label")
            };
        };
        if classes.len() < 2 {
            return Judgement::new(Status::Failed, format!("there is one class only: {}", common.0));
        }
        let found = share(rare.1, common.1);
        let short = |bound: Amount| matches!(bound, Amount::Share(least) if found < least);
        let status = match (short(self.min), self.warn.is_some_and(short)) {
            (true, _) => Status::Failed,
            (_, true) => Status::Warned,
            _ => Status::Passed,
        };
        let expected = format!("at least {}{}", self.min, self.warn.map(|w| format!(" (warning below {w})")).unwrap_or_default());
        let rows = format!("{} ({} rows) has {} of {} ({} rows)", rare.0, count(rare.1), percent(found), common.0, count(common.1));
        Judgement::new(status, format!("of {} classes {rows}; {expected}", classes.len())).measured(found, expected)
    }

    fn mistake(&self) -> Option<String> {
        match (self.min, self.warn) {
            (Amount::Count(_), _) | (_, Some(Amount::Count(_))) => Some("the balance is a share such as `10%`".into()),
            (Amount::Share(min), Some(Amount::Share(warn))) if warn < min => Some("`warn` lies below `min`, so it could never warn".into()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{settings, tallied, target};
    use super::*;

    #[test]
    fn the_rarest_class_is_compared_with_the_commonest() {
        let balance: LabelBalance = settings(r#"{"column": "late", "min": "10%", "warn": "20%"}"#);
        let status = |counts: &[(&str, u64)]| balance.judge(&target(None), &tallied(counts)).status;
        assert_eq!(status(&[("f", 100), ("t", 30)]), Status::Passed);
        assert_eq!(status(&[("f", 100), ("t", 10)]), Status::Warned);
        assert_eq!(status(&[("f", 100), ("t", 9)]), Status::Failed);
        assert_eq!(status(&[("f", 100)]), Status::Failed);
        assert!(settings::<LabelBalance>(r#"{"column": "late", "min": 3}"#).mistake().is_some());
    }
}
