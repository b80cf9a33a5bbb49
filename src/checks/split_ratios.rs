use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::known::Known;
use super::question::{Tally, find_column};
use super::{Answer, Check, CheckType, Cost, Judgement, On, Question, Target, Within};
use crate::catalogue::Named;
use crate::names::ident;
use crate::outcome::Status;
use crate::units::{Amount, percent, share};

/// The parts of a split have these shares of the rows: `ratios: {train: 70%, test: 30%}`.
///
/// A part that is not named, NULL too, fails; so does a named one without rows.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SplitRatios {
    /// The column that says which part a row belongs to.
    pub column: String,
    /// The share of each part; together 100%.
    pub ratios: BTreeMap<String, Amount>,
    /// How far a share may be off, in percent points. Default: 1%.
    #[serde(default = "one_percent")]
    pub tolerance: Amount,
}

fn one_percent() -> Amount {
    Amount::Share(0.01)
}

impl Named for SplitRatios {
    const NAME: &'static str = "split_ratios";
}

impl CheckType for SplitRatios {
    const ON: On = On::Table;
    const COST: Cost = Cost::Counts;
    const WITHIN: Option<Within> = Some(Within { group: "split", key: "ratios", shared: &["column", "tolerance"], whole: true });
}

fn part(amount: Amount) -> Option<f64> {
    if let Amount::Share(share) = amount { Some(share) } else { None }
}

impl Check for SplitRatios {
    fn ask(&self, target: &Target, known: &Known) -> Result<Question, String> {
        find_column(&known.catalog, &target.table, &self.column)?;
        let tally = Tally { by: vec![format!("t.{}", ident(&self.column))], filter: target.filter.clone(), size: Some(self.ratios.len() + 1) };
        Ok(Question { tallies: vec![tally], ..Question::default() })
    }

    fn judge(&self, _: &Target, answer: &Answer) -> Judgement {
        let counts = answer.tallies.first().map(Vec::as_slice).unwrap_or_default();
        let of = |name: &str| counts.iter().find(|(value, _)| value[0].as_deref() == Some(name)).map_or(0, |(_, n)| *n);
        let (mut said, mut worst, mut status) = (Vec::new(), 0.0f64, Status::Passed);
        for (name, wanted) in &self.ratios {
            let (found, wanted) = (share(of(name), answer.rows.max(1)), part(*wanted).unwrap_or_default());
            let off = (found - wanted).abs();
            worst = worst.max(off);
            // A bound is inclusive: 0.7 - 0.69 is a little more than 0.01 to a computer.
            if off > part(self.tolerance).unwrap_or_default() + 1e-12 || of(name) == 0 {
                status = Status::Failed;
            }
            said.push(format!("{name} {} (expected {})", percent(found), percent(wanted)));
        }
        let others = counts.iter().filter(|(value, _)| value[0].as_ref().is_none_or(|name| !self.ratios.contains_key(name)));
        let others: Vec<String> =
            others.map(|(value, n)| format!("{} {}", value[0].as_deref().unwrap_or("NULL"), percent(share(*n, answer.rows)))).collect();
        if !others.is_empty() {
            status = Status::Failed;
            said.push(format!("not named: {}", others.join(", ")));
        }
        let tolerance = format!("within {}", self.tolerance);
        Judgement::new(status, format!("{}; {tolerance}", said.join(", "))).measured(worst, tolerance)
    }

    fn mistake(&self) -> Option<String> {
        let shares: Option<Vec<f64>> = self.ratios.values().map(|amount| part(*amount)).collect();
        match (shares, part(self.tolerance)) {
            (None, _) | (_, None) => Some("ratios and their tolerance are shares such as `70%`".into()),
            (Some(shares), _) if (shares.iter().sum::<f64>() - 1.0).abs() > 1e-9 => {
                Some(format!("the ratios add up to {}, not 100%", percent(shares.iter().sum())))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{settings, tallied, target};
    use super::*;

    #[test]
    fn every_part_has_its_share_and_there_is_no_other() {
        let ratios: SplitRatios = settings(r#"{"column": "split", "ratios": {"train": "70%", "test": "30%"}, "tolerance": "2%"}"#);
        let status = |counts: &[(&str, u64)]| ratios.judge(&target(None), &tallied(counts)).status;
        assert_eq!(status(&[("train", 70), ("test", 30)]), Status::Passed);
        assert_eq!(status(&[("train", 72), ("test", 28)]), Status::Passed);
        assert_eq!(status(&[("train", 73), ("test", 27)]), Status::Failed);
        assert_eq!(status(&[("train", 70), ("test", 29), ("tset", 1)]), Status::Failed);
        let wrong: SplitRatios = settings(r#"{"column": "split", "ratios": {"train": "70%", "test": "20%"}}"#);
        assert!(wrong.mistake().expect("mistake").contains("90%"));
    }
}
