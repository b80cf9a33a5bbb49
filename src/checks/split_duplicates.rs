use schemars::JsonSchema;
use serde::Deserialize;

use super::known::Known;
use super::question::find_column;
use super::split_overlap::{mistake, shared, shared_rows, train_and_test};
use super::{Answer, Check, CheckType, Cost, Judgement, On, Question, Target, Within};
use crate::bounds::Limit;
use crate::catalogue::Named;
use crate::names::{TableName, ident};
use crate::units::{Amount, share};

/// No row is in more than one part of the split.
///
/// Two rows are the same when all their columns are, but for the split's own and the table's key; or name the columns.
/// NULL equals NULL here. The share is of the different rows.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SplitDuplicates {
    /// The column that says which part a row belongs to.
    pub column: String,
    /// The parts that may share no row. Default: train and test.
    #[serde(default = "train_and_test")]
    pub parts: Vec<String>,
    /// The columns that make a row. Default: all but the split's and the key's.
    #[serde(default)]
    pub columns: Vec<String>,
    /// More shared rows fail. Default: 0.
    pub max: Option<Amount>,
    /// More shared rows warn.
    pub warn: Option<Amount>,
}

impl Named for SplitDuplicates {
    const NAME: &'static str = "split_duplicates";
    const SHORT: Option<&'static str> = Some("max");
}

impl CheckType for SplitDuplicates {
    const ON: On = On::Table;
    const COST: Cost = Cost::Keys;
    const WITHIN: Option<Within> = Some(Within { group: "split", key: "duplicates", shared: &["column", "parts"], whole: false });
}

/// The columns that are named, or all but these and the key's.
pub(super) fn features(named: &[String], but: &[&str], table: &TableName, known: &Known) -> Result<Vec<String>, String> {
    for column in named {
        find_column(&known.catalog, table, column)?;
    }
    if !named.is_empty() {
        return Ok(named.to_vec());
    }
    let key = known.evidence(table).filter(|e| !e.unique.is_empty()).map(|_| known.key_of(table)).unwrap_or_default();
    let facts = super::question::find_table(&known.catalog, table)?;
    let all = facts.columns.iter().map(|c| &c.name).filter(|c| !but.contains(&c.as_str()) && !key.contains(c));
    let columns: Vec<String> = all.cloned().collect();
    if columns.is_empty() { Err(format!("table {table} has no other column")) } else { Ok(columns) }
}

impl SplitDuplicates {
    /// One hash for the row: wide rows need not travel.
    fn row(&self, target: &Target, known: &Known) -> Result<String, String> {
        let columns = features(&self.columns, &[&self.column], &target.table, known)?;
        let columns: Vec<String> = columns.iter().map(|c| format!("t.{}", ident(c))).collect();
        Ok(if known.can.record_hash { Known::row_hash(&columns) } else { format!("row({})::text", columns.join(", ")) })
    }
}

impl Check for SplitDuplicates {
    fn ask(&self, target: &Target, known: &Known) -> Result<Question, String> {
        find_column(&known.catalog, &target.table, &self.column)?;
        Ok(Question::keyed(shared(target, &self.column, &self.parts, vec![self.row(target, known)?], true)))
    }

    fn judge(&self, _: &Target, answer: &Answer) -> Judgement {
        let Some([both, rows]) = answer.keyed else { return Judgement::broken("the server gave no count") };
        if rows == 0 && answer.rows > 0 {
            return Judgement::broken(format!("no row is in any of {}, so nothing was compared", self.parts.join(", ")));
        }
        let limit = Limit { max: self.max, warn: self.warn };
        let message = limit.sentence(both, rows, &format!("are in more than one of {}", self.parts.join(", ")));
        let message = message.replacen(" rows", " different rows", 1);
        Judgement::new(limit.judge(both, rows), message).measured(share(both, rows), limit.expected())
    }

    fn sample(&self, target: &Target, known: &Known) -> Option<String> {
        let columns = features(&self.columns, &[&self.column], &target.table, known).ok()?;
        if columns.iter().any(|c| known.is_redacted(&target.table, c)) {
            return None;
        }
        let shown = columns.iter().map(|c| format!("min(t.{0}::text) as {0}", ident(c))).collect::<Vec<_>>().join(", ");
        Some(shared_rows(target, &self.column, &self.parts, &[self.row(target, known).ok()?], &shown))
    }

    fn mistake(&self) -> Option<String> {
        mistake(&self.parts).or_else(|| Limit { max: self.max, warn: self.warn }.mistake())
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{keyed, known, settings, target};
    use super::*;
    use crate::outcome::Status;

    #[test]
    fn a_row_is_everything_but_the_split() {
        let duplicates: SplitDuplicates = settings(r#"{"column": "split"}"#);
        let known = known(&[("a", "integer"), ("split", "text"), ("b", "text")]);
        let question = duplicates.ask(&target(None), &known).expect("question").keyed.expect("keyed");
        assert_eq!(question.key, ["row(t.\"a\", t.\"b\")::text"]);
        assert_eq!(duplicates.judge(&target(None), &keyed(9, [1, 8])).status, Status::Failed);
        assert_eq!(duplicates.judge(&target(None), &keyed(9, [0, 0])).status, Status::Broken);
    }
}
