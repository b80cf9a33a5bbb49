use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Deserialize;

use super::known::{Known, is_inexact, is_instant, is_number};
use super::question::{Tally, find_column};
use super::split_duplicates::features;
use super::{Answer, Check, CheckType, Cost, Judgement, On, Question, Target, Within};
use crate::bounds::Ceiling;
use crate::catalogue::Named;
use crate::names::ident;
use crate::outcome::Status;
use crate::ports::postgres::catalog::ColumnFacts;
use crate::stats::corrected_cramers_v;

/// No single feature tells the label: one that does has usually been made from it.
///
/// Measured by Cramér's V between the feature and the label, corrected for chance (Bergsma 2013): 0 for none, 1 for a
/// feature that determines the label. Numbers and dates are cut at their deciles, other columns are taken by value, or in
/// a hundred buckets where there are more values. NULL is a value of its own: a column that is only filled in for one
/// label leaks too. Rows without a label are left out.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LabelLeakage {
    /// The label's column.
    pub column: String,
    /// The features. Default: all columns but the label and the key.
    #[serde(default)]
    pub columns: Vec<String>,
    /// Columns that are no features.
    #[serde(default)]
    pub except: Vec<String>,
    /// A feature with more than this fails.
    pub max: f64,
    /// A feature with more than this warns.
    pub warn: Option<f64>,
}

impl Named for LabelLeakage {
    const NAME: &'static str = "label_leakage";
    const SHORT: Option<&'static str> = Some("max");
}

impl CheckType for LabelLeakage {
    const ON: On = On::Table;
    const COST: Cost = Cost::Counts;
    const WITHIN: Option<Within> = Some(Within { group: "label", key: "leakage", shared: &["column"], whole: false });
}

/// Buckets of a column with many values.
const BUCKETS: u32 = 100;
/// Rows from which deciles come from a part of the table's blocks.
const MANY: u64 = 1_000_000;
/// Rows of that part.
const SAMPLE: u64 = 50_000;

impl LabelLeakage {
    fn ceiling(&self) -> Ceiling {
        Ceiling { max: Some(self.max), warn: self.warn }
    }

    fn features(&self, target: &Target, known: &Known) -> Result<Vec<String>, String> {
        for column in &self.except {
            find_column(&known.catalog, &target.table, column)?;
        }
        let but: Vec<&str> = self.except.iter().map(String::as_str).chain([self.column.as_str()]).collect();
        features(&self.columns, &but, &target.table, known)
    }
}

/// An expression of few values for a column of many.
fn bucket(facts: &ColumnFacts, target: &Target, known: &Known) -> (String, usize) {
    let column = format!("t.{}", ident(&facts.name));
    let evidence = known.evidence(&target.table);
    let distinct = evidence.and_then(|e| e.distinct.get(&facts.name)).copied();
    if is_number(facts) || is_instant(facts) {
        let value = |alias: &str| {
            let column = format!("{alias}.{}", ident(&facts.name));
            if is_instant(facts) { format!("extract(epoch from {column})::float8") } else { format!("{column}::float8") }
        };
        let quoted = target.table.quoted();
        let edges = |sample: &str| {
            let value = value("x");
            // NaN is told from the numbers; to `percentile_disc` it is the greatest.
            let finite = if is_inexact(facts) { format!(" where {value} <> 'NaN'") } else { String::new() };
            format!(
                "(select percentile_disc(array[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]) within group (order by {value}) from {quoted} x{sample}{finite})"
            )
        };
        let rows = evidence.and_then(|e| e.rows).unwrap_or(0);
        let edges = if rows > MANY {
            #[expect(clippy::cast_precision_loss, reason = "a part of the table")]
            let part = 100.0 * SAMPLE as f64 / rows as f64;
            format!("coalesce({}, {})", edges(&format!(" tablesample system ({part}) repeatable (1)")), edges(""))
        } else {
            edges("")
        };
        return (format!("case when {0} = 'NaN' then -1 else width_bucket({0}, {edges}) end", value("t")), 12);
    }
    match distinct {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "few values")]
        Some(n) if n <= f64::from(BUCKETS) => (format!("{column}::text"), n as usize + 1),
        _ if facts.base_type == "boolean" => (format!("{column}::text"), 3),
        _ => (format!("abs(hashtext({column}::text) % {BUCKETS})"), BUCKETS as usize + 1),
    }
}

impl Check for LabelLeakage {
    fn ask(&self, target: &Target, known: &Known) -> Result<Question, String> {
        let label = find_column(&known.catalog, &target.table, &self.column)?;
        let (label, classes) = match label.base_type.as_str() {
            "boolean" => (format!("t.{}", ident(&self.column)), 3),
            _ => bucket(label, target, known),
        };
        let labelled = format!("t.{} is not null", ident(&self.column));
        let filter = super::question::all(&[target.filter.as_deref(), Some(&labelled)]);
        let mut tallies = Vec::new();
        for column in self.features(target, known)? {
            let (feature, values) = bucket(find_column(&known.catalog, &target.table, &column)?, target, known);
            tallies.push(Tally { by: vec![feature, label.clone()], filter: filter.clone(), size: Some(values * classes) });
        }
        let names = self.features(target, known)?;
        Ok(Question { tallies, names, ..Question::default() })
    }

    fn judge(&self, _: &Target, answer: &Answer) -> Judgement {
        let classes: BTreeSet<&Option<String>> = answer.tallies.iter().flatten().map(|(values, _)| &values[1]).collect();
        if classes.len() == 1 {
            return Judgement::broken(format!("{} has one value only, so nothing can tell it", self.column));
        }
        let mut powers: Vec<(f64, &str)> = Vec::new();
        for (name, counts) in answer.names.iter().zip(&answer.tallies) {
            let mut table: Vec<Vec<u64>> = Vec::new();
            let (mut rows, mut columns) = (Vec::new(), Vec::new());
            for (values, n) in counts {
                let at = |seen: &mut Vec<Option<String>>, value: &Option<String>| {
                    seen.iter().position(|known| known == value).unwrap_or_else(|| {
                        seen.push(value.clone());
                        seen.len() - 1
                    })
                };
                let (row, column) = (at(&mut rows, &values[0]), at(&mut columns, &values[1]));
                table.resize(rows.len(), Vec::new());
                let width = table[row].len().max(column + 1);
                table[row].resize(width, 0);
                table[row][column] += n;
            }
            match corrected_cramers_v(&table) {
                Some(power) => powers.push((power, name)),
                None if answer.rows == 0 => {}
                None => return Judgement::broken("no row has a label"),
            }
        }
        powers.sort_by(|a, b| b.0.total_cmp(&a.0));
        let Some((most, feature)) = powers.first() else { return Judgement::new(Status::Passed, "there is no row, and that is allowed") };
        let ceiling = self.ceiling();
        let suspects = powers.iter().filter(|(power, _)| *power > self.warn.unwrap_or(self.max));
        let evidence = suspects.map(|(power, name)| format!("{name}: {power:.4}")).collect();
        let message = format!("of {} features {feature} tells most of {} (Cramér's V {most:.4}); {ceiling}", powers.len(), self.column);
        Judgement::new(ceiling.judge(*most), message).measured(*most, ceiling.to_string()).with_evidence(evidence)
    }

    fn mistake(&self) -> Option<String> {
        if self.columns.contains(&self.column) {
            return Some(format!("`columns` names the label itself, {}", self.column));
        }
        let beyond = (self.max > 1.0).then(|| "Cramér's V lies between 0 and 1".into());
        beyond.or_else(|| self.ceiling().mistake())
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{settings, target};
    use super::*;

    #[test]
    fn a_feature_that_is_the_label_fails() {
        let leakage: LabelLeakage = settings(r#"{"column": "late", "max": 0.8, "warn": 0.3}"#);
        let table = |counts: [u64; 4]| {
            let key = |a: &str, b: &str| vec![Some(a.to_owned()), Some(b.to_owned())];
            vec![(key("1", "t"), counts[0]), (key("1", "f"), counts[1]), (key("2", "t"), counts[2]), (key("2", "f"), counts[3])]
        };
        let status = |counts| {
            let answer = Answer { rows: 1000, tallies: vec![table(counts)], names: vec!["a".into()], ..Answer::default() };
            leakage.judge(&target(None), &answer).status
        };
        assert_eq!(status([500, 0, 0, 500]), Status::Failed);
        assert_eq!(status([400, 100, 100, 400]), Status::Warned);
        assert_eq!(status([250, 250, 250, 250]), Status::Passed);
        let one = vec![(vec![Some("1".to_owned()), Some("t".to_owned())], 9)];
        let answer = Answer { rows: 9, tallies: vec![one], names: vec!["a".into()], ..Answer::default() };
        assert_eq!(leakage.judge(&target(None), &answer).status, Status::Broken);
    }
}
