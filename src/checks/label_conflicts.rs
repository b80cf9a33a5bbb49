use schemars::JsonSchema;
use serde::Deserialize;

use super::known::Known;
use super::question::{Single, find_column};
use super::split_duplicates::features;
use super::{Answer, Check, CheckType, Cost, Judgement, On, Question, Target, Within};
use crate::bounds::Limit;
use crate::catalogue::Named;
use crate::names::ident;
use crate::units::{Amount, share};

/// Rows with the same features have the same label.
///
/// The features are all columns but the label and the table's key; or name them. NULL equals NULL here. What is gated is
/// the number of rows whose features occur with more than one label.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LabelConflicts {
    /// The label's column.
    pub column: String,
    /// The features. Default: all columns but the label and the key.
    #[serde(default)]
    pub columns: Vec<String>,
    /// More rows in conflict fail. Default: 0.
    pub max: Option<Amount>,
    /// More rows in conflict warn.
    pub warn: Option<Amount>,
}

impl Named for LabelConflicts {
    const NAME: &'static str = "label_conflicts";
    const SHORT: Option<&'static str> = Some("max");
}

impl CheckType for LabelConflicts {
    const ON: On = On::Table;
    const COST: Cost = Cost::Statement;
    const WITHIN: Option<Within> = Some(Within { group: "label", key: "conflicts", shared: &["column"], whole: false });
}

impl LabelConflicts {
    fn conflicts(&self, target: &Target, by: &str) -> String {
        let label = format!("t.{}::text", ident(&self.column));
        let from = target.selection(Some(&format!("{label} is not null")));
        format!("select coalesce(sum(n), 0)::text from (select count(*) as n {from} group by {by} having min({label}) <> max({label})) g")
    }
}

impl Check for LabelConflicts {
    fn ask(&self, target: &Target, known: &Known) -> Result<Question, String> {
        find_column(&known.catalog, &target.table, &self.column)?;
        let columns = features(&self.columns, &[&self.column], &target.table, known)?;
        let columns: Vec<String> = columns.iter().map(|c| format!("t.{}", ident(c))).collect();
        // Grouped by one number; what that calls a conflict is asked again by the columns themselves.
        let quick = known.can.record_hash.then(|| self.conflicts(target, &Known::row_hash(&columns)));
        let exact = self.conflicts(target, &columns.join(", "));
        Ok(Question { singles: vec![Single { quick, exact }], ..Question::default() })
    }

    fn judge(&self, _: &Target, answer: &Answer) -> Judgement {
        let Some(rows) = answer.single(0).and_then(|n| n.parse().ok()) else { return Judgement::broken("the server gave no count") };
        let limit = Limit { max: self.max, warn: self.warn };
        let message = limit.sentence(rows, answer.rows, &format!("have the features of a row with another {}", self.column));
        Judgement::new(limit.judge(rows, answer.rows), message).measured(share(rows, answer.rows), limit.expected())
    }

    fn sample(&self, target: &Target, known: &Known) -> Option<String> {
        let columns = features(&self.columns, &[&self.column], &target.table, known).ok()?;
        if columns.iter().chain([&self.column]).any(|c| known.is_redacted(&target.table, c)) {
            return None;
        }
        let list = columns.iter().map(|c| format!("t.{}", ident(c))).collect::<Vec<_>>().join(", ");
        let label = format!("t.{}::text", ident(&self.column));
        let from = target.selection(Some(&format!("{label} is not null")));
        Some(format!(
            "select {list}, array_agg(distinct {label}) as {} {from} group by {list} having min({label}) <> max({label})",
            ident(&self.column)
        ))
    }

    fn mistake(&self) -> Option<String> {
        let itself = self.columns.contains(&self.column).then(|| format!("`columns` names the label itself, {}", self.column));
        itself.or_else(|| Limit { max: self.max, warn: self.warn }.mistake())
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{answer, known, settings, target};
    use super::*;
    use crate::outcome::Status;

    #[test]
    fn the_label_is_no_feature() {
        let conflicts: LabelConflicts = settings(r#"{"column": "late", "max": "1%"}"#);
        let known = known(&[("a", "integer"), ("late", "boolean")]);
        let question = conflicts.ask(&target(None), &known).expect("question");
        assert!(question.singles[0].exact.contains("group by t.\"a\" having"));
        let status = |n: &str| conflicts.judge(&target(None), &answer(100, &[], &[n])).status;
        assert_eq!([status("1"), status("2"), status("null")], [Status::Passed, Status::Failed, Status::Broken]);
    }
}
